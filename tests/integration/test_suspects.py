"""Suspects of a failure: what happened nearby, the likeliest first."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient

from orchestrator.clock import now, to_text
from orchestrator.ids import uuid7
from orchestrator.kinds import block_kinds
from orchestrator.server.db.session import transaction
from orchestrator.server.services.mapping.suspects import weight
from orchestrator.server.services.recording import events

from ..api import ClientAs

AGENT = {"name": "a", "hostname": "h", "pid": 1, "version": "1", "transport": "redis", "queues": ["q"], "slots": 9}


@pytest.fixture
def admin(client_as: ClientAs) -> FlaskClient:
    client = client_as("admin")
    kind = block_kinds.find("local-file-system").type_facts()
    assert client.post("/api/v1/block-types", json=kind).status_code in {200, 201}
    for name in ("shared", "other"):
        block = {"type": "local-file-system", "name": name, "data": {"basepath": "/srv/data"}}
        assert client.post("/api/v1/blocks", json=block).status_code == 201
    document = {
        "flow": "f", "name": "d", "entrypoint": "a.py:f", "work_queue": "q",
        "storage": {"block": "local-file-system/shared", "path": "x"},
    }  # fmt: skip
    assert client.post("/api/v1/deployments", json=document).status_code == 201
    return client


@pytest.fixture
def agent_id(admin: FlaskClient) -> str:
    return str(admin.post("/api/v1/agents", json=AGENT).json["agent_id"])


def fail(admin: FlaskClient, agent_id: str) -> str:
    """A run that an agent took and that failed now."""
    run = str(admin.post("/api/v1/deployments/f/d/runs", json={}).json["id"])
    job = admin.post(f"/api/v1/agents/{agent_id}/claim", json={"queues": ["q"]}).json
    assert job["id"] == run
    body = {"type": "FAILED", "message": "no", "attempt": job["attempt"]}
    assert admin.post(f"/api/v1/flow-runs/{run}/state", json=body).status_code == 200
    return run


def tell(name: str, resource: str, ago: float = 60, **more: Any) -> None:
    """An event of some seconds ago."""
    at = now() - timedelta(seconds=ago)
    labels = {"resource.id": resource, "resource.name": resource}
    item = {"id": str(uuid7(at)), "event": name, "occurred": to_text(at), "resource": labels, **more}
    with transaction() as session:
        assert not events.ingest(session, [item], now()).refused


def suspects(admin: FlaskClient, run: str) -> list[dict[str, Any]]:
    answer = admin.get(f"/api/v1/flow-runs/{run}/suspects")
    assert answer.status_code == 200, answer.json
    return list(answer.json["items"])


def block_of(admin: FlaskClient, name: str) -> str:
    return f"orchestrator.block.{admin.get(f'/api/v1/blocks/local-file-system/{name}').json['id']}"


def test_an_evicted_pod_heads_the_suspects_of_the_failure_it_caused(admin: FlaskClient, agent_id: str) -> None:
    changed = admin.put("/api/v1/blocks/local-file-system/shared", json={"data": {"basepath": "/srv/moved"}})
    assert changed.status_code == 200
    run = fail(admin, agent_id)
    about = [{"resource.id": f"orchestrator.flow-run.{run}", "resource.role": "flow-run"}]
    tell(
        "kubernetes.pod.evicted", "kubernetes://c/pods/flows/x", 5, related=about, payload={"message": "low on memory"}
    )
    tell("kubernetes.pod.scheduled", "kubernetes://c/pods/flows/x", 9, related=about)
    found = suspects(admin, run)
    assert [item["event"] for item in found][:2] == ["kubernetes.pod.evicted", "block.updated"]
    assert found[0]["hops"] == 0
    assert "what the run was in" in found[0]["why"]
    assert "low on memory" in found[0]["why"]
    assert "what the deployment touches" in found[1]["why"]
    assert "block.loaded" not in {item["event"] for item in found}


def test_what_is_far_away_late_or_usual_counts_less(admin: FlaskClient, agent_id: str) -> None:
    shared, other = block_of(admin, "shared"), block_of(admin, "other")
    for day in range(1, 4):
        for minute in range(10):
            tell("disk.failed", shared, day * 86400 + minute * 60)
    run = fail(admin, agent_id)
    tell("disk.failed", shared, 30)
    tell("disk.lost", shared, 30)
    tell("disk.crashed", shared, 800)
    tell("disk.lost", other, 30)
    tell("disk.vanished", shared, 86_400)
    found = {(item["event"], item["resource_id"]): item["score"] for item in suspects(admin, run)}
    assert ("disk.lost", other) not in found
    assert ("disk.vanished", shared) not in found
    assert found["disk.lost", shared] > found["disk.failed", shared] > 0
    assert found["disk.lost", shared] > found["disk.crashed", shared]


def test_company_of_earlier_failures(admin: FlaskClient, agent_id: str) -> None:
    shared = block_of(admin, "shared")
    for _ in range(2):
        tell("disk.slow", shared, 20)
        fail(admin, agent_id)
    found = suspects(admin, fail(admin, agent_id))
    assert any(item["event"] == "disk.slow" and "100% of the earlier failures" in item["why"] for item in found)


def test_a_failure_upstream(admin: FlaskClient, agent_id: str) -> None:
    table = ["postgres://house/sales/orders"]
    document = {"flow": "f", "name": "d", "entrypoint": "a.py:f", "work_queue": "q", "reads": table}
    assert admin.post("/api/v1/deployments", json=document).status_code == 200
    document = {"flow": "up", "name": "stream", "entrypoint": "a.py:f", "work_queue": "q", "writes": table}
    made = admin.post("/api/v1/deployments", json=document)
    assert made.status_code == 201, made.json
    upstream = str(admin.post("/api/v1/deployments/up/stream/runs", json={}).json["id"])
    job = admin.post(f"/api/v1/agents/{agent_id}/claim", json={"queues": ["q"]}).json
    admin.post(f"/api/v1/flow-runs/{upstream}/state", json={"type": "FAILED", "attempt": job["attempt"]})
    found = suspects(admin, fail(admin, agent_id))
    assert ("flow-run.failed", f"orchestrator.flow-run.{upstream}") in {
        (item["event"], item["resource_id"]) for item in found
    }


def test_only_failures_have_suspects(admin: FlaskClient) -> None:
    run = str(admin.post("/api/v1/deployments/f/d/runs", json={}).json["id"])
    assert admin.get(f"/api/v1/flow-runs/{run}/suspects").status_code == 409
    assert admin.get(f"/api/v1/flow-runs/{uuid.uuid4()}/suspects").status_code == 404


@pytest.mark.parametrize(
    ("name", "least"),
    [("kubernetes.pod.oom-killing", 1.0), ("sql.table.failed", 0.9), ("block.rotated", 0.8), ("table.loaded", 0.3)],
)
def test_weights(name: str, least: float) -> None:
    assert weight(name) == least


def test_what_says_nothing_of_a_cause() -> None:
    assert weight("block.loaded") == weight("flow-run.running") == weight("trigger.fired") == 0
