"""JSON, as it crosses the wire and lies in Postgres."""

from __future__ import annotations

from typing import Any

import orjson

_OPTIONS = orjson.OPT_NON_STR_KEYS | orjson.OPT_UTC_Z | orjson.OPT_SERIALIZE_NUMPY


def dumps(value: Any, default: Any = None, sort_keys: bool = False) -> bytes:
    """Write JSON; UUIDs, datetimes, dataclasses and enums included. Raises TypeError for what has no JSON form."""
    return orjson.dumps(value, default=default, option=_OPTIONS | orjson.OPT_SORT_KEYS if sort_keys else _OPTIONS)


def written(data: bytes) -> Any:
    """JSON that was written already, to be put as it is into a value that :func:`dumps` writes."""
    return orjson.Fragment(data)


def loads(data: bytes | str) -> Any:
    """Read JSON. Raises ValueError when it is none."""
    return orjson.loads(data)


def text(value: Any, default: Any = None) -> str:
    """As :func:`dumps`, as text."""
    return dumps(value, default).decode()
