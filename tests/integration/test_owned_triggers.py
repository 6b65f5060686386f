"""Triggers in a deployment's document: applied, shown again, changed and removed with it."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from orchestrator.errors import InvalidInput
from orchestrator.projects import deployments

from ..api import ClientAs

FILE = """\
flow: etl
name: prod
entrypoint: flow.py:etl
triggers:
  - name: after load
    when: {expect: warehouse.loaded, match: {env: [prod, "!test"]}, for_each: resource.id}
    then:
      - {do: run-deployment, deployment: etl/prod}
"""


@pytest.fixture
def editor(client_as: ClientAs) -> FlaskClient:
    return client_as("editor")


def apply(client: FlaskClient, **more: Any) -> list[str]:
    answer = client.post("/api/v1/deployments", json={"flow": "etl", "name": "prod", "entrypoint": "f.py:f", **more})
    assert answer.status_code in (200, 201), answer.json
    changes: list[str] = answer.json["changes"]
    return changes


def test_triggers_of_a_deployment_follow_its_document(editor: FlaskClient) -> None:
    apply(editor)
    [document] = deployments.parse(FILE)
    body = document.body()
    assert "trigger after load: added" in editor.post("/api/v1/deployments", json=body).json["changes"]
    [trigger] = editor.get("/api/v1/triggers").json["items"]
    assert trigger["deployment"]["name"] == "etl/prod"
    assert editor.get("/api/v1/triggers/etl/prod/after load").json == trigger
    shown = editor.get("/api/v1/deployments/etl/prod/document").json
    assert shown["triggers"] == body["triggers"]
    text = editor.get("/api/v1/deployments/etl/prod/document?format=yaml").text
    assert deployments.parse(text)[0].triggers == body["triggers"]
    assert not any("trigger" in line for line in apply(editor))
    changed = [{**body["triggers"][0], "severity": "info"}]
    assert "trigger after load: changed" in apply(editor, triggers=changed)
    assert "trigger after load: removed" in apply(editor, triggers=[])
    wrong = editor.post("/api/v1/deployments", json={**body, "triggers": [{"name": "x", "when": {}}]})
    assert (wrong.status_code, list(wrong.json["errors"])) == (422, ["triggers.0.when"])
    apply(editor, triggers=changed)
    editor.delete("/api/v1/deployments/etl/prod")
    assert editor.get("/api/v1/triggers").json["items"] == []


def test_a_file_names_the_line_of_what_is_wrong() -> None:
    with pytest.raises(InvalidInput, match=r"deployment\.yaml:6: triggers\[0\]\.when\.expct: Is not known here"):
        deployments.parse(FILE.replace("expect", "expct"))
