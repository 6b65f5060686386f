"""``orchestrator firing``: each time that a trigger or an expectation called for something."""

from __future__ import annotations

from itertools import islice
from typing import Any
from urllib.parse import quote

import click

from ..client import Client
from .output import emit, limit_option, note, output_option

_COLUMNS = {
    "fired": "Fired", "trigger.name": "Trigger", "expectation.name": "Expectation", "state": "State",
    "suppressed": "Suppressed", "key": "Key", "reason": "Why", "acknowledged_by": "Acknowledged", "id": "ID",
}  # fmt: skip


@click.group()
def group() -> None:
    """Look at what triggers and expectations called for, and acknowledge it."""


@group.command("ls")
@click.option("--state", type=click.Choice(["open", "resolved", "suppressed"]), help="open: it goes on.")
@click.option("--trigger", metavar="TRIGGER", help="Only those of this trigger: its name or id.")
@click.option("--expectation", metavar="NAME", help="Only those of this expectation: its name or id.")
@click.option("--of", type=click.Choice(["trigger", "expectation"]), help="Only those of triggers, or of expectations.")
@click.option("--chain", metavar="ID", help="Only those of one chain of causes.")
@limit_option
@output_option
def listing(
    state: str | None, trigger: str | None, expectation: str | None, of: str | None, chain: str | None, limit: int,
    output: str,
) -> None:  # fmt: skip
    """List firings, newest first."""
    client = Client.from_settings()
    wanted: dict[str, Any] = {"state": state, "of": of, "chain_id": chain, "limit": min(limit, 200)}
    if trigger is not None:
        wanted["trigger_id"] = client.get(f"triggers/{quote(trigger, safe='/')}")["id"]
    if expectation is not None:
        wanted["expectation_id"] = client.get(f"expectations/{quote(expectation, safe='')}")["id"]
    emit(list(islice(client.pages("firings", wanted), limit)), output, columns=_COLUMNS, empty="Nothing fired.")


@group.command()
@click.argument("firing", metavar="FIRING_ID")
@output_option
def inspect(firing: str, output: str) -> None:
    """Show a firing whole."""
    emit(Client.from_settings().get(f"firings/{quote(firing, safe='')}"), output)


@group.command()
@click.argument("firings", nargs=-1, required=True, metavar="FIRING_ID...")
def acknowledge(firings: tuple[str, ...]) -> None:
    """Say that you look after firings."""
    client = Client.from_settings()
    for firing in firings:
        facts = client.post(f"firings/{quote(firing, safe='')}/acknowledge")
        note(f"{firing} is acknowledged by {facts['acknowledged_by']}")


@group.command()
@click.argument("firings", nargs=-1, required=True, metavar="FIRING_ID...")
def resolve(firings: tuple[str, ...]) -> None:
    """End open firings by hand; what the trigger does then is done."""
    client = Client.from_settings()
    for firing in firings:
        client.post(f"firings/{quote(firing, safe='')}/resolve")
        note(f"{firing} is resolved")
