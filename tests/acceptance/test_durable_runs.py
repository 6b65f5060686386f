"""A run goes on after its agent was killed, or its code failed, and does not do twice what it has done."""

from __future__ import annotations

import os
import signal
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from ..polling import until
from ..stack import Stack

CODE = '''
import os
import time
from dataclasses import dataclass
from pathlib import Path

from orchestrator import flow, task


@dataclass
class Batch:
    number: int
    rows: tuple[int, ...]


@task
def load(folder: str, number: int) -> Batch:
    with (Path(folder) / "lines").open("a") as file:
        file.write(f"{number}\\n")
    return Batch(number, (number, number + 1))


@task(persist_result=False)
def gate(folder: str) -> None:
    """Waits while the run is to be killed, fails while it is to fail."""
    if (Path(folder) / "fail").exists():
        raise RuntimeError("the warehouse is closed")
    Path(folder, "waits").touch()
    while (Path(folder) / "hold").exists():
        time.sleep(0.05)


@flow
def five(folder: str) -> int:
    batches = [load(folder, 1), *[future.result() for future in load.map([folder] * 2, [2, 3])]]
    gate(folder)
    batches += [load(folder, number) for number in (4, 5)]
    return sum(sum(batch.rows) for batch in batches)
'''


def start(stack: Stack, folder: Path, name: str) -> str:
    project = folder.parent / "project"
    project.mkdir()
    (project / "flow.py").write_text(CODE)
    words = ["deployment", "build", "./flow.py:five", "-n", name, "-q", name, "-o", "deployment.yaml", "--apply"]
    built = stack.cli(*words, cwd=project)
    assert built.returncode == 0, built.stderr
    return str(stack.json("deployment", "run", f"five/{name}", "--param", f"folder={folder}")["id"])


def lines(folder: Path) -> list[int]:
    return sorted(map(int, (folder / "lines").read_text().split()))


def tasks_of(stack: Stack, run: str, attempt: int) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for item in stack.client.pages("task-runs", {"flow_run_id": run}):
        if item["flow_attempt"] == attempt:
            found.setdefault(item["state"]["name"], []).append(item)
    return found


def children(pid: int) -> list[int]:
    """All processes below one."""
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        try:
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError, IndexError):
            continue
        if parent == pid:
            found += [int(entry.name), *children(int(entry.name))]
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "work"
    made.mkdir()
    return made


def finished(stack: Stack, run: str, attempt: int) -> bool:
    return len(tasks_of(stack, run, attempt).get("Completed", [])) == 3


def test_a_run_whose_agent_was_killed_is_taken_up_again(stack: Stack, folder: Path) -> None:
    name = f"durable-{uuid.uuid4().hex[:6]}"
    (folder / "hold").touch()
    with stack.agent(name) as agent:
        run = start(stack, folder, name)
        until(lambda: (folder / "waits").exists() and finished(stack, run, 1), "three tasks to be told")
        for pid in [agent.pid, *children(agent.pid)]:
            with suppress(ProcessLookupError):  # what sees the agent die may end by itself before its turn comes
                os.kill(pid, signal.SIGKILL)
        assert stack.wait_for_run(run, 90)["state"]["type"] == "CRASHED"
    (folder / "hold").unlink()
    with stack.agent(name):
        assert stack.cli("flow-run", "retry", run).returncode == 0
        until(lambda: stack.client.get(f"flow-runs/{run}")["attempt"] == 2, "the second attempt")
        ended = stack.wait_for_run(run)
    assert (ended["state"]["type"], ended["result"]) == ("COMPLETED", {"value": 35}), ended
    assert lines(folder) == [1, 2, 3, 4, 5]
    again = tasks_of(stack, run, 2)
    assert [len(again["Cached"]), len(again["Completed"])] == [3, 3]
    assert {item["state"]["message"] for item in again["Cached"]} == {"not run again: it completed in attempt 1"}


def test_a_failed_run_that_is_retried_goes_on_and_run_again_runs_all(stack: Stack, folder: Path) -> None:
    name = f"durable-{uuid.uuid4().hex[:6]}"
    (folder / "fail").touch()
    with stack.agent(name):
        run = start(stack, folder, name)
        assert stack.wait_for_run(run)["state"]["type"] == "FAILED"
        assert lines(folder) == [1, 2, 3]
        (folder / "fail").unlink()
        assert stack.cli("flow-run", "retry", run).returncode == 0
        until(lambda: stack.client.get(f"flow-runs/{run}")["attempt"] == 2, "the second attempt")
        ended = stack.wait_for_run(run)
        assert (ended["state"]["type"], ended["result"]) == ("COMPLETED", {"value": 35}), ended
        assert lines(folder) == [1, 2, 3, 4, 5]
        [cached, *_] = tasks_of(stack, run, 2)["Cached"]
        shown = stack.json("task-run", "result", cached["id"])
        assert set(shown) == {"$dataclass"}
        fresh = stack.client.post(f"flow-runs/{run}/rerun")["id"]
        assert stack.wait_for_run(fresh)["state"]["type"] == "COMPLETED"
    assert lines(folder) == sorted([1, 2, 3, 4, 5] * 2)
    assert "Cached" not in tasks_of(stack, fresh, 1)
