"""Agents that are asked to stop, that work for once, and that cannot go on; and what they were started with."""

from __future__ import annotations

import signal
from datetime import timedelta
from pathlib import Path
from typing import Any

from orchestrator.clock import now, to_text
from orchestrator.server.db.session import transaction
from orchestrator.server.services.identity import keys
from tests.agents import System, gone, read_pids
from tests.gateways import gateway
from tests.polling import until

LEASE = timedelta(seconds=3)


def one(served: System) -> dict[str, Any]:
    (agent,) = served.client.get("agents")["items"]
    return dict(agent)


def test_what_takes_longer_is_handed_over_and_ends_on_another_agent(served: System, tmp_path: Path) -> None:
    """Pain 22: queued again at once, by a stop and not by the end of a lease; executed once at a time."""
    began, release = tmp_path / "began", tmp_path / "release"
    with served.agent("--on-drain", "hand-over", "--drain-timeout", "0.5") as agent:
        run = served.run(served.deploy("is_held"), path=str(began), release=str(release))
        until(began.exists, what="the run to begin")
        agent.send_signal(signal.SIGTERM)
        assert agent.wait(30) == 0, served.logs()
        found = served.client.get(f"flow-runs/{run}")
        assert found["state"]["type"] == "SCHEDULED"
        assert "handed over" in found["state"]["message"]
    release.touch()
    with served.agent():
        ended = served.end_of(run)
    assert (ended["state"]["type"], ended["attempt"]) == ("COMPLETED", 2)


def test_what_is_handed_over_leaves_no_process(served: System, tmp_path: Path) -> None:
    with served.agent("--on-drain", "hand-over", "--drain-timeout", "0") as agent:
        run = served.run(served.deploy("stubborn"), pids=str(tmp_path / "pids"))
        pids = read_pids(tmp_path / "pids")
        agent.send_signal(signal.SIGTERM)
        assert agent.wait(30) == 0, served.logs()
        assert all(gone(pid) for pid in pids)
        assert served.client.get(f"flow-runs/{run}")["state"]["type"] == "SCHEDULED"


def test_an_agent_that_waits_ends_when_its_runs_do(served: System, tmp_path: Path) -> None:
    """It outlasts the grace of the server, and takes nothing new meanwhile."""
    began, release = tmp_path / "began", tmp_path / "release"
    with served.agent("--on-drain", "wait") as agent:
        run = served.run(served.deploy("is_held"), path=str(began), release=str(release))
        until(began.exists, what="the run to begin")
        agent.send_signal(signal.SIGTERM)
        until(lambda: "are waited for" in served.logs(), what="the agent to drain")
        later = served.run(served.deploy("adds"))
        long_after = to_text(now() + 3 * LEASE)
        until(lambda: one(served)["last_heartbeat"] > long_after, what="heartbeats after the stop")
        assert one(served)["status"] == "ONLINE", "it does not pull as it shall not: that is no ailment"
        assert agent.poll() is None
        release.touch()
        assert agent.wait(30) == 0, served.logs()
    assert served.end_of(run)["state"]["type"] == "COMPLETED"
    assert served.client.get(f"flow-runs/{later}")["state"]["type"] == "SCHEDULED"


def test_three_agents_that_are_stopped_in_turn_lose_and_double_nothing(served: System, tmp_path: Path) -> None:
    """Pain 22, under load."""
    marker, deployment = tmp_path / "marker", served.deploy("marks")
    runs = [served.run(deployment, path=str(marker)) for _ in range(60)]
    for _ in range(3):
        with served.agent("--on-drain", "hand-over", "--limit", "4") as agent:
            before = (marker.exists() and len(marker.read_text().split())) or 0
            until(lambda before=before: marker.exists() and len(marker.read_text().split()) > before, what="work")
            agent.send_signal(signal.SIGTERM)
            assert agent.wait(30) == 0, served.logs()
    with served.agent():
        assert {served.end_of(run, 60)["state"]["type"] for run in runs} == {"COMPLETED"}
    assert len(marker.read_text().split()) == 60


def test_work_for_once(served: System, tmp_path: Path) -> None:
    marker, deployment = tmp_path / "marker", served.deploy("marks")
    runs = [served.run(deployment, path=str(marker)) for _ in range(5)]
    with served.process(
        "once", *served.start("-q", served.queue, "--run-once", "--limit", "2"), env=served._agent
    ) as it:
        assert it.wait(60) == 0, served.logs()
    assert [served.client.get(f"flow-runs/{run}")["state"]["type"] for run in runs] == ["COMPLETED"] * 5
    assert one(served)["status"] == "STOPPED"


def test_work_for_once_when_there_is_none(served: System) -> None:
    with served.process("once", *served.start("--run-once"), env=served._agent) as it:
        assert it.wait(60) == 0, served.logs()


def test_labels_and_prefixes_on_the_command_line(served: System, tmp_path: Path) -> None:
    """A queue that is made while the agent serves, and a deployment that not every agent may run."""
    options = ["--match", f"{served.queue}-", "--label", "gpu", "--label", "region=eu", "--prefetch", "0"]
    with served.process("labelled", *served.start(*options), env=served._agent) as agent:
        until(lambda: served.client.get("agents")["items"], what="the agent")
        document = {**served.document("adds"), "work_queue": f"{served.queue}-late", "labels": ["region=eu", "gpu"]}
        deployment = str(served.client.post("deployments", document)["deployment"]["id"])
        assert served.end_of(served.run(deployment))["state"]["type"] == "COMPLETED"
        found = one(served)
        assert (found["labels"], found["prefixes"]) == (["gpu", "region=eu"], [f"{served.queue}-"])
        assert (found["queues"], found["prefetch_s"]) == ([], 0.0)
        assert agent.poll() is None


def test_an_agent_that_cannot_pull_says_so_and_ends(served: System) -> None:
    """Pains 3 and 39: heartbeats pass, claims do not; while no work waits, that does no harm."""
    with gateway(served.port) as between:
        between.refuse = lambda method, path: 500 if path.endswith("/claim") else None
        served._agent["ORCHESTRATOR_API_URL"] = between.url
        with served.agent() as agent:
            deployment = served.deploy("adds")
            beats = one(served)["last_heartbeat"]
            until(lambda: one(served)["last_heartbeat"] > beats, what="a heartbeat")
            assert one(served)["status"] == "ONLINE"
            run = served.run(deployment)
            until(lambda: one(served)["status"] == "UNHEALTHY", what="the agent to be found unhealthy", timeout=30)
            assert f"though work waits in queue {served.queue}" in one(served)["unhealthy"]
            assert agent.wait(30) == 1, served.logs()
        assert "UNHEALTHY" in served.logs()
        served._agent["ORCHESTRATOR_API_URL"] = f"http://127.0.0.1:{served.port}"
    with served.agent():
        assert served.end_of(run)["state"]["type"] == "COMPLETED"


def test_an_agent_whose_key_is_taken_away_ends_with_an_error(served: System, tmp_path: Path) -> None:
    """What it executed is not its own any more, and goes with it: whatever the policy, nobody could answer for it."""
    with transaction() as session:
        key, secret = keys.create(session, "lent", "agent", now())
    served._agent["ORCHESTRATOR_API_KEY"] = secret
    with served.agent("--on-drain", "wait") as agent:
        run = served.run(served.deploy("stubborn"), pids=str(tmp_path / "pids"))
        pids = read_pids(tmp_path / "pids")
        served.client.delete(f"api-keys/{key.id}")
        assert agent.wait(60) == 1, served.logs()
    assert all(gone(pid) for pid in pids)
    assert served.end_of(run)["state"]["type"] == "CRASHED"
    assert "refuses this agent for good" in served.logs()
