"""``orchestrator work-queue``: the queues that agents take runs from."""

from __future__ import annotations

from itertools import islice
from typing import Any

import click

from ..client import Client
from .output import confirm, emit, limit_option, note, output_option, yes_option

_COLUMNS = {
    "name": "Name",
    "paused": "Paused",
    "concurrency_limit": "Limit",
    "waiting": "Waiting",
    "running": "Running",
    "description": "Description",
}


@click.group()
def group() -> None:
    """Manage the queues that agents take runs from.

    A queue comes into being when a deployment or an agent first names it; QUEUE is its name or id.
    """


@group.command("ls")
@limit_option
@output_option
def listing(limit: int, output: str) -> None:
    """List work queues with what waits and runs in each."""
    queues = list(islice(Client.from_settings().pages("work-queues", {"limit": min(limit, 200)}), limit))
    emit(queues, output, columns=_COLUMNS, empty="There is no work queue.")


@group.command()
@click.argument("name")
@click.option("--description", default="", help="What the queue is for.")
@click.option("--limit", type=click.IntRange(min=0), help="How many of its runs may be active at once.")
@click.option("--paused", is_flag=True, help="Hand out no runs until it is resumed.")
@output_option
def create(name: str, description: str, limit: int | None, paused: bool, output: str) -> None:
    """Create a work queue."""
    body = {"name": name, "description": description, "concurrency_limit": limit, "paused": paused}
    emit(Client.from_settings().post("work-queues", body), output)


@group.command()
@click.argument("queue")
@output_option
def inspect(queue: str, output: str) -> None:
    """Show one work queue."""
    emit(Client.from_settings().get(f"work-queues/{queue}"), output)


@group.command()
@click.argument("queue")
def pause(queue: str) -> None:
    """Hand out no more runs; those that run go on."""
    _change(queue, "paused", paused=True)


@group.command()
@click.argument("queue")
def resume(queue: str) -> None:
    """Hand out runs again."""
    _change(queue, "resumed", paused=False)


@group.command("set-limit")
@click.argument("queue")
@click.argument("limit", metavar="LIMIT|none")
def set_limit(queue: str, limit: str) -> None:
    """Set how many runs of the queue may be active at once; `none` lifts the limit."""
    if limit.lower() != "none" and not limit.isdecimal():
        raise click.BadParameter(f"{limit!r} is neither a whole number nor none", param_hint="LIMIT")
    number = None if limit.lower() == "none" else int(limit)
    _change(queue, "unlimited" if number is None else f"limited to {number}", concurrency_limit=number)


@group.command()
@click.argument("queue")
@yes_option
def delete(queue: str, yes: bool) -> None:
    """Delete a work queue that nothing uses any more."""
    confirm(f"Delete the work queue {queue}?", yes)
    Client.from_settings().delete(f"work-queues/{queue}")
    note(f"deleted {queue}")


def _change(queue: str, told: str, **fields: Any) -> None:
    Client.from_settings().patch(f"work-queues/{queue}", fields)
    note(f"{queue}: {told}")
