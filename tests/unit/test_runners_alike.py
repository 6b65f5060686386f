"""What every runner of tasks promises: the same flows give the same results, states and reports in each."""

from __future__ import annotations

import asyncio
import os
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator import ProcessRunner, State, TaskFuture, ThreadRunner, flow, tags, unmapped
from orchestrator.engine.task_runners import TaskRunner
from orchestrator.errors import CancelledRun

from ..polling import until
from . import runner_tasks as do

Reports = Callable[..., list[dict[str, Any]]]


@pytest.fixture(params=[ThreadRunner, ProcessRunner], ids=["threads", "processes"])
def runner(request: pytest.FixtureRequest) -> TaskRunner:
    return request.param(2)  # type: ignore[no-any-return]


def ends(items: list[dict[str, Any]]) -> Counter[str]:
    """How often each task ended in which state."""
    over = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
    return Counter(f"{item['name']} {item['state']['name']}" for item in items if item["state"]["type"] in over)


def test_order_comes_from_the_data(runner: TaskRunner, reports: Reports) -> None:
    @flow(task_runner=runner)
    def work() -> tuple[int, list[int], do.Point]:
        first = do.add.submit(1, 2)
        second = do.add.submit(first, right=first)
        many = do.add.map([1, 2, 3], unmapped(second))
        moved = do.shift.submit(do.Point(1))
        return do.add(second), [future.result() for future in many], moved.result()

    assert work() == (6, [7, 8, 9], do.Point(2))
    items = reports("task-run")
    assert sum(ends(items).values()) == 7
    known = {item["name"]: item for item in items}
    assert known["add-1"]["upstream"] == [known["add-0"]["id"]]
    assert known["add-2"]["upstream"] == [known["add-1"]["id"]]


def test_each_state_is_told_once(runner: TaskRunner, reports: Reports, tmp_path: Path) -> None:
    @flow(task_runner=runner)
    def work() -> int:
        return do.second_try.submit(str(tmp_path)).result()

    assert work() == 2
    told = [item["state"]["name"] for item in reports("task-run")]
    assert told == ["Pending", "Running", "AwaitingRetry", "Retrying", "Completed"]


def test_failures(runner: TaskRunner, reports: Reports) -> None:
    @flow(task_runner=runner)
    def work() -> list[State]:
        bad = do.fail.submit()
        after = do.add.submit(bad)
        odd = do.fail_oddly.submit()
        return [future.wait() for future in (bad, after, odd)]  # type: ignore[misc]

    state = work(return_state=True)
    assert state.type.value == "FAILED"
    assert ends(reports("task-run")) == {"fail-0 Failed": 1, "add-0 UpstreamFailed": 1, "fail-oddly-0 Failed": 1}
    (failed,) = reports("task-run", name="fail-0")[-1:]
    assert failed["state"]["message"] == "ValueError: on purpose"
    assert "raise ValueError(what)" in failed["state"]["details"]["traceback"]
    (odd,) = reports("task-run", name="fail-oddly-0")[-1:]
    assert odd["state"]["message"] == "OddError: odd (7)"
    lines = [item["message"] for item in reports("log")]
    assert lines.count("fail-0 failed: ValueError: on purpose") == 1


def test_what_a_task_raised_is_raised_to_who_asks(runner: TaskRunner) -> None:
    @flow(task_runner=runner)
    def work() -> str:
        with pytest.raises(ValueError, match="this way"):
            do.fail.submit("this way").result()
        with pytest.raises(CancelledRun, match="not run: fail"):
            do.add.submit(do.fail.submit()).result()
        return "gone on"

    assert work() == "gone on"


def test_tasks_submit_tasks_and_call_flows(runner: TaskRunner, reports: Reports) -> None:
    @flow(task_runner=runner)
    def work() -> list[Any]:
        futures = [do.outer.submit([1, 2]), do.outer.submit([3]), do.unwaited.submit([4]), do.calls_a_flow.submit(5)]
        return [future.result() for future in futures]

    assert work() == [[10, 20], [30], {"made": [40]}, 50]
    items = reports("task-run")
    assert sum(ends(items).values()) == 9
    outermost, below = reports("flow-run")
    inside = {item["flow_run_id"]: item for item in items if item["name"].startswith("inner")}
    assert {*inside} == {outermost["id"], below["id"]}
    assert below["parent_flow_run_id"] == outermost["id"]
    names = {item["name"] for item in items if item["flow_run_id"] == outermost["id"]}
    assert {f"inner-{number}" for number in range(4)} < names
    caller = next(item for item in items if item["name"] == "calls-a-flow-0")
    assert below["parent_task_run_id"] == caller["id"]
    assert [item["state"]["name"] for item in reports("flow-run-state")] == ["Completed", "Completed"]


def test_states_that_tasks_return(runner: TaskRunner) -> None:
    @flow(task_runner=runner)
    def work() -> int:
        fine, skipped = do.stateful.submit().wait(), do.skipped.submit().wait()
        assert fine is not None
        assert skipped is not None
        assert (fine.name, fine.message, fine.result()) == ("Fine", "well done", 5)
        assert (skipped.type.value, skipped.name) == ("CANCELLED", "Skipped")
        return 1

    assert work() == 1


def test_asynchronous_tasks(runner: TaskRunner) -> None:
    @flow(task_runner=runner)
    def work() -> list[int]:
        return [future.result() for future in do.later.map([1, 2])]

    @flow(task_runner=runner)
    async def work_async() -> list[int]:
        return [await do.later.submit(1), await do.add.submit(3)]

    assert work() == [2, 4]
    assert asyncio.run(work_async()) == [2, 3]


def test_generators(runner: TaskRunner) -> None:
    @flow(task_runner=runner)
    def work() -> list[Any]:
        return [do.digits.submit(3).result(), do.later_digits.submit(2).result()]

    assert work() == [[0, 1, 2], [0, 1]]


def test_methods(runner: TaskRunner) -> None:
    @flow(task_runner=runner)
    def work() -> list[Any]:
        shop = do.Shop(3)
        futures = [shop.cost.submit(2), do.Shop.named.submit("!"), do.Shop.doubled.submit(4)]
        return [future.result() for future in futures]

    assert work() == [6, "Shop!", 8]


def test_the_context_goes_along(runner: TaskRunner, reports: Reports) -> None:
    @flow(task_runner=runner)
    def work(number: int, point: do.Point) -> dict[str, Any]:
        with tags("blue"):
            future = do.surroundings.submit()
        found = future.result()
        assert found["task_run"] == future.task_run_id
        return found

    found = work(3, do.Point(1))
    (run,) = reports("flow-run")
    assert found["flow_run"] == run["id"]
    assert (found["attempt"], found["tags"], found["parameters"]) == (1, ["blue"], {"number": 3, "point": do.Point(1)})
    assert {tuple(item["tags"]) for item in reports("task-run")} == {("blue",)}


def test_what_a_task_logs_prints_and_emits_is_told_once(runner: TaskRunner, reports: Reports) -> None:
    @flow(task_runner=runner)
    def work() -> str:
        future = do.talk.submit()
        future.result()
        return future.task_run_id

    task_run = work()
    lines = [(item["message"], item["task_run_id"]) for item in reports("log")]
    assert lines == [("a line of the logger", task_run), ("a printed line", task_run)]
    (event,) = reports("event")
    assert event["event"]["event"] == "thing.seen"
    assert reports("flow-run")[0]["id"] in str(event["event"]["related"])


def test_what_had_not_begun_when_the_flow_failed_never_does(
    runner: TaskRunner, reports: Reports, tmp_path: Path
) -> None:
    folder = tmp_path / "work"
    folder.mkdir()

    def release(future: TaskFuture[None]) -> None:
        until(future.done, "the last one to be given up")
        (folder / "go").touch()

    @flow(task_runner=type(runner)(1))
    def work() -> None:
        do.hold.submit(str(folder))
        until((folder / "held").exists, "the first task to begin")
        futures = [do.touch.submit(str(folder / name)) for name in "ab"]
        threading.Thread(target=release, args=(futures[-1],)).start()
        raise ValueError("enough")

    with pytest.raises(ValueError, match="enough"):
        work()
    assert {*os.listdir(folder)} == {"held", "go"}
    assert ends(reports("task-run")) == {"hold-0 Completed": 1, "touch-0 Cancelled": 1, "touch-1 Cancelled": 1}


def test_what_is_finished_is_not_done_again(runner: TaskRunner, tmp_path: Path) -> None:
    path, cached = tmp_path / "count", tmp_path / "cached"

    @flow(task_runner=runner, retries=1)
    def work() -> list[int]:
        paths = [str(cached)] * 2
        found = [do.count.submit(str(path)).result(), *[do.count_once.submit(one).result() for one in paths]]
        found.append(do.calls_count_once.submit(str(cached)).result())
        with (tmp_path / "tries").open("a") as tries:
            tries.write("x")
        if (tmp_path / "tries").read_text() == "x":
            raise ValueError("the first try")
        return found

    assert work() == [1, 2, 2, 2]
    assert (path.read_text(), cached.read_text()) == ("x", "x")
