"""Runs, agents, reports and events, over REST."""

from __future__ import annotations

import threading
import uuid
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from orchestrator.clock import now, to_text
from orchestrator.documents import records
from orchestrator.server import config, waiters
from orchestrator.server.api import holding

from ..api import ClientAs
from ..polling import until

AGENT = {"name": "a", "hostname": "h", "pid": 1, "version": "1", "transport": "http", "queues": ["default"], "slots": 4}


@pytest.fixture
def editor(client_as: ClientAs) -> FlaskClient:
    client = client_as("editor")
    client.post("/api/v1/deployments", json={"flow": "f", "name": "d", "entrypoint": "a.py:f"})
    return client


@pytest.fixture
def agent(client_as: ClientAs) -> FlaskClient:
    return client_as("agent")


def start(editor: FlaskClient, **body: Any) -> Any:
    answer = editor.post("/api/v1/deployments/f/d/runs", json=body)
    assert answer.status_code == 201
    return answer.json


def register(agent: FlaskClient) -> str:
    answer = agent.post("/api/v1/agents", json=AGENT)
    assert answer.status_code == 201
    return str(records.Registration.read(answer.json).agent_id)


def claim(agent: FlaskClient, agent_id: str, **body: Any) -> Any:
    return agent.post(f"/api/v1/agents/{agent_id}/claim", json={"queues": ["default"], **body})


def test_the_life_of_a_run(editor: FlaskClient, agent: FlaskClient) -> None:
    run = start(editor)
    agent_id = register(agent)
    answer = claim(agent, agent_id, preferred=run["id"])
    assert answer.headers["Cache-Control"] == "no-store"
    job = records.Job.read(answer.json)
    assert (str(job.id), job.attempt, job.flow, job.work_queue) == (run["id"], 1, "f", "default")
    assert claim(agent, agent_id).status_code == 204
    held = {"running": [{"run_id": run["id"], "attempt": 1}]}
    nothing = {"cancel": [], "lost": [], "waiting": False, "unhealthy": ""}
    assert agent.post(f"/api/v1/agents/{agent_id}/heartbeat", json=held).json == nothing
    address = f"/api/v1/flow-runs/{run['id']}"
    moved = agent.post(f"{address}/state", json={"type": "RUNNING", "attempt": 1})
    assert (moved.status_code, moved.json["state"]["type"]) == (200, "RUNNING")
    stale = agent.post(f"{address}/state", json={"type": "COMPLETED", "attempt": 0})
    assert stale.status_code == 409
    assert stale.json["status"] != "Conflict"
    assert editor.post(f"{address}/cancel").json["state"]["type"] == "CANCELLING"
    told = agent.post(f"/api/v1/agents/{agent_id}/heartbeat", json=held).json
    assert told["cancel"] == held["running"]
    ended = {"type": "CANCELLED", "attempt": 1, "details": {"signal": 15}, "result": {"value": 5}}
    assert agent.post(f"{address}/state", json=ended).json["result"] == {"value": 5}
    states = editor.get(f"{address}/states").json["items"]
    assert [item["type"] for item in states] == ["SCHEDULED", "PENDING", "RUNNING", "CANCELLING", "CANCELLED"]
    assert states[-1]["details"]["signal"] == 15
    retried = editor.post(f"{address}/retry").json
    assert (retried["id"], retried["state"]["type"]) == (run["id"], "SCHEDULED")
    again = editor.post(f"{address}/rerun")
    assert (again.status_code, again.json["id"] != run["id"]) == (201, True)
    assert editor.delete(address).status_code == 204
    assert editor.get(address).status_code == 404


def test_a_run_is_suspended_and_resumed(
    app: Flask, editor: FlaskClient, agent: FlaskClient, client_as: ClientAs
) -> None:
    run, agent_id = start(editor), register(agent)
    token = claim(agent, agent_id).json["token"]
    address, by_token = f"/api/v1/flow-runs/{run['id']}", {"Authorization": f"Bearer {token}"}
    assert app.test_client().get(address, headers=by_token).status_code == 200
    for verb in ("suspend", "resume"):
        assert client_as("viewer").post(f"{address}/{verb}").status_code == 403
    past = editor.post(f"{address}/suspend", json={"until": "2020-01-01T00:00:00Z"})
    assert (past.status_code, list(past.json["errors"])) == (422, ["until"])
    suspended = editor.post(f"{address}/suspend", json={"until": "2099-01-01T00:00:00Z"})
    assert (suspended.status_code, suspended.json["state"]["name"]) == (200, "Suspending")
    early = editor.post(f"{address}/resume")
    assert (early.status_code, early.json["status"]) == (409, "suspending")
    stopped = agent.post(f"{address}/state", json={"type": "CANCELLED", "attempt": 1, "details": {"signal": 15}})
    assert (stopped.json["state"]["type"], stopped.json["state"]["name"]) == ("PAUSED", "Suspended")
    assert app.test_client().get(address, headers=by_token).status_code == 401
    found = editor.get(address).json
    assert found["waiting_reason"]["code"] == "suspended"
    assert [item["id"] for item in editor.get("/api/v1/flow-runs?state_name=Suspended").json["items"]] == [run["id"]]
    assert editor.get("/api/v1/flow-runs?state_type=PAUSED").json["items"][0]["id"] == run["id"]
    assert editor.post(f"{address}/suspend").json["state"]["name"] == "Suspended"
    assert editor.post(f"{address}/resume").json["state"]["name"] == "Scheduled"
    again = editor.post(f"{address}/resume")
    assert (again.status_code, again.json["status"]) == (409, "not-suspended")
    assert claim(agent, agent_id).json["attempt"] == 2


def test_runs_are_filtered(editor: FlaskClient) -> None:
    first, second = start(editor, name="early bird", tags=["a", "b"]), start(editor, tags=["a"])
    editor.post(f"/api/v1/flow-runs/{second['id']}/cancel")
    for query, wanted in [
        ("state_type=CANCELLED", [second]),
        ("state_type=CANCELLED&state_type=SCHEDULED", [second, first]),
        ("state_name=Scheduled", [first]),
        ("tag=a&tag=b", [first]),
        ("name=BIRD", [first]),
        (f"deployment_id={first['deployment']['id']}&limit=1", [second]),
        (f"flow_id={uuid.uuid4()}", []),
        ("work_queue=default&state_type=SCHEDULED", [first]),
        (f"created_before={first['created']}", []),
    ]:
        found = editor.get(f"/api/v1/flow-runs?{query}").json["items"]
        assert [item["id"] for item in found] == [item["id"] for item in wanted], query


def test_states_that_are_none_are_refused(editor: FlaskClient) -> None:
    address = f"/api/v1/flow-runs/{start(editor)['id']}/state"
    assert list(editor.post(address, json={"type": "DONE"}).json["errors"]) == ["type"]
    assert list(editor.post(address, json={"type": "FAILED", "attempt": -1}).json["errors"]) == ["attempt"]


def test_an_unknown_agent_is_told_to_register(agent: FlaskClient) -> None:
    for verb, body in [("heartbeat", {"running": []}), ("claim", {"queues": ["default"]})]:
        answer = agent.post(f"/api/v1/agents/{uuid.uuid4()}/{verb}", json=body)
        assert (answer.status_code, "register" in answer.json["message"]) == (404, True)


def test_agents_are_listed_and_leave(editor: FlaskClient, agent: FlaskClient) -> None:
    agent_id = register(agent)
    shown = editor.get("/api/v1/agents").json["items"][0]
    assert (shown["status"], shown["running"], shown["queues"]) == ("ONLINE", 0, ["default"])
    assert agent.delete(f"/api/v1/agents/{agent_id}").status_code == 204
    assert editor.get(f"/api/v1/agents/{agent_id}").json["status"] == "STOPPED"
    assert claim(agent, agent_id).status_code == 404


@pytest.mark.parametrize("field", ["name", "queues", "slots", "transport", "pid"])
def test_registration_is_checked(agent: FlaskClient, field: str) -> None:
    wrong = {"name": "", "queues": [], "slots": 0, "transport": "pigeon", "pid": "1"}
    assert list(agent.post("/api/v1/agents", json={**AGENT, field: wrong[field]}).json["errors"]) == [field]


def test_agents_hear_of_redis_only_when_they_ask_for_it(
    app: Flask, agent: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    config.use(replace(config.current(), redis_url="redis://somewhere"))
    assert agent.post("/api/v1/agents", json=AGENT).json["broker_url"] is None
    by_redis = agent.post("/api/v1/agents", json={**AGENT, "transport": "redis"}).json
    assert by_redis["broker_url"] == "redis://somewhere"


def test_a_claim_waits_for_work(app: Flask, editor: FlaskClient, agent: FlaskClient) -> None:
    agent_id = register(agent)
    answers: list[Any] = []
    waiting = threading.Thread(target=lambda: answers.append(claim(agent, agent_id, wait_s=30)))
    waiting.start()
    until(lambda: bool(waiters._room._waiters))
    run = start(editor)
    waiting.join(20)
    assert [answer.status_code for answer in answers] == [200]
    assert answers[0].json["id"] == run["id"]


def test_a_claim_that_waits_in_vain_ends(agent: FlaskClient) -> None:
    assert claim(agent, register(agent), wait_s=0.3).status_code == 204
    refused = claim(agent, register(agent), wait_s=31)
    assert list(refused.json["errors"]) == ["wait_s"]


def test_held_requests_leave_half_of_the_threads(
    app: Flask, agent: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holding, "places", lambda threads, share: threading.BoundedSemaphore(0))
    answer = claim(agent, register(agent), wait_s=5)
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0


def test_reports_are_stored_once(editor: FlaskClient) -> None:
    producer, run, task = (str(uuid.uuid4()) for _ in range(3))
    at = to_text(now())
    items = [
        {"kind": "flow-run", "id": run, "flow": "by hand", "name": "n", "state": {"type": "RUNNING", "at": at}},
        {
            "kind": "task-run",
            "id": task,
            "flow_run_id": run,
            "flow_attempt": 1,
            "name": "t",
            "task_key": "m.t",
            "attempt": 1,
            "state": {"type": "COMPLETED", "at": at},
        },
        {"kind": "log", "flow_run_id": run, "attempt": 1, "level": 40, "logger": "l", "message": "Oh no", "at": at},
        {"kind": "artifact", "id": str(uuid.uuid4()), "key": "k", "type": "markdown", "data": "# x",
         "flow_run_id": run, "at": at},
        {"kind": "log", "flow_run_id": run, "attempt": "x", "message": "bad", "at": at},
    ]  # fmt: skip
    body = {"batches": [{"producer": producer, "first": 1, "items": items}]}
    for _ in range(2):
        answer = editor.post("/api/v1/reports", json=body)
        assert answer.status_code == 200
        assert answer.json["accepted"] == {producer: 5}
    first = editor.post("/api/v1/reports", json={"batches": [{"producer": producer, "first": 9, "items": items[:1]}]})
    assert [item["code"] for item in first.json["refused"]] == ["gap"]
    assert [line["message"] for line in editor.get(f"/api/v1/logs?flow_run_id={run}&level=error").json["items"]] == [
        "Oh no"
    ]
    assert editor.get(f"/api/v1/logs?flow_run_id={run}&search=nothing").json["items"] == []
    assert editor.get(f"/api/v1/task-runs?flow_run_id={run}&state_type=COMPLETED").json["items"][0]["id"] == task
    assert editor.get(f"/api/v1/task-runs/{task}").json["task_key"] == "m.t"
    assert [item["type"] for item in editor.get(f"/api/v1/task-runs/{task}/states").json["items"]] == ["COMPLETED"]
    artifact = editor.get(f"/api/v1/artifacts?key=k&flow_run_id={run}").json["items"][0]
    assert editor.get(f"/api/v1/artifacts/{artifact['id']}").json["data"] == "# x"
    assert editor.get("/api/v1/flows/by hand").json["name"] == "by hand"


def test_a_bad_report_is_refused_by_name(editor: FlaskClient) -> None:
    for body in ({}, {"batches": [{"producer": "x", "first": 1, "items": []}]}, {"batches": [], "more": 1}):
        assert editor.post("/api/v1/reports", json=body).status_code == 422


def test_events_are_taken_one_by_one(editor: FlaskClient) -> None:
    good = {"event": "table.loaded", "resource": {"resource.id": "duckdb.sales"}, "payload": {"rows": 5}}
    answer = editor.post("/api/v1/events", json=[good, {"event": "x"}, 5])
    assert answer.status_code == 202
    assert answer.json["accepted"] == 1
    assert [item["index"] for item in answer.json["refused"]] == [1, 2]
    assert editor.post("/api/v1/events", json=good).json == {"accepted": 1, "refused": []}
    listed = editor.get("/api/v1/events?event=table.*&resource_id=duckdb.sales").json["items"]
    assert len(listed) == 2
    assert editor.get(f"/api/v1/events/{listed[0]['id']}").json == listed[0]
    assert editor.post("/api/v1/events").status_code == 422
