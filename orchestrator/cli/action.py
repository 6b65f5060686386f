"""``orchestrator action``: what firings asked for, and what became of each."""

from __future__ import annotations

import uuid
from itertools import islice
from typing import Any
from urllib.parse import quote

import click

from ..client import Client
from ..errors import InvalidInput
from .output import emit, limit_option, output_option
from .references import flow_run_id

_COLUMNS = {
    "id": "Id", "created": "Created", "state": "State", "kind": "Action", "trigger.name": "Trigger",
    "expectation.name": "Expectation", "target": "By",
    "attempts": "Tries", "next_try": "Next try", "error": "Error",
}  # fmt: skip
STATES = ("waiting", "running", "done", "given-up", "skipped")


@click.group()
def group() -> None:
    """Look at actions, which triggers and expectations ask for; have those done that were given up."""


@group.command("ls")
@click.option("--state", type=click.Choice(STATES), help="Only these; given-up: never done.")
@click.option("--kind", metavar="KIND", help="Only these, such as notify.")
@click.option("--firing", "firing_id", metavar="ID", help="Only those of this firing.")
@click.option("--trigger", "trigger_id", metavar="ID", help="Only those of this trigger.")
@click.option("--expectation", metavar="NAME", help="Only those of this expectation: its name or id.")
@click.option("--run", metavar="RUN", help="Only those because of events about this flow run.")
@limit_option
@output_option
def listing(limit: int, output: str, run: str | None, expectation: str | None, **wanted: str | None) -> None:
    """List actions, newest first."""
    client = Client.from_settings()
    query: dict[str, Any] = {**wanted, "limit": min(limit, 200)}
    if expectation is not None:
        query["expectation_id"] = client.get(f"expectations/{quote(expectation, safe='')}")["id"]
    if run is not None:
        query["flow_run_id"] = flow_run_id(client, run)
    found = list(islice(client.pages("actions", query), limit))
    emit(found, output, columns=_COLUMNS, empty="There is none; firings of triggers and expectations ask for them.")


@group.command("inspect")
@click.argument("action")
@output_option
def inspect(action: str, output: str) -> None:
    """Show an action: what it was to do, what its templates became, and what came of it."""
    emit(Client.from_settings().get(f"actions/{_identifier(action)}"), output)


@group.command("redo")
@click.argument("action")
@output_option
def redo(action: str, output: str) -> None:
    """Have an action done that was given up."""
    emit(Client.from_settings().post(f"actions/{_identifier(action)}/redo", {}), output)


def _identifier(text: str) -> str:
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise InvalidInput(f"{text!r} is no id of an action: orchestrator action ls lists them") from None
