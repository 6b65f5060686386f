"""What deployments lay over their infrastructure blocks is checked when they are applied."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from orchestrator.blocks.process import Process

from ..api import ClientAs

KIND = {
    "slug": "place",
    "import_path": "somewhere:Place",
    "interfaces": ["infrastructure"],
    "schema": {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "image": {"type": "string"},
            "memory_mb": {"anyOf": [{"type": "integer", "minimum": 6}, {"type": "null"}]},
            "env": {"type": "object", "additionalProperties": {"type": "string"}},
            "token": {"type": "string", "writeOnly": True},
            "registry": {"anyOf": [{"type": "object", "x-block": "docker-registry"}, {"type": "null"}]},
        },
    },
}


@pytest.fixture
def editor(client_as: ClientAs) -> FlaskClient:
    client = client_as("editor")
    assert client.post("/api/v1/block-types", json=KIND).status_code in (200, 201)
    body = {"type": "place", "name": "here", "data": {"image": "flows:1", "token": "secret"}}
    assert client.post("/api/v1/blocks", json=body).status_code == 201
    return client


def apply(client: FlaskClient, overrides: dict[str, Any], named: str | None = "place/here") -> Any:
    place = {"overrides": overrides, **({"block": named} if named else {})}
    document = {"flow": "sales", "name": "daily", "entrypoint": "flow.py:sales", "infrastructure": place}
    return client.post("/api/v1/deployments", json=document)


def test_what_fits_is_taken(editor: FlaskClient) -> None:
    overrides = {"image": "flows:2", "memory_mb": 512, "env": {"A": "1"}}
    answer = apply(editor, overrides)
    assert answer.status_code == 201, answer.json
    assert answer.json["deployment"]["infrastructure"]["overrides"] == overrides


def test_what_a_template_will_give_is_not_known_yet(editor: FlaskClient) -> None:
    assert editor.post("/api/v1/variables", json={"name": "memory", "value": 512}).status_code == 201
    assert apply(editor, {"memory_mb": "{{ variables.memory }}"}).status_code == 201


@pytest.mark.parametrize(
    ("overrides", "field", "says"),
    [
        ({"imgae": "x"}, "infrastructure.overrides.imgae", "no such field; it has"),
        ({"memory_mb": "much"}, "infrastructure.overrides.memory_mb", "type integer"),
        ({"memory_mb": 1}, "infrastructure.overrides.memory_mb", "minimum 6"),
        ({"env": {"A": 1}}, "infrastructure.overrides.env.A", "type string"),
        ({"token": "other"}, "infrastructure.overrides.token", "secret"),
        ({"token": "{{ blocks.secret.x }}"}, "infrastructure.overrides.token", "secret"),
        ({"registry": {"$block": "x"}}, "infrastructure.overrides.registry", "block of its own"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(
    editor: FlaskClient, overrides: dict[str, Any], field: str, says: str
) -> None:
    answer = apply(editor, overrides)
    assert answer.status_code == 422
    assert list(answer.json["errors"]) == [field]
    assert says in answer.json["errors"][field][0]
    assert field in answer.json["message"]
    assert editor.get("/api/v1/deployments").json["items"] == []


def test_without_a_block_they_are_those_of_a_plain_process(editor: FlaskClient) -> None:
    refused = apply(editor, {"cpu_seconds": 3}, named=None)
    assert refused.status_code == 422
    assert "name an infrastructure block" in refused.json["message"]
    editor.post("/api/v1/block-types", json=Process.type_facts())
    assert apply(editor, {"cpu_seconds": 3}, named=None).status_code == 201
    assert apply(editor, {"image": "x"}, named=None).status_code == 422
