"""Background runs: what is sent, what the future tells, and what a run's own key may start."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest
from flask.testing import FlaskClient

from orchestrator import as_completed, flow, names, task, wait
from orchestrator.background import BackgroundFuture, flow_of
from orchestrator.client import Client
from orchestrator.errors import CancelledRun, FailedRun, InvalidInput, NotFound, ParameterError
from orchestrator.values.parameters import json_schema

from ..api import ClientAs
from ..live_api import Api


@task(tags=["money"])
def owes(customer: str, amount: float = 0.0, day: date = date(2026, 1, 1)) -> str:
    return f"{customer} owes {amount:g}"


@pytest.fixture
def client(api: Api) -> Client:
    """A server that was told of the task."""
    client = Client.from_settings()
    made = flow_of(owes)
    served = {"flow": made.name, "name": names.BACKGROUND, "entrypoint": "tasks.py:owes"}
    client.post("deployments", {**served, "parameter_schema": json_schema(made.fn), "work_queue": made.name})
    return client


def end(client: Client, future: BackgroundFuture[Any], kind: str, result: Any = None, message: str = "") -> None:
    """Do what an agent does: claim the run, which has waited longest, and report its end."""
    facts = {"name": "a", "hostname": "h", "pid": 1, "version": "1", "transport": "http", "queues": ["task.owes"]}
    agent = client.post("agents", {**facts, "slots": 9})["agent_id"]
    job = client.post(f"agents/{agent}/claim", {"queues": ["task.owes"]})
    assert job["id"] == future.flow_run_id
    path, told = f"flow-runs/{job['id']}/state", {"type": kind, "message": message, "attempt": job["attempt"]}
    client.post(path, {"type": "RUNNING", "attempt": job["attempt"]})
    client.post(path, {**told, "result": {"value": result}} if kind == "COMPLETED" else told)


def test_what_is_sent(client: Client) -> None:
    future = owes.delay("Acme", day=date(2025, 3, 4))
    run = client.get(f"flow-runs/{future.flow_run_id}")
    assert run["parameters"] == {"customer": "Acme", "day": "2025-03-04"}
    assert (run["flow"]["name"], run["deployment"]["name"]) == ("task.owes", "background")
    assert (run["tags"], run["work_queue"], run["name"]) == (["money"], "task.owes", future.name)
    again = owes.apply_async(["Ajax"], {"amount": 2})
    assert client.get(f"flow-runs/{again.flow_run_id}")["parameters"] == {"customer": "Ajax", "amount": 2}


def test_what_the_future_tells(client: Client) -> None:
    future = owes.delay("Acme")
    assert not future.done()
    assert future.wait(0.1) is None
    with pytest.raises(TimeoutError):
        future.result(timeout=0)
    end(client, future, "COMPLETED", "Acme owes 0")
    assert future.done()
    assert future.result() == "Acme owes 0"


def test_futures_of_both_kinds_are_waited_for_together(client: Client) -> None:
    first, second = owes.delay("a"), owes.delay("b")

    @flow
    def work() -> str:
        near, far = shout.submit("x"), shout.submit(first)
        end(client, first, "COMPLETED", "one")
        end(client, second, "COMPLETED", "two")
        assert wait([near, far, second], 20)
        assert {*as_completed([first, near])} == {first, near}
        return far.result()

    assert work() == "one!"
    third = owes.apply_async(["c"], wait_for=[second])
    end(client, third, "COMPLETED", "three")

    async def both() -> str:
        return await third

    assert asyncio.run(both()) == "three"


@task
def digits(count: int) -> Iterator[int]:
    if count > 10:
        raise ValueError("too many")
    yield from range(count)


class Shop:
    @task
    def cost(self) -> int:
        return 1


@task
def shout(text: str) -> str:
    return text + "!"


def test_what_did_not_complete_raises(client: Client) -> None:
    failed, cancelled = owes.delay("a"), owes.delay("b")
    end(client, failed, "FAILED", message="ValueError: no")
    with pytest.raises(FailedRun, match="ValueError: no"):
        failed.result()
    with pytest.raises(FailedRun):
        owes.delay(failed)  # type: ignore[arg-type]
    cancelled.cancel()
    with pytest.raises(CancelledRun):
        cancelled.result(20)


def test_what_cannot_be_sent_is_refused_before_it_is(client: Client) -> None:
    with pytest.raises(ParameterError, match="customer is missing"):
        owes.delay()  # type: ignore[call-arg]
    with pytest.raises(InvalidInput, match="customer of owes has no JSON form"):
        owes.delay(object())  # type: ignore[arg-type]
    with pytest.raises(InvalidInput):
        owes.delay("Acme", amount="much")  # type: ignore[arg-type]
    assert client.get("flow-runs")["items"] == []
    with pytest.raises(InvalidInput, match="task cost is a method"):
        Shop().cost.delay()
    with pytest.raises(NotFound, match="nobody has served the task shout yet: start `orchestrator task serve"):
        shout.delay("x")


def test_the_flow_of_a_task_gives_what_the_task_gives() -> None:
    assert flow_of(owes)("Acme", amount="2") == "Acme owes 2"
    assert flow_of(shout).fn("x") == "x!"
    assert flow_of(digits)(3) == [0, 1, 2]
    with pytest.raises(ValueError, match="too many"):
        flow_of(digits)(11)


def test_a_run_starts_background_runs_alone_and_sees_what_it_started(client_as: ClientAs) -> None:
    editor = client_as("editor")
    for name, deployment in (("f", "d"), ("task.owes", "background"), ("task.owes", "other")):
        body = {"flow": name, "name": deployment, "entrypoint": "a.py:f"}
        assert editor.post("/api/v1/deployments", json=body).status_code == 201
    editor.post("/api/v1/deployments/f/d/runs", json={})
    header = {"Authorization": f"Bearer {claimed(client_as('agent'))['token']}"}
    own = client_as("")
    for path in ("f/d", "task.owes/other"):
        assert own.post(f"/api/v1/deployments/{path}/runs", json={}, headers=header).status_code == 403
    made = own.post("/api/v1/deployments/task.owes/background/runs", json={}, headers=header)
    assert (made.status_code, made.json["created_by"]["type"]) == (201, "run")
    assert own.get(f"/api/v1/flow-runs/{made.json['id']}", headers=header).status_code == 200
    assert own.post(f"/api/v1/flow-runs/{made.json['id']}/cancel", headers=header).status_code == 403
    foreign = editor.post("/api/v1/deployments/task.owes/background/runs", json={}).json
    assert own.get(f"/api/v1/flow-runs/{foreign['id']}", headers=header).status_code == 404


def claimed(agent: FlaskClient) -> dict[str, Any]:
    facts = {"name": "a", "hostname": "h", "pid": 1, "version": "1", "transport": "http", "queues": ["default"]}
    registered = agent.post("/api/v1/agents", json={**facts, "slots": 1}).json
    path = f"/api/v1/agents/{registered['agent_id']}/claim"
    job: dict[str, Any] = agent.post(path, json={"queues": ["default"]}).json
    return job
