"""``orchestrator resource``: what looks through blocks found."""

from __future__ import annotations

from itertools import islice
from urllib.parse import quote

import click

from ..client import Client
from .output import emit, limit_option, output_option

_COLUMNS = {"id": "Resource", "kind": "Kind", "name": "Name", "source": "Found by", "last_seen": "Seen"}


@click.group()
def group() -> None:
    """Look at resources: what systems were found to have, such as buckets and tables."""


@group.command("ls")
@click.option("--kind", metavar="KIND", help="Only this kind, or kinds beginning so: s3.*")
@click.option("--name", metavar="TEXT", help="Only those whose name holds this.")
@click.option("--source", metavar="BLOCK", help="Only those that this block found.")
@click.option("--vanished", is_flag=True, help="Those that vanished in place of those that are there.")
@limit_option
@output_option
def listing(kind: str | None, name: str | None, source: str | None, vanished: bool, limit: int, output: str) -> None:
    """List resources."""
    params = {"kind": kind, "name": name, "source": source, "vanished": vanished, "limit": min(limit, 200)}
    found = list(islice(Client.from_settings().pages("resources", params), limit))
    emit(found, output, columns=_COLUMNS, empty="No resource fits; `orchestrator block discover BLOCK` looks for some.")


@group.command()
@click.argument("resource")
@output_option
def inspect(resource: str, output: str) -> None:
    """Show one resource with its relations."""
    client = Client.from_settings()
    facts = client.get(f"resources/{quote(resource, safe='')}")
    relations = list(islice(client.pages("relations", {"resource": resource, "limit": 200}), 1000))
    emit({**facts, "relations": relations}, output)
