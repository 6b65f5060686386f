"""When things will be done next, and why later than usual. Pure: history, the way things follow one another and the
clock are handed in.

A :class:`Step` is whatever is done again and again: a deployment that runs, a job that another scheduler runs, or a
resource that nothing known writes and that just changes. What goes on or waits to start says itself when it will be
done; what does neither starts after the steps that it was seen to follow, once the last of them is done. Lengths are
quantiles of what was seen: nothing is said of a length that was seen fewer than :data:`LEAST` times. What has lasted
for a while already is compared with those that lasted as long. The times of a way are sums of its lengths at one share:
half of the times is ``expected``; if all of it takes as little (as much) as one in ten times, it is ``early``
(``late``).
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from itertools import pairwise

#: Least times that a length must have been seen.
LEAST = 5
EARLY, EXPECTED, LATE = 0.1, 0.5, 0.9
#: One follows the other where that was so in this share of the times, seen from either.
FOLLOWS = 0.8
#: What comes at gaps that differ more than this, the ninth in ten from the middle, is not regular.
IRREGULAR = 4.0
#: Changes so near to each other are one.
TOGETHER_S = 60.0
#: Less than this is not told as being late.
TOLD_S = 60.0
#: What did not follow within twice the longest wait and so many seconds will not any more.
PATIENCE_S = 300.0


@dataclass(frozen=True)
class Spread:
    """Lengths as they were seen, in seconds, the shortest first."""

    lengths: tuple[float, ...] = ()

    @classmethod
    def of(cls, lengths: Iterable[float]) -> Spread:
        """Of lengths in any order; clocks that differ make none negative."""
        return cls(tuple(sorted(max(0.0, length) for length in lengths)))

    @property
    def known(self) -> bool:
        """Whether it was seen often enough."""
        return len(self.lengths) >= LEAST

    def at(self, share: float, beyond: float = 0.0) -> float:
        """The length that this share of the times was not exceeded, of those longer than ``beyond``; that itself, where
        none was.
        """
        longer = self.lengths[bisect_right(self.lengths, beyond) :] if beyond > 0 else self.lengths
        if not longer:
            return max(0.0, beyond)
        return longer[max(0, math.ceil(share * len(longer)) - 1)]


@dataclass(frozen=True)
class Run:
    """One time that a step is done."""

    due: datetime
    started: datetime | None = None
    ended: datetime | None = None
    #: ``due`` is the instant of a schedule; else when something asked for it.
    scheduled: bool = False


@dataclass(frozen=True)
class Step:
    """Something that is done again and again."""

    id: str
    name: str
    duration: Spread = field(default_factory=Spread)
    #: From when it is due until it starts.
    delay: Spread = field(default_factory=Spread)
    #: From the end of each step that it follows until it starts.
    follows: Mapping[str, Spread] = field(default_factory=dict)
    #: From one end to the next, of what nobody knows when it begins: a resource that just changes. None: it is known.
    gap: Spread | None = None
    #: The last that was completed, and when any was started last.
    last: Run | None = None
    begun: datetime | None = None
    #: What goes on or, with no start, waits.
    current: Run | None = None
    #: Why it does not start; empty: nothing keeps it.
    blocked: str = ""
    #: It was not completed the last time.
    failed: bool = False

    @property
    def is_change(self) -> bool:
        """Whether all that is known of its next end is how often it has one."""
        return self.gap is not None and self.current is None


@dataclass(frozen=True)
class Leg:
    """A step on the way, and when it will be done."""

    id: str
    name: str
    at: datetime


@dataclass(frozen=True)
class Eta:
    """When something will be done; or, with no times, why that cannot be told."""

    expected: datetime | None = None
    early: datetime | None = None
    late: datetime | None = None
    #: When it would be done had all gone as usual, and by how many seconds it is later; 0: it is about on time.
    usual: datetime | None = None
    late_s: float = 0.0
    because: str = ""
    #: How often the length was seen that was seen least.
    samples: int = 0
    #: From what it begins with to what was asked for.
    legs: tuple[Leg, ...] = ()
    #: Steps on the way that were not completed the last time.
    failed: tuple[str, ...] = ()
    unknown: str = ""


class _Unknown(Exception):
    """It cannot be told; the message says why."""


@dataclass(frozen=True)
class _Made:
    """How an end came about."""

    at: datetime
    start: datetime
    #: The step that it waited for last, and whether that is done already; None: it waited for none.
    after: tuple[str, bool] | None = None


class Forecast:
    """When steps will be done, at one instant."""

    def __init__(self, steps: Mapping[str, Step], now: datetime) -> None:
        self._steps, self._now = steps, now
        self._ends: dict[tuple[str, float], _Made | _Unknown] = {}
        self._usual: dict[tuple[str, bool, float], datetime] = {}
        self._open: set[tuple[str, float]] = set()

    def of(self, identifier: str) -> Eta:
        """When a step will be done next."""
        try:
            early, made, late = (self._end(identifier, share) for share in (EARLY, EXPECTED, LATE))
        except _Unknown as error:
            return Eta(unknown=str(error))
        way = self._way(identifier)
        usual, at_most = (self._as_usual(identifier, False, share) for share in (EXPECTED, LATE))
        late_s = (made.at - usual).total_seconds()
        told = late_s >= TOLD_S and made.at > at_most
        return Eta(
            expected=made.at,
            early=early.at,
            late=late.at,
            usual=usual,
            late_s=late_s if told else 0.0,
            because=self._because(way) if told else "",
            samples=min(seen for step, done, before in way for seen in self._seen(step, done, before)),
            legs=tuple(Leg(step.id, step.name, self._at(step, done)) for step, done, _ in way),
            failed=tuple(step.name for step, done, _ in way if step.failed and not done),
        )

    def soonest(self, identifiers: Iterable[str]) -> Eta:
        """When the first of several steps will be done."""
        found = [self.of(identifier) for identifier in identifiers]
        known = [(eta.expected, place) for place, eta in enumerate(found) if eta.expected is not None]
        if known:
            return found[min(known)[1]]
        return found[0] if found else Eta()

    # -- when it will be

    def _end(self, identifier: str, share: float) -> _Made:
        key = (identifier, share)
        if key not in self._ends:
            if key in self._open:
                raise _Unknown("what it follows goes round in a circle")
            self._open.add(key)
            try:
                self._ends[key] = self._find(self._steps[identifier], share)
            except _Unknown as error:
                self._ends[key] = error
            self._open.discard(key)
        found = self._ends[key]
        if isinstance(found, _Unknown):
            raise found
        return found

    def _find(self, step: Step, share: float) -> _Made:
        if step.is_change:
            return self._change(step, share)
        run = step.current
        if step.blocked and (run is None or run.started is None):
            raise _Unknown(f"{step.name} {step.blocked}")
        _need(step.duration, f"{step.name} was", "completed", len(step.duration.lengths))
        if run is not None and run.started is not None:
            lasted = (self._now - run.started).total_seconds()
            return _Made(run.started + _s(step.duration.at(share, lasted)), run.started)
        start, after = self._start(step, run, share)
        return _Made(start + _s(step.duration.at(share)), start, after)

    def _start(self, step: Step, run: Run | None, share: float) -> tuple[datetime, tuple[str, bool] | None]:
        if run is not None:
            waited = (self._now - run.due).total_seconds()
            return run.due + _s(step.delay.at(share, waited)), None
        if not step.follows:
            raise _Unknown(f"nothing says when {step.name} runs next")
        found = []
        for above, wait in step.follows.items():
            done = self._is_done(step, above)
            ended = self._ended(above) if done else self._end(above, share).at
            lasted = (self._now - ended).total_seconds() if done else 0.0
            found.append((ended + _s(wait.at(share, lasted)), above, done))
        start, above, done = max(found)
        return start, (above, done)

    def _change(self, step: Step, share: float) -> _Made:
        assert step.gap is not None
        _need(step.gap, step.name, "changed", len(step.gap.lengths) + (step.last is not None))
        if step.gap.at(LATE) > IRREGULAR * step.gap.at(EXPECTED):
            raise _Unknown(f"{step.name} changes at no regular times")
        ended = self._ended(step.id)
        at = ended + _s(step.gap.at(share, (self._now - ended).total_seconds()))
        return _Made(at, at)

    def _is_done(self, step: Step, above: str) -> bool:
        """Whether what a step follows is done, and the step is to start after it."""
        last = self._steps[above].last
        if last is None or last.ended is None or (step.begun is not None and last.ended <= step.begun):
            return False
        return self._is_near(step, above, last.ended, self._now)

    def _is_near(self, step: Step, above: str, ended: datetime, at: datetime) -> bool:
        """Whether a step may still follow at an instant what ended before."""
        return (at - ended).total_seconds() <= 2 * step.follows[above].at(1.0) + PATIENCE_S

    def _ended(self, identifier: str) -> datetime:
        last = self._steps[identifier].last
        assert last is not None
        assert last.ended is not None
        return last.ended

    # -- when it would be

    def _as_usual(self, identifier: str, done: bool, share: float) -> datetime:
        """When a step would be done, or its last one would have been, had all been as usual."""
        key = (identifier, done, share)
        if key not in self._usual:
            self._usual[key] = self._planned(self._steps[identifier], done, share)
        return self._usual[key]

    def _planned(self, step: Step, done: bool, share: float) -> datetime:
        run = step.last if done else step.current
        if step.is_change:
            ended = self._ended(step.id)
            return ended if done else ended + _s(step.gap.at(share) if step.gap else 0.0)
        if run is not None and run.scheduled:
            return run.due + _s(step.delay.at(share) + step.duration.at(share))
        ways = [
            self._as_usual(above, over, share) + _s(wait.at(share))
            for above, wait in step.follows.items()
            if (over := self._was_over(step, above, run)) is not None
        ]
        if ways:
            return max(ways) + _s(step.duration.at(share))
        assert run is not None
        if done:
            return self._ended(step.id)
        return run.due + _s(step.delay.at(share) + step.duration.at(share))

    def _was_over(self, step: Step, above: str, run: Run | None) -> bool | None:
        """Whether the last time of what is followed came before a run; None: it has nothing to do with it."""
        if run is None:
            return self._is_done(step, above)
        last = self._steps[above].last
        if last is None or last.ended is None or last.ended >= _begin(run):
            return None
        # What came much later was started for another reason.
        return True if self._is_near(step, above, last.ended, _begin(run)) else None

    # -- why

    def _way(self, identifier: str) -> list[tuple[Step, bool, str | None]]:
        """The steps that decide, the first one first; whether each is done already, and which one it waited for."""
        found: list[tuple[Step, bool, str | None]] = []
        at: tuple[str, bool] | None = (identifier, False)
        while at is not None and all(at[0] != step.id for step, _, _ in found):
            step, done = self._steps[at[0]], at[1]
            after = self._after(step, done)
            found.append((step, done, after[0] if after else None))
            at = after
        return found[::-1]

    def _after(self, step: Step, done: bool) -> tuple[str, bool] | None:
        if not done:
            made = self._end(step.id, EXPECTED)
            if made.after is not None or step.current is None:
                return made.after
        run = step.last if done else step.current
        if run is None or run.scheduled or step.is_change:
            return None
        over = [above for above in step.follows if self._was_over(step, above, run)]
        return (max(over, key=lambda above: (self._ended(above), above)), True) if over else None

    def _at(self, step: Step, done: bool) -> datetime:
        return self._ended(step.id) if done else self._end(step.id, EXPECTED).at

    def _seen(self, step: Step, done: bool, before: str | None) -> Iterable[int]:
        """How often the lengths were seen that a step on the way takes."""
        if step.is_change:
            if not done and step.gap is not None:
                yield len(step.gap.lengths)
            return
        if not done:
            yield len(step.duration.lengths)
        if before is not None:
            yield len(step.follows[before].lengths)

    def _because(self, way: Sequence[tuple[Step, bool, str | None]]) -> str:
        """What on the way takes the most time that it usually does not."""
        found = [item for step, done, before in way for item in self._delays(step, done, before)]
        seconds, text = max(found, default=(0.0, ""))
        return text if seconds >= TOLD_S else ""

    def _delays(self, step: Step, done: bool, before: str | None) -> Iterable[tuple[float, str]]:
        if step.is_change:
            if not done:
                over = (self._end(step.id, EXPECTED).at - self._as_usual(step.id, False, EXPECTED)).total_seconds()
                yield over, f"{step.name} has not changed yet"
            return
        run = step.last if done else step.current
        if run is None:
            start, usual = self._end(step.id, EXPECTED).start, self._after_usual(step, before)
        else:
            start = run.started or self._end(step.id, EXPECTED).start
            usual = (run.due if run.scheduled or before is None else self._ended(before)) + _s(
                step.delay.at(EXPECTED) if run.scheduled or before is None else step.follows[before].at(EXPECTED)
            )
        late = (start - usual).total_seconds()
        begun = run is not None and run.started is not None
        yield late, f"{step.name} started {length(late)} late" if begun else f"{step.name} has not started yet"
        if begun:
            took = (self._at(step, done) - start).total_seconds() - step.duration.at(EXPECTED)
            yield took, f"{step.name} {'took' if done else 'takes'} {length(took)} longer than usual"

    def _after_usual(self, step: Step, before: str | None) -> datetime:
        """When it would start after what it waits for, whenever that is done."""
        assert before is not None
        done = self._is_done(step, before)
        ended = self._ended(before) if done else self._end(before, EXPECTED).at
        return ended + _s(step.follows[before].at(EXPECTED))


def follow(starts: Sequence[datetime], ends: Mapping[str, Sequence[datetime]]) -> dict[str, Spread]:
    """Which of other steps one follows: those that were done once, nearly each time, between one start of it and the
    next; with the waits from their ends to its start, of those times that it waited for that one last. Where these are
    too few, of all times.

    Args:
        starts: Of the step, in order.
        ends: Of each of the others, in order.
    """
    begun = sorted(set(starts))
    pairs = {key: found for key, times in ends.items() if (found := _pairs(begun, times))}
    waits: dict[str, list[float]] = {key: [] for key in pairs}
    pooled = []
    for start in sorted({start for found in pairs.values() for start in found}):
        above, ended = max(
            ((key, found[start]) for key, found in pairs.items() if start in found), key=lambda item: (item[1], item[0])
        )
        waits[above].append((start - ended).total_seconds())
        pooled.append(waits[above][-1])
    return {key: Spread.of(own if len(own) >= LEAST else pooled) for key, own in waits.items()}


def _pairs(starts: Sequence[datetime], ends: Sequence[datetime]) -> dict[datetime, datetime]:
    """Starts with the ends that they followed; none where the two do not go together."""
    if not ends:
        return {}
    # What was before the history of the other began cannot be paired.
    both = starts[max(bisect_left(starts, ends[0]) - 1, 0) :]
    found = {}
    for before, start in pairwise(both):
        place = bisect_right(ends, start)
        if place and ends[place - 1] > before:
            found[start] = ends[place - 1]
    if len(found) < LEAST:
        return {}
    within = bisect_right(ends, both[-1]) - bisect_right(ends, both[0])
    return found if len(found) >= FOLLOWS * max(len(both) - 1, within) else {}


def gaps(times: Sequence[datetime]) -> Spread:
    """From one change to the next; those within a minute are one. ``times`` in order."""
    return Spread.of(gap for early, late in pairwise(times) if (gap := (late - early).total_seconds()) > TOGETHER_S)


def sentence(eta: Eta, zone: tzinfo, now: datetime) -> str:
    """In words: ``expected 09:12 (between 09:05 and 09:31), late by 20 min because job/load started 20 min late``."""
    if eta.expected is None or eta.early is None or eta.late is None:
        return f"not known when: {eta.unknown}" if eta.unknown else "not known when"
    text = f"expected {_clock(eta.expected, zone, now)}"
    early, late = _clock(eta.early, zone, now), _clock(eta.late, zone, now)
    text += f" (between {early} and {late})" if early != late else ""
    if eta.late_s:
        text += f", late by {length(eta.late_s)}" + (f" because {eta.because}" if eta.because else "")
    return text + (f"; {' and '.join(eta.failed)} failed the last time" if eta.failed else "")


def length(seconds: float) -> str:
    """A length in the largest unit that has at least two of it: ``20 min``."""
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"


def _clock(at: datetime, zone: tzinfo, now: datetime) -> str:
    local = at.astimezone(zone)
    return f"{local:%H:%M}" if local.date() == now.astimezone(zone).date() else f"{local:%Y-%m-%d %H:%M}"


def _need(spread: Spread, name: str, done: str, times: int) -> None:
    if not spread.known:
        often = "once only" if times == 1 else f"{times} times only"
        raise _Unknown(f"not enough history: {name} {f'{done} {often}' if times else f'never {done}'}")


def _begin(run: Run) -> datetime:
    return run.started or run.due


def _s(seconds: float) -> timedelta:
    return timedelta(seconds=seconds)
