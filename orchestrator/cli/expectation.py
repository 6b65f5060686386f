"""``orchestrator expectation``: what should happen by when, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from itertools import islice
from typing import Any
from urllib.parse import quote

import click
import yaml

from ..client import Client
from ..documents import yaml_texts
from ..errors import Conflict, InvalidInput
from .lists import delete_all
from .output import emit, limit_option, note, output_option, yes_option
from .times import INSTANT

_COLUMNS = {"name": "Name", "sentence": "Expected", "severity": "Severity", "owner": "Owner", "active": "Active"}
_OCCURRENCES = {
    "expectation": "Expectation",
    "key": "Of",
    "status": "Status",
    "deadline": "Deadline",
    "satisfied": "Came",
}


@click.group()
def group() -> None:
    """Say what should happen by when, and see what became of it."""


@group.command()
@click.argument("file", type=click.File(encoding="utf-8"))
@click.option("--update", is_flag=True, help="Change the one of that name, where there is one.")
@click.option("--check", is_flag=True, help="Save nothing: say what it means, and when it is due next.")
@output_option
def create(file: Any, update: bool, check: bool, output: str) -> None:
    """Make expectations from a YAML or JSON FILE; `-` is the standard input.

    The file holds one document, or several with `---` between them.
    """
    client = Client.from_settings()
    for document in _documents(file):
        if check:
            found = client.post("expectations/check", document)
            emit(found if output == "json" else {"Expected": found["sentence"], "Next": found["next"]}, output)
            continue
        made = _save(client, document, update)
        note(f"{made['name']}: {made['sentence']}")
        if output == "json":
            emit(made, output)


@group.command("ls")
@click.option("--name", metavar="TEXT", help="Only those whose name holds this.")
@click.option("--owner", metavar="OWNER", help="Only those of this owner.")
@limit_option
@output_option
def listing(name: str | None, owner: str | None, limit: int, output: str) -> None:
    """List expectations."""
    params = {"name": name, "owner": owner, "limit": min(limit, 200)}
    found = list(islice(Client.from_settings().pages("expectations", params), limit))
    emit(found, output, columns=_COLUMNS, empty="There is none; `orchestrator expectation create FILE` makes one.")


@group.command()
@click.argument("expectation")
@output_option
def inspect(expectation: str, output: str) -> None:
    """Show an expectation with its last occurrences."""
    client = Client.from_settings()
    facts = client.get(_path(expectation))
    recent = list(islice(client.pages(f"{_path(expectation)}/occurrences", {"limit": 20}), 20))
    if output == "json":
        emit({**facts, "occurrences": recent}, output)
        return
    emit(facts)
    emit(recent, columns=_OCCURRENCES, empty="Nothing has been due yet.")


@group.command()
@click.argument("expectation", required=False)
@click.option("--status", type=click.Choice(["due", "met", "late", "missed"]), help="Only these.")
@click.option("--key", metavar="KEY", help="Only of this one of what is expected of each.")
@click.option("--after", type=INSTANT, metavar="TIME", help="Only those due at this time or later.")
@click.option("--before", type=INSTANT, metavar="TIME", help="Only those due before.")
@limit_option
@output_option
def occurrences(expectation: str | None, limit: int, output: str, **wanted: Any) -> None:
    """List what was and will be due, of one expectation or of all; the latest due first."""
    path = f"{_path(expectation)}/occurrences" if expectation else "expectations/occurrences"
    params = {name: _text(value) for name, value in wanted.items()}
    found = list(islice(Client.from_settings().pages(path, {**params, "limit": min(limit, 200)}), limit))
    emit(found, output, columns=_OCCURRENCES, empty="Nothing fits.")


@group.command()
@click.argument("expectations", nargs=-1, required=True, metavar="EXPECTATION...")
def enable(expectations: tuple[str, ...]) -> None:
    """Turn expectations on; what happens from now on counts."""
    _post(expectations, "enable", "is on")


@group.command()
@click.argument("expectations", nargs=-1, required=True, metavar="EXPECTATION...")
def disable(expectations: tuple[str, ...]) -> None:
    """Turn expectations off: nothing is expected."""
    _post(expectations, "disable", "is off")


@group.command()
@click.argument("expectation")
@click.option("--until", type=INSTANT, metavar="TIME", help="Such as +2h; left out: no longer muted.")
def mute(expectation: str, until: datetime | None) -> None:
    """Note misses of an expectation, but do nothing, for a while."""
    made = Client.from_settings().post(f"{_path(expectation)}/mute", {"until": _text(until)})
    note(f"{made['name']} is muted until {made['muted_until']}" if until else f"{made['name']} is no longer muted")


@group.command()
@click.argument("expectations", nargs=-1, required=True, metavar="EXPECTATION...")
@yes_option
def delete(expectations: tuple[str, ...], yes: bool) -> None:
    """Delete expectations with their occurrences."""
    delete_all(expectations, _path, yes)


@group.command()
@click.option("--timezone", default="UTC", show_default=True, metavar="ZONE", help="Whose days and hours to go by.")
@click.option("--yaml", "as_yaml", is_flag=True, help="Print documents, as `create` takes them.")
@output_option
def suggest(timezone: str, as_yaml: bool, output: str) -> None:
    """Show what may be expected that nobody expects yet, learned from the last weeks."""
    found = Client.from_settings().get("expectations/suggestions", {"timezone": timezone})["items"]
    if as_yaml:
        click.echo(yaml.safe_dump_all([item["document"] for item in found], sort_keys=False), nl=False)
        return
    columns = {"sentence": "Expected", "seen": "Seen", "samples": "Samples", "met": "Met so far"}
    emit(found, output, columns=columns, empty="Nothing that is not expected yet happens regularly.")


def _path(ref: str) -> str:
    return f"expectations/{quote(ref, safe='')}"


def _post(refs: tuple[str, ...], verb: str, done: str) -> None:
    client = Client.from_settings()
    for ref in refs:
        client.post(f"{_path(ref)}/{verb}")
        note(f"{ref} {done}")


def _save(client: Client, document: Mapping[str, Any], update: bool) -> Any:
    try:
        return client.post("expectations", document)
    except Conflict:
        if not update:
            raise
    return client.patch(_path(str(document.get("name"))), document)


def _documents(file: Any) -> list[dict[str, Any]]:
    try:
        found = yaml_texts.load_all(file.read())
    except yaml.YAMLError as error:
        raise InvalidInput(f"{file.name} is neither YAML nor JSON: {' '.join(str(error).split())}") from None
    if not found or not all(isinstance(item, dict) for item in found):
        raise InvalidInput(f"{file.name} holds no expectation: write name, on or run, and every, within or heartbeat")
    return found


def _text(value: Any) -> Any:
    return value.isoformat() if isinstance(value, (date, datetime)) else value
