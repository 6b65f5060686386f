"""Templates in deployments: checked when one is applied, kept as they are, and never brought in by who starts a run."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from orchestrator.clock import now
from orchestrator.ids import uuid7
from orchestrator.server.db.models import Block, TemplateReference, Variable
from orchestrator.server.db.session import reading, transaction

from ..api import ClientAs

SECRET = {
    "slug": "secret",
    "import_path": "orchestrator.blocks.secret:Secret",
    "interfaces": ["secret"],
    "schema": {"type": "object", "properties": {"value": {"type": "string", "writeOnly": True}}, "required": ["value"]},
}
LAKE = {
    "slug": "lake",
    "import_path": "x:Lake",
    "interfaces": ["file-system", "infrastructure"],
    "schema": {
        "type": "object",
        "properties": {"url": {"type": "string"}, "size": {"type": "integer"}, "env": {"type": "object"}},
    },
}
PARAMETERS = {
    "type": "object",
    "properties": {"token": {"type": "integer"}, "rows": {"type": "array"}, "text": {"type": "string"}},
    "required": ["token"],
}
Facts = dict[str, Any]


@pytest.fixture
def editor(client_as: ClientAs) -> FlaskClient:
    client = client_as("editor")
    for facts in (SECRET, LAKE):
        assert client.post("/api/v1/block-types", json=facts).status_code == 200
    for slug, name, data in (("secret", "api-key", {"value": "canary"}), ("lake", "dev", {"url": "u"})):
        assert client.post("/api/v1/blocks", json={"type": slug, "name": name, "data": data}).status_code == 201
    with transaction() as session:
        session.add(Variable(id=uuid7(now()), name="region", value="eu", tags=[], created=now(), updated=now()))
    return client


def apply(client: FlaskClient, **more: Any) -> Any:
    document = {"flow": "etl", "name": "main", "entrypoint": "flow.py:etl", "parameter_schema": PARAMETERS, **more}
    return client.post("/api/v1/deployments", json=document)


def references(deployment_id: str) -> set[tuple[str, str]]:
    query = select(TemplateReference.field, Block.name).join(Block, Block.id == TemplateReference.block_id)
    with reading() as session:
        found = session.execute(query.where(TemplateReference.deployment_id == uuid.UUID(deployment_id)))
        return {(field, name) for field, name in found}


WHOLE: Facts = {
    "parameters": {"token": "{{ blocks.secret.api-key }}", "text": "{{ variables.region }}-{{ env.ANYTHING }}"},
    "storage": {"block": "lake/dev", "path": "{{ variables.region }}/{{ blocks.lake.dev.url }}"},
    "infrastructure": {"block": "lake/dev", "overrides": {"env": {"KEY": "{{ blocks.secret.api-key.value }}"}}},
    "schedules": [{"slug": "daily", "cron": "0 0 * * *", "parameters": {"rows": ["{{ blocks.lake.dev.size }}"]}}],
}


def test_templates_are_kept_as_they_are_and_their_blocks_are_used(editor: FlaskClient) -> None:
    made = apply(editor, **WHOLE)
    assert made.status_code == 201
    deployment = made.json["deployment"]
    assert deployment["parameters"] == WHOLE["parameters"]
    assert references(deployment["id"]) == {
        ("parameters.token", "api-key"),
        ("storage.path", "dev"),
        ("infrastructure.overrides.env.KEY", "api-key"),
        ("schedules.daily.parameters.rows[0]", "dev"),
    }
    run = editor.post(f"/api/v1/deployments/{deployment['id']}/runs", json={"parameters": {"rows": []}})
    assert run.status_code == 201
    assert run.json["parameters"] == {**WHOLE["parameters"], "rows": []}
    assert "canary" not in made.text + run.text


def test_what_is_used_follows_what_is_changed(editor: FlaskClient) -> None:
    deployment = apply(editor, **WHOLE).json["deployment"]
    address = f"/api/v1/deployments/{deployment['id']}"
    assert editor.patch(address, json={"parameters": {"token": 1}}).status_code == 200
    assert ("parameters.token", "api-key") not in references(deployment["id"])
    (daily,) = deployment["schedules"]
    assert editor.patch(f"/api/v1/schedules/{daily['id']}", json={"parameters": {}}).status_code == 200
    assert references(deployment["id"]) == {("storage.path", "dev"), ("infrastructure.overrides.env.KEY", "api-key")}
    more = {"slug": "more", "cron": "0 1 * * *", "parameters": {"token": "{{ blocks.secret.api-key }}"}}
    added = editor.post(f"{address}/schedules", json=more)
    assert added.status_code == 201
    assert ("schedules.more.parameters.token", "api-key") in references(deployment["id"])
    assert editor.delete(f"/api/v1/schedules/{added.json['id']}").status_code == 204
    assert apply(editor, parameters={"token": 1}).status_code == 200
    assert references(deployment["id"]) == set()


@pytest.mark.parametrize(
    ("more", "place", "message"),
    [
        ({"parameters": {"token": "{{ blocks.secret.none }}"}}, "parameters.token", "There is no block secret/none"),
        ({"parameters": {"token": "{{ blocks.lake.dev }}"}}, "parameters.token", "is no plain value: name one of"),
        ({"parameters": {"rows": ["{{ blocks.lake.dev.gone }}"]}}, "parameters.rows[0]", "has no field gone"),
        ({"parameters": {"token": "{{ variables.none }}"}}, "parameters.token", "There is no variable none"),
        ({"parameters": {"token": "{{ block.secret.a }}"}}, "parameters.token", "did you mean blocks?"),
        ({"storage": {"block": "lake/dev", "path": "{{ env }}"}}, "storage.path", "names no environment variable"),
        (
            {"infrastructure": {"block": "lake/dev", "overrides": {"env": {"A": "{{ variables.none }}"}}}},
            "infrastructure.overrides.env.A",
            "There is no variable none",
        ),
        (
            {"schedules": [{"slug": "d", "cron": "0 0 * * *", "parameters": {"token": "{{ blocks.secret.none }}"}}]},
            "schedules.d.parameters.token",
            "There is no block secret/none",
        ),
    ],
)
def test_what_a_template_names_has_to_be_there_when_it_is_applied(
    editor: FlaskClient, more: Facts, place: str, message: str
) -> None:
    answer = apply(editor, **more)
    assert answer.status_code == 422
    assert message in answer.json["errors"][place][0]
    assert editor.get("/api/v1/deployments/etl/main").status_code == 404


def test_a_parameter_without_a_template_is_still_held_against_the_schema(editor: FlaskClient) -> None:
    refused = apply(editor, parameters={"token": "{{ blocks.secret.api-key }}", "rows": "no list"})
    assert refused.status_code == 422
    assert [*refused.json["errors"]] == ["parameters.rows"]
    unknown = apply(editor, parameters={"gone": "{{ blocks.secret.api-key }}"})
    assert [*unknown.json["errors"]] == ["parameters.gone"]


def test_who_starts_a_run_brings_no_template(editor: FlaskClient) -> None:
    """Or a text from outside, such as an event's, would read any secret of the server."""
    deployment = apply(editor, **WHOLE).json["deployment"]
    runs = f"/api/v1/deployments/{deployment['id']}/runs"
    refused = editor.post(runs, json={"parameters": {"text": "x {{ blocks.secret.api-key }}"}})
    assert refused.status_code == 422
    assert "Templates are looked up only where the deployment" in refused.json["errors"]["text"][0]
    same = editor.post(runs, json={"parameters": {"text": WHOLE["parameters"]["text"]}})
    assert same.status_code == 201
    again = editor.post(f"/api/v1/flow-runs/{same.json['id']}/rerun")
    assert again.status_code in (200, 201)
    literal = editor.post(runs, json={"parameters": {"text": "select {{ columns }} from t"}})
    assert literal.json["parameters"]["text"] == "select {{ columns }} from t"
