"""Times and durations as texts."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator import clock

UTC = timezone.utc
ZONES = st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30)), timezone(timedelta(hours=-9))])


@given(st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=ZONES))
def test_an_instant_survives_being_written(instant: datetime) -> None:
    text = clock.to_text(instant)
    assert text.endswith("Z")
    assert clock.from_text(text) == instant
    assert clock.from_text(text).tzinfo is UTC


def test_texts_sort_as_instants_do() -> None:
    early, late = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, microsecond=1, tzinfo=UTC)
    assert clock.to_text(early) < clock.to_text(late)


def test_offsets_are_understood() -> None:
    assert clock.from_text("2026-03-28T01:00:00+01:00") == datetime(2026, 3, 28, tzinfo=UTC)
    assert clock.from_text("2026-03-28T00:00:00z") == datetime(2026, 3, 28, tzinfo=UTC)


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        clock.from_text("2026-03-28T00:00:00")
    with pytest.raises(ValueError, match="zone"):
        clock.to_text(datetime(2026, 3, 28))


def test_now_is_aware_and_utc() -> None:
    assert clock.now().utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("5m", 300),
        ("1h30m", 5400),
        ("1h 30m", 5400),
        ("2d", 172800),
        ("1w", 604800),
        ("250ms", 0.25),
        ("1.5h", 5400),
        ("42", 42),
        (42, 42),
        (0.5, 0.5),
        (timedelta(seconds=3), 3),
    ],
)
def test_durations(text: str | float | timedelta, seconds: float) -> None:
    assert clock.duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "soon", "5 minutes", "m", "1h-30m", "1x", "h1"])
def test_other_texts_are_no_durations(text: str) -> None:
    with pytest.raises(ValueError, match="1h30m"):
        clock.duration(text)
