"""The pool of threads: as many as needed, no more than allowed, and never locked by its own tasks."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from orchestrator.engine.task_runners import ThreadRunner
from orchestrator.errors import InvalidInput
from orchestrator.futures import TaskFuture, wait
from orchestrator.results import Completed


def prepared(work: Any) -> TaskFuture[Any]:
    future: TaskFuture[Any] = TaskFuture("id", "t")
    future.prepare(lambda: future.resolve(Completed(data=work())))
    return future


@pytest.mark.parametrize("most", [0, -1, True])
def test_a_number_of_threads_that_cannot_be_is_refused(most: int) -> None:
    with pytest.raises(InvalidInput, match="max_workers"):
        ThreadRunner(most)


def test_never_more_threads_than_allowed_and_a_fresh_one_has_as_many() -> None:
    runner = ThreadRunner(3).fresh()
    barrier = threading.Barrier(3)

    def together() -> str:
        barrier.wait(20)
        return threading.current_thread().name

    futures = [prepared(together) for _ in range(9)]
    for future in futures:
        runner.submit(future)
    assert {future.result(20) for future in futures} == {f"task-runner-{number}" for number in range(3)}
    runner.close()


def test_an_idle_thread_is_used_again() -> None:
    runner = ThreadRunner(8)
    names = set()
    for _ in range(5):
        future = prepared(lambda: threading.current_thread().name)
        before = threading.active_count()
        runner.submit(future)
        names.add(future.result(20))
        assert threading.active_count() <= before + 1
        assert runner._idle.acquire(timeout=20)  # the thread waits for work
        runner._idle.release()
    assert names == {"task-runner-0"}
    runner.close()


def test_what_was_submitted_is_begun_after_close_and_the_threads_end() -> None:
    runner, gate, threads = ThreadRunner(1), threading.Event(), []

    def work() -> None:
        threads.append(threading.current_thread())
        gate.wait(20)

    futures = [prepared(work) for _ in range(3)]
    for future in futures:
        runner.submit(future)
    runner.close()
    gate.set()
    assert not wait(futures, 20).not_done
    threads[0].join(20)
    assert not threads[0].is_alive()


def test_tasks_that_wait_for_tasks_do_not_lock_a_pool_of_one() -> None:
    runner = ThreadRunner(1)

    def outer() -> Any:
        inner = prepared(lambda: 7)
        runner.submit(inner)
        return inner.result()

    future = prepared(outer)
    runner.submit(future)
    assert future.result(20) == 7
    runner.close()


def test_what_was_begun_elsewhere_is_passed_over() -> None:
    runner, future = ThreadRunner(1), prepared(lambda: 1)
    claimed = future.claim()
    assert claimed is not None
    runner.submit(future)
    after = prepared(lambda: 2)
    runner.submit(after)
    assert after.result(20) == 2
    assert not future.done()
    runner.close()
