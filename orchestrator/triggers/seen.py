"""Events as conditions see them, and times as what is remembered holds them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MICROSECOND = timedelta(microseconds=1)


def stamp(instant: datetime) -> int:
    """An instant in microseconds since 1970."""
    return (instant - _EPOCH) // _MICROSECOND


def instant(microseconds: int) -> datetime:
    """The instant of a :func:`stamp`."""
    return _EPOCH + timedelta(microseconds=microseconds)


def span(seconds: float) -> int:
    """Seconds in microseconds."""
    return round(seconds * 1_000_000)


@dataclass(frozen=True)
class Seen:
    """One event. Its time is when it occurred, or when it was received where it claims to be of later."""

    id: str
    name: str
    at: int
    resource: Mapping[str, str]
    related: Sequence[Mapping[str, str]] = ()
    payload: Mapping[str, Any] = field(default_factory=dict)
    #: When the server received it.
    received: int = 0

    @classmethod
    def of(
        cls,
        identifier: object,
        name: str,
        occurred: datetime,
        received: datetime,
        resource: Mapping[str, str],
        related: Sequence[Mapping[str, str]] = (),
        payload: Mapping[str, Any] | None = None,
    ) -> Seen:
        """From what is stored of an event."""
        came = stamp(received)
        return cls(str(identifier), name, min(stamp(occurred), came), resource, related, payload or {}, came)
