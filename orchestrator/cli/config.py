"""``orchestrator config``: every setting with its value and where that comes from."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from .. import settings
from .output import emit, note, output_option

_MASK = "********"


@click.group()
def group() -> None:
    """View and change settings."""


@group.command()
@click.option("--show-secrets", is_flag=True, help="Print keys and passwords in clear.")
@output_option
def view(show_secrets: bool, output: str) -> None:
    """Show each setting with its value and the value's source."""
    rows = [
        {
            "name": item.name.upper(),
            "value": _MASK if item.secret and item.value and not show_secrets else _plain(item.value),
            "source": item.source,
            "help": item.help,
        }
        for item in settings.resolve()
    ]
    emit(rows, output, columns={"name": "Setting", "value": "Value", "source": "Source", "help": "Meaning"})


@group.command("set")
@click.argument("entries", nargs=-1, required=True, metavar="NAME=VALUE...")
def set_entries(entries: tuple[str, ...]) -> None:
    """Set settings in the active profile, such as API_URL=http://127.0.0.1:4200."""
    values: dict[str, Any] = {}
    for entry in entries:
        name, equals, value = entry.partition("=")
        if not name or not equals:
            raise click.BadParameter(f"{entry!r} is not NAME=VALUE", param_hint="NAME=VALUE")
        values[_name(name)] = value
    _write(values)


@group.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
def unset(names: tuple[str, ...]) -> None:
    """Remove settings from the active profile, so that their defaults hold again."""
    _write({_name(name): None for name in names})


def _write(values: dict[str, Any]) -> None:
    active = settings.load()
    path = settings.write_profile(active.path(), active.profile, values, activate=False)
    note(f"wrote profile {active.profile} in {path}")
    for name in values:
        if os.environ.get(variable := settings.PREFIX + name.upper()):
            note(f"{variable} in the environment still wins over the profile")


def _name(text: str) -> str:
    return text.strip().lower().removeprefix(settings.PREFIX.lower())


def _plain(value: Any) -> Any:
    if isinstance(value, timedelta):
        return f"{value.total_seconds():g}s"
    if isinstance(value, tuple):
        return ",".join(value)
    return str(value) if isinstance(value, Path) else value
