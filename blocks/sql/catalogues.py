"""How each engine tells of its tables: estimates that cost nothing, never a count of a large table."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

import sqlalchemy
from sqlalchemy.engine import Connection, RowMapping

_COUNTED = 10_000_000  # SQLite estimates nothing: it counts, up to here


@dataclass(frozen=True)
class Table:
    """What an engine tells of a table or view.

    Attributes:
        identity: Another one after the table was dropped and made again.
        mark: Moves when the content changes: a counter, or a time.
    """

    schema: str
    name: str
    type: str = "table"
    rows: int | None = None
    bytes: int | None = None
    changed: datetime | None = None
    identity: str = ""
    mark: int | str | None = None

    @property
    def full_name(self) -> str:
        """``schema.table``."""
        return f"{self.schema}.{self.name}" if self.schema else self.name


class Catalogue:
    """An engine that is not known further: SQLAlchemy lists its tables, without figures."""

    hidden: tuple[str, ...] = ("information_schema", "pg_catalog", "sys")

    def tables(self, connection: Connection, schemas: tuple[str, ...]) -> Iterator[Table]:
        """Tables and views, of these schemas or of all."""
        inspector = sqlalchemy.inspect(connection)
        for schema in schemas or [name for name in inspector.get_schema_names() if name.lower() not in self.hidden]:
            for name in inspector.get_table_names(schema):
                yield Table(schema, name)
            for name in inspector.get_view_names(schema):
                yield Table(schema, name, "view")

    def version(self, connection: Connection) -> str:
        """What the server calls itself."""
        return ""

    def schema_id(self, where: str, schema: str) -> str:
        """The id of a schema's resource."""
        return f"{where}/{schema}"

    def table_id(self, where: str, schema: str, name: str) -> str:
        """The id of a table's resource."""
        return f"{where}/{schema}.{name}" if schema else f"{where}/{name}"


class _Asked(Catalogue):
    """An engine that is asked with one query, whose columns are named like those of :class:`Table`."""

    query = ""
    wanted = ""
    spoken = "SELECT version()"

    def tables(self, connection: Connection, schemas: tuple[str, ...]) -> Iterator[Table]:
        """Tables and views, of these schemas or of all."""
        query, values = self.query, {}
        if schemas:
            names = {f"schema_{number}": schema for number, schema in enumerate(schemas)}
            query += f" AND {self.wanted} IN ({', '.join(f':{name}' for name in names)})"
            values = names
        for row in connection.execute(sqlalchemy.text(query), values).mappings():
            yield _table(row)

    def version(self, connection: Connection) -> str:
        """What the server calls itself."""
        return str(connection.execute(sqlalchemy.text(self.spoken)).scalar())


class Postgres(_Asked):
    """Postgres counts what was written to each table; when, it does not tell."""

    wanted = "n.nspname"
    query = """
        SELECT n.nspname AS schema, c.relname AS name,
            CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'f' THEN 'foreign table'
                WHEN 'p' THEN 'partitioned table' ELSE 'table' END AS type,
            CASE WHEN c.relkind IN ('r', 'm', 'p')
                THEN GREATEST(c.reltuples, s.n_live_tup, CASE WHEN s.relid IS NULL THEN -1 ELSE 0 END)::bigint
                END AS rows,
            CASE WHEN c.relkind IN ('r', 'm', 'p') THEN pg_total_relation_size(c.oid) END AS bytes,
            c.oid::text AS identity,
            s.n_tup_ins + s.n_tup_upd + s.n_tup_del AS mark
        FROM pg_class c
        JOIN pg_namespace n ON n.oid = c.relnamespace
        LEFT JOIN pg_stat_all_tables s ON s.relid = c.oid
        WHERE c.relkind IN ('r', 'v', 'm', 'f', 'p') AND NOT c.relispartition AND c.relpersistence <> 't'
            AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%'"""

    def version(self, connection: Connection) -> str:
        """What the server calls itself, without the compiler."""
        return " ".join(super().version(connection).split(" on ")[0].split()[:2])


class MySQL(_Asked):
    """MySQL and MariaDB estimate rows, and tell when a table was last written since the server started."""

    wanted = "table_schema"
    query = """
        SELECT table_schema AS `schema`, table_name AS `name`,
            CASE table_type WHEN 'VIEW' THEN 'view' ELSE 'table' END AS `type`,
            table_rows AS `rows`, data_length + index_length AS `bytes`, update_time AS `changed`,
            create_time AS `identity`, update_time AS `mark`
        FROM information_schema.tables
        WHERE table_schema NOT IN ('information_schema', 'mysql', 'performance_schema', 'sys')"""

    def tables(self, connection: Connection, schemas: tuple[str, ...]) -> Iterator[Table]:
        """Tables and views, with figures of now and times in UTC."""
        connection.exec_driver_sql("SET SESSION time_zone = '+00:00'")
        if not connection.dialect.is_mariadb:  # type: ignore[attr-defined]
            connection.exec_driver_sql("SET SESSION information_schema_stats_expiry = 0")
        database = connection.engine.url.database
        yield from super().tables(connection, schemas or ((database,) if database else ()))

    def schema_id(self, where: str, schema: str) -> str:
        """A schema of MySQL is what others call a database."""
        return where if where.endswith(f"/{schema}") else f"{where}/{schema}"

    def table_id(self, where: str, schema: str, name: str) -> str:
        """The id of a table's resource."""
        return f"{self.schema_id(where, schema)}/{name}"

    def version(self, connection: Connection) -> str:
        """Name and version."""
        version = super().version(connection)
        return version if "MariaDB" in version else f"MySQL {version}"


class DuckDB(_Asked):
    """DuckDB estimates rows of its tables."""

    wanted = "schema"
    query = """
        SELECT * FROM (
            SELECT schema_name AS schema, table_name AS name, 'table' AS type, estimated_size AS rows,
                table_oid::VARCHAR AS identity
            FROM duckdb_tables()
            WHERE NOT internal AND NOT temporary AND database_name = current_database()
            UNION ALL
            SELECT schema_name, view_name, 'view', NULL, view_oid::VARCHAR
            FROM duckdb_views()
            WHERE NOT internal AND NOT temporary AND database_name = current_database()
        ) AS found WHERE true"""

    def version(self, connection: Connection) -> str:
        """Name and version."""
        return f"DuckDB {super().version(connection)}"


class SQLite(Catalogue):
    """SQLite has one schema, no estimates, and one time of change: the file's."""

    def tables(self, connection: Connection, schemas: tuple[str, ...]) -> Iterator[Table]:
        """Tables, counted, and views."""
        changed = _file_time(connection.engine.url.database)
        found = connection.exec_driver_sql(
            "SELECT name, type FROM sqlite_master "
            "WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite~_%' ESCAPE '~'"
        ).all()
        for name, type_ in found:
            rows = None
            if type_ == "table":
                quoted = connection.dialect.identifier_preparer.quote_identifier(name)
                # The name comes from the catalogue, and is quoted as the dialect does it.
                count = f"SELECT count(*) FROM (SELECT 1 FROM {quoted} LIMIT {_COUNTED})"  # noqa: S608
                rows = connection.exec_driver_sql(count).scalar()
            yield Table("", name, type_, rows, changed=changed if type_ == "table" else None)

    def version(self, connection: Connection) -> str:
        """Name and version; the file is read, for to open it is not to look at it."""
        connection.exec_driver_sql("PRAGMA schema_version").all()
        return f"SQLite {connection.exec_driver_sql('SELECT sqlite_version()').scalar()}"


class Snowflake(_Asked):
    """Snowflake tells rows, bytes and the last change of each table."""

    wanted = "table_schema"
    spoken = "SELECT 'Snowflake ' || current_version()"
    query = """
        SELECT table_schema AS "schema", table_name AS "name",
            CASE WHEN table_type LIKE '%VIEW' THEN 'view' ELSE 'table' END AS "type",
            row_count AS "rows", bytes AS "bytes", last_altered AS "changed", created AS "identity",
            last_altered AS "mark"
        FROM information_schema.tables WHERE table_schema <> 'INFORMATION_SCHEMA'"""


class Redshift(_Asked):
    """Redshift tells rows and megabytes of tables that hold something."""

    wanted = '"schema"'
    query = """
        SELECT "schema", "table" AS name, 'table' AS type, tbl_rows::bigint AS rows, size * 1048576 AS bytes,
            table_id::varchar AS identity
        FROM svv_table_info WHERE true"""


def catalogue_of(backend: str) -> Catalogue:
    """The catalogue of an engine, by SQLAlchemy's name of it."""
    return _CATALOGUES.get(backend, _CATALOGUES[""])


_CATALOGUES: dict[str, Catalogue] = {
    "": Catalogue(),
    "postgresql": Postgres(),
    "mysql": MySQL(),
    "mariadb": MySQL(),
    "duckdb": DuckDB(),
    "sqlite": SQLite(),
    "snowflake": Snowflake(),
    "redshift": Redshift(),
}


def _table(row: RowMapping) -> Table:
    changed = row.get("changed")
    if isinstance(changed, datetime) and changed.tzinfo is None:
        changed = changed.replace(tzinfo=timezone.utc)
    return Table(
        row["schema"],
        row["name"],
        row.get("type") or "table",
        _whole(row.get("rows")),
        _whole(row.get("bytes")),
        changed if isinstance(changed, datetime) else None,
        _text(row.get("identity")),
        mark if isinstance(mark := row.get("mark"), (int, type(None))) else _text(mark),
    )


def _whole(value: Any) -> int | None:
    return None if value is None or value < 0 else int(value)


def _text(value: Any) -> str:
    return "" if value is None else value.isoformat() if isinstance(value, datetime) else str(value)


def _file_time(path: str | None) -> datetime | None:
    try:
        return datetime.fromtimestamp(os.stat(path or "").st_mtime, timezone.utc)
    except OSError:
        return None
