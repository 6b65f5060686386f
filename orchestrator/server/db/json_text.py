"""JSON as Postgres takes it."""

from __future__ import annotations

import json
import math
from typing import Any

from ... import serializers


def json_text(value: Any) -> str:
    """JSON text for a ``json`` or ``jsonb`` parameter; numbers that JSON lacks (NaN, infinities) become null.

    Raises:
        TypeError: The value has no JSON form.
    """
    try:
        return serializers.text(value)
    except TypeError as error:
        if "64-bit" not in str(error):
            raise
    return json.dumps(_finite(value), default=str)  # Postgres holds larger integers, orjson does not write them


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value
