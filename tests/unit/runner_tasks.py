"""Tasks that the tests of runners have run, some of them in other processes."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator import INPUTS, Completed, State, context, emit_event, flow, get_run_logger, task
from orchestrator.states import StateType

from ..polling import until


@dataclass
class Point:
    x: int
    y: int = 0


class OddError(Exception):
    """Its constructor does not take what it keeps: it is pickled, and cannot be made anew."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{reason} ({code})")


@task
def add(left: int, right: int = 0) -> int:
    return left + right


@task
def shift(point: Point) -> Point:
    return Point(point.x + 1, point.y)


@task
def whereabouts() -> int:
    return os.getpid()


@task
def fail(what: str = "on purpose") -> int:
    raise ValueError(what)


@task
def fail_oddly() -> None:
    raise OddError(7, "odd")


@task(retries=1)
def second_try(folder: str) -> int:
    marker = Path(folder, "tried")
    if not marker.exists():
        marker.touch()
        raise ValueError("the first time")
    return 2


@task
async def later(value: int) -> int:
    return value * 2


@task
def digits(count: int) -> Iterator[int]:
    yield from range(count)


@task
async def later_digits(count: int) -> AsyncIterator[int]:
    for number in range(count):
        yield number


@task
def inner(value: int) -> int:
    return value * 10


@task
def outer(values: list[int]) -> list[int]:
    return [future.result() for future in inner.map(values)]


@task
def unwaited(values: list[int]) -> Any:
    return {"made": inner.map(values)}


@flow
def below(value: int) -> int:
    return inner(value)


@task
def calls_a_flow(value: int) -> int:
    return below(value)


@task
def stateful() -> State:
    return Completed("well done", name="Fine", data=5)


@task
def skipped() -> State:
    return State(StateType.CANCELLED, "Skipped", "nothing to do")


@task
def surroundings() -> dict[str, Any]:
    run, own = context.flow_run(), context.task_run()
    assert run is not None
    assert own is not None
    return {
        "flow_run": run.id,
        "task_run": own.id,
        "attempt": own.attempt,
        "tags": sorted(context.present_tags()),
        "parameters": run.parameters,
    }


@task(log_prints=True)
def talk() -> None:
    get_run_logger().info("a line of the logger")
    print("a printed line")
    emit_event("thing.seen", "thing")


@task
def says(count: int) -> None:
    for number in range(count):
        get_run_logger().info("line %d", number)


@task
def touch(path: str) -> None:
    Path(path).touch()


@task
def count(path: str) -> int:
    with open(path, "a") as file:
        file.write("x")
    return 1


@task(cache_policy=INPUTS)
def count_once(path: str) -> int:
    with open(path, "a") as file:
        file.write("x")
    return 2


@task
def calls_count_once(path: str) -> int:
    return count_once(path)


@task
def hold(folder: str) -> None:
    Path(folder, "held").touch()
    until(Path(folder, "go").exists, "leave to go on")


@task
def hang(folder: str) -> None:
    Path(folder, str(os.getpid())).touch()
    time.sleep(600)


@task(timeout_seconds=0.2)
def too_long() -> None:
    time.sleep(600)


@task(timeout_seconds=0.2)
def too_long_and_deaf() -> None:
    while True:
        try:
            time.sleep(600)
        except BaseException:
            pass


@task
def die(how: str) -> None:
    if how == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "told":
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(600)
    os._exit(7)


@task
def die_inside() -> None:
    dying()


@task
def dying() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@task
def returns_a_lock() -> Any:
    import threading

    return threading.Lock()


class Shop:
    """Methods as tasks."""

    def __init__(self, price: int) -> None:
        self.price = price

    @task
    def cost(self, count: int) -> int:
        return self.price * count

    @classmethod
    @task
    def named(cls, suffix: str) -> str:
        return cls.__name__ + suffix

    @staticmethod
    @task
    def doubled(value: int) -> int:
        return value * 2
