"""Table artifacts, as rows and columns that a page can show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

#: Most rows that a page shows.
ROWS_MAX = 200


@dataclass(frozen=True)
class Grid:
    """A table: column names, and each row as (column, text) pairs."""

    columns: list[str]
    rows: list[list[tuple[str, str]]]
    #: Columns whose values are all numbers: set to the right.
    numeric: set[str]
    #: Rows that are not shown.
    more: int


def table(data: Any) -> Grid:
    """Lay out a list of objects, a list of lists, or an object of columns; anything else becomes one cell."""
    records = _records(data)
    columns = list(dict.fromkeys(name for record in records for name in record))
    rows = [[(name, _text(record.get(name))) for name in columns] for record in records[:ROWS_MAX]]
    return Grid(columns, rows, {name for name in columns if _numeric(records, name)}, max(len(records) - ROWS_MAX, 0))


def _records(data: Any) -> list[dict[str, Any]]:
    if isinstance(data, dict) and data and all(isinstance(column, list) for column in data.values()):
        length = max(len(column) for column in data.values())
        return [{name: _at(column, index) for name, column in data.items()} for index in range(length)]
    if not isinstance(data, list):
        return [{"value": data}]
    return [_record(item) for item in data]


def _record(item: Any) -> dict[str, Any]:
    if isinstance(item, dict):
        return {str(name): value for name, value in item.items()}
    if isinstance(item, list):
        return {str(index + 1): value for index, value in enumerate(item)}
    return {"value": item}


def _numeric(records: list[dict[str, Any]], name: str) -> bool:
    values = [record[name] for record in records if record.get(name) is not None]
    return bool(values) and all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values)


def _at(column: list[Any], index: int) -> Any:
    return column[index] if index < len(column) else None


def _text(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:g}" if isinstance(value, float) and abs(value) < 1e6 else str(value)
