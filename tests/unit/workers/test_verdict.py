"""The terminal state from what was seen."""

from __future__ import annotations

import signal
from typing import Any

import pytest

from orchestrator.documents.records import State
from orchestrator.states import StateType
from orchestrator.workers.agent.verdict import Ask, Facts, verdict

COMPLETED, FAILED = State(StateType.COMPLETED), State(StateType.FAILED, message="boom")


def judged(**facts: Any) -> tuple[str, str] | None:
    state = verdict(Facts("tester", **facts))
    return None if state is None else (state.type.value, state.name)


@pytest.mark.parametrize("ask", [Ask.NOTHING, Ask.CANCEL, Ask.TIMEOUT, Ask.STOP])
def test_what_ended_by_itself_keeps_its_state(ask: Ask) -> None:
    assert verdict(Facts("tester", ask=ask, end=FAILED, ended_by_itself=True)) is FAILED


@pytest.mark.parametrize(
    ("ask", "end", "expected"),
    [
        (Ask.CANCEL, None, ("CANCELLED", "Cancelled")),
        (Ask.CANCEL, FAILED, ("CANCELLED", "Cancelled")),
        (Ask.CANCEL, COMPLETED, ("COMPLETED", "Completed")),
        (Ask.TIMEOUT, None, ("FAILED", "TimedOut")),
        (Ask.TIMEOUT, COMPLETED, ("FAILED", "TimedOut")),
        (Ask.STOP, None, ("CRASHED", "Crashed")),
        (Ask.STOP, COMPLETED, ("COMPLETED", "Completed")),
        (Ask.HAND_OVER, None, ("SCHEDULED", "Scheduled")),
        (Ask.HAND_OVER, FAILED, ("SCHEDULED", "Scheduled")),
        (Ask.HAND_OVER, COMPLETED, ("COMPLETED", "Completed")),
        (Ask.LOST, COMPLETED, None),
    ],
)
def test_what_was_asked_to_stop(ask: Ask, end: State | None, expected: tuple[str, str] | None) -> None:
    assert judged(ask=ask, end=end) == expected


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"code": 3}, "exited with code 3"),
        ({"signal": signal.SIGSEGV}, "SIGSEGV"),
        ({"signal": signal.SIGKILL}, "out of memory"),
        ({"error": "Cannot allocate memory"}, "tester could not start a process: Cannot allocate memory"),
    ],
)
def test_a_crash_names_its_reason(facts: dict[str, Any], words: str) -> None:
    state = verdict(Facts("tester", **facts))
    assert state is not None
    assert state.type is StateType.CRASHED
    assert words in state.message


@pytest.mark.parametrize(
    ("ask", "expected"),
    [(Ask.NOTHING, "SCHEDULED"), (Ask.STOP, "SCHEDULED"), (Ask.TIMEOUT, "SCHEDULED"), (Ask.CANCEL, "CANCELLED")],
)
def test_what_waits_for_its_next_try_does_so_unless_it_was_cancelled(ask: Ask, expected: str) -> None:
    waiting = State(StateType.SCHEDULED, "AwaitingRetry")
    found = judged(ask=ask, end=waiting, ended_by_itself=True)
    assert found is not None
    assert found[0] == expected


def test_a_killed_run_says_that_it_did_not_stop() -> None:
    state = verdict(Facts("tester", ask=Ask.CANCEL, killed=True, grace_s=30, signal=9))
    assert state is not None
    assert state.message == "cancelled; it did not stop within 30 s and was killed"
