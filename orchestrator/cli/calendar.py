"""``orchestrator calendar``: the days that count."""

from __future__ import annotations

from itertools import islice
from typing import Any
from urllib.parse import quote

import click

from ..client import Client
from ..errors import InvalidInput
from .output import confirm, emit, limit_option, note, output_option, yes_option

_COLUMNS = {"name": "Calendar", "weekdays": "Weekdays", "holidays": "Holidays", "extra": "Extra days"}


@click.group()
def group() -> None:
    """Manage calendars: the days that schedules and expectations go by. `every-day` and `weekdays` are there anyway."""


@group.command("set")
@click.argument("name")
@click.option("--weekdays", metavar="DAYS", help="Those that count, such as mon,tue,wed,thu,fri; all when left out.")
@click.option("--holiday", "holidays", multiple=True, metavar="DATE", help="2026-12-25, or 12-25 for each year.")
@click.option("--extra", multiple=True, metavar="DATE", help="A date that counts all the same.")
@click.option("--holidays-from", type=click.File(encoding="utf-8"), help="File with one date a line.")
@click.option("--ical", type=click.File(encoding="utf-8"), help="iCalendar file whose events are holidays.")
@click.option("--description", default="", metavar="TEXT", help="What it is for.")
@output_option
def put(
    name: str,
    weekdays: str | None,
    holidays: tuple[str, ...],
    extra: tuple[str, ...],
    holidays_from: Any,
    ical: Any,
    description: str,
    output: str,
) -> None:
    """Set a calendar, made when it is missing; what it had is replaced."""
    body = {
        "description": description,
        "weekdays": weekdays.replace(" ", "").split(",") if weekdays else None,
        "holidays": [*holidays, *_lines(holidays_from)],
        "extra": list(extra),
        "ical": _text(ical),
    }
    facts = Client.from_settings().put(f"calendars/{quote(name, safe='')}", body)
    note(f"{name} is set")
    if output == "json":
        emit(facts, output)


@group.command("ls")
@limit_option
@output_option
def listing(limit: int, output: str) -> None:
    """List calendars."""
    found = list(islice(Client.from_settings().pages("calendars", {"limit": min(limit, 200)}), limit))
    if output == "table":
        found = [{**item, "holidays": len(item["holidays"]), "extra": len(item["extra"])} for item in found]
    emit(found, output, columns=_COLUMNS, empty="There is none beside every-day and weekdays.")


@group.command()
@click.argument("name")
@output_option
def inspect(name: str, output: str) -> None:
    """Show a calendar."""
    emit(Client.from_settings().get(f"calendars/{quote(name, safe='')}"), output)


@group.command()
@click.argument("name")
@yes_option
def delete(name: str, yes: bool) -> None:
    """Delete a calendar that nothing goes by."""
    client = Client.from_settings()
    client.get(f"calendars/{quote(name, safe='')}")
    confirm(f"Delete {name}?", yes)
    client.delete(f"calendars/{quote(name, safe='')}")
    note(f"deleted {name}")


def _text(file: Any) -> str | None:
    try:
        return None if file is None else str(file.read())
    except UnicodeDecodeError:
        raise InvalidInput(f"{file.name} is no text file: give an iCalendar file (.ics)") from None


def _lines(file: Any) -> list[str]:
    """The dates in a file; what follows a # is left out."""
    if file is None:
        return []
    try:
        lines = [line.partition("#")[0].strip() for line in file]
    except UnicodeDecodeError:
        raise InvalidInput(f"{file.name} is no text file: write one date a line") from None
    return [line for line in lines if line]
