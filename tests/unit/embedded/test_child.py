"""Restarts with growing pauses."""

from __future__ import annotations

import signal

import pytest

from orchestrator.embedded.child import Backoff, how_it_ended


def test_pauses_double_up_to_half_a_minute() -> None:
    backoff = Backoff()
    assert [backoff.pause(lived_s=0.1) for _ in range(8)] == [1, 2, 4, 8, 16, 30, 30, 30]


def test_a_minute_of_life_forgets_what_was() -> None:
    backoff = Backoff()
    for _ in range(6):
        backoff.pause(lived_s=5)
    assert backoff.pause(lived_s=60) == 1
    assert backoff.pause(lived_s=59) == 2


def test_failures_without_end_do_not_overflow() -> None:
    backoff = Backoff()
    backoff.failures = 5000
    assert backoff.pause(0) == 30


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (0, "ended with exit code 0"),
        (3, "ended with exit code 3"),
        (-signal.SIGKILL, "was killed by SIGKILL"),
        (-250, "was killed by signal 250"),
    ],
)
def test_how_it_ended(code: int, words: str) -> None:
    assert how_it_ended(code) == words
