"""Whether runs that failed are tried again: rules, conditions and settings, seen from flows and tasks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from orchestrator import FAIL, RETRY, after_header, flow, task
from orchestrator.errors import InvalidInput

Reports = Callable[..., list[dict[str, Any]]]


class Busy(Exception):
    pass


class Refused(Busy):
    pass


def failing(error: Exception, **options: Any) -> tuple[Any, list[int]]:
    tries: list[int] = []

    @task(retry_delay_seconds=0.001, **options)
    def one() -> None:
        tries.append(1)
        raise error

    return one, tries


@pytest.mark.parametrize(("error", "count"), [(Busy("b"), 4), (Refused("r"), 1), (KeyError("k"), 4)])
def test_rules_by_exception(error: Exception, count: int) -> None:
    one, tries = failing(error, retries=3, retry_on={Refused: FAIL, Busy: RETRY, KeyError: after_header})
    assert one(return_state=True).type == "FAILED"
    assert len(tries) == count


def test_a_condition_vetoes_and_sees_task_run_and_state() -> None:
    seen: list[tuple[Any, ...]] = []

    def condition(task: Any, task_run: Any, state: Any) -> bool:
        seen.append((task.name, task_run.run_count, state.name, type(state.result(raise_on_failure=False))))
        return len(seen) < 2

    one, tries = failing(Busy("b"), retries=5, retry_condition_fn=condition)
    one(return_state=True)
    assert seen == [("one", 1, "Failed", Busy), ("one", 2, "Failed", Busy)]
    assert len(tries) == 2


def test_a_condition_may_be_async_and_one_that_raises_wants_no_retry(caplog: pytest.LogCaptureFixture) -> None:
    async def wants(task: Any, task_run: Any, state: Any) -> bool:
        await asyncio.sleep(0)
        return True

    def breaks(task: Any, task_run: Any, state: Any) -> bool:
        raise RuntimeError("broken condition")

    one, tries = failing(Busy("b"), retries=2, retry_condition_fn=wants)
    one(return_state=True)
    assert len(tries) == 3
    one, tries = failing(Busy("b"), retries=2, retry_condition_fn=breaks)
    state = one(return_state=True)
    assert (len(tries), state.message) == (1, "Busy: b")
    assert "broken condition" in caplog.text


def test_flows_have_the_same_rules_and_conditions(reports: Reports) -> None:
    tries: list[int] = []

    def condition(flow: Any, flow_run: Any, state: Any) -> bool:
        return bool(flow.name == "job" and flow_run.run_count < 3)

    @flow(name="job", retries=9, retry_on={Busy: 0, Refused: FAIL}, retry_condition_fn=condition)
    def job(error: Any) -> None:
        tries.append(1)
        raise error

    job(Busy("b"), return_state=True)
    assert len(tries) == 3
    tries.clear()
    job(Refused("r"), return_state=True)
    assert len(tries) == 1
    told = [item["state"] for item in reports("flow-run-state") if item["state"]["name"] == "AwaitingRetry"]
    assert [state["details"]["tries"] for state in told] == [1, 2]


def test_tasks_that_say_nothing_take_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORCHESTRATOR_TASK_RETRIES", "2")
    monkeypatch.setenv("ORCHESTRATOR_TASK_RETRY_DELAY", "1ms")
    tries: dict[str, int] = {"silent": 0, "never": 0}

    @task
    def silent() -> None:
        tries["silent"] += 1
        raise Busy("b")

    @task(retries=0)
    def never() -> None:
        tries["never"] += 1
        raise Busy("b")

    @flow
    def job() -> None:
        silent(return_state=True)
        never(return_state=True)

    job()
    assert tries == {"silent": 3, "never": 1}
    silent(return_state=True)
    assert tries["silent"] == 6


def test_flows_do_not_take_the_settings_of_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORCHESTRATOR_TASK_RETRIES", "2")
    tries: list[int] = []

    @flow
    def job() -> None:
        tries.append(1)
        raise Busy("b")

    job(return_state=True)
    assert len(tries) == 1


@pytest.mark.parametrize("options", [{"retry_condition_fn": 3}, {"retry_on": {int: RETRY}}, {"retry_delay_max": "x"}])
def test_options_that_cannot_be_used(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match=next(iter(options))):
        task(**options)(lambda_of())


def lambda_of() -> Callable[[], None]:
    def one() -> None:
        pass

    return one


@pytest.mark.parametrize("value", [-1, True, 1.5, 101])
def test_crash_retries_that_cannot_be_used(value: Any) -> None:
    with pytest.raises(InvalidInput, match="crash_retries"):
        flow(crash_retries=value)(lambda_of())
