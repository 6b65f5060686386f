"""What becomes of occurrences, in whatever order things are heard of."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.expectations import DUE, LATE, MET, MISSED, Arrival, Occurrence, begin_streak, follow

START = datetime(2026, 11, 23, 9, tzinfo=timezone.utc)
MINUTE = timedelta(minutes=1)


def at(minutes: float) -> datetime:
    return START + minutes * MINUTE


def window(count: int = 1) -> Occurrence:
    """Open from 0 to 15, with a grace of 5; late until 60."""
    return Occurrence(at(0), at(0), at(15), at(20), at(60), count)


class TestWindows:
    def test_in_time_late_and_never(self) -> None:
        assert window().take(Arrival(at(10), "a")).status == MET
        assert window().take(Arrival(at(20), "a")).status == MET, "the grace's last instant"
        assert window().judge(at(20)).status == MISSED
        assert window().judge(at(19.9)).status == DUE
        assert window().judge(at(20)).take(Arrival(at(40), "a")).status == LATE
        assert window().judge(at(20)).take(Arrival(at(60), "a")).status == MISSED, "the next window's"
        assert window().take(Arrival(at(-1), "a")).status == DUE

    def test_what_happened_in_time_and_is_heard_of_after_the_miss_meets_it(self) -> None:
        missed = window().judge(at(30))
        assert missed.take(Arrival(at(12), "a")).status == MET
        late = missed.take(Arrival(at(40), "a"))
        assert late.take(Arrival(at(12), "b")).status == MET

    def test_the_same_thing_counts_once(self) -> None:
        once = window(2).take(Arrival(at(1), "a"))
        assert once.take(Arrival(at(2), "a")) == once
        assert once.take(Arrival(at(2), "b")).status == MET

    @given(
        st.lists(st.tuples(st.integers(-5, 80), st.integers(0, 9)), max_size=12, unique_by=lambda item: item[1]),
        st.integers(1, 4),
        st.integers(0, 12),
        st.randoms(),
    )
    def test_the_order_and_the_moment_of_judgement_change_nothing(self, items, count, judged, random) -> None:  # type: ignore[no-untyped-def]
        times = sorted(minute for minute, _ in items if 0 <= minute < 60)
        expected = MISSED if len(times) < count else MET if times[count - 1] <= 20 else LATE
        random.shuffle(items)
        found = window(count)
        for place, (minute, ref) in enumerate(items):
            if place == judged:
                found = found.judge(at(100))
            found = found.take(Arrival(at(minute), str(ref)))
        assert found.judge(at(100)).status == expected


class TestStreaks:
    @staticmethod
    def reach(instant: datetime) -> datetime:
        return instant + 10 * MINUTE

    def begin(self) -> Occurrence:
        return begin_streak(at(0), self.reach, 2 * MINUTE)

    def hear(self, streak: Occurrence, minute: float, ref: str = "") -> tuple[Occurrence, Occurrence | None]:
        return follow(streak, Arrival(at(minute), ref or str(minute)), self.reach, 2 * MINUTE)

    def test_each_one_moves_the_deadline(self) -> None:
        streak = self.begin()
        assert streak.deadline == at(12)
        streak, following = self.hear(streak, 7)
        assert (streak.status, streak.due, streak.deadline, following) == (DUE, at(17), at(19), None)
        assert self.hear(streak, 5) == (streak, None), "an older one changes nothing"

    def test_silence_is_missed_once_and_ends_late(self) -> None:
        missed = self.begin().judge(at(12))
        assert missed.status == MISSED
        ended, following = self.hear(missed, 30)
        assert (ended.status, ended.closes) == (LATE, at(30))
        assert following is not None
        assert (following.status, following.slot, following.deadline) == (DUE, at(30), at(42))

    def test_one_that_came_in_time_undoes_the_miss(self) -> None:
        missed = self.begin().judge(at(12))
        ended, following = self.hear(missed, 11)
        assert ended.status == MET
        assert following is not None
        assert following.deadline == at(23)

    def test_one_that_is_heard_of_after_the_end_closes_the_gap(self) -> None:
        ended, _ = self.hear(self.begin().judge(at(12)), 20)
        assert ended.status == LATE
        assert self.hear(ended, 10)[0].status == MET, "10 + 12 reaches 20"
        assert self.hear(ended, 5)[0].status == LATE, "5 + 12 does not"

    def test_a_long_one_is_told_as_met(self) -> None:
        streak, ended = self.begin(), None
        for minute in range(8, 70, 8):
            ended, following = self.hear(streak, minute)
            streak = following or ended
        assert ended is not None
        assert (ended.status, ended.closes) == (MET, at(64))
        assert streak.slot == at(64)
