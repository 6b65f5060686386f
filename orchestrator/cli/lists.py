"""What nouns have in common: reading a list up to a limit, deleting what people agreed to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Any

from ..client import Client
from .output import confirm, note

_PAGE = 200


def read_list(path: str, limit: int, wanted: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
    """The first things of a list of the API.

    Args:
        limit: Most of them.
        wanted: What the list is narrowed by.
    """
    pages = Client.from_settings().pages(path, {**(wanted or {}), "limit": min(limit, _PAGE)})
    return list(islice(pages, limit))


def delete_all(names: Iterable[str], path_of: Callable[[str], str], yes: bool) -> None:
    """Delete things by name, none of them unless all are there; asks before, without ``yes``. Raises NotFound."""
    client, wanted = Client.from_settings(), list(names)
    for name in wanted:
        client.get(path_of(name))
    confirm(f"Delete {', '.join(wanted)}?", yes)
    for name in wanted:
        client.delete(path_of(name))
        note(f"deleted {name}")
