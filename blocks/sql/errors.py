"""What went wrong in a database, in the words of all blocks: one line, no password."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, quote_plus

from sqlalchemy import exc
from sqlalchemy.engine import URL

from orchestrator.errors import AccessDenied, BlockError, InvalidInput, NotFound, OrchestratorError, Unavailable

from .engines import EXTRAS

_SCHEMES = {"postgresql": "postgres", "mariadb": "mysql"}
_PORTS = {"postgres": 5432, "mysql": 3306, "redshift": 5439}
#: What drivers say -> what it is. By sqlstate (Postgres), number (MySQL) or text, whichever comes first.
_STATES: tuple[tuple[str, type[OrchestratorError]], ...] = (
    ("28", AccessDenied),
    ("42501", AccessDenied),
    ("3D000", NotFound),
    ("08", Unavailable),
    ("40", Unavailable),
    ("53", Unavailable),
    ("55P03", Unavailable),
    ("57", Unavailable),
)
_NUMBERS: dict[int, type[OrchestratorError]] = {
    **dict.fromkeys((1044, 1045, 1142, 1143, 1227, 1698, 1370), AccessDenied),
    1049: NotFound,
    **dict.fromkeys((1040, 1053, 1158, 1159, 1160, 1161, 1203, 1205, 1213, 1226, 1317, 1969, 3024), Unavailable),
    **dict.fromkeys((2002, 2003, 2005, 2006, 2013, 2055), Unavailable),
}
_TEXTS: tuple[tuple[str, type[OrchestratorError]], ...] = (
    (r"authentication failed|no password supplied|access denied|permission denied|readonly database|"
     r"read-only mode|not authorized", AccessDenied),
    (r"role \".*\" does not exist", AccessDenied),
    (r"database \".*\" does not exist", NotFound),
    (r"interrupt|unable to open database|database is locked|could not set lock|io error|connection .*(failed|refused|"
     r"closed|timeout)|could not (connect|translate)|server closed|failed to resolve|disk i/o|database disk image|"
     r"terminating connection|timed out|timeout expired|cannot open file", Unavailable),
)  # fmt: skip


def address(url: URL) -> str:
    """Where the database is, with no account: ``postgres://host:port/name``; part of the ids of resources."""
    backend = url.get_backend_name()
    scheme = _SCHEMES.get(backend, backend)
    if scheme in ("sqlite", "duckdb"):
        return f"{scheme}://{url.database or ':memory:'}"
    host = url.host or str(url.query.get("host") or "localhost")
    port = url.port or _PORTS.get(scheme)
    name = f"/{url.database}" if url.database else ""
    return f"{scheme}://{host}{f':{port}' if port else ''}{name}"


def hidden(text: str, url: URL) -> str:
    """The text without the address's password, however it is quoted there."""
    secrets = [str(url.password)] if url.password else []
    secrets += [str(value) for key, value in url.query.items() if re.search("pass|token|key|secret|cred", key, re.I)]
    for secret in secrets:
        for form in {secret, quote(secret, safe=""), quote_plus(secret)}:
            text = text.replace(form, "********") if form else text
    return text


@contextmanager
def explained(url: URL, timeout: float | None = None) -> Iterator[None]:
    """Inside the ``with``, what SQLAlchemy and drivers raise becomes an error of ours."""
    try:
        yield
    except exc.SQLAlchemyError as error:
        raise _translated(error, url, timeout) from None
    except ImportError as error:
        raise missing_driver(url, error) from None


def missing_driver(url: URL, error: Exception) -> BlockError:
    """What to install for an address."""
    extra = EXTRAS.get(url.get_backend_name())
    if extra:
        return BlockError(f'{url.get_backend_name()} needs its driver: pip install "orchestrator[{extra}]"')
    return BlockError(f"the driver {url.drivername!r} cannot be used: {_line(error)}; install the package it is in")


def _translated(error: exc.SQLAlchemyError, url: URL, timeout: float | None) -> OrchestratorError:
    where = address(url)
    if isinstance(error, exc.NoSuchModuleError):
        return missing_driver(url, error)
    if isinstance(error, exc.TimeoutError):
        return Unavailable(
            f"{where}: all connections of this process are in use; raise connections_per_run, or use fewer at a time"
        )
    if isinstance(error, exc.DBAPIError):
        kind = _kind(error)
        text = hidden(_line(error.orig or error), url)
        if kind is Unavailable and _timed_out(error):
            limit = f" longer than {timeout:g} s" if timeout else " too long"
            return Unavailable(f"{where}: the statement took{limit} (statement_timeout_s): {text}")
        return kind(f"{where}: {text}")
    if missing := re.search(r"value is required for bind parameter '([^']*)'", str(error)):
        name = missing[1]
        return InvalidInput(
            f"{where}: the statement names :{name}, and no value is given; write \\:{name} where it is no parameter"
        )
    return InvalidInput(f"{where}: {hidden(_line(error), url)}")


def _kind(error: exc.DBAPIError) -> type[OrchestratorError]:
    if error.connection_invalidated:
        return Unavailable
    state = str(getattr(error.orig, "sqlstate", None) or "")
    for start, kind in _STATES if state else ():
        if state.startswith(start):
            return kind
    arguments = getattr(error.orig, "args", ())
    if arguments and isinstance(arguments[0], int):
        return _NUMBERS.get(arguments[0], InvalidInput)
    # What speaks of a statement may quote values: only what speaks of the connection, or of the file, is read.
    if not state and not isinstance(error, (exc.ProgrammingError, exc.DataError, exc.IntegrityError)):
        first = _line(error.orig or error)
        for pattern, kind in _TEXTS:
            if re.search(pattern, first, re.IGNORECASE):
                return kind
    return InvalidInput


def _timed_out(error: exc.DBAPIError) -> bool:
    state = getattr(error.orig, "sqlstate", None)
    arguments = getattr(error.orig, "args", ())
    number = arguments[0] if arguments and isinstance(arguments[0], int) else 0
    return state == "57014" or number in (1969, 3024) or "interrupt" in _line(error.orig or error).lower()


def _line(error: BaseException) -> str:
    """The first line of what a driver says; pymysql's pair of number and text as text."""
    arguments: tuple[Any, ...] = error.args
    text = str(arguments[1]) if len(arguments) == 2 and isinstance(arguments[0], int) else str(error)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
