"""What a trigger remembers of a key, in words."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.triggers import Seen, Waiting, advance, begin, measure, pass_time, read_condition, span, waiting

MINUTE = span(60)


def after(when: dict[str, Any], *names: str, debounce: float = 0.0) -> Waiting:
    """Where a trigger stands that began at 0, when events of these names came a minute apart."""
    spec = read_condition(when, debounce)
    state = begin(spec, 0).state
    for place, name in enumerate(names, 1):
        event = Seen(str(place), name, place * MINUTE, {"resource.id": "x"})
        state = advance(spec, state, event, "[]", 0).state
    assert state is not None
    return waiting(spec, state)


@pytest.mark.parametrize(
    ("when", "names", "text", "since"),
    [
        ({"expect": "a", "threshold": 3}, ["a", "a"], "2 of 3 a", 1),
        ({"expect": "a", "threshold": 3, "within": "90s"}, ["a", "b", "a"], "1 of 3 a", 3),
        ({"absent": True, "expect": "a", "within": "1h"}, [], "waits for a", 0),
        ({"absent": True, "expect": "a", "within": "1h"}, ["a"], "waits for a", 1),
        ({"absent": True, "after": "a", "expect": "b", "within": "1h"}, [], "waits for a", None),
        ({"absent": True, "after": "a", "expect": "b", "within": "1h"}, ["a", "a"], "2 times a came: waits for b", 1),
        ({"all": [{"expect": "a"}, {"expect": "b"}]}, [], "none of its 2 parts yet", None),
        ({"all": [{"expect": "a"}, {"expect": "b"}]}, ["b"], "1 of 2 parts so far: b happens", 1),
        ({"schedule": {"cron": "0 9 * * *"}}, [], "waits for its next time", None),
    ],
)
def test_it_says_what_has_come_and_what_is_waited_for(
    when: dict[str, Any], names: list[str], text: str, since: int | None
) -> None:
    assert after(when, *names) == Waiting(text, None if since is None else since * MINUTE)


def test_one_that_fired_rests_for_its_debounce() -> None:
    assert after({"expect": "a"}, "a", debounce=300) == Waiting("has fired, and rests for the debounce", MINUTE)


@pytest.mark.parametrize(
    ("when", "names", "text", "since"),
    [
        ({"absent": True, "expect": "a", "within": "1m"}, [], "firing: a does not come", 1),
        ({"absent": True, "after": "a", "expect": "b", "within": "1m"}, ["a"], "firing: b did not come after a", 1),
    ],
)
def test_an_absence_that_fires_says_so(when: dict[str, Any], names: list[str], text: str, since: int) -> None:
    spec = read_condition(when)
    state = begin(spec, 0).state
    for place, name in enumerate(names, 1):
        state = advance(spec, state, Seen("1", name, place * MINUTE, {"resource.id": "x"}), "[]", 0).state
    assert state is not None
    state = pass_time(spec, state, "[]", 10 * MINUTE).state
    assert state is not None
    assert waiting(spec, state) == Waiting(text, since * MINUTE)


def test_a_metric_says_whether_it_is_so_and_for_how_long() -> None:
    when = {"metric": "run_count", "operator": ">", "value": 3, "range": "1h", "firing_for": "5m"}
    spec = read_condition(when)
    state = begin(spec, 0).state
    assert state is not None
    assert waiting(spec, state) == Waiting("was not so when it was last measured")
    measure(spec, state, 5.0, MINUTE)
    assert waiting(spec, state) == Waiting("is so, but not for long enough yet", MINUTE)
    measure(spec, state, 5.0, 7 * MINUTE)
    told = waiting(spec, state)
    assert (told.text.startswith("firing: run count"), told.since) == (True, MINUTE)
