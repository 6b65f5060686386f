"""The secret key and what is derived from it: encryption of block secrets, signatures of tokens and sessions.

``ORCHESTRATOR_SECRET_KEY`` is any text. Several, separated by commas, make a rotation: the first one encrypts and
signs, all of them are accepted. Only the server holds it.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from ...errors import BlockError, SettingsError
from ...serializers import dumps, loads


@dataclass(frozen=True)
class _Keyring:
    fernet: MultiFernet
    #: Newest first.
    signing: tuple[bytes, ...]
    #: What each key is called, in the same order; nothing can be learned of the key from it.
    ids: tuple[str, ...]


_keyring: _Keyring | None = None


def configure(secret_key: str) -> None:
    """Say which secret key this process uses. Raises SettingsError when it is empty."""
    global _keyring
    parts = [part for part in (part.strip() for line in secret_key.splitlines() for part in line.split(",")) if part]
    if not parts:
        raise SettingsError("ORCHESTRATOR_SECRET_KEY is not set: give it a long random text, and keep it")
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
            "its secrets were encrypted with another ORCHESTRATOR_SECRET_KEY: start the server with that key, or enter"
            " the secrets again"
        ) from None
    return values


def key_ids() -> tuple[str, ...]:
    """What the keys of this process are called; the first one encrypts, all of them decrypt."""
    return _keys().ids


def signing_keys() -> list[bytes]:
    """Keys for signatures, oldest first, as itsdangerous takes them; the last one signs."""
    return list(reversed(_keys().signing))


def _keys() -> _Keyring:
    if _keyring is None:
        raise SettingsError("no secret key is configured: set ORCHESTRATOR_SECRET_KEY")
    return _keyring


def _derive(secret: str, purpose: bytes) -> bytes:
    return HKDF(SHA256(), length=32, salt=None, info=b"orchestrator " + purpose).derive(secret.encode())
