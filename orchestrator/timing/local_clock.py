"""Local times as instants, across the changes of a zone's clock. Pure."""

from __future__ import annotations

import zoneinfo
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone

_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)

#: From a local time, the local times that follow it, without a zone.
Source = Callable[[datetime], Iterator[datetime]]


def by_local_clock(source: Source, zone: zoneinfo.ZoneInfo, after: datetime) -> Iterator[datetime]:
    """Each local time once: the mapping never descends, so leaving out what does not ascend leaves no doubles."""
    last = after
    for local in source(local_time(after, zone)):
        instant = instant_of(local, zone)
        if instant > last:
            yield instant
            last = instant


def by_elapsed_time(source: Source, zone: zoneinfo.ZoneInfo, after: datetime) -> Iterator[datetime]:
    """Every instant whose local time matches: between two changes of the offset, local and elapsed time agree."""
    start, change = local_time(after, zone), after
    seen: datetime | None = after
    while seen is not None:
        offset = _offset(change, zone)
        seen, found = change, None
        for local in source(start):
            instant = (local - offset).replace(tzinfo=timezone.utc)
            found = _offset_change(zone, seen, instant)
            if found is not None:
                break
            yield instant
            seen = instant
        if found is None:
            return
        # The change itself may match, and sources give only what is later.
        start, change = local_time(found, zone) - _SECOND, found


def local_time(instant: datetime, zone: zoneinfo.ZoneInfo) -> datetime:
    return instant.astimezone(zone).replace(tzinfo=None, microsecond=0)


def _offset(instant: datetime, zone: zoneinfo.ZoneInfo) -> timedelta:
    return instant.astimezone(zone).utcoffset() or timedelta(0)


def instant_of(local: datetime, zone: zoneinfo.ZoneInfo) -> datetime:
    """The instant of a local time: the first of two, or the end of the gap that swallowed it."""
    instant = local.replace(tzinfo=zone).astimezone(timezone.utc)
    if instant.astimezone(zone).replace(tzinfo=None) == local:
        return instant
    before = local.replace(tzinfo=zone, fold=1).astimezone(timezone.utc)
    return _offset_change(zone, before, instant) or instant


def _offset_change(zone: zoneinfo.ZoneInfo, low: datetime, high: datetime) -> datetime | None:
    """The first instant in (low, high] at which the zone's offset is another than at ``low``; None if there is none."""
    offset = _offset(low, zone)
    while low < high:
        probe = min(low + _DAY, high)
        if _offset(probe, zone) != offset:
            return _bisect(zone, offset, low, probe)
        low = probe
    return None


def _bisect(zone: zoneinfo.ZoneInfo, offset: timedelta, low: datetime, high: datetime) -> datetime:
    """Offsets change on whole seconds."""
    low = low.replace(microsecond=0)
    while high - low > _SECOND:
        middle = low + (high - low) // 2 // _SECOND * _SECOND
        low, high = (middle, high) if _offset(middle, zone) == offset else (low, middle)
    return high
