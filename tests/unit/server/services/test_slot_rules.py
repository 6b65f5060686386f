"""Who gets slots: by arrival, all at once or none."""

from __future__ import annotations

import math
import uuid
from datetime import datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.server.services.configuring.slot_rules import Limit, Ticket, granted

NOW = datetime(2026, 3, 1, tzinfo=timezone.utc)
A, B = uuid.UUID(int=1), uuid.UUID(int=2)


def limit(key: uuid.UUID, slots: int, active: bool = True) -> Limit:
    return Limit(key, slots, active, None)


def ticket(number: int, *limits: uuid.UUID, occupy: int = 1, is_whole: bool = True) -> Ticket:
    return Ticket(uuid.UUID(int=number), frozenset(limits), occupy, is_whole)


def names(found: list[Ticket]) -> list[int]:
    return [one.id.int for one in found]


def test_those_before_come_first() -> None:
    limits = {A: limit(A, 2)}
    waiting = [ticket(1, A), ticket(2, A, occupy=2), ticket(3, A)]
    assert names(granted(waiting, limits, {A: 2})) == [1]
    assert names(granted(waiting[1:], limits, {A: 2})) == [2]


def test_who_waits_for_two_takes_none_before_and_is_not_overtaken() -> None:
    limits = {A: limit(A, 1), B: limit(B, 1)}
    waiting = [ticket(1, A, B), ticket(2, A), ticket(3, B)]
    assert names(granted(waiting, limits, {A: 1, B: 0})) == []
    assert names(granted(waiting, limits, {A: 1, B: 1})) == [1]


def test_what_can_never_be_served_stands_in_nobodys_way() -> None:
    assert names(granted([ticket(1, A, occupy=3), ticket(2, A)], {A: limit(A, 2)}, {A: 2})) == [2]


def test_one_whose_other_limits_are_not_looked_at_waits_and_keeps_its_place() -> None:
    assert names(granted([ticket(1, A, is_whole=False), ticket(2, A)], {A: limit(A, 2)}, {A: 2})) == []


def test_a_limit_that_is_not_active_is_always_free() -> None:
    off = limit(A, 1, active=False)
    assert off.free(5, NOW) == math.inf
    assert names(granted([ticket(1, A, occupy=9)], {A: off}, {A: off.free(5, NOW)})) == [1]


def test_slots_come_back_by_themselves() -> None:
    rate = Limit(A, 10, True, 2.0, level=6.0, level_at=NOW)
    assert rate.free(99, NOW) == 4
    assert rate.free(99, NOW + timedelta(seconds=1)) == 6
    assert rate.free(0, NOW + timedelta(hours=1)) == 10
    assert rate.free(0, NOW - timedelta(seconds=5)) == 4  # a clock that is behind


@given(st.lists(st.tuples(st.sets(st.sampled_from([A, B]), min_size=1), st.integers(1, 4)), max_size=12), st.data())
def test_never_more_than_is_free_and_nobody_is_overtaken(
    asked: list[tuple[set[uuid.UUID], int]], data: st.DataObject
) -> None:
    limits = {A: limit(A, 4), B: limit(B, 3)}
    free = {key: data.draw(st.integers(0, one.slots)) for key, one in limits.items()}
    waiting = [ticket(number, *keys, occupy=occupy) for number, (keys, occupy) in enumerate(asked)]
    taken = granted(waiting, limits, free)
    for key in limits:
        assert sum(one.occupy for one in taken if key in one.limits) <= free[key]
    possible = [one for one in waiting if all(one.occupy <= limits[key].slots for key in one.limits)]
    for place, one in enumerate(possible):
        if one not in taken:
            assert not any(later in taken and later.limits & one.limits for later in possible[place + 1 :])
