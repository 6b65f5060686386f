"""``orchestrator work-queue``: the queues that agents take runs from."""

from __future__ import annotations

from itertools import islice
from typing import Any

import click

from ..client import Client
from .output import confirm, emit, limit_option, note, output_option, yes_option
from .values import whole_or_none

_COLUMNS = {
    "name": "Name",
    "status": "Status",
    "concurrency_limit": "Limit",
    "waiting": "Waiting",
    "running": "Running",
    "description": "Description",
}


_AGEING = "Seconds of waiting by which a run's priority rises by one."
_SHARING = "Whose runs take turns: deployment, flow, or tag:PREFIX, such as tag:team-."


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
@click.option("--ageing", type=click.IntRange(min=1), metavar="SECONDS", help=_AGEING)
@click.option("--share-by", metavar="KEY", help=_SHARING)
@output_option
def create(name: str, limit: int | None, ageing: int | None, output: str, **options: Any) -> None:
    """Create a work queue."""
    body = {"name": name, "concurrency_limit": limit, "ageing_s": ageing, **options}
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
    """Hand out runs again, after a pause or a drain."""
    _change(queue, "resumed", paused=False, draining=False)


@group.command()
@click.argument("queue")
def drain(queue: str) -> None:
    """Hand out what waits now, and nothing that comes later, until it is resumed."""
    _change(queue, "draining", draining=True)


@group.command("set-order")
@click.argument("queue")
@click.option("--ageing", metavar="SECONDS", help=f"{_AGEING} none: it does not rise.")
@click.option("--share-by", metavar="KEY", help=f"{_SHARING} none: nobody's.")
def set_order(queue: str, ageing: str | None, share_by: str | None) -> None:
    """Say in which order the queue hands out runs; what is not given stays."""
    if ageing is None and share_by is None:
        raise click.UsageError("give --ageing, --share-by, or both")
    fields: dict[str, Any] = {}
    if ageing is not None:
        fields["ageing_s"] = whole_or_none(ageing, "--ageing", least=1)
    if share_by is not None:
        fields["share_by"] = None if share_by.lower() == "none" else share_by
    _change(queue, "order changed", **fields)


@group.command("set-limit")
@click.argument("queue")
@click.argument("limit", metavar="LIMIT|none")
def set_limit(queue: str, limit: str) -> None:
    """Set how many runs of the queue may be active at once; `none` lifts the limit."""
    number = whole_or_none(limit, "LIMIT")
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
