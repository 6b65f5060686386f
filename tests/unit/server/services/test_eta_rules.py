"""When things will be done next, against an oracle that tries every way there is."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.server.services.mapping.eta_rules import (
    EARLY,
    EXPECTED,
    LATE,
    Forecast,
    Run,
    Spread,
    Step,
    follow,
    gaps,
    length,
    sentence,
)

NOW = datetime(2026, 3, 2, 8, 40, tzinfo=timezone.utc)
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
SHARES = (EARLY, EXPECTED, LATE)


def spread(*minutes: float) -> Spread:
    return Spread.of(60 * length for length in minutes)


def at(text: str) -> datetime:
    hour, minute = text.split(":")
    return NOW.replace(hour=int(hour), minute=int(minute))


def told(step: Step, *others: Step) -> str:
    forecast = Forecast({one.id: one for one in (step, *others)}, NOW)
    return sentence(forecast.of(step.id), timezone.utc, NOW)


LOAD = Step("load", "job/load", spread(*[30] * 5), spread(*[0] * 5))
REPORT = Step("report", "bi/report", spread(5, 5, 6, 7, 7), spread(*[0] * 5), {"load": spread(1, 1, 1, 1, 1)})


class TestSentences:
    def test_what_goes_on(self) -> None:
        run = Run(at("8:20"), at("8:20"), scheduled=True)
        assert told(replace(LOAD, current=run)) == "expected 08:50"

    def test_what_started_late_is_late_and_so_is_what_follows(self) -> None:
        load = replace(LOAD, current=Run(at("8:10"), at("8:30"), scheduled=True))
        because = "late by 20 min because job/load started 20 min late"
        assert told(load) == f"expected 09:00, {because}"
        assert told(REPORT, load) == f"expected 09:07 (between 09:06 and 09:08), {because}"
        legs = Forecast({"load": load, "report": REPORT}, NOW).of("report").legs
        assert [(leg.id, leg.at) for leg in legs] == [("load", at("9:00")), ("report", at("9:07"))]

    def test_what_follows_is_late_also_once_its_cause_is_done(self) -> None:
        load = replace(LOAD, last=Run(at("7:30"), at("8:00"), at("8:30"), scheduled=True))
        report = replace(REPORT, current=Run(at("8:31"), at("8:31")))
        told_of = "expected 08:40, late by 33 min because job/load started 30 min late"
        assert told(report, load) == told_of

    def test_what_somebody_starts_much_later_is_not_late(self) -> None:
        load = replace(LOAD, last=Run(at("1:30"), at("2:00"), at("2:30"), scheduled=True))
        assert told(replace(REPORT, current=Run(at("8:38"), at("8:38"))), load) == (
            "expected 08:44 (between 08:43 and 08:45)"
        )

    def test_what_takes_long_and_what_has_not_started(self) -> None:
        run = Run(at("8:00"), at("8:00"), scheduled=True)
        assert told(replace(LOAD, current=run)) == (
            "expected 08:40, late by 10 min because job/load takes 10 min longer than usual"
        )
        waiting = replace(LOAD, current=Run(at("8:20"), scheduled=True))
        assert told(waiting) == "expected 09:10, late by 20 min because job/load has not started yet"

    def test_what_is_only_a_little_late_is_not_told_so(self) -> None:
        wide = replace(LOAD, duration=spread(10, 20, 30, 40, 60), current=Run(at("8:30"), at("8:35"), scheduled=True))
        assert "late" not in told(wide)

    def test_what_just_changes(self) -> None:
        raw = Step("raw", "raw", gap=spread(*[60] * 6), last=Run(at("8:00"), at("8:00"), at("8:00")))
        assert told(raw) == "expected 09:00"
        over = replace(raw, last=Run(at("7:30"), at("7:30"), at("7:30")))
        assert told(over) == "expected 08:40, late by 10 min because raw has not changed yet"
        assert told(replace(raw, gap=spread(1, 1, 1, 1, 900, 900))).endswith("changes at no regular times")

    def test_what_failed_is_said(self) -> None:
        tomorrow = replace(LOAD, current=Run(at("8:10") + DAY, scheduled=True), failed=True)
        assert told(tomorrow) == "expected 2026-03-03 08:40; job/load failed the last time"

    @pytest.mark.parametrize(
        ("step", "why"),
        [
            (replace(LOAD, duration=spread(30, 30), current=Run(NOW)), "job/load was completed 2 times only"),
            (LOAD, "nothing says when job/load runs next"),
            (replace(LOAD, blocked="is paused", current=Run(NOW)), "job/load is paused"),
            (replace(LOAD, follows={"load": spread(*[1] * 5)}), "what it follows goes round in a circle"),
            (Step("t", "t", gap=spread(1, 1)), "t changed 2 times only"),
        ],
    )
    def test_what_cannot_be_told_says_why(self, step: Step, why: str) -> None:
        assert told(step).startswith("not known when: ")
        assert told(step).endswith(why)

    def test_what_runs_is_done_though_nothing_new_starts(self) -> None:
        run = Run(at("8:20"), at("8:20"), scheduled=True)
        assert told(replace(LOAD, blocked="is paused", current=run)) == "expected 08:50"

    def test_lengths(self) -> None:
        assert [length(seconds) for seconds in (1, 119, 120, 7199, 7200, 200_000)] == [
            "1 s", "119 s", "2 min", "120 min", "2 h", "2 d",
        ]  # fmt: skip


class TestFollowing:
    days = tuple(NOW + number * DAY for number in range(10))

    def test_it_follows_what_was_done_each_time_before_and_waits_for_the_last(self) -> None:
        found = follow(
            [day + 60 * MINUTE for day in self.days],
            {
                "early": list(self.days),
                "last": [day + 50 * MINUTE for day in self.days],
                "hourly": [day + hour * 60 * MINUTE for day in self.days for hour in range(24)],
                "seldom": list(self.days[::3]),
                "never": [],
            },
        )
        assert set(found) == {"early", "last"}
        assert set(found["last"].lengths) == set(found["early"].lengths) == {600.0}

    def test_too_few_times_say_nothing(self) -> None:
        assert follow([day + MINUTE for day in self.days[:5]], {"a": list(self.days[:5])}) == {}
        assert len(follow([day + MINUTE for day in self.days[:6]], {"a": list(self.days[:6])})["a"].lengths) == 5

    def test_what_is_newer_is_compared_from_its_beginning_on(self) -> None:
        assert set(follow([day + MINUTE for day in self.days], {"new": list(self.days[3:])})) == {"new"}

    def test_changes_within_a_minute_are_one(self) -> None:
        times = [day + second * timedelta(seconds=1) for day in self.days for second in range(3)]
        assert len(gaps(times).lengths) == 9


# -- against an oracle


def some(seed: int) -> Spread:
    """Of a seed: drawing each length by itself takes much longer."""
    chance = random.Random(seed)
    return spread(*chance.choices(range(400), k=chance.randint(5, 9)))


lengths = st.integers(0, 10_000).map(some)
whole_minutes = st.integers(-300, 300).map(lambda found: NOW + found * MINUTE)


@st.composite
def worlds(draw: st.DrawFn) -> dict[str, Step]:
    """Steps that follow any others: now and then in a circle, now and then with too little history."""
    steps = {}
    names = [f"s{number}" for number in range(draw(st.integers(1, 6)))]
    for name in names:
        kind = draw(st.sampled_from(["runs", "waits", "follows", "follows", "follows", "idle", "short"]))
        past = draw(st.integers(0, 300)) * MINUTE
        step = Step(name, name, draw(lengths), draw(lengths))
        if kind == "runs":
            step = replace(step, current=Run(NOW - past, NOW - past))
        elif kind == "waits":
            step = replace(step, current=Run(draw(whole_minutes), scheduled=draw(st.booleans())))
        elif kind == "short":
            step = replace(step, duration=spread(1), current=Run(NOW))
        elif kind == "follows":
            above = draw(st.lists(st.sampled_from(names), max_size=3, unique=True))
            step = replace(step, follows={one: draw(lengths) for one in sorted(above)})
        if draw(st.booleans()):
            ended = NOW - draw(st.integers(0, 600)) * MINUTE
            begun = NOW - draw(st.integers(0, 600)) * MINUTE
            step = replace(step, last=Run(ended - MINUTE, ended - MINUTE, ended), begun=begun)
        steps[name] = step
    return steps


def quantile(spread: Spread, share: float, beyond: float) -> float:
    """By counting."""
    longer = [one for one in spread.lengths if beyond <= 0 or one > beyond]
    if not longer:
        return max(0.0, beyond)
    exact = Fraction(str(share)) * len(longer)
    return min(one for one in longer if sum(other <= one for other in longer) >= exact)


def ways(steps: dict[str, Step], name: str, share: float, seen: Sequence[str]) -> list[datetime] | None:
    """The ends that each way to a step gives by itself; None: one of them cannot be told."""
    step = steps[name]
    if name in seen or not step.duration.known:
        return None
    run = step.current
    if run is not None and run.started is not None:
        took = quantile(step.duration, share, (NOW - run.started).total_seconds())
        return [run.started + timedelta(seconds=took)]
    took = quantile(step.duration, share, 0)
    if run is not None:
        waits = quantile(step.delay, share, (NOW - run.due).total_seconds())
        return [run.due + timedelta(seconds=waits + took)]
    found: list[datetime] = []
    for above, wait in step.follows.items():
        last = steps[above].last
        done = last is not None and last.ended is not None and (step.begun is None or last.ended > step.begun)
        if done and last is not None and last.ended is not None:
            lasted = (NOW - last.ended).total_seconds()
            done = lasted <= 2 * max(wait.lengths) + 300
        if done and last is not None and last.ended is not None:
            found.append(last.ended + timedelta(seconds=quantile(wait, share, lasted) + took))
            continue
        others = ways(steps, above, share, [*seen, name])
        if others is None:
            return None
        found += [end + timedelta(seconds=quantile(wait, share, 0) + took) for end in others]
    return found or None


@settings(max_examples=300, deadline=None)
@given(worlds())
def test_the_longest_way_decides(steps: dict[str, Step]) -> None:
    forecast = Forecast(steps, NOW)
    for name in steps:
        eta = forecast.of(name)
        wanted = [ways(steps, name, share, []) for share in SHARES]
        if any(found is None for found in wanted):
            assert (eta.expected, bool(eta.unknown)) == (None, True)
            continue
        assert [eta.early, eta.expected, eta.late] == [max(found) for found in wanted if found]
        assert eta.early is not None
        assert eta.early <= max(filter(None, [eta.expected])) <= max(filter(None, [eta.late]))
        assert eta.legs[-1].id == name
        assert eta.legs[-1].at == eta.expected
        assert eta.samples >= 5
        # What could be done earlier is not what is late.
        assert eta.late_s == 0 or eta.late_s >= 60


@settings(max_examples=100, deadline=None)
@given(worlds(), st.randoms(use_true_random=False))
def test_the_order_of_questions_changes_nothing(steps: dict[str, Step], chance: object) -> None:
    names = list(steps)
    chance.shuffle(names)  # type: ignore[attr-defined]
    one = Forecast(steps, NOW)
    assert {name: one.of(name).expected for name in names} == {
        name: Forecast(steps, NOW).of(name).expected for name in steps
    }


@settings(max_examples=100, deadline=None)
@given(worlds(), st.integers(1, 500))
def test_what_starts_later_is_done_no_earlier(steps: dict[str, Step], minutes: int) -> None:
    waiting = [name for name, step in steps.items() if step.current is not None and step.current.due > NOW]
    for name in waiting:
        current = steps[name].current
        assert current is not None
        later = replace(steps[name], current=replace(current, due=current.due + minutes * MINUTE))
        before, after = Forecast(steps, NOW), Forecast({**steps, name: later}, NOW)
        for other in steps:
            first, then = before.of(other).expected, after.of(other).expected
            assert (first is None) == (then is None)
            assert first is None or then is None or then >= first
