"""``orchestrator flow``: what runs were recorded of, and what deployments are made of."""

from __future__ import annotations

from itertools import islice

import click

from ..client import Client
from .output import emit, limit_option, output_option
from .references import flow_id

_COLUMNS = {"name": "Flow", "tags": "Tags", "created": "Created", "id": "ID"}


@click.group()
def group() -> None:
    """List flows. A flow is known once it was deployed, or recorded when it ran by hand."""


@group.command("ls")
@limit_option
@output_option
def listing(limit: int, output: str) -> None:
    """List flows."""
    found = list(islice(Client.from_settings().pages("flows", {"limit": min(limit, 200)}), limit))
    emit(found, output, columns=_COLUMNS, empty="There is no flow.")


@group.command()
@click.argument("flow")
@output_option
def inspect(flow: str, output: str) -> None:
    """Show one flow, by name or id, with its deployments."""
    client = Client.from_settings()
    facts = client.get(f"flows/{flow_id(client, flow)}")
    named = client.pages("deployments", {"flow": facts["name"], "limit": 200})
    emit({**facts, "deployments": [item["name"] for item in named]}, output)
