"""What becomes of occurrences: pure functions over what has arrived and the clock.

An occurrence is ``due`` until it is ``met`` in time, arrives ``late``, or is ``missed`` when the clock reaches its
deadline. Times are those at which things happened, never those at which they were heard of: what happened in time and
is heard of after it was called missed makes it ``met``; what happened later makes it ``late``. What becomes of a
window does not depend on the order in which things are heard of.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

DUE, MET, LATE, MISSED = "due", "met", "late", "missed"
STATUSES = (DUE, MET, LATE, MISSED)
#: A streak that has gone on for so long is told as met with the next arrival, and a new one begins.
STREAK_SPLIT = timedelta(hours=1)


@dataclass(frozen=True, order=True)
class Arrival:
    """Something that counts: when it happened, and what (an event's or a run's id)."""

    at: datetime
    ref: str


@dataclass(frozen=True)
class Occurrence:
    """One time that something is expected."""

    slot: datetime
    opens: datetime
    due: datetime
    deadline: datetime
    #: From here on nothing counts as late any more; None: it always does.
    closes: datetime | None = None
    count: int = 1
    status: str = DUE
    #: The first arrivals that count, at most ``count``.
    hits: tuple[Arrival, ...] = ()

    @property
    def satisfied(self) -> datetime | None:
        """When enough had happened; None while it has not."""
        return self.hits[self.count - 1].at if len(self.hits) >= self.count else None

    def take(self, arrival: Arrival) -> Occurrence:
        """The occurrence once it has heard of ``arrival``; itself where that does not count here."""
        is_late = arrival.at > self.deadline
        if arrival.at < self.opens or (is_late and self.closes is not None and arrival.at >= self.closes):
            return self
        if any(hit.ref == arrival.ref for hit in self.hits):
            return self
        hits = tuple(sorted((*self.hits, arrival)))[: self.count]
        if hits == self.hits:
            return self
        taken = replace(self, hits=hits)
        satisfied = taken.satisfied
        if satisfied is None:
            return taken
        return replace(taken, status=MET if satisfied <= taken.deadline else LATE)

    def judge(self, clock: datetime) -> Occurrence:
        """The occurrence as the clock has it; ``clock`` is how far everything is known."""
        return replace(self, status=MISSED) if self.status == DUE and clock >= self.deadline else self


Reach = Callable[[datetime], datetime]


def begin_streak(at: datetime, reach: Reach, grace: timedelta) -> Occurrence:
    """The streak of what is expected again and again, from an instant that counts as if something had happened then.

    Args:
        reach: When the next one is due that follows one at the instant it is given.
    """
    due = reach(at)
    return Occurrence(at, at, due, due + grace)


def follow(
    streak: Occurrence, arrival: Arrival, reach: Reach, grace: timedelta
) -> tuple[Occurrence, Occurrence | None]:
    """A streak once it has heard of one more; ``hits`` holds the newest.

    Returns:
        It, and the streak that follows it where the arrival ended it: after a miss, or when it is long.
    """
    if arrival.at <= _last(streak):
        return streak, None
    if streak.closes is not None:
        return _mend(streak, arrival, reach, grace), None
    following = replace(begin_streak(arrival.at, reach, grace), hits=(arrival,))
    if arrival.at > streak.deadline:
        return replace(streak, status=LATE, closes=arrival.at), following
    if streak.status == MISSED or arrival.at - streak.slot >= STREAK_SPLIT:
        return replace(streak, status=MET, closes=arrival.at), following
    return replace(streak, hits=(arrival,), due=following.due, deadline=following.deadline), None


def _last(streak: Occurrence) -> datetime:
    return streak.hits[-1].at if streak.hits else streak.opens


def _mend(streak: Occurrence, arrival: Arrival, reach: Reach, grace: timedelta) -> Occurrence:
    """A streak that ended late, once it is heard of something that had happened in time all the same."""
    assert streak.closes is not None
    if arrival.at > streak.deadline or arrival.at >= streak.closes:
        return streak
    due = reach(arrival.at)
    status = MET if due + grace >= streak.closes else streak.status
    return replace(streak, hits=(arrival,), due=due, deadline=due + grace, status=status)
