"""``orchestrator event``: say that something happened, and read what did."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import islice
from typing import Any, TypeVar
from uuid import UUID

import click

from ..client import Client
from ..clock import to_text
from ..errors import ApiUnreachable
from ..observing.emitting import KINDS
from .output import emit, limit_option, note, output_option
from .times import INSTANT, local_text

_COLUMNS = {"occurred": "Occurred", "event": "Event", "resource": "Resource", "id": "ID"}
_SOURCES = ("tower", "run", "key", "webhook", "lineage", "block", "trigger")
#: Seconds between two tries to follow while the API is away.
_PAUSE = 2.0

F = TypeVar("F", bound=Callable[..., Any])


def wanted_options(function: F) -> F:
    """Options that say which events are meant."""
    options = (
        click.option("--event", "events", multiple=True, metavar="NAME",
                     help="Only events of this name; * stands for anything: 'flow-run.*'. May be repeated."),
        click.option("--resource", metavar="ID", help="Only events of this resource."),
        click.option("--kind", type=click.Choice(KINDS), help="Only events of this kind."),
        click.option("--source", type=click.Choice(_SOURCES), help="Only events that this wrote."),
    )  # fmt: skip
    for option in reversed(options):
        function = option(function)
    return function


@click.group()
def group() -> None:
    """Emit, list and follow events."""


@group.command("emit")
@click.argument("event")
@click.option("--resource", required=True, metavar="ID", help="Id of what it happened to, such as warehouse.orders.")
@click.option("--label", "labels", multiple=True, metavar="KEY=VALUE", help="A label of the resource; repeatable.")
@click.option("--related", multiple=True, metavar="ROLE=ID", help="What else had a part in it; repeatable.")
@click.option("--payload", metavar="JSON", default="{}", help="Further facts, as a JSON object.")
@click.option("--occurred", type=INSTANT, default="now", show_default=True, help="When it happened.")
@click.option("--kind", type=click.Choice(KINDS), default="operation", show_default=True, help="What kind of thing.")
@click.option(
    "--relation", "relations", multiple=True, metavar="ROLE=ID",
    help="What the resource is to another, such as reads=warehouse.raw; repeatable.",
)  # fmt: skip
@click.option("--id", "identifier", type=click.UUID, help="Its id, a UUIDv7, when it has one: the same again is one.")
@click.option("--follows", type=click.UUID, metavar="ID", help="The event that it comes after.")
@output_option
def emit_one(
    event: str,
    resource: str,
    labels: tuple[str, ...],
    related: tuple[str, ...],
    payload: str,
    occurred: datetime,
    kind: str,
    relations: tuple[str, ...],
    identifier: UUID | None,
    follows: UUID | None,
    output: str,
) -> None:
    """Tell that EVENT (such as table.loaded) happened to a resource."""
    body = {
        "id": identifier,
        "event": event,
        "occurred": to_text(occurred),
        "resource": {**dict(_pair(text, "--label") for text in labels), "resource.id": resource},
        "related": [{"resource.id": key, "resource.role": role} for role, key in _pairs(related, "--related")],
        "payload": _object(payload),
        "kind": kind,
        "relations": [{"target": target, "role": role} for role, target in _pairs(relations, "--relation")],
        "follows": follows,
    }
    answer = Client.from_settings().post("events", body)
    if output == "json":
        emit(answer, output)
    else:
        note("1 event accepted")


@group.command("ls")
@wanted_options
@click.option("--since", type=INSTANT, help="Only what happened after: a time, or a distance such as -2h.")
@click.option("--until", type=INSTANT, help="... and before.")
@limit_option
@output_option
def listing(
    events: tuple[str, ...],
    resource: str | None,
    kind: str | None,
    source: str | None,
    since: datetime | None,
    until: datetime | None,
    limit: int,
    output: str,
) -> None:
    """List events, newest first."""
    params = {
        "event": events, "resource_id": resource, "kind": kind, "source": source, "after": since, "before": until,
        "limit": min(limit, 200),
    }  # fmt: skip
    found = list(islice(Client.from_settings().pages("events", params), limit))
    if output == "json":
        emit(found, output)
        return
    rows = [{**one, "resource": one["resource"]["resource.id"]} for one in found]
    emit(rows, columns=_COLUMNS, empty="No event fits.")


@group.command("stream")
@wanted_options
@click.option("--since", type=INSTANT, help="Begin with what was stored since a time, or a distance such as -10m.")
@click.option("--limit", "-n", type=click.IntRange(1), help="End after so many.")
@output_option
def stream(
    events: tuple[str, ...],
    resource: str | None,
    kind: str | None,
    source: str | None,
    since: datetime | None,
    limit: int | None,
    output: str,
) -> None:
    """Follow events as they are stored; with `--output json`, one document a line. Ctrl-C ends it."""
    params = {"event": events, "resource_id": resource, "kind": kind, "source": source, "since": since}
    for event in islice(_followed(Client.from_settings(), params), limit):
        if output == "json":
            click.echo(json.dumps(event))
        else:
            about = event["resource"]
            name = f" ({about['resource.name']})" if about.get("resource.name") else ""
            click.echo(f"{local_text(event['occurred'])}  {event['event']}  {about['resource.id']}{name}")


def _followed(client: Client, params: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """All events, over as many connections as it takes; the first has to be made."""
    place: str | None = None
    told = False
    while True:
        try:
            for here, event in client.follow("events/stream", params, place):
                place, told = here, False
                if event is not None:
                    yield event
        except ApiUnreachable as error:
            if place is None:
                raise
            if not told:
                note(f"{error}; trying again")
                told = True
            time.sleep(_PAUSE)


def _pairs(texts: tuple[str, ...], option: str) -> list[tuple[str, str]]:
    return [_pair(text, option) for text in texts]


def _pair(text: str, option: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise click.BadParameter(f"{text!r} is not KEY=VALUE", param_hint=option)
    return key, value


def _object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise click.BadParameter(f"is not JSON: {error}", param_hint="--payload") from None
    if not isinstance(value, dict):
        raise click.BadParameter("must be a JSON object, such as '{\"rows\": 3}'", param_hint="--payload")
    return value
