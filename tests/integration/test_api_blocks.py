"""Block types and documents, over REST."""

from __future__ import annotations

import logging
import uuid
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text

from orchestrator.kinds import block_kinds, kind_facts
from orchestrator.server.db.session import reading, transaction
from orchestrator.server.services.configuring import block_types
from orchestrator.server.services.identity import secrets

from ..api import ClientAs

CANARY = "canary-5f1d"
S3 = {
    "slug": "s3",
    "name": "S3",
    "import_path": "orchestrator.blocks.s3:S3",
    "interfaces": ["file-system"],
    "schema": {
        "type": "object",
        "properties": {
            "bucket": {"type": "string"},
            "key": {"type": "string", "writeOnly": True},
            "proxy": {"$ref": "#/$defs/Proxy"},
            "tokens": {"type": "array", "items": {"type": "string", "writeOnly": True}},
            "credentials": {"anyOf": [{"type": "object", "x-block": "credentials"}, {"type": "null"}]},
        },
        "required": ["bucket"],
        "$defs": {
            "Proxy": {
                "type": "object",
                "properties": {"host": {"type": "string"}, "password": {"type": "string", "writeOnly": True}},
            }
        },
    },
}
CREDENTIALS = {
    "slug": "credentials",
    "import_path": "x:Credentials",
    "schema": {
        "type": "object",
        "properties": {
            "secret": {"type": "string", "writeOnly": True},
            "parent": {"type": "object", "x-block": "*"},
        },
    },
}


@pytest.fixture
def editor(client_as: ClientAs) -> FlaskClient:
    client = client_as("editor")
    for facts in (S3, CREDENTIALS):
        assert client.post("/api/v1/block-types", json=facts).status_code == 200
    return client


def save(client: FlaskClient, kind: str, name: str | None, **data: Any) -> Any:
    answer = client.post("/api/v1/blocks", json={"type": kind, "name": name, "data": data})
    assert answer.status_code == 201, answer.json
    return answer.json


def test_registering_again_changes_nothing(editor: FlaskClient) -> None:
    again = editor.post("/api/v1/block-types", json=S3).json
    assert again == editor.get("/api/v1/block-types/s3").json
    newer = {**S3, "schema": {"type": "object", "properties": {"bucket": {"type": "string"}}}}
    assert editor.post("/api/v1/block-types", json=newer).json["block_schema_id"] != again["block_schema_id"]
    assert editor.post("/api/v1/block-types", json=S3).json["block_schema_id"] == again["block_schema_id"]
    listed = editor.get("/api/v1/block-types?interface=file-system").json["items"]
    assert [item["slug"] for item in listed] == ["s3"]


def test_pain_13_secrets_are_nowhere_in_clear(editor: FlaskClient, client_as: ClientAs) -> None:
    made = save(
        editor, "s3", "dev", bucket="b", key=CANARY, proxy={"host": "h", "password": CANARY}, tokens=[CANARY, CANARY]
    )
    masked = {"bucket": "b", "key": "********", "proxy": {"host": "h", "password": "********"}, "tokens": "********"}
    assert made["data"] == masked
    shown = [
        client_as("viewer").get("/api/v1/blocks/s3/dev"),
        editor.get(f"/api/v1/blocks/{made['id']}"),
        editor.get("/api/v1/blocks"),
        editor.put("/api/v1/blocks/s3/dev", json={"data": made["data"]}),
        editor.get("/api/v1/events"),
    ]
    assert all(answer.status_code == 200 and CANARY not in answer.text for answer in shown)
    with reading() as session:
        for table in ("block", "event"):
            rows = session.execute(text(f"SELECT row_to_json(x)::text FROM {table} x")).scalars().all()
            assert rows
            assert CANARY not in "".join(rows)
    loaded = editor.post("/api/v1/blocks/s3/dev/load").json
    assert loaded["data"] == {
        "bucket": "b",
        "key": CANARY,
        "proxy": {"host": "h", "password": CANARY},
        "tokens": [CANARY, CANARY],
    }
    assert len(editor.get("/api/v1/events?event=block.loaded").json["items"]) == 1
    assert client_as("viewer").post("/api/v1/blocks/s3/dev/load").status_code == 403


def test_a_masked_secret_sent_back_is_kept(editor: FlaskClient) -> None:
    save(editor, "s3", "dev", bucket="b", key=CANARY)
    editor.put("/api/v1/blocks/s3/dev", json={"data": {"bucket": "c", "key": "********"}})
    assert editor.post("/api/v1/blocks/s3/dev/load").json["data"] == {"bucket": "c", "key": CANARY}
    assert editor.put("/api/v1/blocks/s3/dev", json={"data": {"bucket": "c", "key": None}}).status_code == 422
    fresh = {"type": "s3", "name": "x", "data": {"bucket": "b", "key": "********"}}
    refused = editor.post("/api/v1/blocks", json=fresh)
    assert (refused.status_code, list(refused.json["errors"])) == (422, ["data.key"])


def test_blocks_hold_blocks(editor: FlaskClient) -> None:
    inner = save(editor, "credentials", "main", secret=CANARY)
    outer = save(editor, "s3", "dev", bucket="b", credentials={"$block": "credentials/main"})
    assert outer["data"]["credentials"] == {"$block": inner["id"]}
    held = editor.post(f"/api/v1/blocks/{outer['id']}/load").json["data"]["credentials"]
    assert (held["$block"], held["type"], held["data"]) == (inner["id"], "credentials", {"secret": CANARY})
    editor.put("/api/v1/blocks/credentials/main", json={"data": {"secret": "rotated"}})
    assert editor.post("/api/v1/blocks/s3/dev/load").json["data"]["credentials"]["data"] == {"secret": "rotated"}


def test_a_field_for_a_block_takes_its_address(editor: FlaskClient) -> None:
    inner = save(editor, "credentials", "main", secret=CANARY)
    outer = save(editor, "s3", "dev", bucket="credentials/main", credentials="credentials/main")
    assert outer["data"]["credentials"] == {"$block": inner["id"]}
    assert outer["data"]["bucket"] == "credentials/main"
    body = {"type": "s3", "name": "x", "data": {"bucket": "b", "credentials": "credentials/nobody"}}
    refused = editor.post("/api/v1/blocks", json=body)
    assert (refused.status_code, list(refused.json["errors"])) == (422, ["data.credentials"])


def test_blocks_cannot_hold_each_other_in_a_circle(editor: FlaskClient) -> None:
    a = save(editor, "credentials", "a", secret="x")
    b = save(editor, "credentials", "b", parent={"$block": a["id"]})
    c = save(editor, "credentials", "c", parent={"$block": b["id"]})
    for target in (a, b, c):
        answer = editor.put("/api/v1/blocks/credentials/a", json={"data": {"parent": {"$block": target["id"]}}})
        assert answer.status_code == 422
        assert list(answer.json["errors"]) == ["data.parent"]


def test_references_are_checked(editor: FlaskClient) -> None:
    other = save(editor, "s3", "other", bucket="b")
    for target, message in [("credentials/none", "no block"), (str(uuid.uuid4()), "no block"), (other["id"], "is no")]:
        body = {"type": "s3", "name": "dev", "data": {"bucket": "b", "credentials": {"$block": target}}}
        answer = editor.post("/api/v1/blocks", json=body)
        assert (answer.status_code, list(answer.json["errors"])) == (422, ["data.credentials"])
        assert message in answer.json["message"]


@pytest.mark.parametrize(
    ("data", "field"),
    [({}, "data.bucket"), ({"bucket": 5}, "data.bucket"), ({"bucket": "b", "buckt": "c"}, "data.buckt")],
)
def test_values_are_checked_and_never_repeated(editor: FlaskClient, data: dict[str, Any], field: str) -> None:
    answer = editor.post("/api/v1/blocks", json={"type": "s3", "name": "dev", "data": data})
    assert (answer.status_code, list(answer.json["errors"])) == (422, [field])
    wrong = {"type": "s3", "name": "dev", "data": {"bucket": "b", "key": [CANARY]}}
    assert CANARY not in editor.post("/api/v1/blocks", json=wrong).text


@pytest.mark.parametrize("name", ["usage", "history", "discovery", "a b", "-a", ""])
def test_some_names_cannot_be_had(editor: FlaskClient, name: str) -> None:
    assert editor.post("/api/v1/blocks", json={"type": "s3", "name": name, "data": {"bucket": "b"}}).status_code == 422


def test_names_are_taken_once(editor: FlaskClient) -> None:
    save(editor, "s3", "dev", bucket="b")
    assert editor.post("/api/v1/blocks", json={"type": "s3", "name": "dev", "data": {"bucket": "b"}}).status_code == 409
    assert editor.post("/api/v1/blocks", json={"type": "s4", "name": "dev", "data": {}}).status_code == 404
    save(editor, "s3", None, bucket="b")
    save(editor, "s3", None, bucket="b")
    assert len(editor.get("/api/v1/blocks?type=s3&limit=2").json["items"]) == 2
    assert len(editor.get("/api/v1/blocks?name=DE").json["items"]) == 1
    assert len(editor.get("/api/v1/blocks?interface=file-system").json["items"]) == 3


def test_pain_61_a_block_in_use_is_not_deleted(editor: FlaskClient) -> None:
    save(editor, "credentials", "main", secret="x")
    save(editor, "s3", "dev", bucket="b", credentials={"$block": "credentials/main"})
    document = {"flow": "f", "name": "d", "entrypoint": "a.py:f", "storage": {"block": "s3/dev", "path": "x"}}
    shown = editor.post("/api/v1/deployments", json=document).json["deployment"]
    assert shown["storage"]["block"] == "s3/dev"
    refused = editor.delete("/api/v1/blocks/credentials/main")
    assert (refused.status_code, "block s3/dev" in refused.json["message"]) == (409, True)
    refused = editor.delete("/api/v1/blocks/s3/dev")
    assert (refused.status_code, "deployment f/d" in refused.json["message"]) == (409, True)
    assert editor.delete("/api/v1/block-types/s3").status_code == 409
    editor.delete("/api/v1/deployments/f/d")
    assert editor.delete("/api/v1/blocks/s3/dev").status_code == 204
    assert editor.delete("/api/v1/blocks/credentials/main").status_code == 204
    assert editor.delete("/api/v1/block-types/s3").status_code == 204
    wrong = {**document, "storage": {"block": "credentials/main"}}
    save(editor, "credentials", "main", secret="x")
    assert list(editor.post("/api/v1/deployments", json=wrong).json["errors"]) == ["storage.block"]


def test_a_lost_secret_key_is_named_and_stops_nothing_else(editor: FlaskClient) -> None:
    save(editor, "credentials", "main", secret=CANARY)
    save(editor, "s3", "dev", bucket="b", credentials={"$block": "credentials/main"})
    save(editor, "s3", "plain", bucket="b")
    secrets.configure("another key")
    lost = editor.post("/api/v1/blocks/s3/dev/load")
    assert lost.status_code == 409
    assert "credentials/main" in lost.json["message"]
    assert "ORCHESTRATOR_SECRET_KEY" in lost.json["message"]
    assert editor.post("/api/v1/blocks/s3/plain/load").status_code == 200
    assert editor.get("/api/v1/blocks/credentials/main").json["data"] == {"secret": "********"}
    kept = {"data": {"secret": "********"}}
    assert editor.put("/api/v1/blocks/credentials/main", json=kept).status_code == 409
    assert editor.put("/api/v1/blocks/credentials/main", json={"data": {"secret": "new"}}).status_code == 200
    assert editor.post("/api/v1/blocks/s3/dev/load").status_code == 200


def test_an_older_schema_goes_on_working(editor: FlaskClient) -> None:
    save(editor, "s3", "dev", bucket="b", key=CANARY)
    newer = {"type": "object", "properties": {"bucket_name": {"type": "string"}}, "required": ["bucket_name"]}
    editor.post("/api/v1/block-types", json={**S3, "schema": newer})
    assert editor.post("/api/v1/blocks/s3/dev/load").json["data"] == {"bucket": "b", "key": CANARY}
    assert save(editor, "s3", "old", bucket="b")["data"] == {"bucket": "b"}
    assert save(editor, "s3", "new", bucket_name="b")["data"] == {"bucket_name": "b"}


def test_pain_60_one_broken_type_stops_no_other(
    database_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    known = {"odd": {**S3, "slug": "odd", "schema": {"type": 5}}, "s3": S3}

    def find(slug: str) -> Any:
        if slug not in known:
            raise ImportError("No module named 'boto3': pip install orchestrator[s3]")
        return type("Kind", (), {"type_facts": classmethod(lambda _: known[slug])})

    paths = {slug: f"somewhere:{slug}" for slug in ("bad", "odd", "s3")}
    monkeypatch.setattr(block_kinds, "installed", lambda: paths)
    monkeypatch.setattr(block_kinds, "find", find)
    with caplog.at_level(logging.WARNING), transaction() as session:
        for _ in range(2):
            assert block_types.register_installed(session, kind_facts.imported()) == ["s3"]
        assert {kind.slug: bool(kind.broken) for kind in block_types.listing(session)} == {
            "bad": True, "odd": True, "s3": False,
        }  # fmt: skip
    assert "pip install orchestrator[s3]" in caplog.text
