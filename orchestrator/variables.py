"""Variables: plain values that are kept on the server and read by name.

They are no secrets: whoever may look at the server sees them. Secrets belong into blocks.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

from .client import Client, patiently
from .errors import NotFound

_NONE = object()


class Variable:
    """Reads and sets variables; the API is the one of the environment or the active profile."""

    @staticmethod
    def get(name: str, default: Any = _NONE) -> Any:
        """The value of a variable, as JSON gives it; within a run the API is waited for while it is away.

        Args:
            default: What to return where there is no such variable.

        Raises:
            NotFound: There is none, and no default.
        """
        client = Client.from_settings()
        try:
            return patiently(lambda: client.get(_path(name)))["value"]
        except NotFound:
            if default is _NONE:
                raise
            return default

    @staticmethod
    def set(name: str, value: Any, tags: Iterable[str] | None = None) -> None:
        """Set a variable, made when it is missing.

        Args:
            name: Letters, digits, ``_`` and ``-``; 255 at most.
            value: Anything that JSON can hold, at most 5000 characters of it.
            tags: Labels in place of those that it has; None: they stay.

        Raises:
            InvalidInput: The name or the value cannot be used.
        """
        client = Client.from_settings()
        body = {"value": value, "tags": None if tags is None else list(tags)}
        patiently(lambda: client.put(_path(name), body))


def _path(name: str) -> str:
    return f"variables/{quote(name, safe='')}"
