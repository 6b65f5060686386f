"""What commands print: one JSON document or a table on stdout, everything else on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from .. import serializers
from ..documents.records import Record
from .times import is_instant, local_text

if TYPE_CHECKING:
    from rich.console import Console

F = TypeVar("F", bound=Callable[..., Any])

#: Width of a table that is not read on a terminal: nothing is folded for whoever greps it.
_WIDTH_OF_A_PIPE = 250
_COLOURS = {
    "SCHEDULED": "yellow",
    "PENDING": "blue",
    "RUNNING": "bright_blue",
    "PAUSED": "magenta",
    "CANCELLING": "magenta",
    "COMPLETED": "green",
    "FAILED": "red",
    "CRASHED": "bright_red",
    "CANCELLED": "bright_black",
    "ONLINE": "green",
    "READY": "green",
    "UNHEALTHY": "bright_red",
    "NO_AGENTS": "red",
    "BEHIND": "yellow",
    "DRAINING": "magenta",
    "DRAINED": "bright_black",
    "OFFLINE": "red",
    "STOPPED": "bright_black",
}


def output_option(function: F) -> F:
    """Decorate a command with ``--output table|json``, which arrives as ``output``."""
    return click.option(
        "--output",
        type=click.Choice(["table", "json"]),
        default="table",
        show_default=True,
        help="json: exactly one JSON document on stdout.",
    )(function)


def limit_option(function: F) -> F:
    """Decorate a command with ``--limit``, which arrives as ``limit``."""
    return click.option(
        "--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="Show at most so many."
    )(function)


def emit(
    data: Any,
    output: str = "table",
    *,
    columns: Mapping[str, str] | Sequence[str] | None = None,
    empty: str = "Nothing found.",
) -> None:
    """Print a result.

    Args:
        data: Whatever JSON can hold, records included. A list becomes a table of rows, a dict one of two columns.
        output: ``json``: the whole of ``data`` as one document; ``table``: for people.
        columns: For a table: the keys to show (``state.name`` reaches into a dict), each with its heading.
        empty: For a table: what is said, on stderr, when there are no rows.
    """
    plain = to_plain(data)
    if output == "json":
        click.echo(json.dumps(plain, indent=2, ensure_ascii=False))
    elif isinstance(plain, list):
        _emit_rows(plain, columns, empty)
    elif isinstance(plain, dict):
        _emit_facts(plain, columns)
    else:
        click.echo(_cell(plain))


def emit_eta(found: Mapping[str, Any], output: str) -> None:
    """When something will be done, in a sentence, with the way that decides and how much that rests on."""
    if output == "json":
        emit(found, output)
        return
    click.echo(found["sentence"])
    if len(found["legs"]) > 1:
        note("by way of " + ", ".join(leg["name"] for leg in found["legs"]))
    if found["samples"]:
        note(f"learned from {found['samples']} times")


def to_plain(data: Any) -> Any:
    """The data as JSON would give it back: records as dicts, times and ids as text."""
    return serializers.loads(serializers.dumps(_written(data), default=str))


def note(message: str) -> None:
    """Tell something that is no result, on stderr."""
    click.echo(message, err=True)


def fail(message: str, code: int = 1) -> NoReturn:
    """End the command with one line on stderr and an exit code."""
    click.echo(f"Error: {' '.join(message.split())}", err=True)
    raise click.exceptions.Exit(code)


def confirm(question: str, yes: bool) -> None:
    """Ask before something that cannot be undone; where nobody can answer, ``--yes`` is needed."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError(f"{question.rstrip('?')}: add --yes, nobody can be asked here")
    click.confirm(question, abort=True, err=True)


def yes_option(function: F) -> F:
    """Decorate a command with ``--yes``, which arrives as ``yes``."""
    return click.option("--yes", "-y", is_flag=True, help="Do not ask.")(function)


def console(stderr: bool = False) -> Console:
    """The rich console to print with: plain where it is no terminal, without colours under NO_COLOR."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    return Console(file=stream, highlight=False, width=None if stream.isatty() else _WIDTH_OF_A_PIPE)


def _emit_rows(rows: list[Any], columns: Mapping[str, str] | Sequence[str] | None, empty: str) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    if not rows:
        note(empty)
        return
    headings = _headings(columns) or {key: key for key in (rows[0] if isinstance(rows[0], dict) else {"value": ""})}
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    for key, heading in headings.items():
        table.add_column(heading, no_wrap=key == "id" or key.endswith("_id"), overflow="fold")
    for row in rows:
        values = [_reach(row, key) if isinstance(row, dict) else row for key in headings]
        table.add_row(*(Text(_cell(value), style=_style(value)) for value in values))
    console().print(table)


def _emit_facts(facts: dict[str, Any], columns: Mapping[str, str] | Sequence[str] | None) -> None:
    from rich.table import Table
    from rich.text import Text

    headings = _headings(columns) or {key: key for key in facts}
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for key, heading in headings.items():
        value = _reach(facts, key)
        table.add_row(Text(heading), Text(_cell(value), style=_style(value)))
    console().print(table)


def _headings(columns: Mapping[str, str] | Sequence[str] | None) -> dict[str, str]:
    if columns is None:
        return {}
    return dict(columns) if isinstance(columns, Mapping) else {key: key for key in columns}


def _reach(row: Mapping[str, Any], path: str) -> Any:
    value: Any = row
    for key in path.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return local_text(value) if is_instant(value) else value
    if isinstance(value, dict) and {"type", "name", "at"} <= value.keys():
        return f"{value['name']}: {value['message']}" if value.get("message") else str(value["name"])
    if isinstance(value, dict) and value.keys() == {"id", "name"}:
        return str(value["name"])
    if isinstance(value, dict) and value.keys() == {"code", "message"}:
        return f"{value['code']}: {value['message']}"
    if isinstance(value, list) and all(isinstance(item, (str, int, float)) for item in value):
        return ", ".join(_cell(item) for item in value) or "-"
    if isinstance(value, (dict, list)):
        return json.dumps(value, ensure_ascii=False)
    return str(value)


def _style(value: Any) -> str:
    name = value.get("type") if isinstance(value, dict) else value
    return _COLOURS.get(name, "") if isinstance(name, str) else ""


def _written(data: Any) -> Any:
    if isinstance(data, Record):
        return data.write()
    if isinstance(data, Mapping):
        return {str(key): _written(value) for key, value in data.items()}
    if isinstance(data, (list, tuple, set, frozenset)):
        return [_written(item) for item in data]
    return data
