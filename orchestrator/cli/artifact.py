"""``orchestrator artifact``: what runs have published for people to read."""

from __future__ import annotations

import uuid
from itertools import islice
from typing import Any

import click

from ..client import Client
from .output import console, emit, limit_option, output_option
from .references import flow_run_id

_COLUMNS = {"id": "ID", "key": "Key", "type": "Type", "description": "Description", "created": "Created"}


@click.group()
def group() -> None:
    """Read what runs have published: tables, markdown, links."""


@group.command("ls")
@click.option("--key", help="Only artifacts under this key.")
@click.option("--type", "kind", help="Only artifacts of this type, such as markdown or table.")
@click.option("--flow-run", metavar="RUN", help="Only artifacts of this run.")
@limit_option
@output_option
def listing(key: str | None, kind: str | None, flow_run: str | None, limit: int, output: str) -> None:
    """List artifacts, newest first."""
    client = Client.from_settings()
    params: dict[str, Any] = {"key": key, "type": kind, "limit": min(limit, 200)}
    if flow_run:
        params["flow_run_id"] = flow_run_id(client, flow_run)
    artifacts = list(islice(client.pages("artifacts", params), limit))
    emit(artifacts, output, columns=_COLUMNS, empty="No artifact fits.")


@group.command()
@click.argument("artifact", type=click.UUID, metavar="ID")
@output_option
def inspect(artifact: uuid.UUID, output: str) -> None:
    """Show one artifact: markdown and tables as they read."""
    facts = Client.from_settings().get(f"artifacts/{artifact}")
    if output == "json":
        emit(facts, output)
        return
    data = facts.pop("data")
    emit(facts)
    click.echo()
    if facts["type"] == "markdown" and isinstance(data, str):
        from rich.markdown import Markdown

        console().print(Markdown(data))
    else:
        emit(data)
