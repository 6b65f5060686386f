"""The program that executes a run out of its agent's reach, started by hand in place of a container."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from orchestrator.client import Client
from orchestrator.documents.records import Job
from orchestrator.errors import AccessDenied, Conflict, NotFound
from orchestrator.server.services.internal import FLOW_ID
from tests.agents import System, gone, read_pids, system
from tests.polling import until

FLOWS = """
import os, time
from pathlib import Path
from orchestrator import flow

@flow
def adds(x: int = 1) -> int:
    print("adding", x)
    return x + 1

@flow
def waits(pid: str):
    Path(pid + ".tmp").write_text(str(os.getpid()))
    Path(pid + ".tmp").rename(pid)
    while True:
        time.sleep(0.05)

def note(flow, flow_run, state):
    with open(flow_run.parameters["marker"], "a") as file:
        file.write(flow_run.id + "\\n")
    print("hooked again")

@flow(on_crashed=[note])
def hooked(pid: str, marker: str):
    print("begun")
    waits.fn(pid)
"""


@pytest.fixture(scope="module")
def served(module_database_url: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    folder = tmp_path_factory.mktemp("remote")
    with system(folder, module_database_url, redis_url) as found:
        (found.project / "flows.py").write_text(FLOWS)
        yield found


def claim(served: System, flow: str, **parameters: Any) -> Job:
    """What an agent would have claimed."""
    served.run(served.deploy(flow), **parameters)
    return claimed(served)


def claimed(served: System) -> Job:
    agents = Client(served.client.api_url, served.agent_key)
    facts = {"hostname": "h", "pid": 1, "version": "1", "transport": "http", "queues": [served.queue], "slots": 1}
    agent = agents.post("agents", {"name": "by-hand", **facts})["agent_id"]
    return Job.read(agents.post(f"agents/{agent}/claim", {"queues": [served.queue], "wait_s": 5}))


@contextmanager
def remote(served: System, job: Job, **env: str) -> Iterator[subprocess.Popen[bytes]]:
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("ORCHESTRATOR_")},
        "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry),
        "ORCHESTRATOR_HOME": str(served.folder / "remote-home"),
        "ORCHESTRATOR_API_URL": served.client.api_url,
        "ORCHESTRATOR_API_KEY": job.token,
        "ORCHESTRATOR_RUN_ID": str(job.id),
        "ORCHESTRATOR_RUN_ATTEMPT": str(job.attempt),
        "ORCHESTRATOR_HEARTBEAT": "0.2s",
        "ORCHESTRATOR_STOP_GRACE": "1s",
        **env,
    }
    words = [sys.executable, "-m", "orchestrator.workers.remote"]
    with (served.folder / "remote.log").open("ab") as log:
        process = subprocess.Popen(words, env=environment, cwd=served.folder, stdout=log, stderr=log)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def test_it_fetches_its_job_and_tells_all_itself(served: System) -> None:
    job = claim(served, "adds", x=4)
    with remote(served, job) as process:
        assert process.wait(30) == 0, served.logs()
    run = served.client.get(f"flow-runs/{job.id}")
    assert (run["state"]["type"], run["result"]) == ("COMPLETED", {"value": 5})
    assert "adding 4" in served.lines(str(job.id))


def test_it_stops_when_it_is_asked_to_and_leaves_the_end_to_others(served: System, tmp_path: Path) -> None:
    job = claim(served, "waits", pid=str(tmp_path / "pid"))
    with remote(served, job) as process:
        (pid,) = read_pids(tmp_path / "pid")
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 4, served.logs()
    assert gone(pid)
    assert served.client.get(f"flow-runs/{job.id}")["state"]["type"] == "RUNNING"


def test_a_cancel_reaches_it_without_its_agent(served: System, tmp_path: Path) -> None:
    job = claim(served, "waits", pid=str(tmp_path / "pid"))
    with remote(served, job) as process:
        read_pids(tmp_path / "pid")
        served.client.post(f"flow-runs/{job.id}/cancel")
        assert process.wait(20) == 1, served.logs()
    assert served.client.get(f"flow-runs/{job.id}")["state"]["type"] == "CANCELLED"


def test_what_was_given_up_goes_on_nowhere(served: System, tmp_path: Path) -> None:
    job = claim(served, "waits", pid=str(tmp_path / "pid"))
    with remote(served, job) as process:
        (pid,) = read_pids(tmp_path / "pid")
        served.client.post(f"flow-runs/{job.id}/state", {"type": "CRASHED", "message": "given up"})
        assert process.wait(20) == 3, served.logs()
    until(lambda: gone(pid), "the end of the flow's process")
    assert served.client.get(f"flow-runs/{job.id}")["state"]["message"] == "given up"


def test_without_a_job_it_says_why_in_a_line(served: System) -> None:
    job = claim(served, "adds")
    with remote(served, job, ORCHESTRATOR_API_KEY="run_forged") as process:
        assert process.wait(20) == 3
    assert "is not to be executed here" in (served.folder / "remote.log").read_text().splitlines()[-1]
    with remote(served, job, ORCHESTRATOR_RUN_ID="") as process:
        assert process.wait(20) == 4
    assert "ORCHESTRATOR_RUN_ID" in (served.folder / "remote.log").read_text().splitlines()[-1]


def test_a_runs_token_opens_its_own_job_only(served: System) -> None:
    job, other = claim(served, "adds", x=1), claim(served, "adds", x=2)
    mine = Client(served.client.api_url, job.token)
    assert Job.read(mine.get(f"flow-runs/{job.id}/job")).parameters == {"x": 1}
    assert mine.get(f"flow-runs/{job.id}/job")["token"] == job.token
    with pytest.raises(NotFound):
        mine.get(f"flow-runs/{other.id}/job")
    with pytest.raises(AccessDenied):
        served.client.get(f"flow-runs/{job.id}/job")
    with pytest.raises(NotFound):
        mine.post(f"flow-runs/{other.id}/state", {"type": "RUNNING"})
    with pytest.raises(AccessDenied):
        mine.post(f"flow-runs/{job.id}/state", {"type": "COMPLETED"})
    assert mine.post(f"flow-runs/{job.id}/state", {"type": "RUNNING"})["state"]["type"] == "RUNNING"
    served.client.delete(f"deployments/{job.deployment.id if job.deployment else ''}")
    with pytest.raises(Conflict):
        mine.get(f"flow-runs/{job.id}/job")


def test_hooks_of_a_killed_process_are_called_beside_it(served: System, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    job = claim(served, "hooked", pid=str(tmp_path / "pid"), marker=str(marker))
    with remote(served, job) as process:
        os.kill(read_pids(tmp_path / "pid")[0], signal.SIGKILL)
        assert process.wait(30) == 1, served.logs()
    assert served.client.get(f"flow-runs/{job.id}")["state"]["type"] == "CRASHED"
    assert marker.read_text().split() == [str(job.id)]
    assert errands(served, job) == []


def test_hooks_of_a_container_that_was_killed_are_called_in_another_one(served: System, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    job = claim(served, "hooked", pid=str(tmp_path / "pid"), marker=str(marker))
    with remote(served, job) as process:
        (pid,) = read_pids(tmp_path / "pid")
        until(lambda: "begun" in served.lines(str(job.id)), "its first reports")
        process.kill()
        process.wait()
        until(lambda: gone(pid), "the end of the flow's process")
    path = f"flow-runs/{job.id}/state"
    served.client.post(path, {"type": "CRASHED", "attempt": job.attempt, "message": "the container was killed"})
    until(lambda: errands(served, job), "somebody to be sent")
    errand = claimed(served)
    assert errand.infrastructure == job.infrastructure
    with remote(served, errand) as process:
        assert process.wait(30) == 0, served.logs()
    assert marker.read_text().split() == [str(job.id)]
    assert "hooked again" in served.lines(str(job.id))


def errands(served: System, job: Job) -> list[dict[str, Any]]:
    """Those who were sent for the hooks of a run."""
    return list(served.client.pages("flow-runs", {"flow_id": str(FLOW_ID), "parent_flow_run_id": str(job.id)}))
