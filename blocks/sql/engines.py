"""SQLAlchemy engines: with time-outs, one pool for each address of a process, and none that a fork inherits."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from typing import Any

import sqlalchemy
from sqlalchemy import event
from sqlalchemy.engine import URL, Connection, Engine
from sqlalchemy.pool import NullPool

#: What people write -> what SQLAlchemy needs to find the driver that the extras bring.
DRIVERS = {
    "postgresql": "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "mariadb": "mariadb+pymysql",
}
#: Dialect -> the extra that brings its driver; Postgres and SQLite come with the product.
EXTRAS = {
    "mysql": "mysql",
    "mariadb": "mysql",
    "duckdb": "duckdb",
    "snowflake": "snowflake",
    "bigquery": "bigquery",
    "redshift": "redshift",
}
#: How long a statement may take, in the words of each database.
_TIMEOUTS = {
    "postgresql": "SET statement_timeout = {milliseconds}",
    "redshift": "SET statement_timeout = {milliseconds}",
    "mysql": "SET SESSION max_execution_time = {milliseconds}",
    "mariadb": "SET SESSION max_statement_time = {seconds}",
    "snowflake": "ALTER SESSION SET STATEMENT_TIMEOUT_IN_SECONDS = {seconds:.0f}",
}
_KEPT = 16


@dataclass(frozen=True)
class Limits:
    """How an engine behaves.

    Attributes:
        connections: Most connections at a time; None: five, and ten more for a while.
        connect_timeout: Seconds to wait for a connection, from the database or from the pool.
        statement_timeout: Seconds that a statement may take; None: as long as the database lets it.
        pooled: Whether connections stay open for the next statement.
    """

    connections: int | None = None
    connect_timeout: float = 10
    statement_timeout: float | None = None
    pooled: bool = True


_engines: dict[tuple[str, Limits], Engine] = {}
_inherited: list[Engine] = []
_making = threading.Lock()


def engine(url: URL, limits: Limits) -> Engine:
    """The engine of this process for an address; made at the first call.

    Raises:
        ImportError: The driver is not installed.
        sqlalchemy.exc.ArgumentError: No driver of this name is known, or the address is not one.
    """
    url = with_driver(url)
    key = (url.render_as_string(hide_password=False), limits)
    with _making:
        if key not in _engines:
            made = make_engine(url, limits)
            while len(_engines) >= _KEPT:
                _engines.pop(next(iter(_engines))).dispose()
            _engines[key] = made
        return _engines[key]


def make_engine(url: URL, limits: Limits, **options: Any) -> Engine:
    """A new engine; ``options`` are those of ``sqlalchemy.create_engine`` and win. Raises as :func:`engine`."""
    url = with_driver(url)
    arguments = {**_connect_arguments(url, limits), **options.pop("connect_args", {})}
    pool = {} if "poolclass" in options or "pool" in options else _pool(url, limits)
    made = sqlalchemy.create_engine(url, connect_args=arguments, **{**pool, **options})
    _set_up_sessions(made, limits)
    return made


def with_driver(url: URL) -> URL:
    """The address with the driver that the product brings, where it names none."""
    return url.set(drivername=DRIVERS.get(url.drivername, url.drivername))


def in_memory(url: URL) -> bool:
    """Whether the database lives in this process only."""
    return url.get_backend_name() in ("sqlite", "duckdb") and url.database in (None, "", ":memory:")


def _forget_inherited() -> None:
    # Connections of the parent are the parent's: they are neither used nor closed here, so never collected either.
    global _making
    _making = threading.Lock()
    _inherited.extend(_engines.values())
    _engines.clear()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_forget_inherited)


def _pool(url: URL, limits: Limits) -> dict[str, Any]:
    if in_memory(url):
        return {}
    # Opening a file costs nothing, while an open DuckDB file shuts all other processes out.
    if not limits.pooled or url.get_backend_name() in ("sqlite", "duckdb"):
        return {"poolclass": NullPool}
    size = {"pool_size": 5, "max_overflow": 10}
    if limits.connections:
        size = {"pool_size": limits.connections, "max_overflow": 0}
    return {
        **size,
        "pool_timeout": limits.connect_timeout,
        "pool_use_lifo": True,
        "pool_pre_ping": True,
        "pool_recycle": 1800,
    }


def _connect_arguments(url: URL, limits: Limits) -> dict[str, Any]:
    seconds = max(1, round(limits.connect_timeout))
    driver = url.get_driver_name()
    arguments: dict[str, Any] = {}
    if driver in ("psycopg", "psycopg2"):
        # A peer that vanished without a word is noticed, also by a statement that waits for hours.
        arguments = {"connect_timeout": seconds, "keepalives": 1, "keepalives_idle": 30, "keepalives_interval": 10,
                     "keepalives_count": 3, "tcp_user_timeout": 60_000, "application_name": "orchestrator"}  # fmt: skip
    elif driver == "pymysql":
        arguments = {"connect_timeout": seconds, "write_timeout": 60}
        if limits.statement_timeout:
            arguments["read_timeout"] = round(limits.statement_timeout) + 10
    elif driver in ("pysqlite", "sqlite"):
        arguments = {"timeout": limits.connect_timeout}
    return {key: value for key, value in arguments.items() if key not in url.query}


def _set_up_sessions(made: Engine, limits: Limits) -> None:
    """Statement time-outs, by the means of each database; transactions that SQLite's driver would not begin."""
    backend, timeout = made.dialect.name, limits.statement_timeout
    if backend == "sqlite":
        event.listen(made, "connect", _leave_transactions_to_us)
        event.listen(made, "begin", _begin_one)
    if not timeout:
        return
    if backend in ("sqlite", "duckdb"):
        watch = _Interrupts(timeout)
        event.listen(made, "before_cursor_execute", watch.start)
        event.listen(made, "after_cursor_execute", watch.stop)
        event.listen(made, "handle_error", watch.stop_failed)
        return
    if backend in _TIMEOUTS:
        event.listen(made, "connect", _SetsTimeout(backend, timeout))


class _SetsTimeout:
    """Tells every new connection how long a statement may take."""

    def __init__(self, backend: str, seconds: float) -> None:
        self._backend, self._seconds = backend, seconds

    def __call__(self, connection: Any, _record: Any) -> None:
        # MariaDB answers to MySQL's name, and understands another setting.
        maria = "MariaDB" in str(getattr(connection, "server_version", ""))
        statement = _TIMEOUTS["mariadb" if maria else self._backend]
        cursor = connection.cursor()
        try:
            cursor.execute(statement.format(seconds=self._seconds, milliseconds=max(1, round(self._seconds * 1000))))
        finally:
            cursor.close()
        connection.commit()


def _leave_transactions_to_us(connection: Any, _record: Any) -> None:
    connection.isolation_level = None


def _begin_one(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")


class _Interrupts:
    """Ends statements of databases that live in this process, and know no time-out of their own."""

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout

    def start(self, connection: Connection, _cursor: Any, _sql: str, _values: Any, _context: Any, _many: bool) -> None:
        driver = connection.connection.dbapi_connection
        timer = threading.Timer(self._timeout, driver.interrupt)  # type: ignore[union-attr]
        timer.daemon = True
        connection.info["statement_timer"] = timer
        timer.start()

    def stop(self, connection: Connection, *_: Any) -> None:
        timer = connection.info.pop("statement_timer", None)
        if timer:
            timer.cancel()

    def stop_failed(self, context: Any) -> None:
        if context.connection is not None:
            self.stop(context.connection)
