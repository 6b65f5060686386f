"""Agents when Redis is emptied, when they are killed, and when they are stopped under load."""

from __future__ import annotations

import os
import signal
import uuid
from pathlib import Path

from sqlalchemy import delete

from orchestrator.server.db.models import Agent
from orchestrator.server.db.session import transaction
from tests.agents import System, gone, read_pids
from tests.polling import until


def test_a_hundred_runs_survive_an_emptied_redis(served: System, tmp_path: Path) -> None:
    """Pain 5, and 2: all of them, each once."""
    deployment, marker = served.deploy("marks"), tmp_path / "marker"
    runs = [served.run(deployment, path=str(marker)) for _ in range(100)]
    served.redis.flushdb()
    with served.agent():
        for run in runs:
            ended = served.end_of(run, 60)
            assert ended["state"]["type"] == "COMPLETED"
            assert ended["attempt"] == 1
    assert len(marker.read_text().split()) == 100


def test_a_killed_agent_leaves_no_process_and_its_run_is_crashed(served: System, tmp_path: Path) -> None:
    """Pains 1 and 41."""
    with served.agent() as agent:
        run = served.run(served.deploy("stubborn"), pids=str(tmp_path / "pids"))
        pids = read_pids(tmp_path / "pids")
        os.kill(agent.pid, signal.SIGKILL)
        agent.wait()
        for pid in pids:
            until(lambda pid=pid: gone(pid), f"the end of process {pid}", 5)
        state = served.end_of(run, 60)["state"]
        assert state["type"] == "CRASHED"
        with served.agent():
            other = served.run(served.deploy("adds"))
            assert served.end_of(other)["state"]["type"] == "COMPLETED"


def test_an_agent_that_is_killed_while_it_suspends_leaves_a_run_that_can_be_resumed(
    served: System, tmp_path: Path
) -> None:
    path = tmp_path / "pids"
    with served.agent() as agent:
        run = served.run(served.deploy("stubborn"), pids=str(path))
        pids = read_pids(path)
        os.kill(agent.pid, signal.SIGSTOP)  # it hears of the suspension, and dies before it can do anything about it
        assert served.client.post(f"flow-runs/{run}/suspend")["state"]["name"] == "Suspending"
        os.kill(agent.pid, signal.SIGKILL)
        agent.wait()
    for pid in pids:
        until(lambda pid=pid: gone(pid), f"the end of process {pid}", 5)

    def is_suspended() -> bool:
        state = served.client.get(f"flow-runs/{run}")["state"]
        return (state["type"], state["name"]) == ("PAUSED", "Suspended")

    until(is_suspended, "the run to be suspended")
    path.unlink()
    with served.agent():
        assert served.end_of(served.run(served.deploy("adds")))["state"]["type"] == "COMPLETED"
        served.client.post(f"flow-runs/{run}/resume")
        assert read_pids(path) != pids
        served.client.post(f"flow-runs/{run}/cancel")
        ended = served.end_of(run)
    assert (ended["state"]["type"], ended["attempt"]) == ("CANCELLED", 2)


def test_a_stopped_agent_ends_its_runs_and_says_goodbye(served: System, tmp_path: Path) -> None:
    """Pain 22."""
    with served.agent() as agent:
        run = served.run(served.deploy("stubborn"), pids=str(tmp_path / "pids"))
        pids = read_pids(tmp_path / "pids")
        agent.send_signal(signal.SIGTERM)
        assert agent.wait(30) == 0, served.logs()
        state = served.end_of(run)["state"]
        assert state["type"] == "CRASHED"
        assert "was stopped" in state["message"]
        assert all(gone(pid) for pid in pids)
        (known,) = served.client.get("agents")["items"]
        assert known["status"] == "STOPPED"


def test_a_forgotten_agent_keeps_its_run(served: System, tmp_path: Path) -> None:
    """Its row is deleted below it: it registers anew, and goes on with what it executes."""
    began, release = tmp_path / "began", tmp_path / "release"
    with served.agent() as agent:
        run = served.run(served.deploy("is_held"), path=str(began), release=str(release))
        until(began.exists, what="the run to begin")
        (before,) = served.client.get("agents")["items"]
        with transaction() as session:
            session.execute(delete(Agent).where(Agent.id == uuid.UUID(before["id"])))

        def held_anew() -> bool:
            known = served.client.get("agents")["items"]
            return [(item["id"] != before["id"], item["running"]) for item in known] == [(True, 1)]

        until(held_anew, what="the agent to register anew and hold its run")
        release.touch()
        ended = served.end_of(run)
        assert (ended["state"]["type"], ended["attempt"]) == ("COMPLETED", 1)
        assert agent.poll() is None
