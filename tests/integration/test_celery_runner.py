"""Tasks of one flow spread over agents: what they return, raise, say and take along, and how they end from outside."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator import CeleryRunner
from orchestrator.block import use_store
from orchestrator.blocks.local_file_system import LocalFileSystem
from orchestrator.errors import AccessDenied, InvalidInput
from orchestrator.stored.block_store import ApiBlockStore
from tests.agents import System, gone, system
from tests.polling import until

PROJECT = {
    "lib/__init__.py": "",
    "lib/shapes.py": """
from dataclasses import dataclass

@dataclass
class Point:
    x: int
    y: int
""",
    "flows.py": """
import os, signal, time
from pathlib import Path
from orchestrator import CeleryRunner, flow, get_run_logger, runtime, task
from orchestrator.client import Client
from orchestrator.errors import OrchestratorError
from lib.shapes import Point

class Odd(Exception):
    def __init__(self, number):
        super().__init__(f"{number} is odd")
        self.number = number

@task
def move(point: Point, by: int) -> Point:
    get_run_logger().info("moving by %d", by)
    print("printed", by)
    return Point(point.x + by, point.y)

@task
def where() -> tuple:
    time.sleep(0.5)
    return os.getpid(), runtime.flow_run.name, os.environ.get("ORCHESTRATOR_TEST_AGENT", "")

@task(retries=1)
def odd(number: int):
    raise Odd(number)

@task(timeout_seconds=0.5)
def too_long():
    time.sleep(600)

@task(timeout_seconds=0.5)
def stubborn():
    signal.signal(signal.SIGALRM, lambda *_: None)
    time.sleep(600)

@task
def is_killed():
    os.kill(os.getpid(), signal.SIGKILL)

@task
def inner(number: int) -> int:
    return number * 10

@task
async def asks(number: int) -> int:
    return inner(number) + inner.submit(number).result()

@task
def big(size: int) -> bytes:
    return b"x" * size

@task
def hangs(folder: str):
    Path(folder, str(os.getpid())).touch()
    time.sleep(600)

@flow
def below(number: int) -> int:
    return number + 1

@task
def calls_a_flow(number: int) -> int:
    return below(number)

@flow(task_runner=CeleryRunner(2))
def spread(upto: int = 4) -> dict:
    points = [future.result() for future in move.map([Point(n, 0) for n in range(upto)], by=5)]
    places = [future.result() for future in where.map([]) or [where.submit() for _ in range(4)]]
    failed = odd.submit(3)
    try:
        failed.result()
    except Odd as error:
        number = error.number
    return {
        "points": [(point.x, type(point).__name__) for point in points],
        "processes": len({pid for pid, *_ in places} - {os.getpid()}),
        "named": {name for _, name, _ in places} == {runtime.flow_run.name},
        "failed": [failed.state.name, number],
        "nested": asks.submit(2).result(),
        "flow": calls_a_flow.submit(1).result(),
        "too_long": too_long.submit().wait().name,
    }

@flow(task_runner=CeleryRunner(1))
def loses() -> list:
    return [is_killed.submit().wait().name, stubborn.submit().wait().name, inner.submit(4).result()]

@flow(task_runner=CeleryRunner(1))
def too_large() -> str:
    return big.submit(3_000_000).wait().message

@flow(task_runner=CeleryRunner(1, prefetch=40))
def much(size: int) -> int:
    return sum(len(future.result()) for future in big.map([size] * 40))

@flow(task_runner=CeleryRunner(2))
def held(folder: str):
    return hangs.map([folder, folder])

@flow
def is_nosy(run_id: str) -> list:
    client, path = Client.from_settings(), f"flow-runs/{run_id}/task-jobs"
    asked = {"attempt": 1, "workers": 1}
    calls = [
        lambda: client.get(f"{path}/place"),
        lambda: client.post(f"{path}/take", {}),
        lambda: client.post(f"{path}/outcomes", asked),
        lambda: client.post(path, {**asked, "jobs": [{"id": "0" * 32, "content": ""}]}),
    ]
    found = []
    for call in calls:
        try:
            found.append(call())
        except OrchestratorError as error:
            found.append(type(error).__name__)
    return found

@flow(task_runner=CeleryRunner(4, prefetch=20))
def many(count: int) -> int:
    return sum(future.result() for future in inner.map(range(count)))
""",
}


@pytest.fixture
def served(tmp_path: Path, database_url: str, redis_url: str) -> Iterator[System]:
    with system(tmp_path, database_url, redis_url) as found:
        for name, text in PROJECT.items():
            (found.project / name).parent.mkdir(exist_ok=True)
            (found.project / name).write_text(text)
        yield found


def value(run: dict[str, Any]) -> Any:
    assert run["state"]["type"] == "COMPLETED", run["state"]
    return run["result"]["value"]


def tasks(served: System, run_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = served.client.get("task-runs", {"flow_run_id": run_id, "limit": 200})["items"]
    return found


def test_tasks_run_on_agents_with_the_code_of_their_flow(served: System) -> None:
    run_id = served.run(served.deploy("spread"))
    with served.agent("--limit", "2"), served.agent("--limit", "2"):
        run = served.end_of(run_id, 90)
    assert value(run) == {
        "points": [[5, "Point"], [6, "Point"], [7, "Point"], [8, "Point"]],
        "processes": 2,
        "named": True,
        "failed": ["Failed", 3],
        "nested": 40,
        "flow": 2,
        "too_long": "TimedOut",
    }
    found = tasks(served, run_id)
    assert {task["name"] for task in found if task["state"]["type"] == "COMPLETED"} >= {"move-0", "asks-0", "inner-0"}
    (failed,) = [task for task in found if task["name"] == "odd-0"]
    assert (failed["attempt"], failed["state"]["message"]) == (2, "Odd: 3 is odd")
    lines = served.lines(run_id)
    assert sorted(line for line in lines if line.startswith("moving")) == ["moving by 5"] * 4
    assert lines.count("printed 5") == 4
    subflows = served.client.get("flow-runs", {"parent_flow_run_id": run_id})["items"]
    assert [subflow["flow"]["name"] for subflow in subflows] == ["below"]
    assert [one["id"] for one in served.client.get("flow-runs")["items"] if one["parent_flow_run_id"] is None] == [
        run_id
    ]


def test_what_brings_its_worker_down_and_what_does_not_end(served: System) -> None:
    with served.agent():
        run = served.end_of(served.run(served.deploy("loses")), 90)
    assert value(run) == ["Crashed", "TimedOut", 40]
    (killed,) = [task for task in tasks(served, run["id"]) if task["name"] == "is-killed-0"]
    assert "SIGKILL" in killed["state"]["message"]


def test_what_is_too_large_says_what_helps(served: System) -> None:
    with served.agent():
        run = served.end_of(served.run(served.deploy("too_large")), 60)
    assert "build the deployment with --results-block" in value(run)


def test_what_is_large_travels_through_the_storage_for_results(served: System) -> None:
    storage = LocalFileSystem(basepath=str(served.folder / "results"))
    with use_store(ApiBlockStore(served.client)):
        storage.save("large")
    deployment = served.deploy("too_large")
    document = {"block": "local-file-system/large", "path": "here"}
    served.client.post("deployments", {**served.document("too_large"), "results": document})
    with served.agent():
        run = served.end_of(served.run(deployment), 60)
    assert value(run) == ""
    assert [info.path for info in storage.list() if "task-jobs" in info.path] == []


def test_many_results_that_are_large_together(served: System) -> None:
    with served.agent():
        run = served.end_of(served.run(served.deploy("much"), size=900_000), 90)
    assert value(run) == 40 * 900_000


def test_a_cancel_reaches_the_workers(served: System) -> None:
    folder = served.folder / "pids"
    folder.mkdir()
    run_id = served.run(served.deploy("held"), folder=str(folder))
    with served.agent("--limit", "3"):
        until(lambda: len(list(folder.iterdir())) == 2, "both tasks to begin", 60)
        served.client.post(f"flow-runs/{run_id}/cancel")
        assert served.end_of(run_id, 60)["state"]["type"] == "CANCELLED"
        until(lambda: all(gone(int(path.name)) for path in folder.iterdir()), "the workers' end", 30)
    assert {task["state"]["type"] for task in tasks(served, run_id)} == {"CANCELLED"}


def test_an_agent_that_dies_takes_its_task_runs_along_and_others_go_on(served: System) -> None:
    folder = served.folder / "pids"
    folder.mkdir()
    with served.agent("--limit", "1"):
        run_id = served.run(served.deploy("held"), folder=str(folder))
        until(lambda: served.client.get(f"flow-runs/{run_id}")["state"]["type"] == "RUNNING", "the flow", 60)
        with served.agent("--limit", "2") as other:
            until(lambda: len(list(folder.iterdir())) == 2, "both tasks to begin", 60)
            os.killpg(other.pid, signal.SIGKILL)
        run = served.end_of(run_id, 150)
    assert run["state"]["type"] == "FAILED"
    assert {task["state"]["type"] for task in tasks(served, run_id)} == {"CRASHED"}


def test_many_short_tasks(served: System) -> None:
    with served.agent():
        run = served.end_of(served.run(served.deploy("many"), count=300), 90)
    assert value(run) == sum(10 * number for number in range(300))
    assert {task["state"]["type"] for task in tasks(served, run["id"])} == {"COMPLETED"}


@pytest.mark.parametrize("options", [{"max_workers": 0}, {"prefetch": 0}, {"prefetch": True}, {"max_workers": "4"}])
def test_numbers_that_are_none(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="it has to be a number from 1 to 200"):
        CeleryRunner(**options)


def test_nobody_else_takes_jobs_or_learns_the_key(served: System) -> None:
    folder = served.folder / "pids"
    folder.mkdir()
    with served.agent("--limit", "4"):
        run_id = served.run(served.deploy("held"), folder=str(folder))
        until(lambda: len(list(folder.iterdir())) == 2, "both tasks to begin", 60)
        other = served.run(served.deploy("is_nosy"), run_id=run_id)
        assert value(served.end_of(other, 60)) == ["NotFound", "NotFound", "NotFound", "NotFound"]
        with pytest.raises(AccessDenied):
            served.client.get(f"flow-runs/{run_id}/task-jobs/place")
        served.client.post(f"flow-runs/{run_id}/cancel")
        served.end_of(run_id, 60)
