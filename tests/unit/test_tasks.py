"""Tasks: called, submitted and mapped; what they wait for; what each ending gives."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from orchestrator import (
    Failed,
    ThreadRunner,
    as_completed,
    create_markdown_artifact,
    flow,
    tags,
    task,
    unmapped,
    wait,
)
from orchestrator.errors import CancelledRun, FailedRun, InvalidInput, ParameterError, TimedOut
from orchestrator.futures import TaskFuture

Reports = Callable[..., list[dict[str, Any]]]


def names(items: list[dict[str, Any]]) -> list[str]:
    return [item["state"]["name"] for item in items]


@task
def add(left: int, right: int = 0) -> int:
    return left + right


@task
def total(numbers: Any) -> int:
    return sum(numbers)


@task
def fail() -> int:
    raise ValueError("failed on purpose")


def test_a_task_outside_a_flow_is_a_function() -> None:
    assert add(1, right=2) == 3
    assert add.submit(1, 2).result() == 3
    assert add.fn(1, 2) == 3
    with pytest.raises(ValueError, match="on purpose"):
        fail()


def test_a_called_task_is_reported_running_and_ended(reports: Reports) -> None:
    @task(name="Load", tags=["db"], task_run_name="load {table}")
    def load(table: str, limit: int = 3) -> str:
        return table

    @flow
    def outer() -> None:
        with tags("late"):
            load("orders")
        add(1)
        add(2)

    outer()
    items = reports("task-run")
    assert names(items) == ["Running", "Completed"] * 3
    first = items[1]
    assert first["name"] == "load orders"
    assert first["tags"] == ["db", "late"]
    assert first["task_key"].endswith("load")
    assert first["attempt"] == first["flow_attempt"] == 1
    assert first["flow_run_id"] == reports("flow-run")[0]["id"]
    assert [item["name"] for item in items[2::2]] == ["add-0", "add-1"]


def test_a_submitted_task_is_pending_first_and_gets_results_for_futures(reports: Reports) -> None:
    @flow
    def outer() -> Any:
        one = add.submit(1, 2)
        two = add.submit(one, right=one)
        nested = total.submit([one, two, {"x": 1}["x"]])
        deep = total.submit(({"a": [one]}["a"][0], two))
        later = add.submit(5, wait_for=[nested, deep])
        return [one, two, nested, deep, later]

    assert outer() == [3, 6, 10, 9, 5]
    ended = {item["id"]: item for item in reports("task-run") if item["state"]["name"] == "Completed"}
    one, two, nested, deep, later = sorted(ended)
    assert ended[two]["upstream"] == [one]
    assert ended[nested]["upstream"] == ended[deep]["upstream"] == [one, two]
    assert ended[later]["upstream"] == [nested, deep]
    assert names([item for item in reports("task-run") if item["id"] == two]) == ["Pending", "Running", "Completed"]


def test_what_depends_on_a_failure_is_not_run(reports: Reports) -> None:
    entered: list[Any] = []

    @task
    def after(value: Any = None) -> None:
        entered.append(value)

    @flow
    def outer() -> list[str]:
        broken = fail.submit()
        behind = after.submit([broken])
        further = after.submit(wait_for=[behind])
        called = after(broken, return_state=True)
        with pytest.raises(CancelledRun, match="fail-0"):
            behind.result()
        with pytest.raises(ValueError, match="on purpose"):
            broken.result()
        return [state.name for future in (broken, behind, further) if (state := future.wait())] + [called.name]

    assert outer() == ["Failed", "UpstreamFailed", "UpstreamFailed", "UpstreamFailed"]
    assert entered == []
    refused = [item for item in reports("task-run") if item["state"]["name"] == "UpstreamFailed"]
    assert {item["state"]["type"] for item in refused} == {"CANCELLED"}
    assert {item["attempt"] for item in refused} == {0}


def test_a_state_can_be_asked_for_and_handed_on(reports: Reports) -> None:
    @flow
    def outer() -> Any:
        good, bad = add(1, return_state=True), fail(return_state=True)
        assert isinstance(bad.result(raise_on_failure=False), ValueError)
        return add(good, 1), good.run_id

    value, run_id = outer()
    assert value == 2
    assert reports("task-run")[-1]["upstream"] == [run_id]


def test_a_returned_state_decides(reports: Reports) -> None:
    @task
    def decides() -> Any:
        return Failed("quality too low")

    @flow
    def outer() -> None:
        with pytest.raises(FailedRun, match="quality"):
            decides()

    outer()
    assert names(reports("task-run")) == ["Running", "Failed"]


def test_retries_are_seen_and_end(reports: Reports) -> None:
    tries: Counter[str] = Counter()

    @task(retries=2, retry_delay_seconds=[0.01, 0.02])
    def flaky(name: str, good_at: int) -> str:
        tries[name] += 1
        if tries[name] < good_at:
            raise ValueError("not yet")
        return name

    @flow
    def outer() -> None:
        assert flaky("a", 3) == "a"
        with pytest.raises(ValueError, match="not yet"):
            flaky("b", 9)

    outer()
    assert tries == {"a": 3, "b": 3}
    first = [item for item in reports("task-run") if item["name"] == "flaky-0"]
    assert names(first) == ["Running", "AwaitingRetry", "Retrying", "AwaitingRetry", "Retrying", "Completed"]
    assert [item["attempt"] for item in first] == [1, 1, 2, 2, 3, 3]
    assert "due" in first[1]["state"]["details"]


def test_a_time_out_counts_as_a_failed_try(reports: Reports) -> None:
    tries: list[int] = []

    @task(timeout_seconds=0.1, retries=1)
    def slow() -> str:
        tries.append(1)
        if len(tries) == 1:
            time.sleep(30)
        return "quick now"

    @flow
    def outer() -> str:
        return slow()

    assert outer() == "quick now"
    assert names(reports("task-run")) == ["Running", "AwaitingRetry", "Retrying", "Completed"]


def test_a_time_out_of_a_blocking_task_in_a_thread_is_refused(reports: Reports) -> None:
    @task(timeout_seconds=1)
    def timed() -> None:
        pass

    @task(timeout_seconds=0.05)
    async def timed_async() -> None:
        await asyncio.sleep(30)

    @task
    def calls_timed() -> None:
        timed()

    @flow
    def outer() -> None:
        with pytest.raises(InvalidInput, match="cannot be enforced"):
            timed.submit()
        with pytest.raises(InvalidInput, match="cannot be enforced"):
            calls_timed.submit().result()
        with pytest.raises(TimedOut):
            timed_async.submit().result()
        timed()

    outer()


def test_map_goes_through_collections_together(reports: Reports) -> None:
    @flow
    def outer() -> Any:
        numbers = total.submit([1, 2])
        mapped = add.map([1, 2, numbers], 10)
        more = add.map(mapped, right=range(3))
        whole = total.map([[1], [2, 3]], wait_for=[numbers])
        fixed = total.submit([add(1), add(2)])
        return [future.result() for future in [*mapped, *more, *whole, fixed]]

    assert outer() == [11, 12, 13, 11, 13, 15, 1, 5, 3]


def test_map_over_a_future_of_a_list_waits_for_it() -> None:
    @task
    def listing() -> list[int]:
        return [1, 2, 3]

    @flow
    def outer() -> Any:
        return add.map(listing.submit(), right=unmapped(1))

    assert outer() == [2, 3, 4]


def test_map_needs_something_of_one_length() -> None:
    with pytest.raises(ParameterError, match="one length"):
        add.map([1, 2], right=[1, 2, 3])
    with pytest.raises(ParameterError, match="none of the arguments"):
        add.map(1, right="text")


def test_tasks_that_submit_and_wait_cannot_lock_the_pool(reports: Reports) -> None:
    @task
    def parent(depth: int) -> int:
        return 1 + sum(future.result() for future in parent.map([depth - 1] * 2)) if depth else 1

    @flow(task_runner=ThreadRunner(max_workers=1))
    def outer() -> int:
        return parent.submit(4).result()

    assert outer() == 31
    ended = [item for item in reports("task-run") if item["state"]["name"] == "Completed"]
    assert len(ended) == 31
    assert sum(item["parent_id"] is None for item in ended) == 1


def test_tasks_inside_tasks_name_their_parent(reports: Reports) -> None:
    @task
    def caller() -> int:
        return add(1)

    @flow
    def outer() -> int:
        return caller()

    assert outer() == 1
    inner, outermost = [item for item in reports("task-run") if item["state"]["name"] == "Completed"]
    assert inner["parent_id"] == outermost["id"]


def test_submitted_tasks_run_side_by_side() -> None:
    both = threading.Barrier(2, timeout=20)

    @task
    def meet() -> int:
        return both.wait()

    @flow
    def outer() -> list[int]:
        return sorted(future.result() for future in [meet.submit(), meet.submit()])

    assert outer() == [0, 1]


def test_a_failed_flow_begins_no_more_tasks(reports: Reports) -> None:
    begun, go = threading.Event(), threading.Event()

    @task
    def first() -> None:
        begun.set()
        go.wait(20)

    @flow(task_runner=ThreadRunner(max_workers=1))
    def outer() -> None:
        first.submit()
        add.submit(1)
        begun.wait(20)
        threading.Timer(0.05, go.set).start()
        raise ValueError("enough")

    with pytest.raises(ValueError, match="enough"):
        outer()
    last = {item["name"]: item["state"] for item in reports("task-run")}
    assert last["first-0"]["name"] == "Completed"
    assert last["add-0"]["type"] == "CANCELLED"
    assert "before it began" in last["add-0"]["message"]


def test_futures_in_order_of_their_end() -> None:
    gates = [threading.Event() for _ in range(3)]

    @task
    def gated(number: int) -> int:
        gates[number].wait(20)
        return number

    @flow
    def outer() -> list[int]:
        futures = gated.map(range(3))
        found = []
        gates[2].set()
        for future in as_completed(futures, timeout=20):
            found.append(future.result())
            gates[(found[-1] + 1) % 3].set()
        return found

    assert outer() == [2, 0, 1]


def test_waiting_has_a_limit() -> None:
    gate = threading.Event()

    @task
    def gated() -> None:
        gate.wait(20)

    @flow
    def outer() -> None:
        future: TaskFuture[None] = gated.submit()
        assert wait([future], timeout=0.01).not_done == {future}
        with pytest.raises(TimeoutError, match="gated-0"):
            future.result(timeout=0.01)
        with pytest.raises(TimeoutError, match="1 of 1"):
            list(as_completed([future], timeout=0.01))
        gate.set()
        assert wait([future], timeout=20).done == {future}
        assert "Completed" in repr(future)

    outer()


def test_async_tasks_from_a_synchronous_flow(reports: Reports) -> None:
    @task
    async def later(number: int) -> int:
        await asyncio.sleep(0)
        return number

    @flow
    def outer() -> int:
        return sum(future.result() for future in later.map([1, 2, 3]))

    assert outer() == 6


def test_five_thousand_tasks_arrive_all_and_in_order(reports: Reports) -> None:
    @flow
    def outer() -> None:
        for number in range(5000):
            add(number)

    outer()
    items = reports("task-run")
    assert [item["name"] for item in items[1::2]] == [f"add-{number}" for number in range(5000)]
    assert names(items) == ["Running", "Completed"] * 5000


def test_done_tasks_are_not_held() -> None:
    import gc
    import weakref

    class Big:
        pass

    kept: list[weakref.ref[Big]] = []

    @task
    def make() -> Big:
        big = Big()
        kept.append(weakref.ref(big))
        return big

    @flow
    def outer() -> int:
        for _ in range(20):
            make.submit().wait()
            make()
        gc.collect()
        return sum(ref() is not None for ref in kept)

    assert outer() <= 2


def test_options_can_be_changed() -> None:
    other = add.with_options(name="plus", retries=2)
    assert (other.name, other.policy.retries.most, add.name) == ("plus", 2, "add")
    with pytest.raises(InvalidInput, match="tags"):
        task(tags="one", name="x")(lambda: None)


@pytest.mark.parametrize("option", ["durable", "description", "version"])
def test_options_that_would_do_nothing_are_not_taken(option: str) -> None:
    with pytest.raises(TypeError, match=option):
        task(**{option: "x"})(sum)


def test_what_tasks_make_is_theirs(reports: Reports) -> None:
    @task
    def shows() -> None:
        create_markdown_artifact("# Hello", key="hello")

    @flow
    def outer() -> None:
        shows.submit().wait()

    outer()
    (artifact,) = reports("artifact")
    assert artifact["task_run_id"] == reports("task-run")[0]["id"]
    assert artifact["flow_run_id"] == reports("flow-run")[0]["id"]
