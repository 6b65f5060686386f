"""Tries of a flow that its agent does not live to see, and logs that outlive an agent's disk (pains 23, 24, 28)."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

from orchestrator.settings import load

from ..agents import gone, read_pids
from ..polling import until
from ..projects import write_flow
from ..stack import Stack, command
from ..stories import new_name

FLAKY = """(folder: str):
    first = not os.path.exists(os.path.join(folder, 'second'))
    for number in range(1000):
        print(f'{"first" if first else "second"} {number}')
    if first:
        raise RuntimeError('the source is closed')
    return os.getpid()
"""
BLOCKED = """(pids: str):
    program = subprocess.Popen(['sleep', '600'])
    with open(pids, 'a') as file:
        file.write(f'{os.getpid()} {program.pid} ')
    thread = threading.Thread(target=time.sleep, args=(600,))
    thread.start()
    thread.join()
"""


def build(stack: Stack, folder: Path, name: str, body: str, decorator: str) -> None:
    write_flow(folder, body, imports="import os, subprocess, threading, time")
    path = folder / "flow.py"
    path.write_text(path.read_text().replace("@flow\n", f"{decorator}\n"))
    words = ["deployment", "build", "./flow.py:job", "-n", name, "-q", name, "-o", "d.yaml", "--apply"]
    done = stack.cli(*words, cwd=folder)
    assert done.returncode == 0, done.stderr


@contextmanager
def agent_with_a_disk(stack: Stack, queue: str, home: Path) -> Iterator[Any]:
    """An agent on another computer, as it were: with a home of its own."""
    found = load(stack.environment)
    own = {"ORCHESTRATOR_HOME": str(home), "ORCHESTRATOR_API_URL": found.api_url, "ORCHESTRATOR_API_KEY": found.api_key}
    with stack.program([*command(), "agent", "start", "-q", queue], "agent", env=own) as process:
        yield process


def kill(process: Any) -> None:
    """The computer of an agent loses its power."""
    for one in [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]:
        with suppress(ProcessLookupError, psutil.NoSuchProcess):
            os.kill(one.pid, signal.SIGKILL)


def test_the_next_try_is_made_elsewhere_and_both_logs_are_kept(stack: Stack, tmp_path: Path) -> None:
    name, marks, home = new_name("flaky"), tmp_path / "marks", tmp_path / "home"
    marks.mkdir()
    build(stack, tmp_path / "project", name, FLAKY, "@flow(retries=3, retry_delay_seconds=4)")
    run = stack.json("deployment", "run", f"job/{name}", "--param", f"folder={marks}")["id"]
    with agent_with_a_disk(stack, name, home) as agent:
        waits = until(lambda: _waiting(stack, run), "the run to wait for its next try")
        assert stack.client.get(f"work-queues/{name}")["running"] == 0
        (marks / "second").touch()
        kill(agent)
    shutil.rmtree(home)
    with stack.agent(name):
        ended = stack.wait_for_run(run)
    assert (ended["state"]["type"], ended["attempt"], ended["tries"]) == ("COMPLETED", 2, 1)
    begun = [item for item in stack.client.pages(f"flow-runs/{run}/states") if item["name"] == "Running"][-1]
    assert begun["at"] >= waits["due"]
    lines = list(stack.client.pages("logs", {"flow_run_id": run, "limit": 200}))
    for attempt, word in ((1, "first"), (2, "second")):
        said = [line["message"] for line in lines if line["attempt"] == attempt and line["message"].startswith(word)]
        assert said == [f"{word} {number}" for number in range(1000)]


def test_a_time_out_is_a_failed_try_and_a_retry_by_hand_starts_when_none_is_left(stack: Stack, tmp_path: Path) -> None:
    name, pids = new_name("blocked"), tmp_path / "pids"
    build(stack, tmp_path / "project", name, BLOCKED, "@flow(retries=1, retry_delay_seconds=2, timeout_seconds=2)")
    run = stack.json("deployment", "run", f"job/{name}", "--param", f"pids={pids}")["id"]
    with stack.agent(name):
        ended = stack.wait_for_run(run, 90)
        assert (ended["state"]["type"], ended["state"]["name"], ended["attempt"]) == ("FAILED", "TimedOut", 2)
        started = read_pids(pids)
        assert len(started) == 4, "two tries, each with a program of its own"
        until(lambda: all(map(gone, started)), "all its processes to be gone")
        assert stack.cli("flow-run", "retry", run).returncode == 0
        until(lambda: len(read_pids(pids)) >= 6, "a third try, by hand")
        assert stack.cli("flow-run", "cancel", run).returncode == 0
        stack.wait_for_run(run, 90)
        until(lambda: all(map(gone, read_pids(pids))), "all its processes to be gone")


def _waiting(stack: Stack, run: str) -> dict[str, Any] | None:
    found: dict[str, Any] = stack.client.get(f"flow-runs/{run}")
    return found if found["state"]["name"] == "AwaitingRetry" else None
