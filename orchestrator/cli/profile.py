"""``orchestrator profile``: named sets of settings, one of which is active."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import click

from .. import settings
from ..errors import Conflict, NotFound
from .output import confirm, emit, note, output_option, yes_option

_MASK = "********"
_SECRETS = {item.name for item in fields(settings.Settings) if item.metadata["secret"]}


@click.group()
def group() -> None:
    """Switch between servers by named sets of settings."""


@group.command("ls")
@output_option
def listing(output: str) -> None:
    """List profiles; the active one is marked."""
    document = settings.read_profiles(_home())
    active = settings.load().profile
    profiles: dict[str, Any] = document.get("profiles", {})
    rows = [
        {"name": name, "active": name == active, "api_url": profiles.get(name, {}).get("api_url")}
        for name in sorted({active, *profiles})
    ]
    emit(rows, output, columns={"name": "Name", "active": "Active", "api_url": "API"})


@group.command()
@click.argument("name")
def use(name: str) -> None:
    """Make a profile the active one."""
    _one(name)
    settings.write_profile(_home(), name, {})
    note(f"{name} is the active profile")


@group.command()
@click.argument("name")
@click.option("--api-url", help="Address of the API.")
@click.option("--api-key", help="Key to present; asked for, unseen, when it is a dash.")
@click.option("--use", "activate", is_flag=True, help="Make it the active profile, too.")
def create(name: str, api_url: str | None, api_key: str | None, activate: bool) -> None:
    """Create a profile."""
    if name in settings.read_profiles(_home()).get("profiles", {}):
        raise Conflict(f"there is a profile {name!r} already; `orchestrator config set` changes the active one")
    if api_key == "-":
        api_key = click.prompt("API key", hide_input=True, err=True)
    given = {"api_url": api_url, "api_key": api_key}
    path = settings.write_profile(_home(), name, {key: value for key, value in given.items() if value}, activate)
    note(f"profile {name} created in {path}{', and active' if activate else ''}")


@group.command()
@click.argument("name", required=False)
@output_option
def inspect(name: str | None, output: str) -> None:
    """Show a profile's settings (the active one's when no NAME is given); secrets are masked."""
    name = name or settings.load().profile
    entries = {key: _MASK if key in _SECRETS and value else value for key, value in _one(name).items()}
    emit({"name": name, **entries}, output)


@group.command()
@click.argument("name")
@yes_option
def delete(name: str, yes: bool) -> None:
    """Delete a profile; the active one cannot be."""
    _one(name)
    if name == settings.load().profile:
        raise Conflict(f"{name!r} is the active profile; `orchestrator profile use` another one first")
    confirm(f"Delete the profile {name}?", yes)
    settings.delete_profile(_home(), name)
    note(f"deleted {name}")


def _home() -> Path:
    return settings.load().path()


def _one(name: str) -> dict[str, Any]:
    profiles: dict[str, dict[str, Any]] = settings.read_profiles(_home()).get("profiles", {})
    if name not in profiles:
        known = ", ".join(sorted(profiles)) or "none"
        raise NotFound(f"there is no profile {name!r}; there are: {known}")
    return profiles[name]
