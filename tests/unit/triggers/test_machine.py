"""What fires when: each condition by its rules."""

from __future__ import annotations

from typing import Any

import pytest

from .stories import play

FAIL = {"expect": "f"}
BEAT = {"absent": True, "expect": "b", "within": 10}
DONE = {"absent": True, "after": "start", "expect": "end", "within": 60}


class TestHappening:
    def test_every_event_fires_without_a_threshold(self) -> None:
        assert play(FAIL, ("f", 1), ("g", 2), ("f", 2), ("f", 1)) == [("fired", 1), ("fired", 2), ("fired", 1)]

    def test_each_event_is_used_once(self) -> None:
        when = {**FAIL, "threshold": 3, "within": 10}
        told = play(when, ("f", 1), ("f", 2), ("f", 3), ("f", 4), ("f", 5), ("f", 13), ("f", 14))
        assert told == [("fired", 3), ("fired", 13)]

    def test_they_lie_within_the_time_by_their_own_time_in_whatever_order_they_come(self) -> None:
        when = {**FAIL, "threshold": 3, "within": 10}
        assert play(when, ("f", 20), ("f", 0), ("f", 11), ("f", 10)) == [("fired", 20)]
        assert play(when, ("f", 0), ("f", 11), ("f", 5)) == []
        assert play(when, ("f", 0), ("f", 10), ("f", 5)) == [("fired", 10)]

    def test_the_earliest_of_several_groups_is_used(self) -> None:
        when = {**FAIL, "threshold": 2, "within": 10}
        assert play(when, ("f", 0), ("f", 20), ("f", 10), ("f", 30)) == [("fired", 10), ("fired", 30)]

    def test_without_a_time_any_do(self) -> None:
        assert play({**FAIL, "threshold": 2}, ("f", 0), ("f", 1_000_000)) == [("fired", 1_000_000)]

    def test_one_state_for_each_key(self) -> None:
        when = {**FAIL, "threshold": 2, "for_each": ["env"]}
        a, b = {"env": "a"}, {"env": "b"}
        assert play(when, ("f", 1, a), ("f", 2, b), ("f", 3), ("f", 4, a)) == [("fired", 4)]

    def test_debounce(self) -> None:
        told = play(FAIL, ("f", 0), ("f", 5), ("f", 9.9), ("f", 10), ("f", 3), debounce=10)
        assert told == [("fired", 0), ("debounced", 5), ("debounced", 9.9), ("fired", 10), ("debounced", 3)]

    def test_old_events_are_forgotten_in_the_end(self) -> None:
        when = {**FAIL, "threshold": 2, "within": 1}
        many = [("f", 10.0 * number) for number in range(1, 54)]
        assert play(when, *many, ("f", 20.5)) == [("fired", 20.5)]
        assert play(when, *many, ("f", 10.5)) == []


class TestAbsence:
    def test_it_fires_at_its_deadline_once_and_is_over_with_the_next(self) -> None:
        assert play(BEAT, 9.9) == []
        assert play(BEAT, 10, 11, 30, ("b", 35), 44, 45) == [("fired", 10), ("over", 35), ("fired", 45)]

    def test_what_occurred_in_time_counts_however_late_it_comes(self) -> None:
        assert play(BEAT, ("b", 10), 19) == []
        assert play(BEAT, ("b", 19.5), ("b", 9.5), 19.5) == []

    def test_a_gap_that_passed_unseen_is_judged_from_the_times(self) -> None:
        assert play(BEAT, ("b", 5), ("b", 40), ("b", 48), 50) == [("fired", 15), ("over", 40)]

    def test_a_late_event_that_fills_the_gap_is_seen_before_it_is_judged(self) -> None:
        assert play(BEAT, ("b", 5), ("b", 24), ("b", 15), 26) == []

    def test_a_late_event_after_the_firing_ends_it(self) -> None:
        assert play(BEAT, 10, ("b", 7), 16.9, 17) == [("fired", 10), ("over", 7), ("fired", 17)]

    def test_an_event_older_than_the_newest_changes_nothing(self) -> None:
        assert play(BEAT, ("b", 5), 15, ("b", 4), 20) == [("fired", 15)]

    def test_fewer_than_so_many(self) -> None:
        when = {**BEAT, "threshold": 2}
        assert play(when, ("b", 3), ("b", 4), 12.9) == []
        told = play(when, ("b", 3), ("b", 4), ("b", 12), 13.9, ("b", 30), ("b", 35), 50)
        assert told == [("fired", 14), ("over", 35), ("fired", 40)]

    def test_a_key_is_watched_from_its_first_event(self) -> None:
        when = {**BEAT, "for_each": "env"}
        assert play(when, 50, ("b", 60, {"env": "a"}), 69, 70) == [("fired", 70)]
        assert play(when, ("b", 3, {"env": "a"}), 109, 110, since=100) == [("fired", 110)]

    @pytest.mark.parametrize("threshold", [1, 2])
    def test_many_events_at_once_are_remembered_as_far_as_they_matter(self, threshold: int) -> None:
        beats = [("b", number / 10) for number in range(1000)]
        assert play({**BEAT, "threshold": threshold}, *beats, 99.9) == []
        assert play({**BEAT, "threshold": threshold}, *beats, 200)[0] == ("fired", 109.9 if threshold == 1 else 109.8)


class TestAbsenceAfter:
    def test_pain_17_finished_in_time_although_the_event_comes_late(self) -> None:
        assert play(DONE, ("start", 0), 59, ("end", 59), 64, 200) == []

    def test_pain_17_never_finished_is_one_miss_at_the_deadline(self) -> None:
        assert play(DONE, ("start", 0), 59.9, 60, 61, 300) == [("fired", 60)]

    def test_pain_17_finished_while_nobody_looked_is_one_miss_that_is_over(self) -> None:
        assert play(DONE, ("start", 0), ("end", 70), 100, 200) == [("fired", 60), ("over", 70)]

    def test_pain_17_waiting_for_a_retry_neither_satisfies_nor_resets_it(self) -> None:
        steps = [("start", 0), ("retry", 20), ("start", 40), 59, 60, 99, 100, ("end", 110), 300]
        assert play(DONE, *steps) == [("fired", 60), ("over", 110)]

    def test_an_event_meets_only_what_was_before_it(self) -> None:
        assert play(DONE, ("end", 0), ("start", 0), 60) == [("fired", 60)]
        assert play(DONE, ("end", 60), ("start", 0), 100) == []
        assert play(DONE, ("start", 0), ("end", 60), ("start", 5), 100) == []
        assert play(DONE, ("end", 60.1), ("start", 0), 100) == [("fired", 60), ("over", 60.1)]

    def test_a_heartbeat_asks_for_the_next(self) -> None:
        when = {"absent": True, "after": "b", "expect": "b", "within": 10}
        told = play(when, 100, ("b", 100), ("b", 108), 117, 118, 150, ("b", 160), 165, 170)
        assert told == [("fired", 118), ("over", 160), ("fired", 170)]

    def test_what_fell_due_while_it_fired_is_not_told_again(self) -> None:
        told = play(DONE, ("start", 0), ("start", 10), ("start", 30), ("end", 75), 200)
        assert told == [("fired", 60), ("over", 75)]
        told = play(DONE, ("start", 0), 60, ("start", 62), ("end", 61), 200)
        assert told == [("fired", 60), ("over", 61), ("fired", 122)]

    def test_several_are_asked_for(self) -> None:
        when = {**DONE, "threshold": 2}
        assert play(when, ("start", 0), ("end", 5), ("end", 5), 100) == []
        assert play(when, ("start", 0), ("end", 5), 60, ("end", 90)) == [("fired", 60), ("over", 90)]

    def test_an_arm_that_is_read_late_is_judged_by_what_is_remembered(self) -> None:
        assert play(DONE, ("end", 50), 150, ("start", 35), 151) == []
        assert play(DONE, ("start", 1), ("end", 2), 150, ("start", 35), 151) == [("fired", 95)]
        ends = [("end", 1000.0 + number) for number in range(52)]
        assert play(DONE, *ends, ("start", 999), 5000) == []


class TestGroups:
    A, B, C = {"expect": "a"}, {"expect": "b"}, {"expect": "c"}

    def test_all(self) -> None:
        when = {"all": [self.A, self.B], "within": 10}
        assert play(when, ("a", 0), ("a", 5), ("b", 15), ("b", 16), ("a", 17)) == [("fired", 15), ("fired", 17)]
        assert play(when, ("a", 0), ("b", 10.1)) == []
        assert play(when, ("b", 10), ("a", 0)) == [("fired", 10)]

    def test_any_and_at_least(self) -> None:
        assert play({"any": [self.A, self.B]}, ("a", 0), ("c", 1), ("b", 2)) == [("fired", 0), ("fired", 2)]
        when = {"at_least": 2, "of": [self.A, self.B, self.C]}
        assert play(when, ("a", 0), ("a", 1), ("c", 2), ("b", 3), ("c", 4)) == [("fired", 2), ("fired", 4)]

    def test_one_event_fires_a_group_once_though_it_is_for_two_parts(self) -> None:
        assert play({"any": [self.A, {"expect": "*a*"}]}, ("a", 0)) == [("fired", 0)]
        assert play({"all": [self.A, {"expect": "a*"}]}, ("a", 0)) == [("fired", 0)]

    def test_sequence(self) -> None:
        when = {"sequence": [self.A, self.B, self.C], "within": 10}
        assert play(when, ("a", 0), ("b", 1), ("c", 2), ("c", 3)) == [("fired", 2)]
        assert play(when, ("c", 2), ("a", 0), ("b", 1)) == [("fired", 2)]
        assert play(when, ("b", 0), ("a", 1), ("c", 2)) == []
        assert play(when, ("a", 1), ("b", 1), ("c", 2)) == []
        assert play(when, ("a", 0), ("a", 5), ("b", 6), ("c", 12)) == [("fired", 12)]

    def test_an_absence_and_a_group_within_a_sequence(self) -> None:
        when = {"sequence": [{"any": [self.A, self.B]}, {"absent": True, "after": "a", "expect": "c", "within": 5}]}
        assert play(when, ("a", 0), 4, 5) == [("fired", 5)]
        assert play(when, ("a", 0), ("c", 3), 50) == []

    def test_one_state_for_each_key(self) -> None:
        when = {"all": [self.A, self.B], "for_each": "env"}
        x, y = {"env": "x"}, {"env": "y"}
        assert play(when, ("a", 0, x), ("b", 1, y), ("b", 2, x)) == [("fired", 2)]

    def test_a_schedule_within_all(self) -> None:
        when = {"all": [{"schedule": {"interval": 3600}}, self.A], "within": 60}
        steps: list[Any] = [("a", 100), 3600, ("a", 7190), 7200, 7300, ("a", 10830), 10900]
        assert play(when, *steps) == [("fired", 7200), ("fired", 10830)]


def test_a_schedule_fires_at_each_slot_also_those_that_were_slept_through() -> None:
    assert play({"schedule": {"interval": 3600}}, 3599, 3600, 3 * 3600) == [
        ("fired", 3600),
        ("fired", 7200),
        ("fired", 10800),
    ]
