"""Connections and transactions.

The engine belongs to the process that made it: after a fork a new one is made, so no connection is ever shared.

Connections are in autocommit mode, and a transaction is begun by a statement of our own: that takes the event lock
on the same way to Postgres, and a question by itself needs no transaction around it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, QueuePool, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, OperationalError
from sqlalchemy.orm import Session

from ...errors import SettingsError

#: Advisory lock (two-int form) that every event-writing transaction holds, shared, from before it is given a
#: transaction id: the commit-safe cursor over events reads below the lowest id among its holders.
EVENT_LOCK = (0x0EC7, 0)
_BEGIN_WRITING = f"BEGIN; SELECT pg_advisory_xact_lock_shared({EVENT_LOCK[0]}, {EVENT_LOCK[1]})"
_BEGIN = "BEGIN"
#: Name of the option of a connection that says what begins its transactions; empty: each statement is its own.
_BEGUN_BY = "begun_by"

_SESSION_SQL = (
    "SET idle_in_transaction_session_timeout = '5s'; SET timezone = 'UTC'; SET lock_timeout = '5s';"
    " SET statement_timeout = '30s'"
)

_DEADLOCK = "40P01"

T = TypeVar("T")

_url: str | None = None
_pool_size = 12
_engine: Engine | None = None
_owner: int | None = None
_lock = threading.Lock()
#: Most connections that were in use at once lately.
_most = 0


def normalise_url(url: str) -> str:
    """Give a Postgres address the driver in use. Raises SettingsError for any other database."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise SettingsError(
            "ORCHESTRATOR_DATABASE_URL is no database address: postgresql://user:password@host/name"
        ) from None
    if parsed.get_backend_name() not in {"postgresql", "postgres"}:
        raise SettingsError(
            f"ORCHESTRATOR_DATABASE_URL names {parsed.get_backend_name()}; Orchestrator needs PostgreSQL 14 or newer"
        )
    return parsed.set(drivername="postgresql+psycopg").render_as_string(hide_password=False)


def configure(url: str, pool_size: int = 12) -> None:
    """Say which database this process (and its forks) use; connects to nothing yet."""
    global _url, _pool_size
    dispose()
    _url, _pool_size = normalise_url(url), pool_size


def engine() -> Engine:
    """The engine of this process, made on first use."""
    global _engine, _owner
    if _engine is None or _owner != os.getpid():
        with _lock:
            if _engine is None or _owner != os.getpid():
                if _url is None:
                    raise SettingsError("no database is configured: set ORCHESTRATOR_DATABASE_URL")
                _engine, _owner = make_engine(_url, _pool_size), os.getpid()
    return _engine


def make_engine(url: str, pool_size: int = 12) -> Engine:
    """An engine with this project's session settings; most code wants :func:`engine`."""
    made = create_engine(
        url, pool_size=pool_size, max_overflow=0, pool_timeout=10, pool_pre_ping=False, pool_use_lifo=True
    )
    event.listen(made, "connect", _prepare)
    event.listen(made, "begin", _begin)
    event.listen(made, "checkout", _count)
    return made


def close_idle() -> None:
    """Where more connections are open than this process needed at once since it was last asked, and none is in use just
    now, close them: each takes megabytes in Postgres for as long as it is open. To be called now and then.
    """
    global _most
    if _engine is None or _owner != os.getpid():
        return
    pool = _engine.pool
    assert isinstance(pool, QueuePool)
    needed, _most = max(1, _most), pool.checkedout()
    if pool.checkedin() > needed and not pool.checkedout():
        _engine.dispose()


def dispose() -> None:
    """Close this process's connections."""
    global _engine, _owner
    if _engine is not None and _owner == os.getpid():
        _engine.dispose()
    _engine, _owner = None, None


@contextmanager
def transaction() -> Iterator[Session]:
    """A writing transaction: runs what :func:`before_commit` was given and commits at the end, rolls back on an error,
    then runs what :func:`after_commit` was given. Holds the event lock, so that it may record events.
    """
    connection = engine().connect().execution_options(**{_BEGUN_BY: _BEGIN_WRITING})
    with connection, Session(connection, expire_on_commit=False) as session:
        with session.begin():
            yield session
            for callback in session.info.pop("before_commit", ()):
                callback()
        for callback in session.info.pop("after_commit", ()):
            callback()


def retried(work: Callable[[Session], T]) -> T:
    """What ``work`` gives in a writing transaction; after a deadlock it is done once more, in a new one."""
    try:
        with transaction() as session:
            return work(session)
    except OperationalError as error:
        if getattr(error.orig, "sqlstate", None) != _DEADLOCK:
            raise
    with transaction() as session:
        return work(session)


@contextmanager
def reading() -> Iterator[Session]:
    """A session for reading: each statement sees what is committed when it starts."""
    connection = engine().connect().execution_options(**{_BEGUN_BY: ""})
    with connection, Session(connection, expire_on_commit=False, autoflush=False) as session:
        yield session


def after_commit(session: Session, function: Callable[..., Any], *args: Any) -> None:
    """Have ``function(*args)`` called once the transaction of ``session`` is committed, and not otherwise."""
    session.info.setdefault("after_commit", []).append(partial(function, *args))


def before_commit(session: Session, function: Callable[..., Any], *args: Any) -> None:
    """Have ``function(*args)`` called at the end of the transaction of ``session``, as its last work."""
    session.info.setdefault("before_commit", []).append(partial(function, *args))


def _prepare(connection: Any, _record: Any) -> None:
    connection.autocommit = True
    connection.execute(_SESSION_SQL)


def _count(_connection: Any, _record: Any, _proxy: Any) -> None:
    global _most
    if _engine is not None and (used := _engine.pool.checkedout()) > _most:  # type: ignore[attr-defined]
        _most = used


def _begin(connection: Connection) -> None:
    if statement := connection.get_execution_options().get(_BEGUN_BY, _BEGIN):
        connection.exec_driver_sql(statement)
