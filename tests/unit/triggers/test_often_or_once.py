"""How often the clock is looked at makes no difference while events come in the order of their times."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from .stories import play

_WITHIN = st.integers(2, 12)
_THRESHOLD = st.integers(1, 3)
_PLAIN = st.builds(lambda w, n: {"absent": True, "expect": "a", "within": w, "threshold": n}, _WITHIN, _THRESHOLD)
_AFTER = st.builds(
    lambda w, n, names: {"absent": True, "after": names, "expect": ["a"], "within": w, "threshold": n},
    _WITHIN,
    _THRESHOLD,
    st.sampled_from([["b"], ["a"], ["a", "b"]]),
)
_HAPPENING = st.builds(
    lambda w, n, name: {"expect": name, "threshold": n, "within": w}, _WITHIN, _THRESHOLD, st.sampled_from("abc")
)
_PART = st.one_of(_PLAIN, _AFTER, _HAPPENING)
_GROUP = st.one_of(
    st.builds(lambda parts, w: {"all": parts, "within": w}, st.lists(_PART, min_size=2, max_size=3), _WITHIN),
    st.builds(lambda parts: {"any": parts}, st.lists(_PART, min_size=2, max_size=3)),
    st.builds(lambda parts, w: {"sequence": parts, "within": w}, st.lists(_PART, min_size=2, max_size=3), _WITHIN),
)
_EVENTS = st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 60)), max_size=25)
_END = 200.0


@settings(max_examples=150)
@given(st.one_of(_PLAIN, _AFTER, _GROUP), _EVENTS)
def test_looking_at_the_clock_often_or_once_gives_the_same(
    when: Mapping[str, Any], events: list[tuple[str, int]]
) -> None:
    read = sorted(events, key=lambda event: event[1])
    once = play(when, *read, _END)
    often = [step for name, at in read for step in (at - 0.5, (name, at))]
    assert _by_time(play(when, *often, *map(float, range(70, 200, 7)), _END)) == _by_time(once)


def _by_time(told: list[tuple[str, float]]) -> list[tuple[str, float]]:
    return sorted(told, key=lambda item: (item[1], item[0]))
