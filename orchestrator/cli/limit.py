"""``orchestrator limit``: how many runs may hold a block at once."""

from __future__ import annotations

from itertools import islice

import click

from ..client import Client
from .output import emit, limit_option, output_option

_COLUMNS = {"name": "Limit", "slots": "Slots", "taken": "Taken", "runs": "Held by"}


@click.group()
def group() -> None:
    """Look at limits: a database block with `max_connections` is held by at most so many runs at once."""


@group.command("ls")
@limit_option
@output_option
def listing(limit: int, output: str) -> None:
    """List limits with the runs that hold their slots."""
    found = list(islice(Client.from_settings().pages("limits", {"limit": min(limit, 200)}), limit))
    if output == "table":
        found = [{**item, "runs": [f"{run['flow']}/{run['name']}" for run in item["holders"]]} for item in found]
    emit(found, output, columns=_COLUMNS, empty="There is no limit: no database block has max_connections.")
