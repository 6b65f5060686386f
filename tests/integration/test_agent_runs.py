"""What an agent promises, with a real server, a real Redis and the real engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agents import System, gone, read_pids, system
from tests.polling import until


@pytest.fixture
def served(tmp_path: Path, database_url: str, redis_url: str) -> Iterator[System]:
    # No heartbeat comes by itself while a test lasts: a cancel has to bring one about.
    slow = {"ORCHESTRATOR_HEARTBEAT": "100s", "ORCHESTRATOR_LEASE": "300s"}
    with system(tmp_path, database_url, redis_url, ORCHESTRATOR_STOP_GRACE="1s", **slow) as found:
        yield found


def test_runs_on_an_agent(served: System, tmp_path: Path) -> None:
    """One agent, one after another: completing, leaving, being killed, ignoring a cancel, running over the time."""
    with served.agent():
        completes(served)
        leaves_after_a_thousand_lines(served)
        is_killed(served)
        is_cancelled(served, tmp_path / "cancelled")
        is_suspended(served, tmp_path / "suspended")
        times_out(served, tmp_path / "timed-out")


def completes(served: System) -> None:
    run = served.run(served.deploy("adds"), x=20)
    ended = served.end_of(run)
    assert ended["state"]["type"] == "COMPLETED", (ended["state"], served.lines(run), served.logs())
    assert ended["result"] == {"value": 41}
    assert ended["attempt"] == 1
    assert {"adding 20", "logged"} <= set(until(lambda: served.lines(run)))
    (task,) = served.client.get("task-runs", {"flow_run_id": run})["items"]
    assert task["state"]["type"] == "COMPLETED"


def leaves_after_a_thousand_lines(served: System) -> None:
    """Pain 23."""
    run = served.run(served.deploy("leaves"))
    ended = served.end_of(run)
    assert ended["state"]["type"] == "CRASHED"
    assert "code 1" in ended["state"]["message"]
    assert [line for line in served.lines(run) if line.startswith("line")] == [f"line {n}" for n in range(1000)]


def is_killed(served: System) -> None:
    """Pain 10."""
    ended = served.end_of(served.run(served.deploy("is_killed")))
    assert ended["state"]["type"] == "CRASHED"
    assert "SIGKILL" in ended["state"]["message"]
    until(lambda: not [*(served.folder / "agent-home" / "runs").iterdir()], what="the run's folder to be removed")


def is_cancelled(served: System, path: Path) -> None:
    """Pain 7."""
    run = served.run(served.deploy("stubborn"), pids=str(path))
    pids = read_pids(path)
    served.client.post(f"flow-runs/{run}/cancel")
    assert served.end_of(run)["state"]["type"] == "CANCELLED"
    for pid in pids:
        until(lambda pid=pid: gone(pid), what=f"the end of process {pid}")


def is_suspended(served: System, path: Path) -> None:
    """Its processes are gone although they ignore SIGTERM, its slot is another's, and resumed it begins anew."""
    run = served.run(served.deploy("stubborn"), pids=str(path))
    pids = read_pids(path)
    assert served.client.post(f"flow-runs/{run}/suspend")["state"]["name"] == "Suspending"
    until(lambda: served.client.get(f"flow-runs/{run}")["state"]["name"] == "Suspended", "the run to be suspended")
    for pid in pids:
        until(lambda pid=pid: gone(pid), what=f"the end of process {pid}")
    completes(served)
    path.unlink()
    served.client.post(f"flow-runs/{run}/resume")
    read_pids(path)
    served.client.post(f"flow-runs/{run}/cancel")
    ended = served.end_of(run)
    assert (ended["state"]["type"], ended["attempt"]) == ("CANCELLED", 2)


def times_out(served: System, path: Path) -> None:
    """Pain 24."""
    run = served.run(served.deploy("takes_too_long"), pids=str(path))
    state = served.end_of(run)["state"]
    assert (state["type"], state["name"]) == ("FAILED", "TimedOut")
    for pid in read_pids(path):
        until(lambda pid=pid: gone(pid), what=f"the end of process {pid}")


def test_long_polling_keeps_the_same_promises(served: System, tmp_path: Path) -> None:
    with served.agent("--transport", "http", "--limit", "1"):
        completes(served)
        is_cancelled(served, tmp_path / "cancelled")
        is_suspended(served, tmp_path / "suspended")


def test_a_cancelled_run_that_waits_is_never_started(served: System, tmp_path: Path) -> None:
    """Pain 42."""
    deployment, marker = served.deploy("marks"), tmp_path / "marker"
    cancelled = served.run(deployment, path=str(marker))
    served.client.post(f"flow-runs/{cancelled}/cancel")
    with served.agent():
        other = served.run(deployment, path=str(tmp_path / "other"))
        assert served.end_of(other)["state"]["type"] == "COMPLETED"
    assert served.end_of(cancelled)["state"]["type"] == "CANCELLED"
    assert not marker.exists()
