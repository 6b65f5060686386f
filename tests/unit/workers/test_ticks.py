"""Steps by ticks, and without."""

from __future__ import annotations

import threading
import time

import pytest

from orchestrator.workers import ticks
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


def test_what_a_step_asks_for_is_stepped_after_it_by_the_same_thread() -> None:
    taken: list[tuple[str, int]] = []

    def step(name: str) -> None:
        taken.append((name, threading.get_ident()))
        if name == "triggers":
            assert steps.soon("actions")
            assert steps.soon("actions")
            assert not steps.soon("no loop")

    steps = Steps({"triggers": 60.0, "actions": 60.0}, step)
    assert not steps.soon("actions"), "this thread takes no step"
    steps.tick("triggers")
    assert taken == [("triggers", threading.get_ident()), ("actions", threading.get_ident())]


def test_steps_that_ask_for_each_other_let_others_have_their_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[str] = []
    sent: list[str] = []
    monkeypatch.setattr(ticks.hints, "wake", sent.append)

    def step(name: str) -> None:
        taken.append(name)
        steps.soon("b" if name == "a" else "a")

    steps = Steps({"a": 60.0, "b": 60.0}, step)
    steps.tick("a")
    assert len(taken) == ticks.CHAIN + 1
    assert sent == ["b"], "the next one is left to whoever is free"
