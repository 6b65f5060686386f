"""The secret key and what is derived from it: encryption of block secrets, signatures of tokens and sessions.

A key is any text. Several, separated by commas or on lines of their own, make a rotation: the first one encrypts and
signs, all of them are accepted. They are given by ``ORCHESTRATOR_SECRET_KEY``, in a file
(``ORCHESTRATOR_SECRET_KEY_FILE``), or by a command (``ORCHESTRATOR_SECRET_KEY_COMMAND``). Only the server holds them.
"""

from __future__ import annotations

import base64
import shlex
import subprocess
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from ....errors import BlockError, SettingsError
from ....serializers import dumps, loads
from ....settings import Settings

#: Seconds that the command which prints the key may take.
COMMAND_TIMEOUT = 30.0


@dataclass(frozen=True)
class _Keyring:
    fernet: MultiFernet
    #: Newest first.
    signing: tuple[bytes, ...]
    #: What each key is called, in the same order; nothing can be learned of the key from it.
    ids: tuple[str, ...]


_keyring: _Keyring | None = None


def given(settings: Settings) -> str:
    """The secret key that settings give: SECRET_KEY itself, else the file's content, else what the command prints.

    Raises:
        SettingsError: The file or the command gives none.
    """
    if settings.secret_key:
        return settings.secret_key
    if settings.secret_key_file:
        return _from_file(settings.secret_key_file)
    return _from_command(settings.secret_key_command) if settings.secret_key_command else ""


def configure(secret_key: str) -> None:
    """Say which secret key this process uses. Raises SettingsError when it is empty."""
    global _keyring
    parts = [part for part in (part.strip() for line in secret_key.splitlines() for part in line.split(",")) if part]
    if not parts:
        raise SettingsError(
            "ORCHESTRATOR_SECRET_KEY is not set (nor SECRET_KEY_FILE, SECRET_KEY_COMMAND): give it a long random text,"
            " and keep it"
        )
    fernets = [Fernet(base64.urlsafe_b64encode(_derive(part, b"block secrets"))) for part in parts]
    ids = tuple(_derive(part, b"key id").hex()[:12] for part in parts)
    _keyring = _Keyring(MultiFernet(fernets), tuple(_derive(part, b"signatures") for part in parts), ids)


def encrypt(values: dict[str, Any]) -> bytes:
    """Encrypt a JSON object."""
    return _keys().fernet.encrypt(dumps(values))


def decrypt(token: bytes) -> dict[str, Any]:
    """What :func:`encrypt` was given.

    Raises:
        BlockError: The secret key is another one than at the time of encryption.
    """
    try:
        values: dict[str, Any] = loads(_keys().fernet.decrypt(bytes(token)))
    except InvalidToken:
        raise BlockError(
            "its secrets were encrypted with another ORCHESTRATOR_SECRET_KEY: start the server with that key (after the"
            " present one and a comma), or enter the secrets again"
        ) from None
    return values


def key_ids() -> tuple[str, ...]:
    """What the keys of this process are called; the first one encrypts, all of them decrypt."""
    return _keys().ids


def signing_keys() -> list[bytes]:
    """Keys for signatures, oldest first, as itsdangerous takes them; the last one signs."""
    return list(reversed(_keys().signing))


def session_keys() -> list[str]:
    """Keys for the cookies of browser sessions, newest first; the first one signs."""
    return [_derive(key.hex(), b"dashboard session").hex() for key in _keys().signing]


def _from_file(name: str) -> str:
    path = Path(name).expanduser()
    try:
        text = path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise SettingsError(f"ORCHESTRATOR_SECRET_KEY_FILE: {path} cannot be read: {reason}") from None
    if not text:
        raise SettingsError(f"ORCHESTRATOR_SECRET_KEY_FILE: {path} is empty")
    return text


@lru_cache(maxsize=1)
def _from_command(command: str) -> str:
    name = "ORCHESTRATOR_SECRET_KEY_COMMAND"
    try:
        words = shlex.split(command)
        done = subprocess.run(
            words, stdin=subprocess.DEVNULL, capture_output=True, timeout=COMMAND_TIMEOUT, check=False
        )
        text = done.stdout.decode("utf-8").strip()
    except subprocess.TimeoutExpired:
        raise SettingsError(f"{name}: it did not end within {COMMAND_TIMEOUT:g} s") from None
    except (OSError, ValueError, IndexError) as error:
        raise SettingsError(f"{name}: it cannot be started: {getattr(error, 'strerror', None) or error}") from None
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise SettingsError(f"{name}: it ended with exit code {done.returncode}{f': {said[-1]}' if said else ''}")
    if not text:
        raise SettingsError(f"{name}: it printed nothing")
    return text


def _keys() -> _Keyring:
    if _keyring is None:
        raise SettingsError("no secret key is configured: set ORCHESTRATOR_SECRET_KEY")
    return _keyring


def _derive(secret: str, purpose: bytes) -> bytes:
    return HKDF(SHA256(), length=32, salt=None, info=b"orchestrator " + purpose).derive(secret.encode())
