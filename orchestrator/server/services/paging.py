"""Keyset paging: a page is what follows the last row seen, so a list costs the same however deep one is in it."""

from __future__ import annotations

import base64
import binascii
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from ... import serializers
from ...errors import InvalidInput

T = TypeVar("T")

#: Most items that a page may hold.
LIMIT_MAX = 200


@dataclass(frozen=True)
class Page(Generic[T]):
    """Some rows of a list, and where the next ones begin (None: there are none)."""

    items: list[T]
    next: str | None = None


def encode(*values: Any) -> str:
    """Pack the sort key of the last row shown into an opaque text that is safe in an address."""
    return base64.urlsafe_b64encode(serializers.dumps(list(values))).decode().rstrip("=")


def decode(cursor: str, *kinds: Callable[[Any], Any]) -> list[Any]:
    """Unpack what :func:`encode` gave, each value read by its kind (``uuid.UUID``, ``clock.from_text``, ``str`` ...).

    Raises:
        InvalidInput: It is no cursor of this list.
    """
    try:
        padded = cursor.encode() + b"=" * (-len(cursor) % 4)
        values = serializers.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        if not isinstance(values, list) or len(values) != len(kinds):
            raise ValueError
        return [kind(value) for kind, value in zip(kinds, values, strict=True)]
    except (ValueError, TypeError, AttributeError, binascii.Error, UnicodeError):
        message = "cursor is none of this list: take it from the `next` of the page before, unchanged"
        raise InvalidInput(message, {"cursor": [message]}) from None


def decode_id(cursor: str) -> uuid.UUID:
    """Unpack the cursor of a list that is sorted by id alone."""
    return decode(cursor, uuid.UUID)[0]  # type: ignore[no-any-return]


def page(rows: Sequence[T], limit: int, key: Callable[[T], tuple[Any, ...]]) -> Page[T]:
    """Cut a page from ``limit + 1`` fetched rows; ``key`` gives the sort key of a row."""
    items = list(rows[:limit])
    return Page(items, encode(*key(items[-1])) if len(rows) > limit else None)


def check_limit(limit: int) -> int:
    """The limit itself. Raises InvalidInput outside 1 to :data:`LIMIT_MAX`."""
    if not 1 <= limit <= LIMIT_MAX:
        message = f"limit is {limit}: give 1 to {LIMIT_MAX}"
        raise InvalidInput(message, {"limit": [message]})
    return limit
