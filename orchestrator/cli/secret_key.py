"""``orchestrator secret-key``: the keys that encrypt the secrets of blocks."""

from __future__ import annotations

from typing import Any

import click

from ..client import Client
from .output import emit, fail, note, output_option


@click.group()
def group() -> None:
    """Check and rotate the keys that encrypt the secrets of blocks.

    The keys are the server's settings SECRET_KEY, SECRET_KEY_FILE or SECRET_KEY_COMMAND, and never leave it. To rotate:
    put a new key in front of the old one, with a comma between them, and start the server again; then `secret-key
    rotate`; then take the old key away. Needs the role admin.
    """


@group.command()
@output_option
def check(output: str) -> None:
    """Tell which key encrypts how many blocks, and name the blocks that none opens (exit code 1)."""
    found = Client.from_settings().get("secret-keys/check")
    if output == "json":
        emit(found, output)
    else:
        _tell(found)
    if found["unreadable_count"]:
        fail(_unreadable(found["unreadable"], found["unreadable_count"]))


@group.command()
@output_option
def rotate(output: str) -> None:
    """Encrypt the secrets of all blocks with the first key. May be interrupted: called again it goes on."""
    client = Client.from_settings()
    total = 0
    while True:
        step = client.post("secret-keys/rotate")
        total += step["rotated"]
        if not step["left"] or not step["rotated"]:
            break
        note(f"{total} blocks are encrypted anew, {step['left']} are left")
    found = client.get("secret-keys/check")
    if output == "json":
        emit({"rotated": total, **found}, output)
    else:
        note(f"{total} blocks were encrypted anew")
        _tell(found)
    if found["unreadable_count"]:
        fail(_unreadable(found["unreadable"], found["unreadable_count"]))


def _tell(found: dict[str, Any]) -> None:
    keys = [
        {"number": number, "use": "encrypts and decrypts" if number == 1 else "decrypts", **key}
        for number, key in enumerate(found["keys"], 1)
    ]
    emit(keys, columns={"number": "Key", "id": "ID", "use": "Use", "blocks": "Blocks"})
    idle = [str(key["number"]) for key in keys[1:] if not key["blocks"]]
    if found["left"]:
        note(f"{found['left']} blocks need an older key: run `orchestrator secret-key rotate`")
    elif idle:
        several = len(idle) > 1
        note(
            f"key{'s' if several else ''} {', '.join(idle)} can be dropped from the server's settings, once the runs"
            " that are running now have ended"
        )


def _unreadable(names: list[str], count: int) -> str:
    more = f" and {count - len(names)} more" if count > len(names) else ""
    return (
        f"no key opens the secrets of {', '.join(names)}{more}: add the key that they were saved with behind the"
        " others, or enter their secrets again"
    )
