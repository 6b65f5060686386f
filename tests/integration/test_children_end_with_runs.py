"""Nothing goes on below a run that is over, at no moment: somebody looks all the time while runs end in each way (pain
55).
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from sqlalchemy import text

from orchestrator.server.db import session as db
from orchestrator.states import TERMINAL
from tests.agents import System, system
from tests.polling import until

FLOWS = """
import os, time
from orchestrator import flow, task

@task
def waits(folder, forever):
    while not os.path.exists(folder + '/go'):
        time.sleep(0.02)
    if forever:
        time.sleep(600)

@flow
def inner(folder, forever):
    waits.submit(folder, forever).wait()

@task
def nested(folder, forever):
    inner(folder, forever)

def run(folder, how):
    forever = how != 'fail'
    futures = [waits.submit(folder, forever), waits.submit(folder, forever), nested.submit(folder, forever)]
    while not os.path.exists(folder + '/go'):
        time.sleep(0.02)
    if how == 'leave':
        os._exit(7)
    if how == 'fail':
        raise ValueError('it fails')
    for future in futures:
        future.wait()

@flow
def job(folder: str, how: str):
    run(folder, how)

@flow(timeout_seconds=4)
def hurried(folder: str, how: str):
    run(folder, how)
"""
ENDED = ", ".join(f"'{kind.value}'" for kind in TERMINAL)
LEFT = f"""SELECT r.name, r.state_type, c.name, c.state_type FROM flow_run r JOIN (
    SELECT flow_run_id AS above, name, state_type FROM task_run
    UNION ALL SELECT parent_flow_run_id, name, state_type FROM flow_run) AS c ON c.above = r.id
WHERE r.state_type IN ({ENDED}) AND c.state_type NOT IN ({ENDED})"""
OPEN = f"""SELECT count(*) FROM task_run WHERE state_type NOT IN ({ENDED})"""


@pytest.fixture
def served(tmp_path: Path, database_url: str, redis_url: str) -> Iterator[System]:
    short = {"ORCHESTRATOR_HEARTBEAT": "1s", "ORCHESTRATOR_LEASE": "4s", "ORCHESTRATOR_SWEEP": "1s"}
    with system(tmp_path, database_url, redis_url, ORCHESTRATOR_STOP_GRACE="1s", **short) as found:
        (found.project / "flows.py").write_text(FLOWS)
        yield found


@contextmanager
def watched() -> Iterator[list[str]]:
    """What was seen of children that go on below a run that is over, by a connection that looks without a pause."""
    seen: list[str] = []
    looks = 0
    stop = threading.Event()

    def look() -> None:
        nonlocal looks
        while not stop.is_set():
            with db.reading() as session:
                seen.extend(str(tuple(row)) for row in session.execute(text(LEFT)))
            looks += 1

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join(30)
    assert looks > 100


def open_tasks() -> int:
    with db.reading() as session:
        return session.scalar(text(OPEN)) or 0


def test_children_are_over_when_their_run_is(served: System, tmp_path: Path) -> None:
    ways: dict[str, Callable[[str, int], object]] = {
        "leave": lambda run, agent: None,
        "fail": lambda run, agent: None,
        "cancel": lambda run, agent: served.client.post(f"flow-runs/{run}/cancel"),
        "time-out": lambda run, agent: None,
        "agent killed": lambda run, agent: kill(agent),
    }
    ended = {}
    with watched() as seen:
        for way, act in ways.items():
            folder = tmp_path / way
            folder.mkdir()
            with served.agent() as agent:
                flow = "hurried" if way == "time-out" else "job"
                run = served.run(served.deploy(flow), folder=str(folder), how=way)
                until(lambda: open_tasks() == 4, f"four tasks that go on, before the end by {way}")
                (folder / "go").touch()
                act(run, agent.pid)
                state = served.end_of(run, 60)["state"]
                ended[way] = (state["type"], state["name"])
            until(lambda: open_tasks() == 0, "no task to go on")
    assert seen == []
    assert ended == {
        "leave": ("CRASHED", "Crashed"),
        "fail": ("FAILED", "Failed"),
        "cancel": ("CANCELLED", "Cancelled"),
        "time-out": ("FAILED", "TimedOut"),
        "agent killed": ("CRASHED", "Crashed"),
    }


def kill(agent: int) -> None:
    """The agent with all of its processes, as when its computer loses its power."""
    for process in [*psutil.Process(agent).children(recursive=True), psutil.Process(agent)]:
        try:
            os.kill(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
