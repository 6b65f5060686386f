"""Who uses a block, what was changed of it, rotating its secrets, deleting it while it is used."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text

from orchestrator import clock
from orchestrator.documents.records import Actor
from orchestrator.server.db.session import reading, transaction
from orchestrator.server.loops import retention
from orchestrator.server.services.configuring import block_usage, blocks
from orchestrator.server.services.running import claims

from ..api import ClientAs
from ..server_rows import add_agent, token
from .test_api_blocks import CANARY, CREDENTIALS, S3, save

NOW = datetime(2026, 5, 4, 10, tzinfo=timezone.utc)
STORAGE = {"block": "s3/dev", "path": "x"}


@pytest.fixture
def editor(client_as: ClientAs) -> FlaskClient:
    client = client_as("editor")
    for facts in (S3, CREDENTIALS):
        assert client.post("/api/v1/block-types", json=facts).status_code == 200
    return client


def deploy(client: FlaskClient, name: str, storage: Any = STORAGE, **more: Any) -> Any:
    document = {"flow": "f", "name": name, "entrypoint": "a.py:f", "storage": storage, **more}
    answer = client.post("/api/v1/deployments", json=document)
    assert answer.status_code in (200, 201), answer.json
    return answer.json


def events(client: FlaskClient, name: str) -> list[Any]:
    found: list[Any] = client.get(f"/api/v1/events?event={name}").json["items"]
    return found


def test_usage_names_users_at_any_depth_and_loads(editor: FlaskClient) -> None:
    save(editor, "credentials", "main", secret=CANARY)
    save(editor, "s3", "dev", bucket="b", credentials={"$block": "credentials/main"})
    made = [deploy(editor, name)["deployment"]["id"] for name in ("a", "b", "c")]
    editor.post("/api/v1/blocks/s3/dev/load")
    editor.post("/api/v1/blocks/s3/dev/load")
    inner = editor.get("/api/v1/blocks/credentials/main/usage").json
    assert [(item["name"], item["field"], item["through"]) for item in inner["blocks"]] == [
        ("dev", "credentials", None)
    ]
    assert [(item["id"], item["as"], item["through"]) for item in inner["deployments"]] == [
        (identifier, "storage", "s3/dev") for identifier in made
    ]
    [load] = inner["loads"]
    assert (load["who"]["type"], load["count"], load["flow"]) == ("api-key", 2, None)
    outer = editor.get("/api/v1/blocks/s3/dev/usage").json
    assert [item["through"] for item in outer["deployments"]] == [None, None, None]
    assert outer["blocks"] == []


def test_runs_of_a_deployment_count_together_and_are_forgotten_after_30_days(editor: FlaskClient) -> None:
    save(editor, "s3", "dev", bucket="b")
    deploy(editor, "a")
    runs = [editor.post("/api/v1/deployments/f/a/runs", json={}).json for _ in range(2)]
    with transaction() as session:
        for days, run in ((31, runs[0]), (2, runs[0]), (1, runs[1])):
            at = NOW - timedelta(days=days)
            blocks.load(session, "s3/dev", Actor("run", run["id"], run["name"]), at)
    with reading() as session:
        found = block_usage.usage(session, blocks.get(session, "s3/dev").id, NOW)
    [load] = found.loads
    assert (load["count"], load["deployment"], load["flow"]) == (2, "a", "f")
    assert load["who"] == {"type": "run", "name": runs[1]["name"]}
    with transaction() as session:
        retention.step(session, NOW)
        assert session.execute(text("SELECT count(*) FROM block_load")).scalar_one() == 2


def test_history_tells_fields_and_never_secrets(editor: FlaskClient) -> None:
    save(editor, "s3", "dev", bucket="b", key=CANARY, proxy={"host": "h", "password": CANARY})
    editor.put("/api/v1/blocks/s3/dev", json={"data": {"bucket": "c", "key": CANARY + "2"}})
    editor.put("/api/v1/blocks/s3/dev", json={"data": {"bucket": "c", "key": "********"}})
    page = editor.get("/api/v1/blocks/s3/dev/history")
    assert CANARY not in page.text
    changed, created = page.json["items"]
    assert (changed["verb"], created["verb"]) == ("updated", "created")
    assert changed["by"]["name"] == "editor of the tests"
    assert {item["field"]: (item["secret"], item["before"], item["after"]) for item in changed["fields"]} == {
        "bucket": (False, "b", "c"),
        "key": (True, None, None),
        "proxy": (True, {"host": "h", "password": "********"}, None),
    }
    assert editor.get("/api/v1/blocks/s3/dev/history?limit=1").json["next"]


def test_a_rotated_secret_is_seen_by_all_and_touches_nothing_else(editor: FlaskClient) -> None:
    save(editor, "credentials", "main", secret=CANARY)
    save(editor, "s3", "dev", bucket="b", credentials={"$block": "credentials/main"})
    before = [deploy(editor, name, results=STORAGE | {"path": "kept"})["deployment"] for name in ("a", "b", "c")]
    holder = editor.get("/api/v1/blocks/s3/dev").json
    done = editor.post("/api/v1/blocks/credentials/main/rotate", json={"data": {"secret": "fresh"}})
    assert done.json["data"] == {"secret": "********"}
    assert editor.post("/api/v1/blocks/s3/dev/load").json["data"]["credentials"]["data"] == {"secret": "fresh"}
    assert [editor.get(f"/api/v1/deployments/{item['id']}").json for item in before] == before
    assert editor.get("/api/v1/blocks/s3/dev").json == holder
    [event] = events(editor, "block.rotated")
    assert event["payload"]["dependents"] == {"blocks": 1, "deployments": 3}
    assert editor.get("/api/v1/blocks/credentials/main/history").json["items"][0]["verb"] == "rotated"


@pytest.mark.parametrize(
    ("data", "field"),
    [({"bucket": "c"}, "data.bucket"), ({}, "data"), ({"key": "x", "proxy": {"host": "h"}}, "data.proxy")],
)
def test_only_secrets_are_rotated(editor: FlaskClient, data: dict[str, Any], field: str) -> None:
    save(editor, "s3", "dev", bucket="b", key=CANARY, proxy={"host": "g", "password": "p"})
    refused = editor.post("/api/v1/blocks/s3/dev/rotate", json={"data": data})
    assert (refused.status_code, list(refused.json["errors"])) == (422, [field])
    assert editor.post("/api/v1/blocks/s3/dev/load").json["data"]["key"] == CANARY


def test_what_a_service_gives_with_a_secret_is_rotated_with_it(editor: FlaskClient) -> None:
    text: dict[str, Any] = {"type": "string"}
    properties = {"key_id": {**text, "x-rotates": True}, "key": {**text, "writeOnly": True}, "region": text}
    account = {"slug": "account", "import_path": "x:Account", "interfaces": [], "schema": {"properties": properties}}
    assert editor.post("/api/v1/block-types", json=account).status_code == 200
    save(editor, "account", "main", key_id="one", key=CANARY, region="eu")
    address = "/api/v1/blocks/account/main"
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"key_id": "two"}, "data"), ({"key_id": "two", "key": None}, "data"),
        ({"key": "x", "region": "us"}, "data.region"), ({"key": "x", "key_id": 2}, "data.key_id"),
    ]  # fmt: skip
    for data, field in wrong:
        refused = editor.post(f"{address}/rotate", json={"data": data})
        assert (refused.status_code, list(refused.json["errors"])) == (422, [field])
    done = editor.post(f"{address}/rotate", json={"data": {"key_id": "two", "key": "fresh"}})
    assert done.json["data"] == {"key_id": "two", "key": "********", "region": "eu"}
    assert editor.post(f"{address}/load").json["data"] == {"key_id": "two", "key": "fresh", "region": "eu"}
    [rotated] = [item for item in editor.get(f"{address}/history").json["items"] if item["verb"] == "rotated"]
    assert {item["field"] for item in rotated["fields"]} == {"key_id", "key"}


def test_a_rotation_keeps_the_secrets_that_it_is_not_given(editor: FlaskClient) -> None:
    save(editor, "s3", "dev", bucket="b", key="k", proxy={"host": "h", "password": "p"}, tokens=["t"])
    answer = editor.post("/api/v1/blocks/s3/dev/rotate", json={"data": {"proxy": {"password": "q"}}})
    assert answer.status_code == 200, answer.json
    assert editor.post("/api/v1/blocks/s3/dev/load").json["data"] == {
        "bucket": "b", "key": "k", "proxy": {"host": "h", "password": "q"}, "tokens": ["t"],
    }  # fmt: skip


def test_pain_61_a_forced_delete_leaves_deployments_that_are_not_ready(editor: FlaskClient) -> None:
    save(editor, "credentials", "main", secret="x")
    save(editor, "s3", "dev", bucket="b", credentials={"$block": "credentials/main"})
    made = deploy(editor, "a", schedules=[{"interval": 60}])["deployment"]
    refused = editor.delete("/api/v1/blocks/s3/dev")
    assert (refused.status_code, refused.json["errors"]) == (409, {"usage": ["deployment f/a"]})
    assert editor.delete("/api/v1/blocks/credentials/main?force=true").status_code == 204
    assert editor.get("/api/v1/blocks/s3/dev").json["data"]["credentials"] is None
    assert editor.post("/api/v1/blocks/s3/dev/load").json["data"]["credentials"] is None
    assert editor.delete("/api/v1/blocks/s3/dev?force=true").status_code == 204
    shown = editor.get(f"/api/v1/deployments/{made['id']}").json
    assert shown["not_ready"] == "Its storage block s3/dev was deleted: apply it again with another one."
    assert shown["storage"]["block"] is None
    assert len(events(editor, "deployment.not-ready")) == 1
    run = editor.post("/api/v1/deployments/f/a/runs", json={}).json
    assert claim() is None
    reason = editor.get(f"/api/v1/flow-runs/{run['id']}").json["waiting_reason"]
    assert reason["code"] == "deployment-not-ready"
    assert "s3/dev was deleted" in reason["message"]
    save(editor, "s3", "dev", bucket="b")
    assert deploy(editor, "a")["deployment"]["not_ready"] is None
    assert claim() == run["id"]


def test_a_block_of_the_deployments_own_lives_and_ends_with_it(editor: FlaskClient) -> None:
    own = {"block": {"type": "s3", "data": {"bucket": "b", "key": CANARY}}, "path": "x"}
    first = deploy(editor, "a", own)["deployment"]["storage"]
    assert first["block"] == f"s3/{first['block_id']}"
    kept = {"block": {"type": "s3", "data": {"bucket": "c", "key": "********"}}, "path": "x"}
    again = deploy(editor, "a", kept)
    assert (again["deployment"]["storage"], again["changes"]) == (first, ["storage block: bucket changed"])
    assert deploy(editor, "a", kept)["changes"] == []
    assert editor.post(f"/api/v1/blocks/{first['block']}/load").json["data"] == {"bucket": "c", "key": CANARY}
    save(editor, "s3", "dev", bucket="b")
    deploy(editor, "a")
    assert editor.get(f"/api/v1/blocks/{first['block_id']}").status_code == 404
    second = deploy(editor, "a", own)["deployment"]["storage"]["block_id"]
    assert editor.delete("/api/v1/deployments/f/a").status_code == 204
    assert editor.get(f"/api/v1/blocks/{second}").status_code == 404
    assert editor.get("/api/v1/blocks/s3/dev").status_code == 200


@pytest.mark.parametrize(
    ("block", "field"),
    [
        ({"type": "s3", "data": {"bucket": 5}}, "storage.block.data.bucket"),
        ({"type": "s9", "data": {}}, "storage.block.type"),
        ({"type": "credentials", "data": {}}, "storage.block"),
        ({"data": {}}, "storage"),
    ],
)
def test_a_block_of_its_own_is_checked(editor: FlaskClient, block: Any, field: str) -> None:
    document = {"flow": "f", "name": "a", "entrypoint": "a.py:f", "storage": {"block": block}}
    refused = editor.post("/api/v1/deployments", json=document)
    assert (refused.status_code, list(refused.json["errors"])) == (422, [field]), refused.json
    assert editor.get("/api/v1/blocks").json["items"] == []


def claim() -> str | None:
    with transaction() as session:
        identifier = add_agent(session, ["default"]).id
        job = claims.claim(session, identifier, ["default"], now=clock.now(), issue_token=token)
    return str(job.id) if job else None


def test_an_agent_loads_infrastructure_anew_when_a_block_in_it_was_rotated(editor: FlaskClient) -> None:
    box = {
        "slug": "box",
        "import_path": "x:Box",
        "interfaces": ["infrastructure"],
        "schema": {"type": "object", "properties": {"registry": {"type": "object", "x-block": "credentials"}}},
    }
    editor.post("/api/v1/block-types", json=box)
    save(editor, "credentials", "main", secret=CANARY)
    save(editor, "box", "dev", registry={"$block": "credentials/main"})
    deploy(editor, "a", None, infrastructure={"block": "box/dev"})
    seen = []
    for secret in ("one", None, "two"):
        if secret:
            editor.post("/api/v1/blocks/credentials/main/rotate", json={"data": {"secret": secret}})
        editor.post("/api/v1/deployments/f/a/runs", json={})
        with transaction() as session:
            identifier = add_agent(session, ["default"]).id
            job = claims.claim(session, identifier, ["default"], now=clock.now(), issue_token=token)
        assert job is not None
        seen.append(job.infrastructure.updated)
    assert seen[0] == seen[1] != seen[2]
