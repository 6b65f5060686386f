"""``orchestrator notification``: messages about runs, and what became of each."""

from __future__ import annotations

from itertools import islice
from typing import Any

import click

from ..client import Client
from .output import emit, limit_option, output_option
from .references import flow_run_id

_COLUMNS = {
    "created": "Created", "state": "State", "subject": "Subject", "block": "By", "attempts": "Tries",
    "next_try": "Next try", "error": "Error",
}  # fmt: skip
STATES = ("waiting", "sending", "sent", "given-up")


@click.group()
def group() -> None:
    """Look at notifications: messages about runs, and what became of each."""


@group.command("ls")
@click.option("--state", type=click.Choice(STATES), help="Only these; given-up: never delivered.")
@click.option("--run", metavar="RUN", help="Only those about this flow run.")
@limit_option
@output_option
def listing(state: str | None, run: str | None, limit: int, output: str) -> None:
    """List notifications, newest first."""
    client = Client.from_settings()
    wanted: dict[str, Any] = {"state": state, "limit": min(limit, 200)}
    if run is not None:
        wanted["flow_run_id"] = flow_run_id(client, run)
    found = list(islice(client.pages("notifications", wanted), limit))
    emit(found, output, columns=_COLUMNS, empty="There is none; deployments ask for them with `notifications`.")
