"""``orchestrator variable``: plain values that flows and deployments read by name."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import click

from ..client import Client
from .lists import delete_all, read_list
from .output import emit, limit_option, note, output_option, yes_option

_COLUMNS = {"name": "Name", "value": "Value", "tags": "Tags", "updated": "Updated"}


@click.group()
def group() -> None:
    """Set and read variables: plain values that flows and deployments read by name. Secrets belong into blocks."""


@group.command("set")
@click.argument("name")
@click.argument("value")
@click.option("--tag", "tags", multiple=True, metavar="TAG", help="A label; those that it has are replaced.")
@click.option("--text", is_flag=True, help="Take VALUE as it is, also where it is JSON.")
@output_option
def put(name: str, value: str, tags: tuple[str, ...], text: bool, output: str) -> None:
    """Set a variable, made when it is missing. VALUE is JSON, or else a text."""
    body = {"value": value if text else _read(value), "tags": list(tags) or None}
    facts = Client.from_settings().put(_path(name), body)
    note(f"{name} is set")
    if output == "json":
        emit(facts, output)


@group.command()
@click.argument("name")
@output_option
def get(name: str, output: str) -> None:
    """Print the value of a variable: a text as it is, everything else as JSON."""
    facts = Client.from_settings().get(_path(name))
    value = facts["value"]
    if output == "json":
        emit(facts, output)
    else:
        click.echo(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


@group.command("ls")
@click.option("--tag", metavar="TAG", help="Only those with this tag.")
@limit_option
@output_option
def listing(tag: str | None, limit: int, output: str) -> None:
    """List variables."""
    found = read_list("variables", limit, {"tag": tag})
    emit(found, output, columns=_COLUMNS, empty="There is no variable; `orchestrator variable set` makes one.")


@group.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@yes_option
def delete(names: tuple[str, ...], yes: bool) -> None:
    """Delete variables. Templates that name one fail when their run starts."""
    delete_all(names, _path, yes)


def _path(name: str) -> str:
    return f"variables/{quote(name, safe='')}"


def _read(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
