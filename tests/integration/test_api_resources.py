"""Resources, their states, rules and the map, over REST and on the command line."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient

from orchestrator.clock import now, to_text
from orchestrator.server.db.session import transaction
from orchestrator.server.loops import resources as loop
from orchestrator.server.services.mapping import stack_map
from orchestrator.server.services.mapping.stack_map import MapFilter
from orchestrator.server.services.statements import execute

from ..api import ClientAs

NOW = now()
HOUR_AGO, TWO_AGO, THREE_AGO = (to_text(NOW - timedelta(hours=hours)) for hours in (1, 2, 3))
TABLE = "db://house/table a"


@pytest.fixture
def editor(client_as: ClientAs) -> FlaskClient:
    client = client_as("editor")
    send(client, "table.failed", TABLE, THREE_AGO, "db://house", env="prod")
    send(client, "table.passed", TABLE, HOUR_AGO, "db://other")
    return client


def send(client: FlaskClient, name: str, key: str, occurred: str, whole: str, **labels: str) -> None:
    related = [{"resource.id": whole, "resource.role": "part-of"}]
    body = {"event": name, "occurred": occurred, "resource": {"resource.id": key, **labels}, "related": related}
    assert client.post("/api/v1/events", json=body).json == {"accepted": 1, "refused": []}


def get(client: FlaskClient, path: str, **query: Any) -> Any:
    answer = client.get(f"/api/v1/{path}", query_string=query)
    assert answer.status_code == 200, answer.json
    return answer.json


def resource(key: str) -> str:
    return f"resources/{quote(key, safe='')}"


def test_a_resource_with_its_states_and_as_of(editor: FlaskClient) -> None:
    found = get(editor, resource(TABLE))
    assert (found["state"], found["state_since"], found["last_event"]) == ("healthy", HOUR_AGO, "table.passed")
    assert (found["kind"], found["labels"], found["origin"]) == ("db", {"env": "prod"}, "event")
    told = get(editor, f"{resource(TABLE)}/states")["items"]
    assert [(item["state"], item["since"], item["until"]) for item in told] == [
        ("healthy", HOUR_AGO, None), ("failing", THREE_AGO, HOUR_AGO),
    ]  # fmt: skip
    then = get(editor, "resources", as_of=TWO_AGO)["items"]
    assert [(item["id"], item["state"]) for item in then] == [("db://house", "unknown"), (TABLE, "failing")]
    assert [item["target"] for item in get(editor, "relations", resource=TABLE, as_of=TWO_AGO)["items"]] == [
        "db://house"
    ]
    assert [item["id"] for item in get(editor, "resources", label="env=prod", state="healthy")["items"]] == [TABLE]
    assert editor.get("/api/v1/resources?label=env").status_code == 422
    assert editor.get("/api/v1/resources?as_of=yesterday").status_code == 422


def test_edits_merges_and_rules(editor: FlaskClient, client_as: ClientAs) -> None:
    body = {"owner": "team x", "labels": {"tier": "1", "env": "test"}, "description": "Sales."}
    changed = editor.patch(f"/api/v1/{resource(TABLE)}", json=body).json
    assert (changed["owner"], changed["labels"]) == ("team x", {"tier": "1", "env": "test"})
    assert changed["own_labels"] == body["labels"]
    wrong = editor.patch(f"/api/v1/{resource(TABLE)}", json={"labels": {"resource.id": "x"}})
    assert (wrong.status_code, set(wrong.json["errors"])) == (422, {"labels"})
    assert client_as("viewer").patch(f"/api/v1/{resource(TABLE)}", json=body).status_code == 403
    merged = editor.post(f"/api/v1/{resource('db://other')}/merge", json={"into": "db://house"})
    assert merged.json["id"] == "db://house"
    assert editor.get(f"/api/v1/{resource('db://other')}").status_code == 404
    assert [item["target"] for item in get(editor, "relations", resource=TABLE)["items"]] == ["db://house"]
    made = editor.post("/api/v1/resource-rules", json={"pattern": "tmp.*"})
    assert (made.status_code, made.json["action"], made.json["into"]) == (201, "ignore", None)
    assert editor.post("/api/v1/resource-rules", json={"pattern": "tmp.*", "into": "t"}).status_code == 200
    assert [item["pattern"] for item in get(editor, "resource-rules")["items"]] == ["db://other", "tmp.*"]
    assert editor.post("/api/v1/resource-rules", json={"pattern": "*"}).status_code == 422
    assert editor.delete(f"/api/v1/resource-rules/{made.json['id']}").status_code == 204
    told = get(editor, "events", event="resource.*")["items"]
    assert {item["event"] for item in told} == {"resource.edited", "resource.merged"}


def test_the_map_now_then_and_around_one(editor: FlaskClient) -> None:
    document = {"flow": "f", "name": "d", "entrypoint": "f.py:f", "reads": [TABLE], "writes": ["db://new"]}
    deployment = f"orchestrator.deployment.{editor.post('/api/v1/deployments', json=document).json['deployment']['id']}"
    with transaction() as session:
        loop.step(session, now())
    drawn = get(editor, "map")
    edges = {(item["source"], item["target"], item["role"]) for item in drawn["edges"]}
    assert {(TABLE, "db://house", "part-of"), (deployment, TABLE, "reads"), (deployment, "db://new", "writes")} <= edges
    roles = {role for source, _, role in edges if source == deployment}
    assert roles == {"reads", "writes", "part-of", "runs-in"}
    kinds = {item["kind"]: item for item in drawn["clusters"]}
    assert (kinds["db"]["count"], kinds["db"]["states"]) == (4, {"healthy": 1, "unknown": 3})
    then = get(editor, "map", as_of=TWO_AGO)
    assert {item["id"]: item["state"] for item in then["nodes"]} == {TABLE: "failing", "db://house": "unknown"}
    assert len(then["edges"]) == 1
    near = get(editor, "map", focus="db://new", hops=2)
    assert {"db://new", deployment, TABLE} <= {item["id"] for item in near["nodes"]}
    assert "db://house" not in {item["id"] for item in near["nodes"]}
    assert {item["kind"] for item in get(editor, "map", kind=["d*"])["nodes"]} == {"db", "deployment"}
    assert editor.get("/api/v1/map?focus=nowhere").status_code == 404
    assert editor.get("/api/v1/map?hops=11").status_code == 422


def test_a_map_of_very_many_is_cut_to_those_heard_of_last(editor: FlaskClient) -> None:
    with transaction() as session:
        execute(
            session,
            "INSERT INTO resource (id, kind, name, labels, first_seen, last_seen, changed)"
            " SELECT 'many.' || n, 'many', n, '{}', now(), now() + n * interval '1 second', now()"
            " FROM generate_series(1, 5100) n",
            {},
        )
        execute(
            session,
            "INSERT INTO relation (source, target, role, first_seen, last_seen)"
            " SELECT 'many.' || n, 'many.' || n + 1, 'reads', now(), now() FROM generate_series(1, 5099) n",
            {},
        )
    drawn = get(editor, "map", kind="many")
    assert (len(drawn["nodes"]), len(drawn["edges"]), drawn["total"]) == (5000, 4999, 5100)
    assert drawn["nodes"][0]["id"] == "many.5100"
    assert drawn["clusters"] == [{"kind": "many", "count": 5100, "states": {"unknown": 5100}}]


def test_the_map_of_what_was_told_and_of_what_vanished_of_late(editor: FlaskClient) -> None:
    document = {"flow": "f", "name": "d", "entrypoint": "f.py:f", "reads": [TABLE], "writes": ["db://new"]}
    deployment = f"orchestrator.deployment.{editor.post('/api/v1/deployments', json=document).json['deployment']['id']}"
    told = [{"source": deployment, "target": TABLE, "role": "reads"}]
    then = to_text(NOW - timedelta(minutes=10))
    body = {"event": "x.told", "occurred": then, "resource": {"resource.id": "db://gone"}, "relations": told}
    assert editor.post("/api/v1/events", json=body).json["refused"] == []
    send(editor, "table.deleted", "db://gone", to_text(NOW - timedelta(minutes=5)), "db://house")
    with transaction() as session:
        loop.step(session, now())

    def drawn(**wanted: Any) -> Any:
        with transaction() as session:
            found = stack_map.draw(session, MapFilter(**wanted))
        edges = sorted((item["source"], item["role"], item["target"]) for item in found["edges"])
        return {item["id"]: item["state"] for item in found["nodes"]}, edges

    nodes, edges = drawn(told=True, lingers=timedelta(hours=1))
    declared = [(deployment, "reads", TABLE), (deployment, "writes", "db://new")]
    assert [edge for edge in edges if edge[0] == deployment] == declared
    assert (nodes["db://gone"], deployment in nodes) == ("vanished", True)
    assert [key for key in nodes if key.startswith("orchestrator.")] == [deployment]
    assert "db://gone" not in drawn(told=True, lingers=timedelta(minutes=1))[0]
    assert "db://gone" not in drawn()[0]
    before, at = NOW - timedelta(minutes=3), NOW - timedelta(hours=2)
    assert drawn(as_of=before, lingers=timedelta(hours=1))[0]["db://gone"] == "vanished"
    assert "db://gone" not in drawn(as_of=before)[0]
    assert set(drawn(as_of=at, told=True)[0]) == {TABLE, "db://house"}
    few, _ = drawn(most=2)
    assert len(few) == 2
    assert set(drawn(kinds=["d_*"])[0]) == set()


def test_what_a_deployment_declares_is_part_of_its_document(editor: FlaskClient) -> None:
    document = {"flow": "f", "name": "d", "entrypoint": "f.py:f", "reads": ["a", "b"]}
    applied = editor.post("/api/v1/deployments", json=document).json
    assert (applied["deployment"]["reads"], applied["deployment"]["writes"]) == (["a", "b"], [])
    assert editor.post("/api/v1/deployments", json=document).json["changes"] == []
    key = applied["deployment"]["id"]
    assert get(editor, f"deployments/{key}/document")["reads"] == ["a", "b"]
    assert get(editor, "resources/a")["origin"] == "declared"
    changed = editor.post("/api/v1/deployments", json={**document, "reads": ["b"], "writes": ["c"]}).json
    assert changed["changes"] == ["reads: a, b -> b", "writes: (none) -> c"]
    with transaction() as session:
        loop.step(session, now())
    assert get(editor, "resources/a")["origin"] == "event"
    wrong = editor.post("/api/v1/deployments", json={**document, "reads": [""]})
    assert (wrong.status_code, set(wrong.json["errors"])) == (422, {"reads"})
    wrong = editor.post("/api/v1/deployments", json={**document, "writes": ["orchestrator.flow.x"]})
    assert (wrong.status_code, set(wrong.json["errors"])) == (422, {"writes"})
