"""``orchestrator event``: say that something happened, and read what did."""

from __future__ import annotations

import json
from datetime import datetime
from itertools import islice
from typing import Any

import click

from ..client import Client
from ..clock import to_text
from .output import emit, fail, limit_option, note, output_option
from .times import INSTANT

_COLUMNS = {"occurred": "Occurred", "event": "Event", "resource": "Resource", "id": "ID"}


@click.group()
def group() -> None:
    """Emit and list events."""


@group.command("emit")
@click.argument("event")
@click.option("--resource", required=True, metavar="ID", help="Id of what it happened to, such as warehouse.orders.")
@click.option("--label", "labels", multiple=True, metavar="KEY=VALUE", help="A label of the resource; repeatable.")
@click.option("--payload", metavar="JSON", default="{}", help="Further facts, as a JSON object.")
@click.option("--occurred", type=INSTANT, default="now", show_default=True, help="When it happened.")
@output_option
def emit_one(event: str, resource: str, labels: tuple[str, ...], payload: str, occurred: datetime, output: str) -> None:
    """Tell that EVENT (such as table.loaded) happened to a resource."""
    body = {
        "event": event,
        "occurred": to_text(occurred),
        "resource": {**dict(_label(text) for text in labels), "resource.id": resource},
        "payload": _object(payload),
    }
    answer = Client.from_settings().post("events", body)
    if answer["refused"]:
        fail("; ".join(item["message"] for item in answer["refused"]), 2)
    if output == "json":
        emit(answer, output)
    else:
        note("1 event accepted")


@group.command("ls")
@click.option("--event", metavar="NAME", help="Only events of this name, or beginning so: flow-run.*")
@click.option("--resource", metavar="ID", help="Only events of this resource.")
@limit_option
@output_option
def listing(event: str | None, resource: str | None, limit: int, output: str) -> None:
    """List events, newest first."""
    params = {"event": event, "resource_id": resource, "limit": min(limit, 200)}
    events = list(islice(Client.from_settings().pages("events", params), limit))
    if output == "json":
        emit(events, output)
        return
    rows = [{**one, "resource": one["resource"]["resource.id"]} for one in events]
    emit(rows, columns=_COLUMNS, empty="No event fits.")


def _label(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise click.BadParameter(f"{text!r} is not KEY=VALUE", param_hint="--label")
    return key, value


def _object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise click.BadParameter(f"is not JSON: {error}", param_hint="--payload") from None
    if not isinstance(value, dict):
        raise click.BadParameter("must be a JSON object, such as '{\"rows\": 3}'", param_hint="--payload")
    return value
