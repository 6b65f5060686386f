"""Databases by SQLAlchemy: the base of all kinds that understand SQL."""

from __future__ import annotations

import abc
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from threading import get_ident
from typing import Any

import sqlalchemy
from pydantic import ConfigDict, Field
from sqlalchemy import exc
from sqlalchemy.engine import URL, Connection, CursorResult

from orchestrator.block import Block
from orchestrator.errors import InvalidInput, NotFound
from orchestrator.interfaces import Database, Discoverable, Observed, Resource

from . import watching
from .catalogues import Catalogue, Table, catalogue_of
from .engines import Limits, engine, in_memory
from .errors import address, explained, hidden, missing_driver

_LOOK_SECONDS = 60.0
_QUERY = re.compile(r"\s*(?:select|values|table|with|from)\b", re.IGNORECASE)
_CHANGES = re.compile(r"\b(?:insert|update|delete|merge)\b", re.IGNORECASE)
# Open transactions: (process, thread, block) -> connection. Contexts are copied into threads, connections are not.
_open: ContextVar[Mapping[tuple[int, ...], Connection] | None] = ContextVar("open_transactions", default=None)

Parameters = Mapping[str, Any]


def _own_fields_first(schema: dict[str, Any], kind: type[Block]) -> None:
    """What a kind asks for stands in the form above what all databases may set."""
    properties = schema["properties"]
    shared = [key for key in properties if key in SQLAlchemyDatabase.model_fields]
    order = [key for key in properties if key not in shared] + shared
    schema["properties"] = {key: properties[key] for key in order}


class SQLAlchemyDatabase(Block, Database, Discoverable):
    """Base of the kinds of database; each says by :meth:`url` where it is.

    Statements name their parameters ``:name``; values travel beside the statement, never in it. A colon before a
    letter that is no parameter is written ``\\:``.
    """

    model_config = ConfigDict(json_schema_extra=_own_fields_first)

    max_connections: int | None = Field(
        None,
        ge=1,
        le=10_000,
        description="Most connections of all runs together: runs wait for each other. Empty: any.",
    )
    connections_per_run: int = Field(
        1,
        ge=1,
        le=100,
        description="Most connections of one run, where max_connections is set. Each thread needs one of its own, and "
        "so does a query inside the rows of another.",
    )
    connect_timeout_s: float = Field(10, gt=0, le=600, description="Seconds to wait for a connection.")
    statement_timeout_s: float | None = Field(
        None, gt=0, le=604_800, description="Seconds that a statement may take; empty: as long as the database lets it."
    )
    schemas: list[str] = Field(
        default_factory=list, description="Schemas that discovery looks at; empty: all but the database's own."
    )
    freshness: dict[str, str] = Field(
        default_factory=dict,
        description="For tables whose last change the engine does not tell: table (schema.table) and a query that "
        "gives a time or a number, such as SELECT max(updated) FROM orders.",
    )

    @abc.abstractmethod
    def url(self) -> URL:
        """Where the database is, with account and password. Raises BlockError where the fields do not say."""

    def execute(self, statement: str, parameters: Parameters | Sequence[Parameters] | None = None) -> int:
        """Execute a statement, once or for each of a sequence; returns how many rows it touched, 0 where unknown."""
        if parameters is not None and not isinstance(parameters, Mapping) and not parameters:
            return 0
        with self._connection() as connection:
            result = self._run(connection, statement, parameters)
            with self._explained():
                return max(0, result.rowcount)

    def fetch(
        self, statement: str, parameters: Parameters | None = None, limit: int | None = None
    ) -> list[dict[str, Any]]:
        """The rows of a query, at most ``limit`` of them; of a statement that gives none, an empty list."""
        if limit is not None and limit < 0:
            raise InvalidInput("limit: write a number of rows, 0 or more")
        options = {"stream_results": True, "max_row_buffer": max(1, limit)} if limit and _reads(statement) else {}
        with self._connection() as connection:
            result = self._run(connection, statement, parameters, options)
            with self._explained():
                if not result.returns_rows or (not _reads(statement) and [*result.keys()] == ["Count"]):
                    return []  # DuckDB answers changes with a row that counts them
                rows = result.fetchall() if limit is None else result.fetchmany(limit) if limit else []
                result.close()
                return [dict(row._mapping) for row in rows]

    def stream(
        self, statement: str, parameters: Parameters | None = None, batch: int = 1000
    ) -> Iterator[dict[str, Any]]:
        """The rows of a query, one by one, through a cursor on the server; no more than ``batch`` are held."""
        if batch < 1:
            raise InvalidInput("batch: write a number of rows, 1 or more")
        options: dict[str, Any] = {"stream_results": True, "yield_per": batch} if _reads(statement) else {}
        with self._connection() as connection:
            result = self._run(connection, statement, parameters, options)
            try:
                while result.returns_rows:
                    with self._explained():
                        rows = result.fetchmany(batch)
                    if not rows:
                        break
                    for row in rows:
                        yield dict(row._mapping)
            finally:
                with self._explained():
                    result.close()

    @contextmanager
    def transaction(self) -> Iterator[Database]:
        """Inside the ``with`` all statements of this thread are one; inside another transaction, a part of it."""
        outer = self._opened()
        if outer is not None:
            with self._part_of(outer):
                yield self
            return
        with self._connection() as connection:
            token = _open.set({**(_open.get() or {}), self._place(): connection})
            try:
                yield self
            finally:
                _open.reset(token)

    def quote(self, identifier: str) -> str:
        """A name of a table or column, as a part of a statement: in the quotes of this database."""
        with self._explained():
            return self._engine().dialect.identifier_preparer.quote_identifier(identifier)

    def test(self) -> str:
        """Connect, and ask for the version."""
        began = time.monotonic()
        with self._look() as connection, self._explained(look=True):
            connection.execute(sqlalchemy.text("SELECT 1")).all()
            version = ".".join(str(part) for part in connection.dialect.server_version_info or ()) or "unknown"
            spoken = self._catalogue().version(connection)
        took = round((time.monotonic() - began) * 1000)
        return f"{address(self.url())} answers in {took} ms: {spoken or f'version {version}'}"

    def discover(self) -> Iterator[Resource]:
        """The database, its schemas, its tables with row estimates, sizes and last changes where they are told."""
        with self._look() as connection, self._explained(look=True):
            tables = self._tables(connection)
            fresh = self._fresh(connection)
        yield from watching.resources(address(self.url()), self._catalogue(), tables, fresh)

    def observe(self, cursor: Any, emit: Callable[[Observed], None]) -> Any:
        """Tell of tables that were created, dropped, changed or grew since the last look."""
        with self._look() as connection, self._explained(look=True):
            tables = self._tables(connection)
            fresh = self._fresh(connection)
        return watching.compare(address(self.url()), self._catalogue(), tables, fresh, cursor, emit)

    def _catalogue(self) -> Catalogue:
        return catalogue_of(self.url().get_backend_name())

    def _tables(self, connection: Connection) -> list[Table]:
        found = [*self._catalogue().tables(connection, tuple(self.schemas))]
        return sorted(found, key=lambda table: (table.schema, table.name))

    def _fresh(self, connection: Connection) -> dict[str, str | int | float | None]:
        asked = {table: sqlalchemy.text(query) for table, query in self.freshness.items()}
        return {table: _plain(connection.execute(query).scalar()) for table, query in asked.items()}

    def _engine(self, look: bool = False) -> sqlalchemy.Engine:
        url = self.url()
        try:
            return engine(url, self._limits(look and not in_memory(url)))
        except (ImportError, exc.NoSuchModuleError) as error:
            raise missing_driver(url, error) from None
        except (exc.ArgumentError, TypeError, ValueError) as error:
            raise InvalidInput(f"{address(url)}: {hidden(str(error), url)}") from None

    def _limits(self, look: bool) -> Limits:
        if not look:
            most = min(self.connections_per_run, self.max_connections) if self.max_connections else None
            return Limits(most, self.connect_timeout_s, self.statement_timeout_s)
        shortest = min(_LOOK_SECONDS, self.statement_timeout_s or _LOOK_SECONDS)
        return Limits(1, self.connect_timeout_s, shortest, pooled=False)

    def _explained(self, look: bool = False) -> Any:
        return explained(self.url(), self._limits(look).statement_timeout)

    @contextmanager
    def _look(self) -> Iterator[Connection]:
        """A connection beside the pool, with a short time-out: a look never stands in the way of work."""
        url = self.url()
        file = url.get_backend_name() in ("sqlite", "duckdb") and not in_memory(url) and ":" not in str(url.database)
        if file and not os.path.exists(str(url.database)):  # to open it is to make it
            raise NotFound(f"{address(url)}: there is no such file on this computer; the first statement makes it")
        with self._connection(look=True) as connection:
            yield connection

    @contextmanager
    def _connection(self, look: bool = False) -> Iterator[Connection]:
        """The connection of the open transaction; or one that commits at the end, and undoes at an error."""
        if not look and (opened := self._opened()) is not None:
            yield opened
            return
        with self._explained(look):
            connection = self._engine(look).connect()
        try:
            with self._explained(look):
                connection.begin()
            yield connection
            with self._explained(look):
                connection.commit()
        finally:
            with self._explained(look):
                connection.close()

    def _opened(self) -> Connection | None:
        return (_open.get() or {}).get(self._place())

    def _place(self) -> tuple[int, ...]:
        return os.getpid(), get_ident(), id(self)

    @contextmanager
    def _part_of(self, connection: Connection) -> Iterator[None]:
        if connection.dialect.name in ("duckdb", "bigquery", "snowflake"):
            raise InvalidInput(f"{address(self.url())}: this database knows no transaction inside a transaction")
        with self._explained():
            part = connection.begin_nested()
        try:
            yield
        except BaseException:
            with self._explained():
                part.rollback()
            raise
        with self._explained():
            part.commit()

    def _run(
        self,
        connection: Connection,
        statement: str,
        parameters: Parameters | Sequence[Parameters] | None,
        options: dict[str, Any] | None = None,
    ) -> CursorResult[Any]:
        values = parameters if parameters is None or isinstance(parameters, Mapping) else [*parameters]
        with self._explained():
            run = partial(connection.execute, sqlalchemy.text(statement), execution_options=options or {})
            return run(values) if values else run()


def _reads(statement: str) -> bool:
    """Whether a cursor on the server can be opened for the statement: it is a query, and changes nothing."""
    start = _QUERY.match(statement)
    if not start:
        return False
    return start[0].strip().lower() != "with" or not _CHANGES.search(statement)


def _plain(value: Any) -> str | int | float | None:
    """A freshness as JSON has it."""
    if value is None or isinstance(value, (str, int, float)):
        return value
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
