"""JSON, as it crosses the wire and lies in Postgres."""

from __future__ import annotations

from typing import Any

import orjson

_OPTIONS = orjson.OPT_NON_STR_KEYS | orjson.OPT_UTC_Z | orjson.OPT_SERIALIZE_NUMPY


def dumps(value: Any, default: Any = None) -> bytes:
    """Write JSON; UUIDs, datetimes, dataclasses and enums included. Raises TypeError for what has no JSON form."""
    return orjson.dumps(value, default=default, option=_OPTIONS)


def loads(data: bytes | str) -> Any:
    """Read JSON. Raises ValueError when it is none."""
    return orjson.loads(data)


def text(value: Any, default: Any = None) -> str:
    """As :func:`dumps`, as text."""
    return dumps(value, default).decode()
