"""``orchestrator block``: kinds of block, and the named documents of them."""

from __future__ import annotations

from itertools import islice

import click

from ..client import Client
from ..errors import Conflict
from .block_errands import discover, discovery, send_test, test
from .block_saving import create, rotate
from .block_types import new, register, types
from .block_usage import load_lines, usage_lines, usage_of
from .output import confirm, emit, fail, limit_option, note, output_option, yes_option

_COLUMNS = {"address": "Block", "updated": "Updated", "id": "ID"}


@click.group()
def group() -> None:
    """Create and look at blocks: stored, typed configuration.

    BLOCK is TYPE/NAME, such as s3/dev, or an id.
    """


@group.command("ls")
@click.option("--type", "slug", metavar="TYPE", help="Only those of this type.")
@click.option("--interface", metavar="INTERFACE", help="Only those of types that implement it, such as file-system.")
@limit_option
@output_option
def listing(slug: str | None, interface: str | None, limit: int, output: str) -> None:
    """List blocks."""
    wanted = {"type": slug, "interface": interface, "limit": min(limit, 200)}
    found = list(islice(Client.from_settings().pages("blocks", wanted), limit))
    if output == "table":
        found = [{**item, "address": f"{item['type']}/{item['name'] or '(no name)'}"} for item in found]
    emit(found, output, columns=_COLUMNS, empty="There is no block; `orchestrator block create` makes one.")


@group.command()
@click.argument("block")
@output_option
def inspect(block: str, output: str) -> None:
    """Show one block and who uses it; its secrets stay masked."""
    client = Client.from_settings()
    document = client.get(f"blocks/{block}")
    usage = usage_of(client, document["id"])
    if output == "json":
        emit({**document, "usage": usage}, output)
        return
    facts = {**document, "used by": usage_lines(usage), "loaded in the last 30 days by": load_lines(usage)}
    emit(facts, output)


@group.command()
@click.argument("names", nargs=-1, required=True, metavar="BLOCK...")
@click.option("--force", is_flag=True, help="Also what is used: deployments that used it are not ready from then on.")
@yes_option
def delete(names: tuple[str, ...], force: bool, yes: bool) -> None:
    """Delete blocks. One that a deployment or another block uses is kept, unless --force is given."""
    client = Client.from_settings()
    found = [client.get(f"blocks/{name}") for name in names]
    users = {name: usage_lines(usage_of(client, facts["id"])) for name, facts in zip(names, found, strict=True)}
    for name, lines in users.items():
        for line in lines:
            note(f"{name} is used by {line}")
    confirm(f"Delete {', '.join(names)}?", yes)
    for name, facts in zip(names, found, strict=True):
        try:
            client.delete(f"blocks/{facts['id']}", {"force": True} if force else None)
        except Conflict as error:
            fail(f"{error}; --force deletes it all the same")
        note(f"deleted {name}")


for _command in (types, register, new, create, rotate, test, send_test, discover, discovery):
    group.add_command(_command)
