"""Tasks that run elsewhere: in processes beside their flow, and as background runs, on the agents of a real server."""

from __future__ import annotations

import os
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest

from ..agents import gone
from ..polling import until
from ..stack import Stack

FLOWS = """
import os, signal, time
from pathlib import Path

from orchestrator import ProcessRunner, flow, get_run_logger, task
from orchestrator.errors import CrashedRun

from tasks import owes


@task
def square(number: int) -> int:
    get_run_logger().info("squaring %d", number)
    print("printed", number)
    return number * number


@task(timeout_seconds=0.3)
def too_long():
    time.sleep(600)


@task
def is_killed():
    os.kill(os.getpid(), signal.SIGKILL)


@task
def hangs(folder: str):
    Path(folder, str(os.getpid())).touch()
    time.sleep(600)


@flow(task_runner=ProcessRunner(2))
def squares(upto: int = 3) -> dict:
    found = [future.result() for future in square.map(range(upto))]
    others = [too_long.submit().wait().name, is_killed.submit().wait().name]
    return {"found": found, "others": others}


@flow(task_runner=ProcessRunner(2))
def held(folder: str):
    hangs.map([folder, folder])


@flow
def asks(customer: str) -> str:
    return owes.delay(customer, amount=7).result(timeout=60)
"""

TASKS = """
from datetime import date
from orchestrator import get_run_logger, task


@task(name=NAME)
def owes(customer: str, amount: float = 0.0, day: date = date(2026, 1, 1)) -> str:
    if customer == "nobody":
        raise ValueError("nobody owes nothing")
    get_run_logger().info("asking %s", customer)
    return f"{customer} owes {amount:g} since {day:%Y}"
"""

ASKS = """
from datetime import date
from orchestrator import wait
from orchestrator.errors import FailedRun, InvalidInput
from tasks import owes

future = owes.delay("Acme", amount=12.5, day=date(2025, 3, 4))
print(future.flow_run_id)
print(future.result(timeout=60))
try:
    owes.delay("nobody").result(timeout=60)
except FailedRun as error:
    print(error)
try:
    owes.delay("Acme", amount="much")
except InvalidInput as error:
    print("refused", *error.errors)
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    (folder / "flows.py").write_text(FLOWS)
    (folder / "tasks.py").write_text(f"NAME = 'owes-{uuid.uuid4().hex[:6]}'\n{TASKS}")
    (folder / "asks.py").write_text(ASKS)
    return folder


def deployed(stack: Stack, project: Path, flow: str) -> str:
    """A deployment of the flow, with a queue of its own; its name."""
    name = f"{flow}-{uuid.uuid4().hex[:6]}"
    words = ["deployment", "build", f"flows.py:{flow}", "-n", name, "-q", name, "-o", f"{name}.yaml", "--apply"]
    built = stack.cli(*words, cwd=project)
    assert built.returncode == 0, built.stderr
    return name


def test_tasks_of_a_deployed_flow_run_in_processes(stack: Stack, project: Path, tmp_path: Path) -> None:
    squares, held = deployed(stack, project, "squares"), deployed(stack, project, "held")
    with stack.agent(squares, held):
        run = stack.json("deployment", "run", f"squares/{squares}")["id"]
        ended = stack.wait_for_run(run)
        assert (ended["state"]["type"], ended["result"]) == (
            "COMPLETED",
            {"value": {"found": [0, 1, 4], "others": ["TimedOut", "Crashed"]}},
        ), stack.logs(run)
        tasks = {task["name"]: task for task in stack.client.pages("task-runs", {"flow_run_id": run})}
        assert "ended by SIGKILL" in tasks["is-killed-0"]["state"]["message"]
        for name, number in (("square-0", 0), ("square-2", 2)):
            lines = stack.client.pages("logs", {"flow_run_id": run, "task_run_id": tasks[name]["id"]})
            assert [line["message"] for line in lines] == [f"squaring {number}"]
        logged = stack.logs(run)
        assert [logged.count(f"printed {number}") for number in range(3)] == [1, 1, 1]

        run = stack.json("deployment", "run", f"held/{held}", "--param", f"folder={tmp_path}")["id"]
        pids = until(lambda: len(names := os.listdir(tmp_path)) == 2 and [*map(int, names)], "two tasks to hang")
        assert stack.cli("flow-run", "cancel", run).returncode == 0
        assert stack.wait_for_run(run)["state"]["type"] == "CANCELLED"
        until(lambda: all(gone(pid) for pid in pids), "the processes of the tasks to be gone")
        states = {task["state"]["type"] for task in stack.client.pages("task-runs", {"flow_run_id": run})}
        assert states <= {"CANCELLED", "CRASHED"}


def test_a_served_task_is_called_in_the_background(stack: Stack, project: Path) -> None:
    early = stack.program([sys.executable, "asks.py"], "early", project)
    with early as asking:
        assert asking.wait(60) == 1
        assert "nobody has served the task owes-" in asking.log.read_text()
    asks = deployed(stack, project, "asks")
    before = {agent["id"] for agent in stack.client.pages("agents")}

    def online() -> bool:
        return any(
            agent["id"] not in before and agent["queues"][0].startswith("task.owes-")
            for agent in stack.client.pages("agents")
        )

    with stack.process("task", "serve", "tasks.py:owes", cwd=project), stack.agent(asks):
        until(online, "the task to be served")
        with stack.program([sys.executable, "asks.py"], "asks", project) as asking:
            assert asking.wait(60) == 0, asking.log.read_text()
            run, result, failed, refused = asking.log.read_text().splitlines()
        assert result == "Acme owes 12.5 since 2025"
        assert "nobody owes nothing" in failed
        assert refused == "refused amount"
        facts: dict[str, Any] = stack.client.get(f"flow-runs/{run}")
        assert facts["deployment"]["name"] == "background"
        assert facts["flow"]["name"].startswith("task.owes-")
        (task,) = stack.client.pages("task-runs", {"flow_run_id": run})
        assert (task["state"]["type"], "asking Acme" in stack.logs(run)) == ("COMPLETED", True)

        run = stack.json("deployment", "run", f"asks/{asks}", "--param", "customer=Ajax")["id"]
        ended = stack.wait_for_run(run)
        assert ended["result"] == {"value": "Ajax owes 7 since 2026"}, stack.logs(run)
