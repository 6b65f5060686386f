"""Runs started by hand: given up when their process is silent, found again when it speaks.

The first half hands the clock in; the second kills a real process that reports to a real API.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from orchestrator import serializers
from orchestrator.clock import now, to_text
from orchestrator.documents.records import State
from orchestrator.ids import uuid7
from orchestrator.server import config, loops
from orchestrator.server.db import session as db
from orchestrator.server.db.models import Event, FlowRun, TaskRun
from orchestrator.server.schemas.reports import read_batches
from orchestrator.server.services import ticks
from orchestrator.server.services.running import claims, reports, runs
from orchestrator.states import StateType
from tests.live_api import Api
from tests.server_rows import ANN, add_agent, add_deployment, add_run, token

S = StateType
NOW = now()


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def state(kind: str, **more: Any) -> dict[str, Any]:
    return {"type": kind, "name": kind.capitalize(), "at": to_text(NOW), **more}


def moved(run_id: uuid.UUID, kind: str, **more: Any) -> dict[str, Any]:
    return {"kind": "flow-run-state", "id": run_id, "attempt": 1, "state": state(kind, **more)}


def alive(*ids: uuid.UUID) -> dict[str, Any]:
    return {"kind": "alive", "ids": ids}


def report(at: datetime, *items: dict[str, Any], allowed: uuid.UUID | None = None) -> list[str]:
    body = serializers.dumps({"batches": [{"producer": uuid.uuid4(), "first": 1, "items": items}]})
    with db.transaction() as session:
        return [item.code for item in reports.ingest(session, read_batches(body), at, allowed).refused]


def begun(parent: uuid.UUID | None = None) -> uuid.UUID:
    run_id = uuid7()
    item = {"kind": "flow-run", "id": run_id, "flow": "hand", "name": "n", "parent_flow_run_id": parent,
            "process": "laptop:4711", "state": state("RUNNING")}  # fmt: skip
    assert report(NOW, item) == []
    return run_id


def sweep(seconds: float, up_since: float = -3600) -> int:
    """One round of the loop at a time by which the API has been up for long."""
    with db.transaction() as session:
        ticks.record(session, ticks.API, after(seconds))
        ticks.record(session, ticks.API_SINCE, after(up_since))
    return loops.run("leases", after(seconds))


def get(run_id: uuid.UUID) -> FlowRun:
    with db.reading() as session:
        return runs.get(session, run_id)


def kind(run_id: uuid.UUID) -> tuple[str, str]:
    run = get(run_id)
    return run.state_type, run.state_name


@pytest.mark.usefixtures("database_url")
def test_pain_1_a_silent_process_leaves_nothing_running() -> None:
    run_id, task_id = begun(), uuid7()
    subflow = begun(run_id)
    task = {"kind": "task-run", "id": task_id, "flow_run_id": run_id, "flow_attempt": 1, "name": "t", "task_key": "t",
            "attempt": 1, "state": state("RUNNING")}  # fmt: skip
    assert report(NOW, task) == []
    assert sweep(89) == 0
    assert sweep(91) == 1
    assert kind(run_id) == kind(subflow) == ("CRASHED", "Lost")
    told = f"Its process laptop:4711, started by hand, is silent: it was last heard of at {to_text(NOW)}, "
    assert get(run_id).state_message == told + f"its lease lapsed at {to_text(after(90))}."
    with db.reading() as session:
        assert session.scalars(select(TaskRun.state_type)).all() == ["CRASHED"]
        crashed = select(func.count()).where(
            Event.event == "flow-run.crashed", Event.resource_id == f"orchestrator.flow-run.{run_id}"
        )
        assert session.scalar(crashed) == 1
    assert sweep(200) == 0


@pytest.mark.usefixtures("database_url")
@pytest.mark.parametrize("what", ["alive", "log", "state"])
def test_whatever_a_process_says_of_its_run_keeps_it(what: str) -> None:
    run_id = begun()
    log = {"kind": "log", "flow_run_id": run_id, "attempt": 1, "message": "m", "at": to_text(NOW)}
    said = {"alive": alive(run_id), "log": log, "state": moved(run_id, "RUNNING", name="Retrying", message="2")}
    assert report(after(60), said[what]) == []
    assert sweep(149) == 0
    assert sweep(151) == 1


@pytest.mark.usefixtures("database_url")
def test_a_run_that_waits_for_its_next_try_is_missed_too() -> None:
    run_id = begun()
    assert report(after(10), moved(run_id, "SCHEDULED", name="AwaitingRetry")) == []
    assert report(after(60), alive(run_id)) == []
    assert sweep(149) == 0
    assert sweep(151) == 1
    assert kind(run_id) == ("CRASHED", "Lost")


@pytest.mark.usefixtures("database_url")
def test_silence_counts_only_when_the_api_could_have_heard() -> None:
    run_id = begun()
    assert sweep(600, up_since=511) == 0
    assert report(after(600), alive(run_id)) == []
    assert sweep(689, up_since=511) == 0
    assert kind(run_id) == ("RUNNING", "Running")


@pytest.mark.usefixtures("database_url")
def test_a_lost_run_tells_its_end_later_once() -> None:
    run_id = begun()
    sweep(91)
    assert report(after(300), moved(run_id, "COMPLETED")) == []
    assert kind(run_id) == ("COMPLETED", "Completed")
    assert report(after(301), moved(run_id, "FAILED"), alive(run_id)) == ["terminal"]
    assert kind(run_id) == ("COMPLETED", "Completed")


@pytest.mark.usefixtures("database_url")
def test_a_lost_run_whose_process_speaks_goes_on_and_may_be_lost_again() -> None:
    run_id = begun()
    sweep(91)
    assert report(after(300), alive(run_id, uuid7())) == []
    assert kind(run_id) == ("RUNNING", "Running")
    assert get(run_id).ended is None
    assert sweep(389) == 0
    assert sweep(391) == 1
    assert kind(run_id) == ("CRASHED", "Lost")


@pytest.mark.usefixtures("database_url")
def test_a_run_of_an_agent_lives_by_its_heartbeat_alone() -> None:
    with db.transaction() as session:
        run, agent = add_run(session, add_deployment(session), NOW), add_agent(session, at=NOW)
        claims.claim(session, agent.id, ["q"], now=NOW, issue_token=token)
        runs.move(session, run.id, State(S.RUNNING, at=NOW), attempt=1, actor=ANN, now=NOW)
    subflow = begun(run.id)
    assert get(subflow).lease_until is None
    assert report(after(20), alive(run.id, subflow)) == []
    assert sweep(31) == 1
    assert kind(run.id) == ("CRASHED", "Crashed")
    assert report(after(40), alive(run.id, subflow)) == []
    assert kind(run.id) == ("CRASHED", "Crashed")


@pytest.mark.usefixtures("database_url")
def test_a_token_of_a_run_keeps_no_other_alive() -> None:
    run_id = begun()
    report(after(60), alive(run_id), allowed=uuid7())
    assert sweep(91) == 1
    report(after(92), alive(run_id), allowed=uuid7())
    assert kind(run_id) == ("CRASHED", "Lost")


@pytest.mark.usefixtures("database_url")
def test_a_cancelled_run_ends_whether_its_process_lives_or_not() -> None:
    living, silent, ending, waiting = begun(), begun(), begun(), begun()
    report(NOW, moved(waiting, "SCHEDULED", name="AwaitingRetry"))
    with db.transaction() as session:
        for run_id in (living, silent, ending, waiting):
            runs.cancel(session, run_id, ANN, NOW)
    assert kind(living) == ("CANCELLING", "Cancelling")
    assert kind(waiting) == ("CANCELLED", "Cancelled")
    assert report(after(50), alive(living), moved(ending, "COMPLETED")) == []
    assert kind(ending) == ("COMPLETED", "Completed")
    assert sweep(61) == 2
    assert kind(living) == kind(silent) == ("CANCELLED", "Cancelled")
    assert get(living).state_message == "Cancelled; it was started by hand, and its process was not stopped."


@pytest.mark.usefixtures("database_url")
def test_a_person_may_end_a_run_by_hand_at_once() -> None:
    run_id = begun()
    with db.transaction() as session:
        runs.move(session, run_id, State(S.CANCELLED, at=NOW), actor=ANN, now=NOW)
    assert kind(run_id) == ("CANCELLED", "Cancelled")


FLOW = """
import os, sys, time
from orchestrator import flow, task

@task
def wait_for(path):
    while not os.path.exists(path):
        time.sleep(0.02)

@flow
def below(path):
    wait_for(path)

@flow
def work(path):
    print(os.getpid(), flush=True)
    below(path)

work(sys.argv[1])
"""
LEASE_S = 1.0


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The API, which begins after this, and the processes work by short times."""
    monkeypatch.setenv("ORCHESTRATOR_HEARTBEAT", "0.3s")
    monkeypatch.setenv("ORCHESTRATOR_LEASE", f"{LEASE_S}s")
    yield
    config.use(None)


@pytest.fixture
def by_hand(tmp_path: Path, api: Api) -> Iterator[Callable[[Path], subprocess.Popen[str]]]:
    """Starts the flow in a process of its own, which goes on until the given file is there."""
    script = tmp_path / "work.py"
    script.write_text(FLOW)
    started: list[subprocess.Popen[str]] = []

    def start(until_there: Path) -> subprocess.Popen[str]:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        words = [sys.executable, str(script), str(until_there)]
        process = subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline().strip() == str(process.pid)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def until(condition: Callable[[], Any], seconds: float = 30) -> Any:
    """Poll, sweeping leases with the true clock as the services process does."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "did not happen in time"
        with db.transaction() as session:
            ticks.api_alive(session, now())
        loops.run("leases", now())
        time.sleep(0.05)
    return found


def rows() -> list[tuple[str, str]]:
    """Type and name of the flow and its subflow."""
    with db.reading() as session:
        return [(row.state_type, row.state_name) for row in session.scalars(select(FlowRun).order_by(FlowRun.id))]


RUNNING, LOST, COMPLETED = ("RUNNING", "Running"), ("CRASHED", "Lost"), ("COMPLETED", "Completed")


@pytest.mark.usefixtures("short")
def test_a_killed_process_is_told_by_name(by_hand: Callable[[Path], subprocess.Popen[str]], tmp_path: Path) -> None:
    process = by_hand(tmp_path / "go")
    until(lambda: rows() == [RUNNING, RUNNING])
    began = time.monotonic()
    until(lambda: time.monotonic() - began > 2 * 3 * LEASE_S)
    assert rows() == [RUNNING, RUNNING], "a silent flow in a living process was given up"
    os.kill(process.pid, signal.SIGKILL)
    until(lambda: rows() == [LOST, LOST])
    with db.reading() as session:
        (run,) = session.scalars(select(FlowRun).where(FlowRun.parent_flow_run_id.is_(None)))
        assert f"{socket.gethostname()}:{process.pid}" in run.state_message
        assert session.scalars(select(TaskRun.state_type)).all() == ["CRASHED"]


@pytest.mark.usefixtures("short")
def test_a_stopped_process_is_found_again(by_hand: Callable[[Path], subprocess.Popen[str]], tmp_path: Path) -> None:
    process = by_hand(tmp_path / "go")
    until(lambda: rows() == [RUNNING, RUNNING])
    os.kill(process.pid, signal.SIGSTOP)
    until(lambda: rows() == [LOST, LOST])
    os.kill(process.pid, signal.SIGCONT)
    until(lambda: rows()[0] == RUNNING)
    (tmp_path / "go").touch()
    until(lambda: rows() == [COMPLETED, COMPLETED])
    assert process.wait(30) == 0


@pytest.mark.usefixtures("short")
def test_a_process_that_was_cut_off_delivers_its_true_end(
    api: Api,
    by_hand: Callable[[Path], subprocess.Popen[str]],
    tmp_path: Path,
) -> None:
    process = by_hand(tmp_path / "go")
    until(lambda: rows() == [RUNNING, RUNNING])
    api.stop()
    try:
        until(lambda: rows() == [LOST, LOST])  # other clients still reach the server
    finally:
        api.start()
    (tmp_path / "go").touch()
    until(lambda: rows() == [COMPLETED, COMPLETED])
    assert process.wait(30) == 0
    with db.reading() as session:
        assert session.scalars(select(TaskRun.state_type)).all() == ["COMPLETED"]
