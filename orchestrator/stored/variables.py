"""Variables: plain values that are kept on the server and read by name.

They are no secrets: whoever may look at the server sees them. Secrets belong into blocks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

from ..client import Client, patiently
from ..errors import NotFound

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
    async def aget(name: str, default: Any = _NONE) -> Any:
        """As :meth:`get`, without blocking the event loop."""
        return await asyncio.to_thread(Variable.get, name, default)

    @staticmethod
    def set(name: str, value: Any, tags: Iterable[str] | None = None, overwrite: bool = True) -> None:
        """Set a variable, made when it is missing.

        Args:
            name: Letters, digits, ``_`` and ``-``; 255 at most.
            value: Anything that JSON can hold, at most 5000 characters of it.
            tags: Labels in place of those that it has; None: they stay.
            overwrite: Whether one that exists is changed.

        Raises:
            InvalidInput: The name or the value cannot be used.
            Conflict: It exists, and is not to be changed.
        """
        client = Client.from_settings()
        body = {"value": value, "tags": None if tags is None else list(tags)}
        if overwrite:
            patiently(lambda: client.put(_path(name), body))
        else:
            client.post("variables", {"name": name, "value": value, "tags": list(tags or ())})

    @staticmethod
    async def aset(name: str, value: Any, tags: Iterable[str] | None = None, overwrite: bool = True) -> None:
        """As :meth:`set`, without blocking the event loop."""
        await asyncio.to_thread(Variable.set, name, value, tags, overwrite)

    @staticmethod
    def unset(name: str) -> bool:
        """Delete a variable; tells whether there was one."""
        client = Client.from_settings()
        try:
            patiently(lambda: client.delete(_path(name)))
        except NotFound:
            return False
        return True

    @staticmethod
    async def aunset(name: str) -> bool:
        """As :meth:`unset`, without blocking the event loop."""
        return await asyncio.to_thread(Variable.unset, name)


def _path(name: str) -> str:
    return f"variables/{quote(name, safe='')}"
