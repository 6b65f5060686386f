"""Ends of runs on agents: killed ones call their hooks elsewhere and are queued again; far-off tries hold no slot."""

from __future__ import annotations

import os
import signal
import uuid
from pathlib import Path
from typing import Any

from ..agents import gone
from ..polling import until
from ..stack import Stack

PROJECT = """
import os, time

from orchestrator import flow, get_run_logger, task


def note(flow, flow_run, state):
    folder = flow_run.parameters["folder"]
    with open(os.path.join(folder, "hooks"), "a") as file:
        file.write(f"{state.name} {os.getpid()}\\n")
    print(f"hook for {state.name} of {flow.name}")
    get_run_logger().warning("logged by the hook")


@task
def step():
    print("a step")


@flow(crash_retries=1, on_crashed=[note], on_cancellation=[note], on_failure=[note], on_completion=[note])
def fragile(folder: str):
    step()
    began = os.path.join(folder, "began")
    with open(began + ".new", "w") as file:
        file.write(str(os.getpid()))
    os.replace(began + ".new", began)
    while True:
        time.sleep(0.05)


@flow(retries=1, retry_delay_seconds=3, on_completion=[note], on_failure=[note])
def patient(folder: str):
    tried = os.path.join(folder, "tried")
    with open(tried, "a") as file:
        file.write(f"{os.getpid()}\\n")
    if len(open(tried).readlines()) == 1:
        raise ValueError("not yet")
    return "done"


@flow
def quick():
    return "quick"


@flow(timeout_seconds=1, on_failure=[note])
def stuck(folder: str):
    while True:
        try:
            time.sleep(60)
        except BaseException:
            pass
"""


class Home:
    """A project of these flows, with a queue of its own that holds one run at a time."""

    def __init__(self, stack: Stack, folder: Path, *flows: str) -> None:
        self.stack, self.folder = stack, folder
        self.queue = f"endings-{uuid.uuid4().hex[:6]}"
        (folder / "project").mkdir()
        (folder / "project" / "flow.py").write_text(PROJECT)
        stack.client.post("work-queues", {"name": self.queue, "concurrency_limit": 1})
        for name in flows:
            words = ["deployment", "build", f"./flow.py:{name}", "-n", self.queue, "-q", self.queue, "--apply"]
            built = stack.cli(*words, "-o", f"{name}.yaml", cwd=folder / "project")
            assert built.returncode == 0, built.stderr

    def start(self, flow: str, takes: bool = True) -> str:
        given = {"parameters": {"folder": str(self.folder)} if takes else {}}
        return str(self.stack.client.post(f"deployments/{flow}/{self.queue}/runs", given)["id"])

    def began(self) -> int:
        place = self.folder / "began"
        pid = int(until(lambda: place.exists() and place.read_text(), "the run to begin"))
        place.unlink()
        return pid

    def hooks(self) -> list[tuple[str, int]]:
        place = self.folder / "hooks"
        lines = place.read_text().splitlines() if place.exists() else []
        return [(line.split()[0], int(line.split()[1])) for line in lines]

    def names(self, run: str) -> list[str]:
        return [state["name"] for state in self.stack.client.pages(f"flow-runs/{run}/states")]

    def run(self, run: str) -> dict[str, Any]:
        found: dict[str, Any] = self.stack.client.get(f"flow-runs/{run}")
        return found


def test_a_killed_run_calls_its_hook_elsewhere_is_queued_again_once_and_stays_crashed(
    stack: Stack, tmp_path: Path
) -> None:
    home = Home(stack, tmp_path, "fragile")
    with stack.agent(home.queue):
        run = home.start("fragile")
        first = home.began()
        os.kill(first, signal.SIGKILL)
        second = home.began()
        waited = home.run(run)
        assert (waited["crashes"], waited["attempt"]) == (1, 2)
        os.kill(second, signal.SIGKILL)
        ended = stack.wait_for_run(run)
        assert (ended["state"]["type"], ended["attempt"], ended["crashes"]) == ("CRASHED", 2, 1)
        assert "SIGKILL" in ended["state"]["message"]
        names = [name for name in home.names(run) if name not in ("Pending", "Late")]
        assert names == ["Scheduled", "Running", "AwaitingRetry", "Running", "Crashed"]
        called = home.hooks()
        assert [name for name, _ in called] == ["Crashed", "Crashed"]
        assert not {pid for _, pid in called} & {first, second}
        lines = until(lambda: (found := stack.logs(run)).count("logged by the hook") == 2 and found, "the hooks' log")
        assert lines.count("hook for Crashed of fragile") == 2
        tasks = stack.client.get("task-runs", {"flow_run_id": run})["items"]
        assert {task["state"]["type"] for task in tasks} == {"COMPLETED"}

        (tmp_path / "hooks").unlink()
        other = home.start("fragile")
        pid = home.began()
        stack.client.post(f"flow-runs/{other}/cancel")
        assert stack.wait_for_run(other)["state"]["type"] == "CANCELLED"
        assert gone(pid)
        assert [name for name, _ in home.hooks()] == ["Cancelled"]


def test_a_far_off_try_gives_its_slot_to_another_run_and_survives_its_agent(stack: Stack, tmp_path: Path) -> None:
    home = Home(stack, tmp_path, "patient", "quick", "stuck")
    with stack.agent(home.queue, options=("--limit", "1")):
        first = home.start("patient")
        until(lambda: home.run(first)["state"]["name"] == "AwaitingRetry", "the run to wait for its next try")
        waiting = home.run(first)
        assert (waiting["tries"], waiting["agent_id"], waiting["ended"]) == (1, None, None)
        other = stack.wait_for_run(home.start("quick", takes=False))
        assert other["state"]["type"] == "COMPLETED"
        assert home.hooks() == []
    with stack.agent(home.queue, options=("--limit", "1")):
        ended = stack.wait_for_run(first)
        assert (ended["state"]["type"], ended["attempt"], ended["result"]) == ("COMPLETED", 2, {"value": "done"})
        pids = [int(line) for line in (tmp_path / "tried").read_text().split()]
        assert len(set(pids)) == 2
        assert home.hooks() == [("Completed", pids[1])]

        (tmp_path / "hooks").unlink()
        assert stack.wait_for_run(home.start("stuck"))["state"]["name"] == "TimedOut"
        assert [name for name, _ in home.hooks()] == ["TimedOut"]
