"""What a run writes, in whatever way, is in its log: on an agent all of it, in order; by hand what goes by Python."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.client import Client
from tests.agents import System, system
from tests.live_api import Api
from tests.polling import until

FLOWS = """
import io, logging, os, signal, subprocess, sys, threading
from orchestrator import flow, get_run_logger, task

@flow
def writes():
    print("printed")
    logging.getLogger("a.library").warning("of a library")
    subprocess.run(["echo", "of a program"], check=True)
    os.write(1, b"to the descriptor\\n")
    get_run_logger().info("logged", extra={"rows": 3, "table": "raw orders"})
    print("to nobody", file=io.StringIO())
    print("on stderr", file=sys.stderr)
    print("x" * 5_000_000)
    get_run_logger().info("y" * 5_000_000)
    inner()

@task
def inner():
    get_run_logger().error("in a task")

@flow
def takes_turns():
    for number in range(0, 300, 3):
        print(number)
        get_run_logger().info("%d", number + 1)
        os.write(1, b"%d\\n" % (number + 2))
    subprocess.run(["echo", "300"], check=True)
    get_run_logger().info("301")

@flow
def watches():
    watch = [sys.executable, "-m", "orchestrator", "shell", "watch", "--name", "inner", "--"]
    return subprocess.run([*watch, "sh", "-c", "echo inside"], check=True, cwd="/").returncode

@flow
def dies():
    for number in range(500):
        print(number) if number % 2 else get_run_logger().info("%d", number)
    os.kill(os.getpid(), signal.SIGKILL)

@flow
def leaves():
    for number in range(500):
        get_run_logger().info("%d", number)
    os._exit(3)
"""

CUT = "4934464 bytes"


@pytest.fixture
def served(tmp_path: Path, database_url: str, redis_url: str) -> Iterator[System]:
    with system(tmp_path, database_url, redis_url) as found:
        (found.project / "flows.py").write_text(FLOWS)
        yield found


def lines_of(client: Client, run: Any) -> list[dict[str, Any]]:
    return list(client.pages("logs", {"flow_run_id": run, "limit": 200}))


def test_pain_46_everything_that_a_run_on_an_agent_writes_is_in_its_log(served: System) -> None:
    with served.agent():
        run = served.run(served.deploy("writes"))
        assert served.end_of(run)["state"]["type"] == "COMPLETED", served.logs()
        lines = until(lambda: [line for line in lines_of(served.client, run) if len(lines_of(served.client, run)) >= 9])
        texts = {line["message"]: line["logger"] for line in lines if len(line["message"]) < 100}
        assert texts == {
            "printed": "stdout",
            "of a library": "a.library",
            "of a program": "stdout",
            "to the descriptor": "stdout",
            'logged | rows=3 table="raw orders"': "orchestrator.flow_runs",
            "on stderr": "stderr",
            "in a task": "orchestrator.task_runs",
        }
        long = [line["message"] for line in lines if len(line["message"]) >= 90]
        assert [(text[0], len(text) < 66_000, CUT in text) for text in long] == [("x", True, True), ("y", True, True)]
        in_order(served)
        is_killed(served)
        a_watched_command_is_its_subflow(served)


def in_order(served: System) -> None:
    run = served.run(served.deploy("takes_turns"))
    assert served.end_of(run)["state"]["type"] == "COMPLETED", served.logs()
    found = until(lambda: [line["message"] for line in lines_of(served.client, run) if line["message"].isdigit()])
    assert found == [str(number) for number in range(302)]


def is_killed(served: System) -> None:
    """Pain 23."""
    run = served.run(served.deploy("dies"))
    assert served.end_of(run)["state"]["type"] == "CRASHED"
    found = [line["message"] for line in lines_of(served.client, run) if line["message"].isdigit()]
    assert found == [str(number) for number in range(500)]


def a_watched_command_is_its_subflow(served: System) -> None:
    run = served.run(served.deploy("watches"))
    ended = served.end_of(run)
    assert ended["state"]["type"] == "COMPLETED", (ended["state"], served.lines(run), served.logs())
    (inner,) = served.client.get("flow-runs", {"parent_flow_run_id": run})["items"]
    assert (inner["flow"]["name"], inner["state"]["type"]) == ("inner", "COMPLETED")
    assert served.lines(inner["id"]) == ["inside"]


def by_hand(folder: Path, flow: str) -> subprocess.CompletedProcess[str]:
    (folder / "flows.py").write_text(FLOWS)
    words = [sys.executable, "-c", f"import flows; flows.{flow}()"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])}
    return subprocess.run(words, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_by_hand_what_goes_by_python_is_in_the_log_and_the_rest_where_it_was(api: Api, tmp_path: Path) -> None:
    done = by_hand(tmp_path, "writes")
    assert done.returncode == 0, done.stderr
    assert {"printed", "of a program", "to the descriptor"} <= set(done.stdout.splitlines())
    client = Client.from_settings()
    (run,) = client.pages("flow-runs")
    lines = lines_of(client, run["id"])
    assert [line["message"] for line in lines if len(line["message"]) < 100] == [
        "printed", "of a library", 'logged | rows=3 table="raw orders"', "in a task"
    ]  # fmt: skip
    assert [CUT in line["message"] for line in lines if len(line["message"]) >= 90] == [True, True]
    (task,) = client.pages("task-runs", {"flow_run_id": run["id"]})
    assert [line["task_run_id"] for line in lines][-1] == task["id"]


@pytest.mark.parametrize(("flow", "code"), [("dies", -signal.SIGKILL), ("leaves", 3)])
def test_pain_23_by_hand_the_last_lines_of_who_is_gone_come_with_the_next_report(
    api: Api, tmp_path: Path, flow: str, code: int
) -> None:
    assert by_hand(tmp_path, flow).returncode == code
    flushed = subprocess.run([sys.executable, "-m", "orchestrator", "report", "flush"], timeout=60, check=True)
    assert flushed.returncode == 0
    client = Client.from_settings()
    (run,) = client.pages("flow-runs")
    assert [line["message"] for line in lines_of(client, run["id"])] == [str(number) for number in range(500)]
