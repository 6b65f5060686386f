"""The key that encrypts block secrets and signs sessions: given by a setting, or made once and kept with the data."""

from __future__ import annotations

import secrets
from pathlib import Path

from ..errors import SettingsError
from ..server.services.identity.secrets import given
from ..settings import Settings
from .data_server import write_private

FILE = "secret.key"


def secret_key(settings: Settings, data: Path | None) -> str:
    """The secret key of the server.

    Args:
        settings: What it gives wins: ``secret_key``, ``secret_key_file``, ``secret_key_command``.
        data: The folder of the embedded Postgres; None when the database is an external one.

    Raises:
        SettingsError: There is none, and a new one would not do: with an external database every server must have
            the same, and data that was written with a key that is gone cannot be read with another.
    """
    if found := given(settings):
        return found
    if data is None:
        raise SettingsError(
            "ORCHESTRATOR_SECRET_KEY is needed with an external database (the same for every server that uses it), or"
            " ORCHESTRATOR_SECRET_KEY_FILE, or ORCHESTRATOR_SECRET_KEY_COMMAND;"
            " make one with: python3 -c 'import secrets; print(secrets.token_urlsafe(32))'"
        )
    path = data / FILE
    if path.exists() and (text := path.read_text("utf-8").strip()):
        return text
    if (data / "postgres").exists():
        raise SettingsError(
            f"{path} is missing, and the secrets in {data} cannot be read without it:"
            " restore that file, or set ORCHESTRATOR_SECRET_KEY to the key that was used before"
        )
    text = secrets.token_urlsafe(32)
    write_private(path, text + "\n")
    return text
