"""Where runs report to, and which of them have to be said to be alive."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from typing import Any

import pytest

from orchestrator import flow, settings
from orchestrator.context import FlowRun, new_id, running
from orchestrator.observing import tracking

Reports = Callable[..., list[dict[str, Any]]]


def until(condition: Callable[[], Any], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.01)


def test_a_run_by_hand_is_said_to_be_alive_and_its_subflows_need_not_be(
    reports: Reports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORCHESTRATOR_HEARTBEAT", "0.02s")

    @flow
    def below() -> None:
        count = len(reports("alive"))
        until(lambda: len(reports("alive")) > count + 2)

    @flow
    def above() -> None:
        below()

    above()
    (top,) = reports("flow-run", flow="above")
    assert top["process"] == f"{socket.gethostname()}:{os.getpid()}"
    assert {tuple(item["ids"]) for item in reports("alive")} == {(top["id"],)}


@pytest.mark.parametrize("ends", [ValueError, KeyboardInterrupt])
def test_whichever_way_a_run_ends_nothing_more_is_said_of_it(reports: Reports, ends: type[BaseException]) -> None:
    @flow
    def work() -> None:
        raise ends

    with pytest.raises(ends):
        work()
    reporter = tracking.sink(settings.load())
    assert reporter is not None
    assert reporter._kept == set()  # type: ignore[attr-defined]


def test_what_an_agent_watches_is_not_kept_by_its_process(reports: Reports) -> None:
    found = settings.load()
    reporter = tracking.sink(found)
    run = FlowRun(new_id(), "f", "r", {}, found, reporter, supervised=True)
    with tracking.kept_alive(run):
        assert reporter._kept == set()  # type: ignore[union-attr]


def test_code_reports_to_where_its_run_does_and_else_to_the_configured_api(
    reports: Reports, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = settings.load()
    run = FlowRun(new_id(), "f", "r", {}, found, None)
    assert tracking.present_sink() is tracking.sink(found)
    with running(run):
        assert tracking.present_sink() is None
    monkeypatch.delenv("ORCHESTRATOR_API_URL")
    assert tracking.present_sink() is None
