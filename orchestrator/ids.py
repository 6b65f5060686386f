"""Identifiers: UUIDv7, so that a key tells its time and tables stay in order (RFC 9562, section 5.7)."""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta, timezone
from typing import TypeVar

from .clock import real_time as time

T = TypeVar("T")

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def uuid7(at: datetime | None = None) -> uuid.UUID:
    """Make a new UUIDv7.

    Args:
        at: The instant it shall carry (aware); now when not given. Resolution: 1/4096 ms, in the 12 bits after the
            version, so that ids made one after another in a process sort in that order.
    """
    nanoseconds = time.time_ns() if at is None else (at - _EPOCH) // timedelta(microseconds=1) * 1000
    milliseconds, rest = divmod(nanoseconds, 1_000_000)
    fraction = (rest << 12) // 1_000_000
    return _compose(milliseconds, fraction, int.from_bytes(os.urandom(8), "big"))


def uuid7_each(items: Iterable[T]) -> Iterator[tuple[T, uuid.UUID]]:
    """Each item with a new UUIDv7 of now, in that order: as :func:`uuid7`, for many at once."""
    listed = list(items)
    noise = os.urandom(8 * len(listed))
    for place, item in enumerate(listed):
        milliseconds, rest = divmod(time.time_ns(), 1_000_000)
        random = int.from_bytes(noise[8 * place : 8 * place + 8], "big")
        yield item, _compose(milliseconds, (rest << 12) // 1_000_000, random)


def uuid7_floor(at: datetime) -> uuid.UUID:
    """The smallest UUIDv7 of an instant: the lower bound of a partition or of a time range."""
    return _compose((at - _EPOCH) // timedelta(milliseconds=1), 0, 0)


def uuid7_from(at: datetime, source: str) -> uuid.UUID:
    """A UUIDv7 whose random part is a hash of ``source``: the same foreign thing always gets the same id."""
    digest = hashlib.sha256(source.encode()).digest()
    milliseconds = (at - _EPOCH) // timedelta(milliseconds=1)
    return _compose(milliseconds, int.from_bytes(digest[:2], "big") & 0xFFF, int.from_bytes(digest[2:10], "big"))


def time_of(identifier: uuid.UUID) -> datetime:
    """The instant that a UUIDv7 carries, in UTC, to the millisecond."""
    return _EPOCH + timedelta(milliseconds=identifier.int >> 80)


def _compose(milliseconds: int, fraction: int, random: int) -> uuid.UUID:
    value = (milliseconds & 0xFFFF_FFFF_FFFF) << 80
    value |= 0x7 << 76 | (fraction & 0xFFF) << 64 | 0b10 << 62 | random & 0x3FFF_FFFF_FFFF_FFFF
    return uuid.UUID(int=value)
