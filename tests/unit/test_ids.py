"""UUIDv7: they sort by time, tell it, and the same foreign thing gets the same one."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.ids import time_of, uuid7, uuid7_floor, uuid7_from

UTC = timezone.utc
INSTANTS = st.datetimes(datetime(1970, 1, 1), datetime(9999, 1, 1), timezones=st.just(UTC))
MILLISECOND = timedelta(milliseconds=1)


def test_ids_made_one_after_another_ascend() -> None:
    made = [uuid7() for _ in range(2000)]
    assert made == sorted(made)
    assert len(set(made)) == 2000


@given(INSTANTS)
def test_an_id_is_of_its_version_and_tells_its_time(at: datetime) -> None:
    made = uuid7(at)
    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert timedelta(0) <= at - time_of(made) < MILLISECOND


@given(INSTANTS, INSTANTS)
def test_ids_sort_as_their_times_do(one: datetime, other: datetime) -> None:
    if abs(one - other) >= MILLISECOND:
        assert (uuid7(one) < uuid7(other)) == (one < other)


@given(st.datetimes(datetime(1970, 1, 2), datetime(9999, 1, 1), timezones=st.just(UTC)))
def test_the_floor_parts_what_came_before_from_what_comes_after(at: datetime) -> None:
    assert uuid7(at - MILLISECOND) < uuid7_floor(at) <= uuid7(at)
    assert time_of(uuid7_floor(at)) == time_of(uuid7_from(at, "x")) == time_of(uuid7(at))


@given(INSTANTS, st.text(), st.text())
def test_foreign_things_keep_their_id(at: datetime, one: str, other: str) -> None:
    assert uuid7_from(at, one) == uuid7_from(at, one)
    assert (uuid7_from(at, one) == uuid7_from(at, other)) == (one == other)
    assert uuid7_from(at, one).version == 7
