"""Faults injected into the main job (pains 1, 5, 6, 7, 11, 23, 41)."""

from __future__ import annotations

import os
import signal
import sys
from datetime import timedelta
from pathlib import Path

import psutil
import pytest
import redis

from orchestrator.clock import now, to_text

from ..polling import until
from ..stack import Stack
from .tools import broker_url, create, deploy, queue_name


def test_redis_emptied_with_100_runs_queued(stack: Stack, tmp_path: Path) -> None:
    queue, marker = queue_name(), tmp_path / "marker"
    body = "(marker: str):\n    with open(marker, 'a') as file:\n        file.write('x')"
    runs = create(stack, deploy(stack, tmp_path / "p", queue, body), 100, marker=str(marker))
    with redis.Redis.from_url(broker_url(stack), socket_timeout=5) as link:
        link.flushall()
    with stack.agent(queue, options=("--limit", "8")):
        ended = [stack.wait_for_run(run, 120) for run in runs]
    assert {run["state"]["type"] for run in ended} == {"COMPLETED"}
    assert {run["attempt"] for run in ended} == {1}
    assert marker.read_text() == "x" * 100


def test_a_killed_child_is_crashed_with_its_signal(stack: Stack, tmp_path: Path) -> None:
    queue = queue_name()
    body = "():\n    for n in range(1000):\n        print(f'line {n}')\n    os.kill(os.getpid(), 9)"
    (run,) = create(stack, deploy(stack, tmp_path / "p", queue, body))
    with stack.agent(queue):
        ended = stack.wait_for_run(run)
        assert ended["state"]["type"] == "CRASHED"
        assert "SIGKILL" in ended["state"]["message"]
        lines = [line for line in stack.logs(run) if line.startswith("line ")]
        assert lines == [f"line {n}" for n in range(1000)]
        (after,) = create(stack, deploy(stack, tmp_path / "other", queue, "():\n    return 1"))
        assert stack.wait_for_run(after)["state"]["type"] == "COMPLETED"


def test_a_killed_agent_leaves_nothing_and_its_run_is_crashed(stack: Stack, tmp_path: Path) -> None:
    queue, marker = queue_name(), tmp_path / "pid"
    body = (
        "(marker: str):\n    import subprocess\n    child = subprocess.Popen(['sleep', '600'])\n"
        "    with open(marker, 'w') as file:\n        file.write(f'{os.getpid()} {child.pid}')\n    time.sleep(600)"
    )
    (run,) = create(stack, deploy(stack, tmp_path / "p", queue, body), marker=str(marker))
    with stack.agent(queue) as agent:
        until(lambda: marker.exists() and len(marker.read_text().split()) == 2, "the flow to start")
        pids = [int(pid) for pid in marker.read_text().split()]
        os.killpg(agent.pid, signal.SIGKILL)
        until(lambda: not any(psutil.pid_exists(pid) for pid in pids), "the flow's processes to be gone", 10)
        ended = stack.wait_for_run(run, 45)
    assert ended["state"]["type"] == "CRASHED"
    assert "heartbeat" in ended["state"]["message"]
    events = stack.client.get(
        "events", params={"resource_id": f"orchestrator.flow-run.{run}", "event": "flow-run.crashed"}
    )
    assert len(events["items"]) == 1
    with stack.agent(queue):
        (after,) = create(stack, deploy(stack, tmp_path / "other", queue, "():\n    return 1"))
        assert stack.wait_for_run(after)["state"]["type"] == "COMPLETED"


@pytest.mark.parametrize("way", ["api", "cli"])
def test_cancel_takes_down_what_ignores_it(stack: Stack, tmp_path: Path, way: str) -> None:
    queue, marker = queue_name(), tmp_path / "pid"
    body = (
        "(marker: str):\n    import signal, subprocess\n    signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "    child = subprocess.Popen(['sleep', '600'])\n"
        "    with open(marker, 'w') as file:\n        file.write(f'{os.getpid()} {child.pid}')\n    time.sleep(600)"
    )
    (run,) = create(stack, deploy(stack, tmp_path / "p", queue, body), marker=str(marker))
    with stack.agent(queue):
        until(lambda: marker.exists() and len(marker.read_text().split()) == 2, "the flow to start")
        pids = [int(pid) for pid in marker.read_text().split()]
        if way == "api":
            stack.client.post(f"flow-runs/{run}/cancel")
        else:
            assert stack.cli("flow-run", "cancel", run).returncode == 0
        ended = stack.wait_for_run(run, 30)
        assert ended["state"]["type"] == "CANCELLED"
        until(lambda: not any(psutil.pid_exists(pid) for pid in pids), "the flow's processes to be gone", 10)


def test_a_queued_run_that_was_cancelled_never_starts(stack: Stack, tmp_path: Path) -> None:
    queue, marker = queue_name(), tmp_path / "marker"
    body = "(marker: str):\n    open(marker, 'w').close()"
    deployment = deploy(stack, tmp_path / "p", queue, body)
    cancelled, kept = create(stack, deployment, 2, marker=str(marker))
    stack.client.post(f"flow-runs/{cancelled}/cancel")
    other = tmp_path / "other"
    (last,) = create(stack, deployment, marker=str(other))
    stack.client.post(f"flow-runs/{kept}/cancel")
    with stack.agent(queue):
        stack.wait_for_run(last)
    assert other.exists()
    assert not marker.exists()


def test_a_flow_that_runs_over_its_time_is_stopped(stack: Stack, tmp_path: Path) -> None:
    queue = queue_name()
    project = tmp_path / "p"
    project.mkdir()
    (project / "flow.py").write_text(
        "import time\nfrom orchestrator import flow\n\n\n@flow(timeout_seconds=1)\ndef slow():\n    time.sleep(600)\n"
    )
    done = stack.cli("deployment", "build", "./", "-n", "slow", "-q", queue, "-o", "d.yaml", "--apply", cwd=project)
    assert done.returncode == 0, done.stderr
    (run,) = create(stack, "slow/slow")
    with stack.agent(queue):
        ended = stack.wait_for_run(run, 30)
    assert (ended["state"]["type"], ended["state"]["name"]) == ("FAILED", "TimedOut")


def test_two_beats_make_no_doubled_run(stack: Stack, tmp_path: Path) -> None:
    queue = queue_name()
    deployment = deploy(stack, tmp_path / "p", queue, "():\n    return 1")
    found = stack.client.get(f"deployments/{deployment}")
    beat = [sys.executable, "-m", "celery", "-A", "orchestrator.workers.app", "beat", "--pidfile="]
    with stack.program(beat, "beat", env={"ORCHESTRATOR_REDIS_URL": broker_url(stack)}):
        anchor = to_text(now() + timedelta(seconds=2))
        stack.client.post(f"deployments/{found['id']}/schedules", json={"interval": 2, "anchor": anchor})
        with stack.agent(queue):

            def completed() -> list[dict[str, str]] | None:
                runs = list(stack.client.pages("flow-runs", {"deployment_id": found["id"]}))
                done = [run for run in runs if run["state"]["type"] == "COMPLETED"]
                return done if len(done) >= 4 else None

            done = until(completed, "four scheduled runs", 40)
        stack.client.patch(f"deployments/{found['id']}", json={"paused": True})
    slots = [run["slot"] for run in done]
    assert len(slots) == len(set(slots))
    assert all(run["attempt"] == 1 for run in done)
