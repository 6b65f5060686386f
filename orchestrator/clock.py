"""Time, in one place: aware UTC instants, their text form, and durations people write."""

from __future__ import annotations

import re
import time as real
from datetime import datetime, timedelta, timezone
from typing import Protocol

_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w)")


class real_time:
    """The functions of :mod:`time` as they were when this was loaded: code that runs in flows may replace those."""

    monotonic = staticmethod(real.monotonic)
    sleep = staticmethod(real.sleep)
    time = staticmethod(real.time)
    time_ns = staticmethod(real.time_ns)


class Clock(Protocol):
    """What may stand in for the computer's clock in tests."""

    def now(self) -> datetime:
        """The present instant, aware."""

    def sleep(self, seconds: float) -> None:
        """Let time pass without waiting."""


_used: Clock | None = None


def use(clock: Clock | None) -> Clock | None:
    """Take the time from a clock, in this whole process; None: from the computer's. Returns the one before."""
    global _used
    before, _used = _used, clock
    return before


def now() -> datetime:
    """The present instant, aware, in UTC."""
    return datetime.now(timezone.utc) if _used is None else _used.now()


def left_to_wait(seconds: float) -> float:
    """How long somebody has to wait who wants to wait so many seconds: 0 where another clock lets them pass at once."""
    if _used is None:
        return seconds
    _used.sleep(seconds)
    return 0.0


def to_text(instant: datetime) -> str:
    """RFC 3339 in UTC with microseconds and a ``Z``. Raises ValueError for a naive time."""
    if instant.tzinfo is None:
        raise ValueError("a time without a zone")
    return instant.astimezone(timezone.utc).isoformat(timespec="microseconds").replace("+00:00", "Z")


def from_text(text: str) -> datetime:
    """Read an RFC 3339 instant; a text without an offset is refused (ValueError)."""
    instant = datetime.fromisoformat(text[:-1] + "+00:00" if text[-1:] in "zZ" else text)
    if instant.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone: add Z or an offset such as +01:00")
    return instant.astimezone(timezone.utc)


def duration(text: str | float | timedelta) -> timedelta:
    """Read a duration: seconds as a number, or text such as ``90s``, ``5m``, ``1h30m``, ``2d``.

    Raises:
        ValueError: The text is none of these.
    """
    if isinstance(text, timedelta):
        return text
    if isinstance(text, (int, float)):
        return timedelta(seconds=text)
    compact = text.strip()
    try:
        return timedelta(seconds=float(compact))
    except ValueError:
        pass
    parts = _PART.findall(compact)
    if not parts or _PART.sub("", compact).strip():
        raise ValueError(f"{text!r} is no duration: write seconds, or for example 90s, 5m, 1h30m, 2d")
    return timedelta(seconds=sum(float(number) * _UNITS[unit] for number, unit in parts))
