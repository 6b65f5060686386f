"""Hooks: called in order, with what they are told of, changing nothing."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from typing import Any

import pytest

from orchestrator import Cancelled, Crashed, flow, get_run_logger, task
from orchestrator.engine.hooks import FLOW_HOOKS
from orchestrator.errors import InvalidInput, ParameterError

Reports = Callable[..., list[dict[str, Any]]]


class Heard:
    """Makes hooks that note how they were called."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, str]] = []

    def hook(self, name: str) -> Callable[..., None]:
        def one(owner: Any, run: Any, state: Any) -> None:
            self.calls.append((name, owner.name, state.name))

        return one

    def all(self, names: tuple[str, ...]) -> dict[str, Any]:
        return {name: [self.hook(name)] for name in names}


@pytest.fixture
def heard() -> Heard:
    return Heard()


def ends(how: str) -> Any:
    if how == "fails":
        raise ValueError("no")
    return {"cancelled": Cancelled("c"), "crashed": Crashed("c")}.get(how, how)


ENDS = [
    ("fine", "on_completion", "Completed"),
    ("fails", "on_failure", "Failed"),
    ("cancelled", "on_cancellation", "Cancelled"),
    ("crashed", "on_crashed", "Crashed"),
]


@pytest.mark.parametrize("inside", [False, True], ids=["by hand", "subflow"])
@pytest.mark.parametrize(("how", "hook", "state"), ENDS)
def test_hooks_of_flows(heard: Heard, how: str, hook: str, state: str, inside: bool) -> None:
    job = flow(name="job", **heard.all(FLOW_HOOKS))(ends)

    @flow
    def outer() -> None:
        job(how, return_state=True)

    outer() if inside else job(how, return_state=True)
    assert heard.calls == [("on_running", "job", "Running"), (hook, "job", state)]


def test_hooks_of_async_flows_and_async_hooks() -> None:
    seen: list[str] = []

    async def slow(flow: Any, flow_run: Any, state: Any) -> None:
        await asyncio.sleep(0)
        seen.append(f"{flow.name} {flow_run.parameters} {state.name}")

    @flow(on_completion=[slow])
    async def there(number: int) -> int:
        return number

    @flow(on_completion=[slow])
    def here(number: int) -> int:
        return number

    assert asyncio.run(there(1)) == 1
    assert here(2) == 2
    assert seen == ["there {'number': 1} Completed", "here {'number': 2} Completed"]


def test_hooks_of_tasks_are_called_once_for_the_last_try(heard: Heard) -> None:
    tries: list[int] = []

    @task(name="flaky", retries=2, **heard.all(("on_running", "on_completion", "on_failure")))
    def flaky(good_at: int) -> None:
        tries.append(1)
        if len(tries) < good_at:
            raise ValueError("not yet")

    @flow
    def job() -> None:
        flaky.submit(2).wait()
        tries.clear()
        flaky(9, return_state=True)

    job()
    running = ("on_running", "flaky", "Running")
    again = ("on_running", "flaky", "Retrying")
    assert heard.calls == [
        running, again, ("on_completion", "flaky", "Completed"),
        running, again, again, ("on_failure", "flaky", "Failed"),
    ]  # fmt: skip


def test_a_hook_that_raises_is_logged_and_changes_nothing(heard: Heard, reports: Reports) -> None:
    def breaks(owner: Any, run: Any, state: Any) -> None:
        raise RuntimeError("broken hook")

    hooks = [breaks, heard.hook("second")]

    @task(on_completion=hooks, on_running=hooks)
    def one() -> int:
        return 1

    @flow(on_completion=hooks, on_running=hooks)
    def job() -> int:
        return one() + 1

    assert job() == 2
    assert [name for name, _, _ in heard.calls] == ["second"] * 4
    lines = [item["message"] for item in reports("log")]
    assert sum("broken hook" in line for line in lines) == 4
    assert [item["state"]["type"] for item in reports("flow-run-state")] == ["COMPLETED"]


def test_what_hooks_log_is_in_the_log_of_the_run(reports: Reports) -> None:
    def tell(owner: Any, run: Any, state: Any) -> None:
        get_run_logger().warning("hook of %s", owner.name)

    @task(on_completion=[tell])
    def one() -> None:
        pass

    @flow(on_completion=[tell])
    def job() -> None:
        one()

    job()
    (run,) = reports("flow-run")
    told = {item["message"]: item for item in reports("log")}
    assert told["hook of job"]["flow_run_id"] == run["id"]
    assert told["hook of one"]["task_run_id"] is not None


def test_decorators_add_hooks_and_options_keep_them(heard: Heard) -> None:
    first, second, third = (heard.hook(name) for name in ("first", "second", "third"))

    @flow(on_completion=[first])
    def job() -> None:
        one()

    @task
    def one() -> None:
        pass

    assert job.on_completion(second) is second
    assert one.on_completion(third) is third
    job.with_options(name="other")()
    assert [name for name, _, _ in heard.calls] == ["third", "first", "second"]
    heard.calls.clear()
    job.with_options(on_completion=[])()
    assert [name for name, _, _ in heard.calls] == ["third"]


def test_parameters_that_do_not_fit_are_a_failure_like_any_other(heard: Heard) -> None:
    @flow(on_failure=[heard.hook("failure")], on_running=[heard.hook("running")])
    def job(number: int) -> None:
        pass

    with pytest.raises(ParameterError):
        job("x")  # type: ignore[arg-type]
    assert heard.calls == [("failure", "job", "Failed")]


def test_told_to_end_by_hand(heard: Heard) -> None:
    @flow(on_crashed=[heard.hook("crashed")], on_cancellation=[heard.hook("cancelled")])
    def job(number: int) -> None:
        if number:
            os.kill(os.getpid(), number)
        raise KeyboardInterrupt

    with pytest.raises(SystemExit):
        job(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt):
        job(0)
    assert heard.calls == [("crashed", "job", "Crashed"), ("cancelled", "job", "Cancelled")]


def test_a_cancelled_coroutine_calls_its_hook(heard: Heard) -> None:
    @flow(on_cancellation=[heard.hook("cancelled")])
    async def job() -> None:
        await asyncio.sleep(60)

    async def main() -> None:
        running = asyncio.ensure_future(job())
        await asyncio.sleep(0.01)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(main())
    assert heard.calls == [("cancelled", "job", "Cancelled")]


@pytest.mark.parametrize("given", [print, "print", 3, [print, 3]])
def test_hooks_that_cannot_be_used(given: Any) -> None:
    with pytest.raises(InvalidInput, match="on_failure"):
        flow(on_failure=given)(ends)


def test_there_are_no_other_hooks() -> None:
    with pytest.raises(TypeError, match="on_fire"):
        task(on_fire=[print])(ends)  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="on_commit"):
        flow(on_commit=[print])(ends)  # type: ignore[call-overload]
