"""Each waiting run has a reason: over REST, and on its page (pain 16)."""

from __future__ import annotations

import re
import socket
import time
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text

from orchestrator.clock import now, to_text
from orchestrator.documents.records import WAITING_CODES
from orchestrator.errors import NotFound
from orchestrator.server import hints
from orchestrator.server.db.session import reading, transaction
from orchestrator.server.services.running import waiting
from orchestrator.web.panels import run as run_panel

from ..api import ClientAs

QUEUE = "/api/v1/work-queues/q"
RUNS = "/api/v1/deployments/f/d/runs"
AGENT = {"name": "a", "hostname": "h", "pid": 1, "version": "1", "transport": "redis", "queues": ["q"], "slots": 1}


@pytest.fixture
def admin(client_as: ClientAs) -> FlaskClient:
    client = client_as("admin")
    document = {"flow": "f", "name": "d", "entrypoint": "a.py:f", "work_queue": "q"}
    assert client.post("/api/v1/deployments", json=document).status_code == 201
    return client


@pytest.fixture
def agent_id(admin: FlaskClient) -> str:
    return str(admin.post("/api/v1/agents", json=AGENT).json["agent_id"])


def start(admin: FlaskClient, **body: Any) -> str:
    answer = admin.post(RUNS, json=body)
    assert answer.status_code == 201
    return str(answer.json["id"])


def reason(admin: FlaskClient, run_id: str) -> Any:
    """What REST tells; the run's page has to tell the same."""
    found = admin.get(f"/api/v1/flow-runs/{run_id}").json["waiting_reason"]
    if found is not None:
        with reading() as session:
            assert run_panel.load(session, uuid.UUID(run_id), "overview", now()).why == found["message"]
    return found


def execute(statement: str) -> None:
    """Make so what no request can."""
    with transaction() as session:
        session.execute(text(statement))


def test_a_run_that_an_agent_could_take(admin: FlaskClient, agent_id: str) -> None:
    assert reason(admin, start(admin)) == {"code": "any-moment", "message": "An agent will take it in a moment."}


def test_not_due(admin: FlaskClient, agent_id: str) -> None:
    due = to_text(now() + timedelta(hours=1))
    assert reason(admin, start(admin, due=due)) == {"code": "not-due", "message": f"It is due at {due}."}


def test_no_agent_on_queue(admin: FlaskClient) -> None:
    elsewhere = admin.post("/api/v1/agents", json={**AGENT, "queues": ["other"]}).json["agent_id"]
    run = start(admin)
    assert elsewhere
    told = "No agent serves work queue q: start one with `orchestrator agent start -q q`."
    assert reason(admin, run) == {"code": "no-agent-on-queue", "message": told}


def test_an_agent_that_said_good_bye_is_none(admin: FlaskClient, agent_id: str) -> None:
    assert admin.delete(f"/api/v1/agents/{agent_id}").status_code == 204
    assert reason(admin, start(admin))["code"] == "no-agent-on-queue"


def test_agents_offline(admin: FlaskClient, agent_id: str) -> None:
    execute("UPDATE agent SET last_heartbeat = now() - interval '1 hour'")
    found = reason(admin, start(admin))
    assert found["code"] == "agents-offline"
    assert "All agents of work queue q (1) are offline" in found["message"]


def test_agents_full(admin: FlaskClient, agent_id: str) -> None:
    held = start(admin)
    claimed = admin.post(f"/api/v1/agents/{agent_id}/claim", json={"queues": ["q"]})
    assert claimed.json["id"] == held
    assert reason(admin, held) is None
    assert reason(admin, start(admin))["code"] == "agents-full"


def test_queue_paused(admin: FlaskClient, agent_id: str) -> None:
    assert admin.patch(QUEUE, json={"paused": True}).status_code == 200
    told = {"code": "queue-paused", "message": "Work queue q is paused: resume it."}
    assert reason(admin, start(admin)) == told


def test_deployment_paused(admin: FlaskClient, agent_id: str) -> None:
    run = start(admin)
    deployment = admin.get("/api/v1/deployments/f/d").json["id"]
    assert admin.patch(f"/api/v1/deployments/{deployment}", json={"paused": True}).status_code == 200
    assert reason(admin, run) == {"code": "deployment-paused", "message": "Deployment d is paused: resume it."}


def test_limit_full(admin: FlaskClient, agent_id: str) -> None:
    assert admin.patch(QUEUE, json={"concurrency_limit": 1}).status_code == 200
    start(admin)
    assert admin.post(f"/api/v1/agents/{agent_id}/claim", json={"queues": ["q"]}).status_code == 200
    told = "Work queue q has 1 of at most 1 runs at once."
    assert reason(admin, start(admin)) == {"code": "limit-full", "message": told}


def test_broker_down(admin: FlaskClient, agent_id: str) -> None:
    run = start(admin)
    with socket.socket() as nobody:  # bound, and not listening
        nobody.bind(("127.0.0.1", 0))
        hints.configure(f"redis://127.0.0.1:{nobody.getsockname()[1]}/0")
        try:
            deadline = time.monotonic() + 20
            while not hints.is_down():
                assert time.monotonic() < deadline
                hints.flush(5)
            found = reason(admin, run)
            assert found["code"] == "broker-down"
            assert "Redis does not answer" in found["message"]
            admin.post("/api/v1/agents", json={**AGENT, "transport": "http"})
            assert reason(admin, run)["code"] == "any-moment"
        finally:
            hints.configure(None)


def test_a_broker_that_answers_is_not_down(admin: FlaskClient, agent_id: str, redis_url: str) -> None:
    hints.configure(redis_url)
    try:
        assert hints.is_down() is False
        assert hints.flush(10)
        assert reason(admin, start(admin))["code"] == "any-moment"
    finally:
        hints.configure(None)


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("no-deployment", "DELETE FROM deployment"),
        ("not-queued", "UPDATE flow_run SET work_queue_id = NULL"),
    ],
)
def test_what_no_agent_can_ever_take(admin: FlaskClient, agent_id: str, code: str, change: str) -> None:
    run = start(admin)
    execute(change)
    assert reason(admin, run)["code"] == code


def test_a_run_that_ended_waits_for_nothing(admin: FlaskClient) -> None:
    run = start(admin)
    admin.post(f"/api/v1/flow-runs/{run}/cancel")
    assert reason(admin, run) is None
    with reading() as session, pytest.raises(NotFound, match="there is no flow run"):
        waiting.why(session, uuid.uuid4(), now())


def test_every_code_is_documented() -> None:
    page = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
    assert re.findall(r"^\| `([a-z-]+)` \|", page.partition("## Why a run waits")[2], re.MULTILINE) == [*WAITING_CODES]
