"""What JSON has no form for by itself, in one that it has: models, enums, paths and the like."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic_core import to_jsonable_python


def jsonable(value: Any) -> Any:
    """A value in plain Python.

    Raises:
        TypeError, ValueError: It has no such form. Nor has an iterator: whoever it belongs to would find it used up.
    """
    if isinstance(value, Iterator):
        raise TypeError(f"a {type(value).__name__} can be gone through only once")
    return to_jsonable_python(value)
