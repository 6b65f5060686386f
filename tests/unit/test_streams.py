"""Generators as flows and tasks: a run goes on while its caller takes items."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from typing import Any

import pytest

from orchestrator import Failed, ProcessRunner, context, flow, get_run_logger, tags, task
from orchestrator.background import flow_of
from orchestrator.engine.timeouts import ALARMS
from orchestrator.errors import FailedRun, InvalidInput, TimedOut

Reports = Callable[..., list[dict[str, Any]]]


def names(items: list[dict[str, Any]]) -> list[str]:
    return [item["state"]["name"] for item in items]


@task
def count(most: int) -> Iterator[int]:
    yield from range(most)


@task
async def count_async(most: int) -> AsyncIterator[int]:
    for number in range(most):
        await asyncio.sleep(0)
        yield number


def test_a_task_streams_and_runs_until_it_is_exhausted(reports: Reports) -> None:
    seen: list[Any] = []

    @task
    def numbers() -> Generator[int, None, str]:
        yield 1
        seen.append(context.task_run().name)  # type: ignore[union-attr]
        yield 2
        return "done"

    @flow
    def outer() -> Any:
        items = numbers()
        assert reports("task-run") == []  # nothing runs before the first item is asked for
        assert next(items) == 1
        assert context.task_run() is None
        assert names(reports("task-run")) == ["Running"]
        assert next(items) == 2
        with pytest.raises(StopIteration) as stop:
            next(items)
        return stop.value.value

    assert outer() == "done"
    assert seen == ["numbers-0"]
    assert names(reports("task-run")) == ["Running", "Completed"]


def test_a_flow_streams(reports: Reports) -> None:
    @flow
    def numbers(most: int) -> Iterator[int]:
        for number in range(most):
            yield sum(count(number + 1))

    taken = []
    for number in numbers("3"):  # type: ignore[arg-type]
        assert context.flow_run() is None
        taken.append(number)
    assert taken == [0, 1, 3]
    (begun,), (ended,) = reports("flow-run"), reports("flow-run-state")
    assert begun["parameters"] == {"most": 3}
    assert ended["state"]["name"] == "Completed"
    assert names(reports("task-run")) == ["Running", "Completed"] * 3


def test_closed_early_it_is_completed_and_says_so(reports: Reports) -> None:
    cleaned: list[str] = []

    @flow
    def endless() -> Iterator[int]:
        try:
            number = 0
            while True:
                yield number
                number += 1
        finally:
            cleaned.append(context.flow_run().flow_name)  # type: ignore[union-attr]

    items = endless()
    assert [next(items), next(items)] == [0, 1]
    items.close()
    assert cleaned == ["endless"]
    for _ in endless():
        break
    gc.collect()
    messages = [(item["state"]["type"], item["state"]["message"]) for item in reports("flow-run-state")]
    assert messages == [
        ("COMPLETED", "closed by its caller after 2 items"),
        ("COMPLETED", "closed by its caller after 1 item"),
    ]


def test_a_body_that_fails_while_it_is_closed_is_failed(reports: Reports) -> None:
    @task
    def stubborn() -> Iterator[int]:
        with contextlib.suppress(GeneratorExit):
            yield 1
        yield 2

    @task
    def untidy() -> Iterator[int]:
        try:
            yield 1
        finally:
            raise ValueError("while cleaning up")

    @flow
    def outer() -> None:
        for one, error in ((stubborn(), RuntimeError), (untidy(), ValueError)):
            next(one)
            with pytest.raises(error):
                one.close()

    outer()
    assert names(reports("task-run")) == ["Running", "Failed"] * 2


def test_what_is_sent_and_thrown_reaches_the_body(reports: Reports) -> None:
    @task
    def echo() -> Generator[Any, Any, str]:
        got: Any = "begin"
        while got != "end":
            try:
                got = yield got
            except KeyError as error:
                got = f"caught {error}"
        return "over"

    @flow
    def outer() -> Any:
        items = echo()
        assert next(items) == "begin"
        assert items.send(5) == 5
        assert items.throw(KeyError("x")) == "caught 'x'"
        with pytest.raises(StopIteration, match="over"):
            items.send("end")
        lost = echo()
        next(lost)
        with pytest.raises(ZeroDivisionError):
            lost.throw(ZeroDivisionError("thrown in"))

    outer()
    assert names(reports("task-run")) == ["Running", "Completed", "Running", "Failed"]


def test_a_failure_is_raised_where_the_next_item_was_wanted_and_a_retry_begins_anew(reports: Reports) -> None:
    tries: list[int] = []

    @task(retries=1)
    def flaky() -> Iterator[int]:
        tries.append(1)
        yield 1
        if len(tries) < 2:
            raise ValueError("not yet")
        yield 2

    @task
    def fails() -> Iterator[int]:
        yield 1
        raise ValueError("on purpose")

    @flow
    def outer() -> list[int]:
        items = fails()
        assert next(items) == 1
        with pytest.raises(ValueError, match="on purpose"):
            next(items)
        return list(flaky())

    assert outer() == [1, 1, 2]
    ended = names(reports("task-run"))
    assert ended == ["Running", "Failed", "Running", "AwaitingRetry", "Retrying", "Completed"]


def test_a_returned_state_decides(reports: Reports) -> None:
    @task
    def poor() -> Generator[int, None, Any]:
        yield 1
        return Failed("quality too low")

    @flow
    def outer() -> Any:
        with pytest.raises(FailedRun, match="quality"):
            list(poor())
        return poor.submit().wait().name  # type: ignore[union-attr]

    assert outer() == "Failed"


def test_submitted_mapped_or_asked_for_its_state_it_gives_a_list(reports: Reports) -> None:
    @flow
    def outer() -> Any:
        state = count(4, return_state=True)
        return count.submit(3).result(), count.map([1, 2]).result(), state.result()

    assert outer() == ([0, 1, 2], [[0], [0, 1]], [0, 1, 2, 3])

    @flow
    def numbers() -> Iterator[int]:
        yield from count(2)

    assert numbers(return_state=True).result() == [0, 1]


def test_asynchronous_generators_do_the_same(reports: Reports) -> None:
    @flow
    async def numbers(most: int) -> AsyncGenerator[int, None]:
        async for number in count_async(most):
            assert context.task_run() is None
            assert context.flow_run() is not None
            get_run_logger().info("got %d", number)
            yield number

    async def main() -> Any:
        taken = [number async for number in numbers(3)]
        async with contextlib.aclosing(numbers(9)) as items:
            async for _ in items:
                assert context.flow_run() is None
                break
        state = await numbers(2, return_state=True)
        future = count_async.submit(2)
        return taken, state.result(), await future

    assert asyncio.run(main()) == ([0, 1, 2], [0, 1], [0, 1])
    ended = [(item["state"]["name"], item["state"]["message"]) for item in reports("flow-run-state")]
    assert ended == [("Completed", ""), ("Completed", "closed by its caller after 1 item"), ("Completed", "")]
    assert set(names(reports("task-run"))) == {"Running", "Completed"}


def test_an_asynchronous_body_hears_what_is_sent_thrown_and_cancelled(reports: Reports) -> None:
    @flow
    async def echo() -> AsyncGenerator[Any, Any]:
        got: Any = None
        while True:
            try:
                got = yield got
            except KeyError:
                got = "caught"
            if got == "wait":
                await asyncio.sleep(60)

    async def main() -> None:
        items = echo()
        assert await items.asend(None) is None
        assert await items.asend(3) == 3
        assert await items.athrow(KeyError("x")) == "caught"
        waiting = asyncio.ensure_future(items.asend("wait"))
        for _ in range(5):
            await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    asyncio.run(main())
    assert [item["state"]["type"] for item in reports("flow-run-state")] == ["CANCELLED"]


def test_runs_between_two_items_are_none_of_its_own(reports: Reports) -> None:
    """Two generators of tasks and their caller take turns, and each remains in its own place."""
    mark: contextvars.ContextVar[str] = contextvars.ContextVar("mark", default="caller")

    @task
    def inside(name: str) -> Iterator[Any]:
        mark.set(name)
        with tags(name):
            for _ in range(3):
                yield context.task_run().name, mark.get(), sorted(context.present_tags())  # type: ignore[union-attr]

    @flow
    def outer() -> Any:
        taken = []
        for pair in zip(inside("a"), inside("b"), strict=True):
            taken.append(pair)
            assert (context.task_run(), mark.get(), context.present_tags()) == (None, "caller", frozenset())
        return taken

    assert outer() == [(("inside-0", "a", ["a"]), ("inside-1", "b", ["b"]))] * 3


@pytest.mark.skipif(not ALARMS, reason="no timer signals here")
def test_a_time_out_counts_the_body_and_not_its_caller(reports: Reports) -> None:
    @task(timeout_seconds=0.2)
    def slow(wait: float) -> Iterator[int]:
        yield 1
        time.sleep(wait)
        yield 2

    @task(timeout_seconds=0.2)
    async def slow_async(wait: float) -> AsyncIterator[int]:
        yield 1
        await asyncio.sleep(wait)
        yield 2

    @flow
    def outer() -> None:
        items = slow(0)
        assert next(items) == 1
        time.sleep(0.25)  # the caller's own time
        assert list(items) == [2]
        with pytest.raises(TimedOut):
            list(slow(30))

    @flow
    async def outer_async() -> None:
        with pytest.raises(TimedOut):
            [item async for item in slow_async(30)]

    outer()
    asyncio.run(outer_async())
    assert names(reports("task-run")) == ["Running", "Completed", "Running", "TimedOut", "Running", "TimedOut"]
    items = slow(0)
    problems: list[BaseException] = []

    def elsewhere() -> None:
        try:
            next(items)
        except InvalidInput as error:
            problems.append(error)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert "cannot be enforced" in str(problems[0])


def test_outside_of_a_flow_it_is_the_generator_that_it_was() -> None:
    assert list(count(3)) == [0, 1, 2]
    assert count.submit(2).result() == [0, 1]
    count(3).close()


def test_in_a_process_it_gives_a_list(reports: Reports) -> None:
    @flow(task_runner=ProcessRunner(max_workers=1))
    def outer() -> Any:
        return count.submit(3).result(), count_async.submit(2).result(), count.map([1, 2]).result()

    assert outer() == ([0, 1, 2], [0, 1], [[0], [0, 1]])


def test_another_try_of_a_flow_streams_again_and_takes_whole_lists_from_before(reports: Reports) -> None:
    entered: list[str] = []

    @task
    def numbers(which: str) -> Iterator[int]:
        entered.append(which)
        yield from range(3)

    @flow
    def inner() -> Iterator[int]:
        entered.append("inner")
        yield from numbers("nested")

    @flow(retries=1, persist_result=True)
    def outer() -> Any:
        taken = [*numbers("streamed"), *inner(), *numbers.submit("whole").result()]
        if len(entered) < 5:
            raise ValueError("not yet")
        return taken

    assert outer() == [0, 1, 2] * 3
    assert entered == ["streamed", "inner", "nested", "whole", "streamed", "inner", "nested"]


def test_background_runs_make_lists() -> None:
    assert flow_of(count)(3) == [0, 1, 2]
    assert asyncio.run(flow_of(count_async)(2)) == [0, 1]
