"""Connections to a Redis server, or to what speaks its language (Valkey)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any
from urllib.parse import parse_qs, unquote, urlsplit

import redis
from pydantic import AfterValidator, SecretStr

from orchestrator.errors import AccessDenied, InvalidInput, Unavailable

from ..http_messages import masked

_FORM = "redis://[user:password@]host:6379/0, rediss:// with TLS, or unix:///path?db=0"


def _check(value: SecretStr) -> SecretStr:
    text = value.get_secret_value().strip()
    try:
        parts = urlsplit(text)
        whole = parts.scheme in ("redis", "rediss", "unix") and bool(parts.hostname or parts.scheme == "unix")
        parts.port  # noqa: B018 - raises where it is no number
        database_of(text)
    except ValueError:
        whole = False
    if not whole:
        raise ValueError(f"write the address of a Redis server: {_FORM}")
    return SecretStr(text)


#: The address of a Redis server; a secret, as a password may stand in it.
RedisAddress = Annotated[SecretStr, AfterValidator(_check)]


def database_of(url: str) -> int:
    """The number of the database that an address names."""
    parts = urlsplit(url)
    given = parse_qs(parts.query).get("db", [""])[0] or ("" if parts.scheme == "unix" else parts.path.strip("/"))
    return int(given or 0)


def place_of(url: str) -> str:
    """What of an address may be shown: ``host:port``, or the path of a socket."""
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return parts.path
    host = parts.hostname or ""
    return f"[{host}]:{parts.port or 6379}" if ":" in host else f"{host}:{parts.port or 6379}"


@contextmanager
def opened(url: SecretStr) -> Iterator[Any]:
    """A client of its own for the ``with``; what goes wrong in it is raised as our errors."""
    text = url.get_secret_value()
    with explained(text):
        client = redis.Redis.from_url(
            text, socket_connect_timeout=10, socket_timeout=60, decode_responses=True, encoding_errors="replace"
        )
        with client:
            yield client


@contextmanager
def explained(url: str) -> Iterator[None]:
    """Raise errors of Redis as ours, without the password."""
    where, secrets = f"Redis at {place_of(url)}", _secrets(url)
    try:
        yield
    except (redis.AuthenticationError, redis.exceptions.NoPermissionError) as error:
        raise AccessDenied(f"{where} refuses the account: {masked(_line(error), secrets)}") from None
    except (redis.ConnectionError, redis.TimeoutError, OSError) as error:
        raise Unavailable(f"{where} cannot be used: {masked(_line(error), secrets)}") from None
    except (redis.RedisError, ValueError) as error:
        raise InvalidInput(f"{where} refuses: {masked(_line(error), secrets)}") from None


def _line(error: Any) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__


def _secrets(url: str) -> tuple[str, ...]:
    password = urlsplit(url).password or parse_qs(urlsplit(url).query).get("password", [""])[0]
    return tuple({password, unquote(password)} - {""})
