"""Code that is hard on whoever runs it, in this process: none of it hurts the run, its reports, or the next run."""

from __future__ import annotations

import asyncio
import contextvars
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from orchestrator import State, context, flow, get_run_logger, tags, task
from orchestrator.errors import FailedRun
from orchestrator.ids import time_of, uuid7

Reports = Callable[..., list[dict[str, Any]]]


class TwoArguments(Exception):
    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} and {two}")


class KeywordsOnly(Exception):
    def __init__(self, *, why: str) -> None:
        self.why = why


class NoText(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text for you")

    __repr__ = __str__


class Falsy(Exception):
    def __len__(self) -> int:
        return 0

    def __bool__(self) -> bool:
        raise RuntimeError("no truth for you")


class Holding(Exception):
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.args = (self, self.lock)


class NeverEqual(Exception):
    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no equal")


def circle() -> BaseException:
    one, two = ValueError("one"), ValueError("two")
    one.__cause__, two.__cause__ = two, one
    return one


ODD: list[Callable[[], BaseException]] = [
    lambda: TwoArguments(1, 2), lambda: KeywordsOnly(why="so"), NoText, Falsy, Holding, NeverEqual, circle,
    lambda: ValueError("x" * 1_000_000), lambda: ValueError("nul \0 and surrogate \udcff"), lambda: ValueError(b"\xff"),
    lambda: type("Überraschung\n", (Exception,), {})("🛬"), lambda: UnicodeDecodeError("utf-8", b"\xff", 0, 1, "odd"),
    lambda: StopIteration("stop"), StopAsyncIteration, KeyError,
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(ODD)))
def test_odd_exceptions_arrive_as_they_are(number: int, reports: Reports) -> None:
    error = ODD[number]()

    @task
    def raises() -> None:
        raise error

    @flow
    def outer() -> Any:
        state, future = raises(return_state=True), raises.submit()
        assert state.result(raise_on_failure=False) is error
        assert future.result(raise_on_failure=False) is error
        raises()

    found = outer(return_state=True)
    assert found.is_failed()
    assert found.result(raise_on_failure=False) is error
    (ended,) = reports("flow-run-state")
    assert ended["state"]["type"] == "FAILED"
    assert type(error).__name__ in ended["state"]["details"]["traceback"] or number == 10
    states = [item["state"]["name"] for item in reports("task-run")]
    assert sorted(states) == ["Failed"] * 3 + ["Pending"] + ["Running"] * 3


def test_values_that_cannot_be_kept_or_compared(reports: Reports) -> None:
    class Unwilling:
        def __eq__(self, other: object) -> bool:
            raise RuntimeError("no")

        def __bool__(self) -> bool:
            raise RuntimeError("no")

        def __repr__(self) -> str:
            raise RuntimeError("no")

        __hash__ = None  # type: ignore[assignment]

    values = [threading.Lock(), (number for number in [1]), lambda: 1, Unwilling(), sys, open(os.devnull)]  # noqa: SIM115

    @task
    def same(value: Any) -> Any:
        return value

    @flow
    def outer(value: Any, *more: Any, **named: Any) -> Any:
        assert same(value) is value
        assert same.submit(value).result() is value
        return value

    for value in values:
        assert outer(value, [value], key={"a": value}) is value
    values[-1].close()  # type: ignore[attr-defined]
    assert [item["state"]["name"] for item in reports("flow-run-state")] == ["Completed"] * len(values)
    warnings = [item["message"] for item in reports("log") if "not stored" in item["message"]]
    assert len(warnings) == len(values)


def test_parameters_of_ten_megabytes(reports: Reports) -> None:
    @task
    def length(value: Any) -> int:
        return len(value)

    @flow
    def outer(text: str, data: bytes, rows: list[int]) -> list[int]:
        return [length(text), length.submit(data).result(), length(rows)]

    size = 10_000_000
    assert outer("x" * size, b"y" * size, list(range(size // 8))) == [size, size, size // 8]
    (run,) = reports("flow-run")
    assert all(len(str(value)) < 1000 for value in run["parameters"].values())
    assert "10000002 characters" in run["parameters"]["text"]


def test_names_texts_and_lines_of_any_letters(reports: Reports) -> None:
    odd = "nul \0, surrogate \udcff, 🛫, \u202e, \r\n"

    @task(name="Aufgabe 🛬", task_run_name="{text}")
    def step(text: str) -> str:
        get_run_logger().info("%s", text)
        print(text)
        return text

    @flow(name="流れ " + "x" * 190, flow_run_name="{text}")
    def outer(text: str) -> str:
        with tags(text):
            return step(text)

    assert outer(odd) == odd
    (run,) = reports("flow-run")
    assert "🛫" in run["name"]
    assert "🛫" in run["parameters"]["text"]
    assert len([item for item in reports("log") if "🛫" in item["message"]]) >= 2


def test_threads_and_context_variables(reports: Reports) -> None:
    colour: contextvars.ContextVar[str] = contextvars.ContextVar("colour", default="none")

    @task
    def paints(name: str) -> tuple[str, str]:
        before = colour.get()
        colour.set(name)
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda number: get_run_logger().info("from a thread, %d", number), range(3)))
        thread = threading.Thread(target=lambda: get_run_logger().info("from a bare thread"))
        thread.start()
        thread.join()
        return before, context.task_run().name  # type: ignore[union-attr]

    @flow
    def outer() -> Any:
        colour.set("flow")
        done = [future.result() for future in paints.map([str(number) for number in range(20)])]
        assert colour.get() == "flow"
        return done, paints("called"), colour.get()

    done, called, after = outer()
    assert done == [("flow", f"paints-{number}") for number in range(20)]
    assert called == ("flow", "paints-20")
    assert after == "called"  # as of any function that is called
    lines = [item["message"] for item in reports("log")]
    assert len([line for line in lines if line.startswith("from a thread")]) == 63
    assert len([line for line in lines if line == "from a bare thread"]) == 21


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timer signals here")
def test_signal_handlers_of_the_user_stay_theirs(reports: Reports) -> None:
    got: list[int] = []
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGALRM)

    def mine(number: int, frame: Any) -> None:
        got.append(number)

    @task(timeout_seconds=30)
    def step() -> None:
        pass

    @flow
    def outer() -> None:
        signal.signal(signal.SIGTERM, mine)
        signal.signal(signal.SIGALRM, mine)
        step()
        assert signal.getsignal(signal.SIGALRM) is mine
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGALRM)

    try:
        outer()
        assert got == [signal.SIGTERM, signal.SIGALRM]
        assert signal.getsignal(signal.SIGTERM) is mine
    finally:
        signal.signal(signal.SIGTERM, before[0])
        signal.signal(signal.SIGALRM, before[1])
    assert reports("flow-run-state")[0]["state"]["type"] == "COMPLETED"


def test_leaving_by_sys_exit(reports: Reports) -> None:
    @task
    def leaves(code: Any) -> None:
        sys.exit(code)

    @flow
    def outer(code: Any, submitted: bool) -> None:
        if submitted:
            leaves.submit(code).result()
        leaves(code)

    for submitted in (False, True):
        with pytest.raises(SystemExit) as left:
            outer(3, submitted)
        assert left.value.code == 3
        outer(0, submitted)
    ended = [item["state"]["type"] for item in reports("flow-run-state")]
    assert ended == ["FAILED", "COMPLETED"] * 2


def test_the_recursion_limit(reports: Reports) -> None:
    @task
    def deeper(depth: int) -> int:
        return deeper(depth + 1)

    @task
    def plainly() -> None:
        def again() -> None:
            again()

        again()

    @flow
    def fails() -> None:
        deeper(0)

    @flow
    def survives() -> str:
        assert plainly(return_state=True).is_failed()
        return "fine"

    with pytest.raises(RecursionError):
        fails()
    assert (context.flow_run(), context.task_run()) == (None, None)
    assert survives() == "fine"
    assert [item["state"]["type"] for item in reports("flow-run-state")] == ["FAILED", "COMPLETED"]


def test_cancelled_asynchronous_tasks(reports: Reports) -> None:
    @task
    async def sleeps(seconds: float) -> float:
        await asyncio.sleep(seconds)
        return seconds

    @task
    async def swallows() -> str:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            return "stayed"
        return "never"

    @flow
    async def outer() -> Any:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(sleeps(60), 0.01)
        waiting = asyncio.ensure_future(swallows())
        await asyncio.sleep(0.01)
        waiting.cancel()
        stayed = await waiting
        first, second = asyncio.ensure_future(sleeps(60)), asyncio.ensure_future(sleeps(0))
        await second
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        return stayed, context.task_run()

    assert asyncio.run(outer()) == ("stayed", None)
    ended = {item["name"]: item["state"]["type"] for item in reports("task-run")}
    cancelled = {name for name, kind in ended.items() if kind == "CANCELLED"}
    assert cancelled == {"sleeps-0", "sleeps-1"}
    assert {name for name, kind in ended.items() if kind == "COMPLETED"} == {"swallows-0", "sleeps-2"}
    assert reports("flow-run-state")[0]["state"]["type"] == "COMPLETED"


def test_time_that_stands_still_and_sleep_that_does_not(reports: Reports, monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[int] = []

    def broken(*seconds: float) -> float:
        raise RuntimeError("this is the user's own")

    def still() -> float:
        return 0.0

    @task(retries=2, retry_delay_seconds=0.01)
    def flaky() -> int:
        tries.append(1)
        if len(tries) < 3:
            raise ValueError("not yet")
        return len(tries)

    @task
    async def waits() -> int:
        return 1

    @flow
    def outer() -> Any:
        with monkeypatch.context() as patch:
            for name, replaced in (("monotonic", still), ("time", still), ("sleep", broken), ("time_ns", broken)):
                patch.setattr(time, name, replaced)
            get_run_logger().info("a line")
            future = waits.submit()
            return flaky(), future.result(timeout=20)

    moment = uuid7()
    assert outer() == (3, 1)
    (run,) = reports("flow-run")
    assert run["id"] > str(moment)
    assert time_of(moment).year > 2000
    (line,) = [item for item in reports("log") if item["message"] == "a line"]
    assert line["at"] > "2001"
    assert reports("flow-run-state")[0]["state"]["type"] == "COMPLETED"


def test_a_task_that_replaces_what_we_use(reports: Reports, monkeypatch: pytest.MonkeyPatch) -> None:
    """What code does to its own streams and loggers is its own affair; the run still ends, and says how."""

    @flow
    def outer() -> str:
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", None)
            patch.setattr(sys, "stderr", None)
            get_run_logger().warning("said into nothing")
            return "fine"

    assert outer() == "fine"
    assert reports("flow-run-state")[0]["state"]["type"] == "COMPLETED"


def test_generators_that_are_never_begun_or_never_ended(reports: Reports) -> None:
    @task
    def endless() -> Iterator[int]:
        while True:
            yield 1

    kept: list[Any] = []

    @flow
    def outer() -> None:
        endless()
        kept.append(endless())
        next(kept[0])

    outer()
    assert reports("flow-run-state")[0]["state"]["type"] == "COMPLETED"
    assert [item["state"]["name"] for item in reports("task-run")] == ["Running"]
    kept[0].close()
    assert [item["state"]["name"] for item in reports("task-run")] == ["Running", "Completed"]


def test_a_state_that_is_raised_or_returned_by_mistake(reports: Reports) -> None:
    @flow
    def returns_a_type() -> Any:
        return State

    @flow
    def raises_no_exception() -> None:
        raise FailedRun  # a class; its docstring is the message

    assert returns_a_type() is State
    with pytest.raises(FailedRun, match="The run failed"):
        raises_no_exception()
