"""Futures by themselves: who begins them, and who is told."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from orchestrator.context import TaskRun
from orchestrator.errors import InvalidInput
from orchestrator.futures import FutureList, TaskFuture, as_completed, pool_thread, wait
from orchestrator.results import Completed, Failed


def future(name: str = "t") -> TaskFuture[Any]:
    return TaskFuture(f"id-{name}", name)


def done(value: Any) -> TaskFuture[Any]:
    found = future()
    found.resolve(Completed(data=value))
    return found


def test_whoever_comes_first_begins_it_and_nobody_else() -> None:
    one, begun = future(), []
    one.prepare(lambda: begun.append(threading.current_thread()))
    threads = [threading.Thread(target=one.begin) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(begun) == 1
    assert one.claim() is None


def test_a_thread_of_a_pool_runs_what_it_waits_for(monkeypatch: pytest.MonkeyPatch) -> None:
    one = future()
    one.prepare(lambda: one.resolve(Completed(data=1)))
    assert one.wait(0) is None
    monkeypatch.setattr(pool_thread, "busy", True, raising=False)
    assert one.result() == 1


def test_callbacks_are_called_once_before_and_after_the_end() -> None:
    one, told = future(), []
    one.add_done_callback(told.append)
    assert not one.done()
    one.resolve(Completed())
    one.add_done_callback(told.append)
    assert told == [one, one]


def test_a_failure_is_raised_or_given() -> None:
    one, error = future(), ValueError("no")
    one.resolve(Failed("no", error=error))
    with pytest.raises(ValueError, match="no"):
        one.result()
    assert one.result(raise_on_failure=False) is error


def test_a_limit_names_what_is_not_done() -> None:
    with pytest.raises(TimeoutError, match="t is not done after 0 seconds"):
        future().result(timeout=0)
    one, two = done(1), future()
    assert wait([one, two, one], timeout=0) == ({one}, {two})
    assert wait([one, done(2)]).not_done == set()
    with pytest.raises(TimeoutError, match="1 of 2 task runs are not done after 0 seconds"):
        FutureList([one, two]).result(timeout=0)
    with pytest.raises(TimeoutError, match="1 of 2 task runs are not done"):
        list(as_completed([future(), done(1)], timeout=0))


def test_awaiting_hears_of_an_end_in_another_thread() -> None:
    one = future()

    async def main() -> Any:
        threading.Timer(0.01, lambda: one.resolve(Completed(data="x"))).start()
        return await one, await done("y")

    assert asyncio.run(main()) == ("x", "y")


def test_a_blocking_wait_on_its_own_loop_is_refused() -> None:
    async def main() -> None:
        one = future()
        one.runs_on(asyncio.get_running_loop())
        with pytest.raises(InvalidInput, match="await future"):
            one.result()

    asyncio.run(main())


def test_a_list_of_futures_is_waited_for_and_gives_its_results() -> None:
    late, error = future(), ValueError("no")
    threading.Timer(0.01, lambda: late.resolve(Completed(data=2))).start()
    some: FutureList[Any] = FutureList([done(1), late])
    some.wait()
    assert some.result() == [1, 2]
    bad = future()
    bad.resolve(Failed("no", error=error))
    some.append(bad)
    assert some.result(raise_on_failure=False) == [1, 2, error]
    with pytest.raises(ValueError, match="no"):
        some.result()


def test_a_future_tells_its_present_state() -> None:
    one, run = future(), TaskRun("t", "k", [], [], None, False)
    assert one.state.is_pending()
    one.follows(run)
    assert one.state.is_pending()
    assert repr(one) == "<TaskFuture t: Pending>"
    run.attempt = 1
    assert one.state.is_running()
    one.resolve(Completed(data=1))
    assert one.state.is_completed()
    assert one.state.result() == 1
