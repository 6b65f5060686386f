"""Variables, by way of REST, of the SDK and of the command line."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from click.testing import CliRunner
from flask.testing import FlaskClient

from orchestrator import Variable
from orchestrator.cli import cli
from orchestrator.client import Client
from orchestrator.errors import Conflict, InvalidInput, NotFound
from orchestrator.server.services.configuring.variables import VALUE_MAX

from ..api import ClientAs
from ..live_api import Api


@pytest.fixture
def editor(client_as: ClientAs) -> FlaskClient:
    return client_as("editor")


def test_variables_are_made_changed_listed_deleted(editor: FlaskClient) -> None:
    made = editor.post("/api/v1/variables", json={"name": "region", "value": "eu", "tags": ["a", "a"]})
    assert (made.status_code, made.json["tags"]) == (201, ["a"])
    assert editor.post("/api/v1/variables", json={"name": "region", "value": "x"}).status_code == 409
    assert editor.put("/api/v1/variables/region", json={"value": {"k": [1, None]}}).json["tags"] == ["a"]
    assert editor.put("/api/v1/variables/other", json={"value": None, "tags": ["b"]}).status_code == 201
    assert editor.get("/api/v1/variables/other").json["value"] is None
    assert editor.get(f"/api/v1/variables/{made.json['id']}").json["value"] == {"k": [1, None]}
    assert [item["name"] for item in editor.get("/api/v1/variables").json["items"]] == ["other", "region"]
    assert [item["name"] for item in editor.get("/api/v1/variables?tag=a&name=REG").json["items"]] == ["region"]
    assert editor.get("/api/v1/variables?limit=1").json["next"]
    assert editor.delete("/api/v1/variables/region").status_code == 204
    assert editor.get("/api/v1/variables/region").status_code == 404
    events = [item["event"] for item in editor.get("/api/v1/events?event=variable.*").json["items"]]
    assert sorted(events) == ["variable.created", "variable.created", "variable.deleted", "variable.updated"]


def test_setting_the_same_again_changes_nothing(editor: FlaskClient) -> None:
    first = editor.put("/api/v1/variables/x", json={"value": 1}).json
    assert editor.put("/api/v1/variables/x", json={"value": 1}).json == first
    assert editor.put("/api/v1/variables/x", json={"value": True}).json["value"] is True


@pytest.mark.parametrize(
    ("name", "value", "field"),
    [("a.b", 1, "name"), ("-a", 1, "name"), ("a" * 256, 1, "name"), ("long", "x" * VALUE_MAX, "value")],
)
def test_what_cannot_be_is_refused_by_field(editor: FlaskClient, name: str, value: Any, field: str) -> None:
    put = editor.put(f"/api/v1/variables/{name}", json={"value": value})
    post = editor.post("/api/v1/variables", json={"name": name, "value": value})
    assert [(answer.status_code, list(answer.json["errors"])) for answer in (put, post)] == [(422, [field])] * 2


def test_viewers_read_and_agents_read(editor: FlaskClient, client_as: ClientAs) -> None:
    editor.put("/api/v1/variables/x", json={"value": 1})
    for role in ("viewer", "agent"):
        client = client_as(role)
        assert client.get("/api/v1/variables/x").json["value"] == 1
        assert client.put("/api/v1/variables/x", json={"value": 2}).status_code == 403


def test_variables_are_unset_and_not_overwritten_unless_wanted(api: Api) -> None:
    Variable.set("x", 1, overwrite=False)
    with pytest.raises(Conflict, match="already"):
        Variable.set("x", 2, overwrite=False)
    assert Variable.get("x") == 1
    assert Variable.unset("x") is True
    assert Variable.unset("x") is False
    assert Variable.get("x", None) is None


def test_async_code_does_not_wait_in_the_loop(api: Api) -> None:
    async def main() -> Any:
        await Variable.aset("x", [1], tags=["t"])
        found = await Variable.aget("x")
        assert await Variable.aunset("x")
        return [found, await Variable.aget("x", "gone")]

    assert asyncio.run(main()) == [[1], "gone"]


def test_the_sdk_and_the_command_line(api: Api) -> None:
    assert Variable.get("x", "default") == "default"
    with pytest.raises(NotFound, match="variable set x VALUE"):
        Variable.get("x")
    Variable.set("x", [1, 2], tags=["t"])
    assert Variable.get("x", "default") == [1, 2]
    with pytest.raises(InvalidInput, match="name"):
        Variable.set("no name", 1)
    run = CliRunner().invoke
    assert run(cli, ["variable", "set", "y", '{"a": 1}']).exit_code == 0
    assert run(cli, ["variable", "set", "z", "plain text", "--tag", "t"]).exit_code == 0
    assert run(cli, ["variable", "set", "n", "5", "--text"]).exit_code == 0
    assert run(cli, ["variable", "get", "y"]).stdout == '{"a": 1}\n'
    assert run(cli, ["variable", "get", "z"]).stdout == "plain text\n"
    assert Variable.get("n") == "5"
    shown = run(cli, ["variable", "ls", "--tag", "t"]).stdout
    assert "plain text" in shown
    assert "y" not in shown.split()
    assert run(cli, ["variable", "delete", "y", "z", "--yes"]).exit_code == 0
    assert [item["name"] for item in Client.from_settings().pages("variables")] == ["n", "x"]
