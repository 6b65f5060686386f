"""Alarms that nest, give back what they took, and cannot be swallowed; SIGTERM as an exception."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType

import pytest

from orchestrator.engine import timeouts
from orchestrator.engine.timeouts import Alarm, Terminated, TimeIsUp
from orchestrator.errors import InvalidInput


def installed() -> tuple[object, object, bool]:
    """The handlers, and whether a timer runs."""
    running = signal.getitimer(signal.ITIMER_REAL)[0] > 0
    return signal.getsignal(signal.SIGALRM), signal.getsignal(signal.SIGTERM), running


@pytest.fixture(autouse=True)
def untouched() -> Iterator[None]:
    """Every test leaves signals and timer (the test runner's own, if it has one) as it found them."""
    before = installed()
    yield
    assert installed() == before


def test_the_alarm_that_rang_is_named_whichever_it_is() -> None:
    for outer_s, inner_s in ((0.05, 60), (60, 0.05)):
        with pytest.raises(TimeIsUp) as rung, Alarm(outer_s) as outer, Alarm(inner_s) as inner:
            time.sleep(60)
        assert rung.value.alarm is (outer if outer_s < inner_s else inner)


def test_code_that_swallows_it_is_rung_again() -> None:
    swallowed: list[BaseException] = []

    def stubborn() -> None:
        for _ in range(2):
            try:
                time.sleep(60)
            except BaseException as error:
                swallowed.append(error)
        time.sleep(60)

    with pytest.raises(TimeIsUp), Alarm(0.05):
        stubborn()
    assert len(swallowed) == 2


def test_an_exception_handler_of_the_users_does_not_catch_it() -> None:
    def careful() -> None:
        try:
            time.sleep(60)
        except Exception:
            pytest.fail("caught as an ordinary exception")

    with pytest.raises(TimeIsUp), Alarm(0.05):
        careful()


def test_in_time_nothing_happens() -> None:
    with Alarm(60), Alarm(60):
        pass


def test_a_timer_of_the_users_own_goes_on_afterwards() -> None:
    rung = threading.Event()

    def ring(number: int, frame: FrameType | None) -> None:
        rung.set()

    before = signal.signal(signal.SIGALRM, ring)
    timer = signal.setitimer(signal.ITIMER_REAL, 0.2)
    try:
        with Alarm(60):
            assert signal.getsignal(signal.SIGALRM) is not ring
        assert signal.getsignal(signal.SIGALRM) is ring
        assert rung.wait(20)
    finally:
        signal.signal(signal.SIGALRM, before)
        signal.setitimer(signal.ITIMER_REAL, *timer)


@pytest.mark.parametrize("seconds", [0, -1, "1", True, float("nan"), float("inf"), 1e9])
def test_seconds_that_cannot_be_are_refused(seconds: float) -> None:
    with pytest.raises(InvalidInput, match="timeout_seconds of flow f"):
        timeouts.check(seconds, "flow f")


def test_seconds_that_can_be() -> None:
    assert timeouts.check(None, "x") is None
    assert timeouts.check(2, "x") == 2.0


def test_only_the_main_thread_can_be_interrupted() -> None:
    found: list[bool] = []
    thread = threading.Thread(target=lambda: found.append(timeouts.can_interrupt()))
    thread.start()
    thread.join()
    assert (timeouts.can_interrupt(), found) == (True, [False])


def test_sigterm_unwinds_with_the_code_of_a_shell() -> None:
    def told_to_end() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(60)

    with pytest.raises(Terminated) as ended, timeouts.termination():
        told_to_end()
    assert ended.value.code == 143


def test_a_handler_of_the_users_own_stays() -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))
    try:
        with timeouts.termination():
            os.kill(os.getpid(), signal.SIGTERM)
            deadline = time.monotonic() + 20
            while not heard and time.monotonic() < deadline:
                time.sleep(0.001)
        assert heard == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGTERM, before)
