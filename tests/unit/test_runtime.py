"""What code learns of the run that it belongs to."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import pytest

from orchestrator import flow, runtime, tags, task
from orchestrator.errors import SettingsError

Reports = Callable[..., list[dict[str, Any]]]


def test_outside_of_runs_there_is_nothing() -> None:
    run = runtime.flow_run
    assert (run.id, run.name, run.flow_name, run.parent_flow_run_id, run.root_flow_run_id) == (None,) * 5
    assert (run.parameters, run.tags, run.run_count, run.scheduled_start_time, run.ui_url) == ({}, [], 0, None, None)
    assert (runtime.task_run.id, runtime.task_run.tags, runtime.task_run.run_count) == (None, [], 0)
    assert (runtime.deployment.id, runtime.deployment.name, runtime.deployment.parameters) == (None, None, {})


def test_flows_and_tasks_know_themselves(reports: Reports) -> None:
    seen: dict[str, Any] = {}

    @task(retries=1, tags=["t"])
    def step() -> None:
        seen["try"] = runtime.task_run.run_count
        if seen["try"] == 1:
            raise ValueError("once")
        seen["task"] = (runtime.task_run.id, runtime.task_run.name, runtime.task_run.tags, runtime.task_run.task_key)
        seen["around"] = runtime.task_run.flow_run_id

    @flow
    def inner(x: int) -> None:
        seen["inner"] = (runtime.flow_run.id, runtime.flow_run.parent_flow_run_id, runtime.flow_run.root_flow_run_id)
        seen["parameters"] = runtime.flow_run.parameters

    @flow(name="Outer")
    def outer(day: str) -> None:
        run = runtime.flow_run
        seen["outer"] = (run.id, run.flow_name, run.tags, run.run_count, run.parent_flow_run_id)
        seen["urls"] = (run.ui_url, run.api_url)
        step()
        inner(3)

    with tags("nightly"):
        outer("mon")
    told = {item["flow"]: item["id"] for item in reports("flow-run")}
    assert seen["outer"] == (told["Outer"], "Outer", ["nightly"], 1, None)
    assert seen["inner"] == (told["inner"], told["Outer"], told["Outer"])
    assert seen["parameters"] == {"x": 3}
    [task_id] = {item["id"] for item in reports("task-run")}
    assert seen["task"][:3] == (task_id, "step-0", ["nightly", "t"])
    assert seen["task"][3].endswith("step")
    assert seen["try"] == 2
    assert seen["around"] == told["Outer"]
    assert seen["urls"][0].endswith(f"/runs/{told['Outer']}")
    assert seen["urls"][1].endswith(f"/api/v1/flow-runs/{told['Outer']}")


def test_functions_that_name_runs_know_what_they_name(reports: Reports) -> None:
    def task_named() -> str:
        run = runtime.task_run
        return f"{runtime.flow_run.flow_name}/{run.task_name} of {run.parameters['day']} {run.parameters['most']}"

    def flow_named() -> str:
        return f"{runtime.flow_run.flow_name} of {runtime.flow_run.parameters['day']}"

    @task(name="Load", task_run_name=task_named)
    def load(day: str, most: int = 3) -> tuple[str | None, dict[str, Any]]:
        return runtime.task_run.task_name, runtime.task_run.parameters

    @flow(flow_run_name=flow_named)
    def outer(day: str) -> tuple[str | None, dict[str, Any]]:
        return load(day)

    assert outer("mon") == ("Load", {})
    assert {item["name"] for item in reports("flow-run")} == {"outer of mon"}
    assert {item["name"] for item in reports("task-run")} == {"outer/Load of mon 3"}
    assert runtime.task_run.task_name is None


def test_tests_set_them_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in {
        "FLOW_RUN__NAME": "nightly", "FLOW_RUN__TAGS": '["a", "b"]', "FLOW_RUN__RUN_COUNT": "3",
        "FLOW_RUN__PARAMETERS": '{"x": 1}', "FLOW_RUN__SCHEDULED_START_TIME": "2026-03-01T00:00:00Z",
        "TASK_RUN__TAGS": "a,b", "DEPLOYMENT__NAME": "prod",
    }.items():  # fmt: skip
        monkeypatch.setenv(f"ORCHESTRATOR__RUNTIME__{name}", text)
    run = runtime.flow_run
    assert (run.name, run.tags, run.run_count, run.parameters) == ("nightly", ["a", "b"], 3, {"x": 1})
    assert run.scheduled_start_time == datetime(2026, 3, 1, tzinfo=timezone.utc)
    assert (runtime.task_run.tags, runtime.deployment.name) == (["a", "b"], "prod")
    monkeypatch.setenv("ORCHESTRATOR__RUNTIME__FLOW_RUN__RUN_COUNT", "many")
    with pytest.raises(SettingsError, match="FLOW_RUN__RUN_COUNT is 'many'"):
        run.run_count  # noqa: B018


def test_the_attributes_are_listed() -> None:
    assert {"id", "name", "parameters", "tags", "root_flow_run_id"} <= set(dir(runtime.flow_run))
