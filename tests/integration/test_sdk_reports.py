"""Flows by hand against the real API: what they report is what the server knows, whatever happened in between."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from orchestrator import (
    create_markdown_artifact,
    emit_event,
    flow,
    get_run_logger,
    reporting,
    settings,
    task,
)
from orchestrator.client import Client
from orchestrator.errors import ParameterError
from tests.live_api import Api


@task
def double(number: int) -> int:
    return 2 * number


@task(retries=1)
def fail() -> None:
    raise ValueError("on purpose")


def delivered() -> Client:
    """A client, once all reports have arrived."""
    deadline = time.monotonic() + 30
    while not reporting.process_reporter(settings.load()).flush(5):
        assert time.monotonic() < deadline, "the reports did not arrive"
    return Client.from_settings()


def test_all_that_a_run_says_is_there(api: Api) -> None:
    @flow(name="Everything", flow_run_name="run {number}")
    def everything(number: int) -> dict[str, int]:
        get_run_logger().info("begun")
        print("printed")
        create_markdown_artifact("# Hello", key="hello")
        emit_event("table.loaded", "warehouse.orders")
        one = double.submit(number)
        two = double.submit(one)  # type: ignore[arg-type]
        broken = fail.submit()
        after = double.submit(broken)  # type: ignore[arg-type]
        assert after.wait() is not None
        return {"two": two.result(), "inner": inner()}

    @flow
    def inner() -> int:
        return double(5)

    assert everything(3) == {"two": 12, "inner": 10}
    client = delivered()
    runs = {run["flow"]["name"]: run for run in client.pages("flow-runs")}
    outer = runs["Everything"]
    assert outer["name"] == "run 3"
    assert outer["state"]["type"] == "COMPLETED"
    assert outer["parameters"] == {"number": 3}
    assert outer["result"] == {"value": {"two": 12, "inner": 10}}
    assert runs["inner"]["parent_flow_run_id"] == outer["id"]
    tasks = {one["name"]: one for one in client.pages("task-runs", {"flow_run_id": outer["id"]})}
    assert {name: one["state"]["name"] for name, one in tasks.items()} == {
        "double-0": "Completed", "double-1": "Completed", "fail-0": "Failed", "double-2": "UpstreamFailed",
    }  # fmt: skip
    assert tasks["double-1"]["upstream"] == [tasks["double-0"]["id"]]
    assert tasks["fail-0"]["attempt"] == 2
    names = [state["name"] for state in client.get(f"task-runs/{tasks['fail-0']['id']}/states")["items"]]
    assert names == ["Pending", "Running", "AwaitingRetry", "Retrying", "Failed"]
    lines = [line["message"] for line in client.pages("logs", {"flow_run_id": outer["id"]})]
    assert lines[:2] == ["begun", "printed"]
    assert [one["key"] for one in client.pages("artifacts", {"flow_run_id": outer["id"]})] == ["hello"]
    events = [one["event"] for one in client.pages("events")]
    assert "table.loaded" in events
    assert not (reporting.process_reporter(settings.load()).folder / "refused.jsonl").exists()


@pytest.mark.parametrize(
    ("ending", "kind", "name"),
    [
        (lambda: 1 / 0, "FAILED", "Failed"),
        (lambda: time.sleep(30), "FAILED", "TimedOut"),
        (lambda: (_ for _ in ()).throw(KeyboardInterrupt), "CANCELLED", "Cancelled"),
    ],
)
def test_every_ending_is_known(api: Api, ending: Callable[[], Any], kind: str, name: str) -> None:
    @flow(timeout_seconds=0.2)
    def ends() -> None:
        list(ending()) if kind == "CANCELLED" else ending()

    with pytest.raises((Exception, KeyboardInterrupt)):
        ends()
    (run,) = delivered().pages("flow-runs")
    assert (run["state"]["type"], run["state"]["name"]) == (kind, name)


def test_flow_retries_and_wrong_parameters_are_known(api: Api) -> None:
    tries: list[int] = []

    @flow(retries=2, retry_delay_seconds=0.01)
    def flaky(number: int) -> None:
        tries.append(1)
        if len(tries) < 3:
            raise ValueError("not yet")

    flaky(1)
    with pytest.raises(ParameterError, match="number"):
        flaky("many")  # type: ignore[arg-type]
    client = delivered()
    wrong, good = client.pages("flow-runs")
    assert (wrong["state"]["type"], good["state"]["type"]) == ("FAILED", "COMPLETED")
    names = [state["name"] for state in client.get(f"flow-runs/{good['id']}/states")["items"]]
    assert names == ["Running", "AwaitingRetry", "Retrying", "AwaitingRetry", "Retrying", "Completed"]


def test_nothing_is_lost_of_five_thousand_tasks_while_the_api_comes_and_goes(api: Api) -> None:
    @flow
    def many() -> None:
        for number in range(5000):
            double(number)
            if number == 1500:
                api.stop()
            if number == 3500:
                api.start()

    many()
    client = delivered()
    (run,) = client.pages("flow-runs")
    assert run["state"]["type"] == "COMPLETED"
    found = list(client.pages("task-runs", {"flow_run_id": run["id"], "limit": 200}))
    assert sorted(int(one["name"].split("-")[1]) for one in found) == list(range(5000))
    assert {one["state"]["name"] for one in found} == {"Completed"}
