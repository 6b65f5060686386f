"""Steps by ticks, and without."""

from __future__ import annotations

import threading
import time

import pytest

from orchestrator.workers.ticks import Steps


def test_a_tick_takes_a_step() -> None:
    taken: list[str] = []
    assert Steps({"late": 60.0}, taken.append).tick("late")
    assert taken == ["late"]


def test_a_tick_for_no_loop_is_ignored() -> None:
    assert not Steps({"late": 60.0}, lambda _: pytest.fail("no step")).tick("other")


def test_a_failing_step_is_borne(caplog: pytest.LogCaptureFixture) -> None:
    def fail(_: str) -> None:
        raise RuntimeError("the database is away")

    steps = Steps({"late": 60.0}, fail)
    assert steps.tick("late")
    assert "the database is away" in caplog.text


def test_a_tick_during_a_step_leads_to_another_step_and_not_two_at_once() -> None:
    inside, leave = threading.Event(), threading.Event()
    taken: list[str] = []

    def step(name: str) -> None:
        taken.append(name)
        inside.set()
        leave.wait(10)

    steps = Steps({"late": 60.0}, step)
    thread = threading.Thread(target=steps.tick, args=("late",))
    thread.start()
    inside.wait(10)
    for _ in range(3):
        assert not steps.tick("late")
    assert taken == ["late"]
    leave.set()
    thread.join()
    assert taken == ["late", "late"]


def test_without_ticks_steps_are_taken_all_the_same(caplog: pytest.LogCaptureFixture) -> None:
    """Pain 12: beat hangs, or Redis is dead."""
    taken: list[str] = []
    steps = Steps({"quick": 0.01, "slow": 3600.0}, taken.append)
    assert steps.overdue() == []
    deadline = time.monotonic() + 10
    while not steps.overdue():
        assert time.monotonic() < deadline
        time.sleep(0.005)
    steps.step_overdue()
    assert taken == ["quick"]
    assert "no tick of quick" in caplog.text


def test_once_ticks_are_away_steps_keep_their_interval() -> None:
    steps = Steps({"quick": 0.02}, lambda _: None)
    steps._alone.add("quick")
    deadline = time.monotonic() + 10
    while not steps.overdue():
        assert time.monotonic() < deadline
        time.sleep(0.001)
    assert steps.tick("quick")
    assert steps._alone == set()
