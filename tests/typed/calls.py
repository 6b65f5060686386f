"""What calls of flows and tasks give, as type checkers see it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from typing import Any

from typing_extensions import assert_type

from orchestrator import (
    Flow,
    FutureList,
    State,
    Task,
    TaskFuture,
    allow_failure,
    as_completed,
    flow,
    task,
    unmapped,
    wait,
)


@task
def bare(x: int, name: str = "a") -> str:
    return name * x


@task(retries=2, tags=["a"], task_run_name="{x}")
def optioned(x: int) -> list[int]:
    return [x]


@task
async def waits(x: int) -> float:
    return float(x)


@task
def numbers(most: int) -> Iterator[int]:
    yield from range(most)


@task
def generates(most: int) -> Generator[int, str, bytes]:
    yield most
    return b""


@task
async def streams(most: int) -> AsyncIterator[int]:
    yield most


@flow
def plain(day: str, rows: int = 3) -> dict[str, int]:
    return {day: rows}


@flow(name="Other", retries=1)
async def asynchronous(x: int) -> str:
    return str(x)


@flow
def flow_streams(most: int) -> Generator[int, None, None]:
    yield most


@flow
async def flow_streams_async(most: int) -> AsyncGenerator[str, None]:
    yield str(most)


class Loader:
    @task
    def load(self, x: int) -> str:
        return str(x)

    @flow
    def run(self, x: int) -> str:
        return self.load(x)

    @staticmethod
    @flow
    def free(x: int) -> str:
        return str(x)


def calls() -> None:
    assert_type(bare(1), str)
    assert_type(bare(1, name="b"), str)
    assert_type(optioned(3), list[int])
    assert_type(plain("d"), dict[str, int])
    assert_type(numbers(1), Iterator[int])
    assert_type(generates(1), Generator[int, str, bytes])
    assert_type(streams(1), AsyncIterator[int])
    assert_type(flow_streams(1), Generator[int, None, None])
    assert_type(flow_streams_async(1), AsyncGenerator[str, None])


async def awaited() -> None:
    assert_type(await waits(1), float)
    assert_type(await asynchronous(1), str)
    assert_type(await waits.submit(1), float)
    assert_type(await asynchronous(1, return_state=True), State)
    async for item in streams(2):
        assert_type(item, int)


def states() -> None:
    assert_type(bare(1, return_state=True), State)
    assert_type(plain("d", return_state=True), State)
    assert_type(bare(1, return_state=True).is_completed(), bool)


def submitted() -> None:
    future = bare.submit(1)
    assert_type(future, TaskFuture[str])
    assert_type(future.result(), str)
    assert_type(future.state, State)
    assert_type(waits.submit(1), TaskFuture[float])
    assert_type(numbers.submit(1), TaskFuture[list[int]])
    assert_type(generates.submit(1), TaskFuture[list[int]])
    assert_type(streams.submit(1), TaskFuture[list[int]])
    assert_type(bare.submit(future), TaskFuture[Any])
    assert_type(bare.submit(allow_failure(future), wait_for=[future]), TaskFuture[Any])


def mapped() -> None:
    futures = bare.map([1, 2], name=unmapped("x"))
    assert_type(futures, FutureList[str])
    assert_type(futures.result(), list[str])
    assert_type(waits.map([1]), FutureList[float])
    assert_type(numbers.map([1]), FutureList[list[int]])
    assert_type(streams.map([1]), FutureList[list[int]])
    assert_type(wait(futures, timeout=1).done, set[TaskFuture[Any]])
    for future in as_completed(futures):
        assert_type(future, TaskFuture[str])


def optioned_anew() -> None:
    assert_type(bare.with_options(retries=3)(1), str)
    assert_type(plain.with_options(name="x")("d"), dict[str, int])
    assert_type(waits.with_options(timeout_seconds=1).submit(1), TaskFuture[float])


def methods(loader: Loader) -> None:
    assert_type(loader.run(1), str)
    assert_type(loader.load.submit(1), TaskFuture[str])
    assert_type(loader.load.map([1]), FutureList[str])
    assert_type(loader.load.with_options(retries=1)(2), str)
    assert_type(Loader.load(loader, 1), str)
    assert_type(Loader.free(1), str)


def objects(one: Flow[[int], str], other: Task[[int], str]) -> None:
    assert_type(one(1), str)
    assert_type(other.submit(1).result(), str)
    assert_type(one.fn(1), str)
    assert_type(one.name, str)
