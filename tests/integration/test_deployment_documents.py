"""The document of a deployment: applied again it changes nothing, applied elsewhere it gives the same deployment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from orchestrator.documents.deployment import Document
from orchestrator.kinds import block_kinds
from orchestrator.projects import deployments

from ..api import ClientAs

KINDS = ("local-file-system", "process", "secret")
EVERYTHING: dict[str, Any] = {
    "flow": "Load: orders",
    "name": "every night",
    "entrypoint": "etl/flow.py:load",
    "description": "Loads.\n\n* one\n* two: \"three\" — 'four' #5\n",
    "version": "1.0",
    "tags": ["yes", "2026-01-31", "null", "été"],
    "storage": {"block": "local-file-system/code", "path": "etl/{{ env.STAGE }}", "snapshot": "a" * 64},
    "infrastructure": {"block": "process/utc", "overrides": {"env": {"TZ": "UTC", "ON": "off"}}},
    "results": {"block": "local-file-system/code", "path": "kept/{{ env.STAGE }}"},
    "work_queue": "duck",
    "parameters": {
        "token": "{{ blocks.secret.api-key }}",
        "when": "2026-01-31T09:00:00Z",
        "ratio": 1.5e-7,
        "rows": [{"a": None, "b": [True, "true", "0x10", "1_000"]}, {}],
        "text": "  leading\nand trailing \n\n",
    },
    "schedules": [
        {"slug": "cron", "cron": "30 2 1 * 1", "day_or": False, "timezone": "Europe/Berlin", "parameters": {"x": 1}},
        {"slug": "often", "interval": "1h30m", "anchor": "2026-01-31T09:00:00Z", "active": False},
        {"slug": "rule", "rrule": "FREQ=WEEKLY;BYDAY=MO", "timezone": "Asia/Tokyo"},
        {"slug": "short", "interval": 0.5 + 60},
    ],
    "parameter_schema": {"type": "object", "properties": {}, "additionalProperties": True},
}


@pytest.fixture
def editor(client_as: ClientAs) -> FlaskClient:
    client = client_as("editor")
    for slug in KINDS:
        client.post("/api/v1/block-types", json=block_kinds.find(slug).type_facts())
    save(client, "local-file-system", "code", basepath="/srv/code")
    save(client, "process", "utc", env={"TZ": "UTC"})
    save(client, "secret", "api-key", value="canary")
    return client


def save(client: FlaskClient, slug: str, name: str, **data: Any) -> None:
    answer = client.post("/api/v1/blocks", json={"type": slug, "name": name, "data": data})
    assert answer.status_code == 201, answer.json


def apply(client: FlaskClient, document: Any) -> Any:
    answer = client.post("/api/v1/deployments", json=document)
    assert answer.status_code in (200, 201), answer.json
    return answer.json


def downloaded(client: FlaskClient, deployment_id: str, folder: Path) -> Document:
    answer = client.get(f"/api/v1/deployments/{deployment_id}/document?format=yaml")
    assert answer.mimetype == "application/yaml"
    (folder / "deployment.yaml").write_bytes(answer.data)
    (document,) = deployments.read(folder / "deployment.yaml")
    return document


@pytest.mark.parametrize(
    "document",
    [
        pytest.param(EVERYTHING, id="everything"),
        pytest.param({"flow": "f", "name": "n", "entrypoint": "flow.py:f"}, id="as little as can be"),
        pytest.param(
            {"flow": "f", "name": "n", "entrypoint": "flow.py:f", "storage": {"path": "/srv/code"},
             "infrastructure": {"overrides": {"env": {"A": "b"}}}},
            id="code on the agents",
        ),
    ],
)  # fmt: skip
def test_applying_the_file_again_changes_nothing(editor: FlaskClient, document: Any, tmp_path: Path) -> None:
    before = apply(editor, document)["deployment"]
    again = apply(editor, downloaded(editor, before["id"], tmp_path).body())
    assert (again["created"], again["changes"]) == (False, [])
    assert again["deployment"] == before


def test_a_document_gives_the_same_deployment_under_another_name(editor: FlaskClient) -> None:
    first = apply(editor, EVERYTHING)["deployment"]
    document = editor.get(f"/api/v1/deployments/{first['id']}/document").json
    assert document is not None
    second = apply(editor, {**document, "name": "other"})["deployment"]
    copied = editor.get(f"/api/v1/deployments/{second['id']}/document").json
    assert copied == {**document, "name": "other"}


def test_blocks_of_its_own_keep_their_secrets(editor: FlaskClient, tmp_path: Path) -> None:
    kind = block_kinds.find("s3").type_facts()
    editor.post("/api/v1/block-types", json=kind)
    own = {"type": "s3", "data": {"bucket": "flows", "access_key_id": "me", "secret_access_key": "canary-1"}}
    document = {"flow": "f", "name": "n", "entrypoint": "flow.py:f", "storage": {"block": own, "path": "a"}}
    before = apply(editor, document)["deployment"]
    found = downloaded(editor, before["id"], tmp_path)
    assert "canary-1" not in (tmp_path / "deployment.yaml").read_text()
    again = apply(editor, found.body())
    assert again["changes"] == []
    block = before["storage"]["block_id"]
    assert editor.post(f"/api/v1/blocks/{block}/load").json["data"]["secret_access_key"] == "canary-1"  # type: ignore[index]


def test_whether_it_is_paused_is_left_as_it_is(editor: FlaskClient, tmp_path: Path) -> None:
    made = apply(editor, {"flow": "f", "name": "n", "entrypoint": "flow.py:f"})["deployment"]
    editor.patch(f"/api/v1/deployments/{made['id']}", json={"paused": True})
    assert apply(editor, downloaded(editor, made["id"], tmp_path).body())["deployment"]["paused"] is True


def test_it_is_asked_for_in_one_of_two_forms(editor: FlaskClient) -> None:
    apply(editor, {"flow": "f", "name": "n", "entrypoint": "flow.py:f"})
    assert editor.get("/api/v1/deployments/f/n/document?format=json").json["name"] == "n"  # type: ignore[index]
    assert editor.get("/api/v1/deployments/f/n/document?format=xml").status_code == 422
    assert editor.get("/api/v1/deployments/f/other/document").status_code == 404
