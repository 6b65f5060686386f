"""Flows: plain functions whose calls are recorded, and what state each ending gives."""

from __future__ import annotations

import asyncio
import datetime
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator import Cancelled, Completed, Failed, State, exponential_backoff, flow, tags, task
from orchestrator.errors import CancelledRun, FailedRun, InvalidInput, ParameterError, TimedOut
from orchestrator.observing import tracking
from orchestrator.states import StateType

Reports = Callable[..., list[dict[str, Any]]]


def states(items: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(item["state"]["type"], item["state"]["name"]) for item in items]


@task
def double(number: int) -> int:
    return 2 * number


@task
def break_down() -> None:
    raise ValueError("broken")


def test_a_flow_is_recorded_from_running_to_completed(reports: Reports) -> None:
    @flow(name="Load it", flow_run_name="load {table}")
    def load(table: str, day: datetime.date = datetime.date(2026, 1, 2)) -> dict[str, Any]:
        return {"rows": 3}

    with tags("nightly", "b"):
        assert load("orders") == {"rows": 3}
    (begun,), (ended,) = reports("flow-run"), reports("flow-run-state")
    assert begun["flow"] == "Load it"
    assert begun["name"] == "load orders"
    assert begun["parameters"] == {"table": "orders", "day": "2026-01-02"}
    assert begun["tags"] == ["b", "nightly"]
    assert begun["state"]["type"] == "RUNNING"
    assert begun["parent_flow_run_id"] is None
    assert ended["id"] == begun["id"]
    assert ended["attempt"] == 1
    assert ended["state"]["type"] == "COMPLETED"
    assert ended["result"] == {"value": {"rows": 3}}


def test_without_an_api_one_line_says_so(capsys: pytest.CaptureFixture[str], own_home: Path) -> None:
    tracking._said.clear()

    @flow
    def quiet() -> int:
        return double(4)

    assert [quiet(), quiet()] == [8, 8]
    told = capsys.readouterr()
    assert told.err.splitlines() == [
        "orchestrator: no API is configured (ORCHESTRATOR_API_URL), so this run is not tracked"
    ]
    assert not own_home.exists()


def test_arguments_are_coerced_and_refused_by_name(reports: Reports) -> None:
    @flow
    def typed(number: int, day: datetime.date | None = None) -> Any:
        return number, day

    assert typed("3", day="2026-05-06") == (3, datetime.date(2026, 5, 6))  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="number"):
        typed("three")  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="number is missing"):
        typed()  # type: ignore[call-arg]
    assert states(reports("flow-run"))[1:] == [("FAILED", "Failed"), ("FAILED", "Failed")]
    assert typed.with_options(validate_parameters=False)("three")[0] == "three"  # type: ignore[arg-type]


def test_what_a_flow_raises_is_raised_and_recorded_with_the_users_own_traceback(reports: Reports) -> None:
    class Odd(Exception):
        def __init__(self, one: int, two: int) -> None:
            super().__init__(f"{one} and {two}")

    @flow
    def bad() -> None:
        raise Odd(1, 2)

    with pytest.raises(Odd):
        bad()
    (ended,) = reports("flow-run-state")
    assert ended["state"]["type"] == "FAILED"
    assert ended["state"]["message"] == "Odd: 1 and 2"
    trace = ended["state"]["details"]["traceback"]
    assert "raise Odd(1, 2)" in trace
    assert "engine.py" not in trace
    state = bad(return_state=True)
    assert isinstance(state.result(raise_on_failure=False), Odd)


@pytest.mark.parametrize(
    ("returned", "kind"),
    [
        (Completed("fine", data=5), StateType.COMPLETED),
        (Failed("not so"), StateType.FAILED),
        (Cancelled("never mind"), StateType.CANCELLED),
        (State(StateType.COMPLETED, "Skipped"), StateType.COMPLETED),
    ],
)
def test_a_returned_state_is_the_state(reports: Reports, returned: State, kind: StateType) -> None:
    @flow
    def decides() -> Any:
        return returned

    state = decides(return_state=True)
    assert (state.type, state.name, state.message) == (kind, returned.name, returned.message)
    assert states(reports("flow-run-state")) == [(kind.value, returned.name)]


def test_returned_futures_decide(reports: Reports) -> None:
    @flow
    def good() -> Any:
        return {"a": double.submit(1), "b": [double.submit(2), 3]}

    @flow
    def bad() -> Any:
        return [double.submit(1), break_down.submit()]

    @flow
    def looks_away() -> str:
        break_down.submit()
        return "fine"

    assert good() == {"a": 2, "b": [4, 3]}
    with pytest.raises(ValueError, match="broken"):
        bad()
    assert looks_away() == "fine"
    assert [name for _, name in states(reports("flow-run-state"))] == ["Completed", "Failed", "Completed"]
    assert "1 of 2" in reports("flow-run-state")[1]["state"]["message"]


def test_retries_wait_in_sight(reports: Reports) -> None:
    tries: list[int] = []

    @flow(retries=3, retry_delay_seconds=exponential_backoff(0.001), retry_jitter_factor=0.5)
    def flaky() -> str:
        tries.append(1)
        if len(tries) < 3:
            raise ValueError("not yet")
        return "done"

    assert flaky() == "done"
    assert states(reports("flow-run-state")) == [
        ("SCHEDULED", "AwaitingRetry"),
        ("RUNNING", "Retrying"),
        ("SCHEDULED", "AwaitingRetry"),
        ("RUNNING", "Retrying"),
        ("COMPLETED", "Completed"),
    ]
    assert "due" in reports("flow-run-state")[0]["state"]["details"]


def test_retries_end(reports: Reports) -> None:
    tries: list[int] = []

    @flow(retries=2)
    def never() -> None:
        tries.append(1)
        raise ValueError("never")

    with pytest.raises(ValueError, match="never"):
        never()
    assert len(tries) == 3
    assert states(reports("flow-run-state"))[-1] == ("FAILED", "Failed")


def test_a_time_out_stops_blocking_code(reports: Reports) -> None:
    @flow(timeout_seconds=0.1)
    def slow() -> None:
        try:
            time.sleep(30)
        except Exception:
            pytest.fail("user code saw it")

    with pytest.raises(TimedOut, match=r"0\.1 s"):
        slow()
    assert states(reports("flow-run-state")) == [("FAILED", "TimedOut")]


def test_the_outer_time_out_wins_over_what_it_calls(reports: Reports) -> None:
    @task(timeout_seconds=20)
    def slow() -> None:
        time.sleep(30)

    @flow(timeout_seconds=0.1)
    def outer() -> None:
        slow()

    assert outer(return_state=True).name == "TimedOut"
    assert states(reports("task-run"))[-1] == ("CANCELLED", "Cancelled")


def test_a_time_out_that_nothing_could_enforce_is_refused() -> None:
    @flow(timeout_seconds=1)
    def timed() -> None:
        pass

    caught: list[BaseException] = []

    def elsewhere() -> None:
        try:
            timed()
        except InvalidInput as error:
            caught.append(error)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert "cannot be enforced" in str(caught[0])


def test_subflows_are_runs_of_their_own(reports: Reports) -> None:
    @flow
    def inner(number: int) -> int:
        return double(number)

    @task
    def calls_a_flow() -> int:
        return inner(2)

    @flow
    def outer() -> int:
        return inner(1) + calls_a_flow()

    assert outer() == 6
    outermost, first, second = reports("flow-run")
    assert first["parent_flow_run_id"] == second["parent_flow_run_id"] == outermost["id"]
    assert first["parent_task_run_id"] is None
    caller = next(item for item in reports("task-run") if "calls_a_flow" in item["task_key"])
    assert second["parent_task_run_id"] == caller["id"]
    doubles = {item["flow_run_id"] for item in reports("task-run") if item["name"].startswith("double")}
    assert doubles == {first["id"], second["id"]}


def test_async_flows_run_on_the_same_engine(reports: Reports) -> None:
    @task(retries=1)
    async def triple(number: int) -> int:
        await asyncio.sleep(0)
        return 3 * number

    @flow
    async def inner(number: int) -> int:
        return await triple(number)

    @flow(retries=1, timeout_seconds=30)
    async def outer() -> Any:
        first = triple.submit(1)
        later = triple.submit(first)  # type: ignore[arg-type]
        mixed = double.submit(later)  # type: ignore[arg-type]
        together = await asyncio.gather(*[triple(number) for number in range(20)])
        return [await first, await later, await mixed, sum(together), await inner(2)]

    assert asyncio.run(outer()) == [3, 9, 18, 570, 6]
    assert {item["state"]["type"] for item in reports("flow-run-state")} == {"COMPLETED"}
    assert len(reports("flow-run")) == 2


def test_async_time_outs_cancel(reports: Reports) -> None:
    ended: list[str] = []

    @task(timeout_seconds=0.05)
    async def slow() -> None:
        try:
            await asyncio.sleep(30)
        finally:
            ended.append("cleaned up")

    @flow(timeout_seconds=0.3)
    async def outer() -> None:
        with pytest.raises(TimedOut):
            await slow()
        await asyncio.sleep(30)

    with pytest.raises(TimedOut):
        asyncio.run(outer())
    assert ended == ["cleaned up"]
    assert states(reports("task-run"))[-1] == ("FAILED", "TimedOut")


def test_waiting_on_the_own_event_loop_is_refused_and_not_a_deadlock() -> None:
    @task
    async def one() -> int:
        return 1

    @flow
    async def outer() -> int:
        future = one.submit()
        with pytest.raises(InvalidInput, match="await future"):
            future.result()
        return await future

    assert asyncio.run(outer()) == 1


@pytest.mark.parametrize(
    ("code", "kind", "name"),
    [(0, "COMPLETED", "Completed"), (None, "COMPLETED", "Completed"), (3, "FAILED", "Failed")],
)
def test_leaving_by_sys_exit(reports: Reports, code: int | None, kind: str, name: str) -> None:
    @flow
    def leaves() -> None:
        sys.exit(code)

    leaves(return_state=True)
    assert states(reports("flow-run-state")) == [(kind, name)]


def test_an_interrupt_is_a_cancel_and_goes_on(reports: Reports) -> None:
    @flow
    def interrupted() -> None:
        double.submit(1).wait()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert states(reports("flow-run-state")) == [("CANCELLED", "Cancelled")]


def test_results_that_cannot_be_stored_change_no_state(reports: Reports, own_home: Path) -> None:
    @flow
    def lock() -> Any:
        return threading.Lock()

    @flow
    def large() -> str:
        return "x" * 100_000

    assert lock() is not None
    assert len(large()) == 100_000
    assert len(large.with_options(persist_result=True)()) == 100_000
    assert large.with_options(persist_result=False)(return_state=True).is_completed()
    ended = reports("flow-run-state")
    assert [item["result"] for item in ended] == [None] * 4
    assert {item["state"]["type"] for item in ended} == {"COMPLETED"}
    warnings = [item["message"] for item in reports("log", level=30)]
    assert len(warnings) == 2
    assert "lock" in warnings[0]
    assert "100002 bytes" in warnings[1]
    assert len(list((own_home / "results").iterdir())) == 1


def test_flows_stay_functions() -> None:
    class Loader:
        factor = 3

        @flow
        def load(self, number: int) -> int:
            """Load."""
            return self.times(number)

        @task
        def times(self, number: int) -> int:
            return number * self.factor

        @staticmethod
        @flow
        def free(number: int) -> int:
            return number

    loader = Loader()
    assert loader.load("4") == 12  # type: ignore[arg-type]
    assert Loader.free(2) == 2
    assert Loader.load.__doc__ == "Load."
    assert Loader.load.__name__ == "load"
    assert Loader.load.fn(loader, 1) == 3


@pytest.mark.parametrize(
    "options",
    [{"name": "a/b"}, {"name": ""}, {"retries": -1}, {"timeout_seconds": 0}, {"timeout_seconds": "1"},
     {"retry_delay_seconds": -1, "retries": 1}, {"version": 1.0}, {"description": 3}],
)  # fmt: skip
def test_options_that_cannot_be_are_refused_at_definition(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        flow(**options)(lambda: None)


def test_what_is_no_plain_function_is_refused_at_definition() -> None:
    with pytest.raises(InvalidInput, match="name="):
        flow(lambda: None)
    with pytest.raises(InvalidInput, match="goes on a function"):
        flow(classmethod(property()))  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="flow_run_name"):
        flow(flow_run_name="{nothing}")(test_flows_stay_functions)()


def test_failures_without_an_exception_raise_ours() -> None:
    @flow
    def failed() -> Any:
        return Failed("not good")

    @flow
    def cancelled() -> Any:
        return Cancelled("not now")

    with pytest.raises(FailedRun, match="not good"):
        failed()
    with pytest.raises(CancelledRun, match="not now"):
        cancelled()
