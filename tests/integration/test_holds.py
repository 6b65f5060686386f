"""Holds: what touches a resource waits and says why, until the hold is released."""

from __future__ import annotations

import threading
import uuid
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient

from orchestrator.clock import now, to_text
from orchestrator.ids import uuid7
from orchestrator.kinds import block_kinds
from orchestrator.server import loops
from orchestrator.server.db.models import Firing
from orchestrator.server.db.session import transaction
from orchestrator.server.services.acting import actions
from orchestrator.server.services.recording import events
from orchestrator.server.services.running import claims

from ..api import ClientAs
from ..firings import fire, only, outbox
from .test_waiting import AGENT, reason


@pytest.fixture
def admin(client_as: ClientAs) -> FlaskClient:
    """Two deployments: one stores its code in ``local-file-system/shared``, the other nowhere."""
    client = client_as("admin")
    kind = block_kinds.find("local-file-system").type_facts()
    assert client.post("/api/v1/block-types", json=kind).status_code in {200, 201}
    block = {"type": "local-file-system", "name": "shared", "data": {"basepath": "/srv/data"}}
    assert client.post("/api/v1/blocks", json=block).status_code == 201
    for name, storage in (("d", {"block": "local-file-system/shared", "path": "x"}), ("other", None)):
        document = {"flow": "f", "name": name, "entrypoint": "a.py:f", "work_queue": "q", "storage": storage}
        assert client.post("/api/v1/deployments", json=document).status_code == 201
    return client


@pytest.fixture
def agent_id(admin: FlaskClient) -> str:
    return str(admin.post("/api/v1/agents", json={**AGENT, "slots": 50}).json["agent_id"])


def block_id(admin: FlaskClient) -> str:
    return f"orchestrator.block.{admin.get('/api/v1/blocks/local-file-system/shared').json['id']}"


def place(admin: FlaskClient, **wanted: Any) -> dict[str, Any]:
    body = {"match": {"resource.id": block_id(admin)}, "reason": "the disk is being moved", **wanted}
    answer = admin.post("/api/v1/holds", json=body)
    assert answer.status_code == 201, answer.json
    return dict(answer.json)


def start(admin: FlaskClient, name: str = "d") -> str:
    return str(admin.post(f"/api/v1/deployments/f/{name}/runs", json={}).json["id"])


def claimed(admin: FlaskClient, agent_id: str) -> str | None:
    answer = admin.post(f"/api/v1/agents/{agent_id}/claim", json={"queues": ["q"]})
    return str(answer.json["id"]) if answer.status_code == 200 else None


def look() -> None:
    loops.run("holds", now())


def test_a_stop_holds_what_touches_the_resource_and_nothing_else(admin: FlaskClient, agent_id: str) -> None:
    hold = place(admin)
    assert [item["name"] for item in hold["deployments"]] == ["f/d"]
    run, other = start(admin), start(admin, "other")
    assert claimed(admin, agent_id) == other
    assert claimed(admin, agent_id) is None
    why = reason(admin, run)
    assert why["code"] == "held"
    assert block_id(admin) in why["message"]
    assert "the disk is being moved" in why["message"]
    assert admin.get(f"/api/v1/holds/{hold['id']}").json["deployments"][0]["waiting"] == 1
    released = admin.post(f"/api/v1/holds/{hold['id']}/release", json={"reason": "moved"}).json
    assert (released["release_reason"], released["released_by"]["type"]) == ("moved", "api-key")
    assert claimed(admin, agent_id) == run


def test_what_waited_is_hinted_at_once(admin: FlaskClient, agent_id: str) -> None:
    hold = place(admin)
    run = start(admin)
    with transaction() as session:
        session.connection().exec_driver_sql("UPDATE flow_run SET hinted = now(), hints = 9")
    admin.post(f"/api/v1/holds/{hold['id']}/release", json={})
    with transaction() as session:
        row = session.connection().exec_driver_sql("SELECT id, hinted, hints FROM flow_run").one()
    assert (str(row.id), row.hinted, row.hints) == (run, None, 0)


def test_a_limit_lets_so_many_go_on(admin: FlaskClient, agent_id: str) -> None:
    place(admin, kind="limit", slots=2)
    for _ in range(4):
        start(admin)
    assert [claimed(admin, agent_id) is not None for _ in range(4)] == [True, True, False, False]


def test_a_limit_is_kept_by_claims_at_once(admin: FlaskClient, agent_id: str) -> None:
    place(admin, kind="limit", slots=3)
    for _ in range(12):
        start(admin)
    found: list[object] = []
    barrier = threading.Barrier(6)

    def claim() -> None:
        barrier.wait()
        for _ in range(2):
            with transaction() as session:
                job = claims.claim(session, uuid.UUID(agent_id), ["q"], now=now(), issue_token=lambda *_: "t")
            found.append(job)

    threads = [threading.Thread(target=claim) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(job is not None for job in found) == 3


def test_a_delay_lets_runs_start_later(admin: FlaskClient, agent_id: str) -> None:
    hold = place(admin, kind="delay", delay_s=3600)
    run = start(admin)
    assert claimed(admin, agent_id) is None
    assert "start 3600.0 s later" in reason(admin, run)["message"]
    with transaction() as session:
        session.connection().exec_driver_sql("UPDATE flow_run SET due = due - interval '2 hours'")
    assert claimed(admin, agent_id) == run
    assert admin.get(f"/api/v1/holds/{hold['id']}").json["released"] is None


def test_a_time_releases(admin: FlaskClient, agent_id: str) -> None:
    hold = place(admin, until=to_text(now() + timedelta(hours=1)))
    run = start(admin)
    look()
    assert claimed(admin, agent_id) is None
    loops.run("holds", now() + timedelta(hours=2))
    released = admin.get(f"/api/v1/holds/{hold['id']}").json
    assert "its time was over" in released["release_reason"]
    assert claimed(admin, agent_id) == run


def test_an_event_releases(admin: FlaskClient, agent_id: str) -> None:
    def say(resource: str, at: datetime) -> None:
        item = {"event": "soda.check.passed", "resource": {"resource.id": resource}}
        with transaction() as session:
            assert not events.ingest(session, [item], at).refused

    say("pg://b", now() - timedelta(minutes=1))
    hold = place(admin, until_event={"event": "soda.*.passed", "match": {"resource.id": "pg://b"}})
    run = start(admin)
    look()
    assert claimed(admin, agent_id) is None  # what was said before does not count
    say("pg://a", now())
    look()
    assert claimed(admin, agent_id) is None
    say("pg://b", now())
    look()
    assert claimed(admin, agent_id) == run
    assert "soda.check.passed" in admin.get(f"/api/v1/holds/{hold['id']}").json["release_reason"]


def test_what_comes_to_touch_it_is_held_too(admin: FlaskClient, agent_id: str) -> None:
    place(admin)
    document = {
        "flow": "f", "name": "late", "entrypoint": "a.py:f", "work_queue": "q",
        "storage": {"block": "local-file-system/shared", "path": "y"},
    }  # fmt: skip
    assert admin.post("/api/v1/deployments", json=document).status_code == 201
    look()
    start(admin, "late")
    assert claimed(admin, agent_id) is None


def test_a_firing_places_it_and_its_end_releases_it(admin: FlaskClient, agent_id: str) -> None:
    """The seed's: a failed quality check holds the database, the next success lets it go."""
    documents = [
        {"do": "place-hold", "resource": "{{ event.payload.about }}", "reason": "rows: {{ event.payload.rows }}"},
        {"do": "place-hold", "resource": "s3://elsewhere", "kind": "limit", "slots": 1, "for": "1h"},
    ]
    firing_id = fire(*documents, payload={"about": block_id(admin), "rows": 3})
    loops.run("actions", now())
    assert [(row.state, row.error) for row in outbox()] == [("done", "")] * 2
    run = start(admin)
    assert claimed(admin, agent_id) is None
    assert "rows: 3" in reason(admin, run)["message"]
    with transaction() as session:
        firing = session.get_one(Firing, firing_id)
        release = [{"do": "release-hold", "resource": "s3://elsewhere"}, {"do": "release-hold"}, {"do": "release-hold"}]
        actions.queue(session, firing, "resolve", release, now())
    loops.run("actions", now())
    assert [row.state for row in outbox()[2:]] == ["done", "done", "skipped"]
    assert claimed(admin, agent_id) == run
    assert admin.get("/api/v1/holds?in_force=true").json["items"] == []


def test_what_checks_a_table_may_run_again_to_let_it_go(admin: FlaskClient, agent_id: str) -> None:
    check = start(admin)
    assert claimed(admin, agent_id) == check
    admin.post(f"/api/v1/flow-runs/{check}/state", json={"type": "COMPLETED", "attempt": 1})
    document = {
        "flow": "f", "name": "reads", "entrypoint": "a.py:f", "work_queue": "q",
        "storage": {"block": "local-file-system/shared", "path": "y"},
    }  # fmt: skip
    assert admin.post("/api/v1/deployments", json=document).status_code == 201
    hold = {"do": "place-hold", "resource": block_id(admin)}
    by = [{"resource.id": f"orchestrator.flow-run.{check}", "resource.role": "flow-run"}]
    fire({**hold, "until_event": "quality.passed"}, related=by)
    loops.run("actions", now())
    look()
    run = start(admin, "reads")
    assert reason(admin, run)["code"] == "held"
    again = start(admin)
    assert claimed(admin, agent_id) == again
    assert claimed(admin, agent_id) is None

    fire(hold, related=by)  # nothing that this one waits for needs the check to run
    loops.run("actions", now())
    assert reason(admin, start(admin))["code"] == "held"


def test_an_action_that_can_be_no_hold_is_given_up(admin: FlaskClient) -> None:
    fire({"do": "place-hold", "resource": "x", "kind": "limit"})
    loops.run("actions", now())
    assert (only().state, "slots" in only().error) == ("given-up", True)


def test_lists_and_events(admin: FlaskClient, client_as: ClientAs) -> None:
    first, second = place(admin), place(admin, reason="two")
    admin.post(f"/api/v1/holds/{first['id']}/release", json={})
    again = admin.post(f"/api/v1/holds/{first['id']}/release", json={"reason": "again"}).json
    assert again["release_reason"] == "by hand"
    listed = {
        query: [item["id"] for item in admin.get(f"/api/v1/holds{query}").json["items"]]
        for query in ("", "?in_force=true", "?in_force=false", f"?on={block_id(admin)}", "?on=s3://nothing")
    }
    both = [second["id"], first["id"]]
    assert list(listed.values()) == [both, [second["id"]], [first["id"]], [second["id"]], []]
    told = admin.get("/api/v1/events?event=hold.*").json["items"]
    assert [item["event"] for item in told] == ["hold.released", "hold.placed", "hold.placed"]
    roles = [(item["resource.id"], item["resource.role"]) for item in told[0]["related"]]
    assert roles[0] == (block_id(admin), "held")
    assert roles[1][1] == "deployment"
    body = {"match": {"resource.id": "x"}, "reason": "x"}
    assert client_as("viewer").post("/api/v1/holds", json=body).status_code == 403


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"match": {}}, "match"),
        ({"match": {"resource.id": []}}, "match"),
        ({"match": {"resource.id": 3}}, "match"),
        ({"kind": "limit"}, "slots"),
        ({"slots": 3}, "slots"),
        ({"kind": "delay"}, "delay_s"),
        ({"until": "2020-01-01T00:00:00Z"}, "until"),
        ({"until_event": {"match": {}}}, "until_event"),
        ({"reason": None}, "reason"),
        ({"kind": "pause"}, "kind"),
    ],
)
def test_what_cannot_be_a_hold(admin: FlaskClient, wrong: dict[str, Any], field: str) -> None:
    body = {"match": {"resource.id": "x"}, "reason": "y", **wrong}
    answer = admin.post("/api/v1/holds", json=body)
    assert (answer.status_code, list(answer.json["errors"])) == (422, [field])


def test_a_hold_that_is_not_there(admin: FlaskClient) -> None:
    assert admin.get(f"/api/v1/holds/{uuid7()}").status_code == 404
    assert admin.post(f"/api/v1/holds/{uuid7()}/release", json={}).status_code == 404


def test_a_preview_says_what_would_be_held_and_holds_nothing(admin: FlaskClient, client_as: ClientAs) -> None:
    start(admin)
    body = {"match": {"resource.id": block_id(admin)}}
    found = client_as("viewer").post("/api/v1/holds/preview", json=body).json
    assert (found["resources"], found["number"]) == ([block_id(admin)], 1)
    assert [(item["name"], item["waiting"]) for item in found["deployments"]] == [("f/d", 1)]
    assert admin.get("/api/v1/holds").json["items"] == []
    every = admin.post("/api/v1/holds/preview", json={"match": {"resource.kind": "deployment"}}).json
    assert every["number"] == 2
    refused = admin.post("/api/v1/holds/preview", json={"match": {}})
    assert (refused.status_code, list(refused.json["errors"])) == (422, ["match"])
