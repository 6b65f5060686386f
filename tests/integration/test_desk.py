"""Desks: sentences, whose they are, who tells; saved forms."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient

from orchestrator.clock import now
from orchestrator.kinds import block_kinds
from orchestrator.server.db.models import DeskItem, ExpectationOccurrence, Resource
from orchestrator.server.db.session import transaction
from orchestrator.server.services.acting import holds
from orchestrator.server.services.acting.holds import Wanted

from ..api import ClientAs
from ..server_rows import ANN

ORDERS = "postgres://shop/orders"
SCHEMA = {"type": "object", "properties": {"day": {"type": "string"}}, "additionalProperties": False}


@pytest.fixture
def editor(client_as: ClientAs) -> FlaskClient:
    client = client_as("editor")
    document = {"flow": "f", "name": "d", "entrypoint": "a.py:f", "parameter_schema": SCHEMA}
    assert client.post("/api/v1/deployments", json=document).status_code == 201
    return client


def put(client: FlaskClient, code: int = 201, **thing: Any) -> dict[str, Any]:
    answer = client.post("/api/v1/desk", json=thing)
    assert answer.status_code == code, answer.json
    return dict(answer.json)


def desk(client: FlaskClient) -> dict[str, dict[str, Any]]:
    return {item["name"]: item for item in client.get("/api/v1/desk").json["items"]}


def seen(state: str | None = None) -> None:
    at = now() - timedelta(minutes=12, seconds=5)
    with transaction() as session:
        session.add(
            Resource(id=ORDERS, kind="table", name="orders", labels={}, own_labels={}, first_seen=at, last_seen=at,
                     changed=at, state=state, state_since=at)
        )  # fmt: skip


def occurred(expectation: str, status: str, hours: float) -> None:
    at = now() + timedelta(hours=hours)
    with transaction() as session:
        session.add(
            ExpectationOccurrence(expectation_id=expectation, slot=at, opens=at, due=at, deadline=at, status=status,
                                  satisfied=at if status == "met" else None, hits=[])
        )  # fmt: skip


def test_a_desk_is_the_keys_own(editor: FlaskClient, client_as: ClientAs) -> None:
    item = put(editor, resource=ORDERS)
    assert (item["sign"], item["sentence"]) == ("quiet", f"{ORDERS}: not seen yet")
    assert put(editor, 200, resource=ORDERS)["id"] == item["id"]
    other = client_as("viewer")
    assert desk(other) == {}
    assert other.delete(f"/api/v1/desk/{item['id']}").status_code == 404
    mine = put(other, deployment="f/d")
    assert other.post(f"/api/v1/desk/{mine['id']}/tell", json={"block": "slack/x"}).status_code == 403
    assert editor.delete(f"/api/v1/desk/{item['id']}").status_code == 204
    assert desk(editor) == {}


@pytest.mark.parametrize("body", [{}, {"resource": "a", "deployment": "f/d"}])
def test_one_thing_is_named(editor: FlaskClient, body: dict[str, Any]) -> None:
    answer = editor.post("/api/v1/desk", json=body)
    assert (answer.status_code, list(answer.json["errors"])) == (422, ["resource"])
    assert editor.post("/api/v1/desk", json={"deployment": "f/none"}).status_code == 404


def test_a_table_is_fresh_due_and_late_in_plain_words(editor: FlaskClient) -> None:
    seen()
    document = {"name": "orders-daily", "within": "24h", "on": {"match": {"resource.id": ORDERS}}}
    made = editor.post("/api/v1/expectations", json=document).json
    put(editor, resource=ORDERS)
    put(editor, expectation="orders-daily")
    occurred(made["id"], "met", -20)
    occurred(made["id"], "due", 4)
    found = desk(editor)
    assert found["orders"]["sign"] == "fresh"
    assert found["orders"]["sentence"].startswith("orders: fresh, changed 12 min ago, due again ")
    assert found["orders-daily"]["sentence"].startswith("orders-daily: met 20 h ago, due again ")
    occurred(made["id"], "missed", -1)
    found = desk(editor)
    assert (found["orders"]["sign"], found["orders-daily"]["sign"]) == ("late", "failing")
    assert found["orders"]["sentence"].startswith("orders: late, was due ")
    assert [item["name"] for item in editor.get("/api/v1/desk").json["items"]] == ["orders-daily", "orders"]
    assert editor.get("/api/v1/desk?timezone=Berlin").status_code == 422


def test_a_deployment_says_how_it_ended_what_is_next_and_that_it_is_held(editor: FlaskClient) -> None:
    item = put(editor, deployment="f/d")
    assert item["sentence"] == "f/d: has not run yet"
    run = editor.post("/api/v1/deployments/f/d/runs", json={}).json
    editor.post("/api/v1/deployments/f/d/runs", json={"due": "2099-01-31T14:00:00Z"})
    with transaction() as session:
        at = {"id": run["id"], "at": now() - timedelta(hours=2)}
        session.connection().exec_driver_sql(
            "UPDATE flow_run SET state_type = 'COMPLETED', state_name = 'Completed', ended = %(at)s, started = %(at)s"
            " WHERE id = %(id)s",
            at,
        )
    found = desk(editor)["f/d"]
    assert (found["sign"], found["sentence"]) == ("fresh", "f/d: completed 2 h ago, next run 2099-01-31 14:00")
    with transaction() as session:
        wanted = Wanted({"resource.id": f"orchestrator.deployment.{found['of']}"}, "stop", "the disk is full")
        holds.place(session, wanted, ANN, now())
    found = desk(editor)["f/d"]
    assert (found["sign"], found["sentence"].rpartition("; ")[2]) == ("held", "held: the disk is full")


def test_a_deployment_whose_last_run_is_suspended_is_held(editor: FlaskClient) -> None:
    put(editor, deployment="f/d")
    run = editor.post("/api/v1/deployments/f/d/runs", json={}).json
    editor.post(f"/api/v1/flow-runs/{run['id']}/suspend")
    found = desk(editor)["f/d"]
    assert (found["sign"], found["sentence"].startswith("f/d: suspended since ")) == ("held", True)


def notifier(editor: FlaskClient) -> None:
    kind = block_kinds.find("slack").type_facts()
    assert editor.post("/api/v1/block-types", json=kind).status_code in {200, 201}
    block = {"type": "slack", "name": "me", "data": {"webhook_url": "https://hooks.slack.com/services/a/b/c"}}
    assert editor.post("/api/v1/blocks", json=block).status_code == 201


def test_who_is_told_is_a_trigger_that_goes_with_the_item(editor: FlaskClient) -> None:
    notifier(editor)
    seen()
    editor.post("/api/v1/expectations", json={"name": "e", "within": "1h", "on": {"match": {"resource.id": ORDERS}}})
    for thing in ({"resource": ORDERS}, {"deployment": "f/d"}, {"expectation": "e"}):
        item = put(editor, **thing)
        told = editor.post(f"/api/v1/desk/{item['id']}/tell", json={"block": "slack/me"})
        assert (told.status_code, told.json["told_by"]) == (200, "slack/me"), told.json
        [trigger] = editor.get("/api/v1/triggers").json["items"]
        assert item["name"].replace("/", " ") in trigger["name"]
        assert editor.post(f"/api/v1/desk/{item['id']}/tell", json={"block": "slack/none"}).status_code == 422
        off = editor.post(f"/api/v1/desk/{item['id']}/tell", json={"block": None}).json
        assert (off["told_by"], editor.get("/api/v1/triggers").json["items"]) == ("", [])
        editor.post(f"/api/v1/desk/{item['id']}/tell", json={"block": "slack/me"})
        assert editor.delete(f"/api/v1/desk/{item['id']}").status_code == 204
        assert editor.get("/api/v1/triggers").json["items"] == []


def test_what_is_deleted_leaves_the_desk(editor: FlaskClient) -> None:
    put(editor, deployment="f/d")
    assert editor.delete("/api/v1/deployments/f/d").status_code == 204
    assert desk(editor) == {}
    with transaction() as session:
        assert session.query(DeskItem).count() == 0


def test_who_is_told_of_what_is_deleted_is_told_no_more(editor: FlaskClient) -> None:
    notifier(editor)
    expected = {"within": "1h", "on": {"match": {"resource.id": ORDERS}}}
    assert editor.post("/api/v1/expectations", json={"name": "free", **expected}).status_code == 201
    document = {"flow": "f", "name": "d", "entrypoint": "a.py:f", "parameter_schema": SCHEMA}
    owned = {**document, "expectations": [{"name": "one", **expected}, {"name": "two", **expected}]}
    assert editor.post("/api/v1/deployments", json=owned).status_code == 200
    made = [row["id"] for row in editor.get("/api/v1/expectations").json["items"]]
    for thing in ({"deployment": "f/d"}, *({"expectation": key} for key in made)):
        item = put(editor, **thing)
        assert editor.post(f"/api/v1/desk/{item['id']}/tell", json={"block": "slack/me"}).status_code == 200

    def told() -> list[str]:
        return sorted(row["name"].split()[-1] for row in editor.get("/api/v1/triggers").json["items"])

    assert told() == ["d", "free", "one", "two"]
    assert editor.delete("/api/v1/expectations/free").status_code == 204
    assert told() == ["d", "one", "two"]
    assert (
        editor.post("/api/v1/deployments", json={**owned, "expectations": owned["expectations"][:1]}).status_code == 200
    )
    assert told() == ["d", "one"]
    assert editor.delete("/api/v1/deployments/f/d").status_code == 204
    assert told() == []
    deleted = editor.get("/api/v1/events?event=trigger.deleted").json["items"]
    assert len(deleted) == 4


def test_a_saved_form_starts_runs_and_refuses_what_no_run_could_start_with(editor: FlaskClient) -> None:
    put(editor, deployment="f/d")
    path = "/api/v1/deployments/f/d/forms"
    assert editor.put(f"{path}/monday", json={"parameters": {"day": "mon"}}).status_code == 201
    assert editor.put(f"{path}/monday", json={"parameters": {"day": "monday"}}).status_code == 200
    refused = editor.put(f"{path}/bad", json={"parameters": {"day": 3}})
    assert (refused.status_code, "day" in str(refused.json["errors"])) == (422, True)
    assert desk(editor)["f/d"]["forms"] == ["monday"]
    run = editor.post(f"{path}/monday/runs", json={})
    assert (run.status_code, run.json["parameters"]) == (201, {"day": "monday"})
    assert editor.post(f"{path}/none/runs", json={}).status_code == 404
    assert editor.delete(f"{path}/monday").status_code == 204
    assert editor.get(path).json["items"] == []
