"""``orchestrator api-key``: who may use the API, and what each may do."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

import click

from .. import clock
from ..client import Client
from ..errors import InvalidInput, NotFound
from .output import confirm, emit, limit_option, note, output_option, yes_option

ROLES = ("admin", "editor", "viewer", "agent")
_COLUMNS = {
    "name": "Name",
    "role": "Role",
    "prefix": "Begins with",
    "last_used": "Last used",
    "expires": "Expires",
    "revoked": "Revoked",
    "id": "Id",
}


@click.group()
def group() -> None:
    """Create, list and revoke API keys; this needs a key with the role admin.

    Roles: admin does everything, editor all but keys, viewer reads, agent is for agents alone.
    """


@group.command("ls")
@click.option("--revoked", is_flag=True, help="Show those that were revoked, too.")
@limit_option
@output_option
def listing(revoked: bool, limit: int, output: str) -> None:
    """List the keys; their secrets cannot be shown."""
    columns = {key: title for key, title in _COLUMNS.items() if revoked or key != "revoked"}
    emit(list(islice(_keys(revoked), limit)), output, columns=columns, empty="There is no API key.")


@group.command()
@click.argument("name")
@click.option("--role", type=click.Choice(ROLES), required=True, help="What it may do.")
@click.option(
    "--expires", "life", metavar="DURATION", help="How long it is good for, such as 90d; for ever if left out."
)
@output_option
def create(name: str, role: str, life: str | None, output: str) -> None:
    """Create a key and print it: it is shown this once."""
    made = Client.from_settings().post("api-keys", {"name": name, "role": role, "expires": _expiry(life)})
    if output == "json":
        emit(made, output)
        return
    click.echo(made["key"])
    note(f"Keep it safe: it cannot be shown again. Use it as ORCHESTRATOR_API_KEY; its role is {role}.")


@group.command()
@click.argument("key")
@yes_option
def revoke(key: str, yes: bool) -> None:
    """Revoke a key at once, by its id or name."""
    found = _find(key)
    confirm(f"Revoke the key {found['name']} ({found['role']}, {found['prefix']}...)?", yes)
    Client.from_settings().delete(f"api-keys/{found['id']}")
    note(f"Revoked {found['name']}.")


def _keys(revoked: bool = False) -> Iterator[dict[str, Any]]:
    return Client.from_settings().pages("api-keys", {"limit": 200, "revoked": "true" if revoked else "false"})


def _find(wanted: str) -> dict[str, Any]:
    found = [key for key in _keys() if wanted in (key["id"], key["name"])]
    if not found:
        raise NotFound(f"there is no API key {wanted}: `orchestrator api-key ls` lists them")
    if len(found) > 1:
        ids = ", ".join(key["id"] for key in found)
        raise InvalidInput(f"several keys are named {wanted}: give one of the ids {ids}")
    return found[0]


def _expiry(life: str | None) -> str | None:
    if life is None:
        return None
    try:
        return clock.to_text(clock.now() + clock.duration(life))
    except (ValueError, OverflowError) as error:
        raise click.BadParameter(str(error), param_hint="--expires") from None
