"""``orchestrator limit``: how many may hold something at once, and how fast code may go."""

from __future__ import annotations

import uuid
from typing import Any
from urllib.parse import quote

import click

from ..client import Client
from .lists import delete_all, read_list
from .output import emit, limit_option, note, output_option, yes_option

_COLUMNS = {"name": "Limit", "slots": "Slots", "taken": "Taken", "waits": "Waiting", "how": "How", "runs": "Held by"}
_HELD = {
    "name": "Held by",
    "flow": "Flow",
    "occupy": "Slots",
    "taken": "Since",
    "expires": "Until, unless renewed",
    "id": "ID",
}
_WAITS = {"name": "Waiting", "flow": "Flow", "occupy": "Slots", "asked": "Since", "id": "ID"}


@click.group()
def group() -> None:
    """Limit how many may hold something at once. Code takes slots of a limit by `concurrency` and `rate_limit`, tasks
    those of `tag:TAG`; a database block with `max_connections` declares a limit of its own.
    """


@group.command()
@click.argument("name")
@click.option("--slots", type=click.IntRange(1), required=True, metavar="N", help="How many slots there are.")
@click.option("--decay", type=float, metavar="PER_SECOND", help="Slots come back by themselves, so many a second.")
@click.option("--inactive", is_flag=True, help="It limits nothing yet.")
@output_option
def create(name: str, slots: int, decay: float | None, inactive: bool, output: str) -> None:
    """Make a limit. One named `tag:TAG` is for all tasks with that tag."""
    body = {"name": name, "slots": slots, "slot_decay_per_second": decay, "active": not inactive}
    made = Client.from_settings().post("limits", body)
    note(f"made the limit {name} with {slots} slot{'' if slots == 1 else 's'}")
    if output == "json":
        emit(made, output)


@group.command("ls")
@click.option("--name", metavar="TEXT", help="Only those with this in their names.")
@limit_option
@output_option
def listing(name: str | None, limit: int, output: str) -> None:
    """List limits with those that hold their slots."""
    found = read_list("limits", limit, {"name": name})
    if output == "table":
        found = [_row(item) for item in found]
    emit(found, output, columns=_COLUMNS, empty="There is no limit; `orchestrator limit create` makes one.")


@group.command()
@click.argument("limit", metavar="NAME|ID")
@output_option
def show(limit: str, output: str) -> None:
    """Show a limit: who holds its slots since when, and who waits for some."""
    found = _get(limit)
    if output == "json":
        emit(found, output)
        return
    emit({name: value for name, value in found.items() if name not in ("holders", "waiting")})
    if found["holders"]:
        emit(found["holders"], columns=_HELD)
    if found["waiting"]:
        emit(found["waiting"], columns=_WAITS)


@group.command("set")
@click.argument("limit", metavar="NAME|ID")
@click.option("--slots", type=click.IntRange(1), metavar="N", help="How many slots there are.")
@click.option("--decay", type=float, metavar="PER_SECOND", help="Slots come back so fast; 0: they are given back.")
@click.option("--active/--inactive", default=None, help="Whether it limits anything.")
@output_option
def change(limit: str, slots: int | None, decay: float | None, active: bool | None, output: str) -> None:
    """Change a limit; those that hold its slots go on."""
    changes: dict[str, Any] = {}
    if slots is not None:
        changes["slots"] = slots
    if decay is not None:
        changes["slot_decay_per_second"] = decay or None
    if active is not None:
        changes["active"] = active
    if not changes:
        raise click.UsageError("say what is to change: --slots, --decay, --active or --inactive")
    changed = Client.from_settings().patch(_path(limit), changes)
    note(f"changed the limit {changed['name']}")
    if output == "json":
        emit(changed, output)


@group.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME|ID...")
@yes_option
def delete(names: tuple[str, ...], yes: bool) -> None:
    """Delete limits: from then on they limit nothing."""
    delete_all(names, _path, yes)


@group.command()
@click.argument("lease", type=click.UUID, metavar="ID")
def release(lease: uuid.UUID) -> None:
    """Take back the slots of a holder, by the id that `limit show` gives; its code goes on."""
    Client.from_settings().delete(f"limits/slots/{lease}")
    note(f"took back {lease}")


def _get(limit: str) -> dict[str, Any]:
    if "/" in limit:  # of a block: it has no address by name
        for item in Client.from_settings().pages("limits", {"name": limit, "limit": 200}):
            if item["name"] == limit:
                return dict(item)
    found: dict[str, Any] = Client.from_settings().get(_path(limit))
    return found


def _path(limit: str) -> str:
    return f"limits/{quote(limit, safe='')}"


def _row(item: dict[str, Any]) -> dict[str, Any]:
    decay = item["slot_decay_per_second"]
    how = "a block's" if item["block_id"] else f"{decay:g} a second" if decay else "given back"
    runs = [f"{run['flow']}/{run['name']}" if run["flow"] else run["name"] for run in item["holders"]]
    return {**item, "runs": runs, "waits": len(item["waiting"]), "how": how if item["active"] else "not active"}
