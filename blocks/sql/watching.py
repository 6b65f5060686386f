"""Tables as resources, and what changed between two looks at them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from orchestrator.interfaces import Observed, Related, Resource

from .catalogues import Catalogue, Table

#: Tables that one cursor remembers: a line of it is about 100 bytes, and a cursor is bounded.
WATCHED = 20_000
_VOLATILE = frozenset({"rows", "bytes", "changed", "fresh"})
Fresh = Mapping[str, "str | int | float | None"]


def resources(where: str, catalogue: Catalogue, tables: Sequence[Table], fresh: Fresh) -> Iterator[Resource]:
    """The database, its schemas and its tables."""
    name = where.rpartition("/")[2] or where
    yield Resource(where, "sql.database", name, {"tables": len(tables)}, volatile=frozenset({"tables"}))
    for schema in sorted({table.schema for table in tables if table.schema}):
        if (identifier := catalogue.schema_id(where, schema)) != where:
            yield Resource(identifier, "sql.schema", schema, {}, (Related(where, "part-of"),))
    for table in tables:
        yield table_resource(where, catalogue, table, fresh)


def table_resource(where: str, catalogue: Catalogue, table: Table, fresh: Fresh) -> Resource:
    """One table; figures that move all the time are stored, and are no news."""
    above = catalogue.schema_id(where, table.schema) if table.schema else where
    labels: dict[str, str | int | float | bool | None] = {"type": table.type, "schema": table.schema or None}
    figures: dict[str, str | int | float | None] = {"rows": table.rows, "bytes": table.bytes}
    figures.update({"changed": _iso(table.changed), "fresh": _freshness(table, fresh)})
    labels.update({key: value for key, value in figures.items() if value is not None})
    identifier = catalogue.table_id(where, table.schema, table.name)
    return Resource(identifier, "sql.table", table.full_name, labels, (Related(above, "part-of"),), _VOLATILE)


def compare(
    where: str,
    catalogue: Catalogue,
    tables: Sequence[Table],
    fresh: Fresh,
    cursor: Any,
    emit: Callable[[Observed], None],
) -> dict[str, Any]:
    """Tell the differences to the look that gave ``cursor``; returns the cursor of this one.

    Of a database with more tables than :data:`WATCHED`, the first ones by name are watched.
    """
    before = cursor.get("tables", {}) if isinstance(cursor, Mapping) else None
    now: dict[str, list[Any]] = {}
    for table in tables[:WATCHED]:
        facts = now[table.full_name] = [table.identity, table.mark, table.rows, _freshness(table, fresh)]
        if before is None:
            continue
        resource = table_resource(where, catalogue, table, fresh)
        if (old := before.get(table.full_name)) is None:
            if not _was_cut(before, table.full_name):
                emit(Observed("sql.table.created", resource, key=f"{resource.id} created {table.identity}"))
        else:
            _tell(resource, table, old, facts, emit)
    for name, old in (before or {}).items():
        if name not in now and not _was_cut(now, name):
            schema, _, table_name = name.rpartition(".")
            gone = Table(schema, table_name)
            resource = table_resource(where, catalogue, gone, {})
            emit(Observed("sql.table.dropped", resource, key=f"{resource.id} dropped {old[0]}"))
    return {"tables": now}


def _was_cut(names: Mapping[str, Any], name: str) -> bool:
    """Whether a look that remembered only so many tables may have left this one out."""
    return len(names) >= WATCHED and name > max(names)


def _tell(
    resource: Resource, table: Table, old: Sequence[Any], new: Sequence[Any], emit: Callable[[Observed], None]
) -> None:
    same = old[0] == new[0]
    marked = _moved(old[1], new[1]) or old[3] != new[3] or not same
    rows = (old[2], new[2])
    grew = same and None not in rows and rows[1] > rows[0]
    payload = {"rows_before": old[2], "rows": new[2], "bytes": table.bytes}
    key = " ".join(str(part) for part in (resource.id, *new))
    if marked or (None not in rows and rows[0] != rows[1]):
        emit(Observed("sql.table.changed", resource, table.changed, payload, f"changed {key}"))
    if grew:
        emit(Observed("sql.table.grew", resource, table.changed, payload, f"grew {key}"))


def _moved(old: Any, new: Any) -> bool:
    # A counter that fell was set back by the engine, which is no change of the table.
    if isinstance(old, int) and isinstance(new, int):
        return new > old
    return bool(new is not None and old != new)


def _freshness(table: Table, fresh: Fresh) -> str | int | float | None:
    return fresh.get(table.full_name, fresh.get(table.name))


def _iso(moment: datetime | None) -> str | None:
    return moment.astimezone(timezone.utc).isoformat(timespec="seconds") if moment else None
