"""Artifacts on the server: progress that moves on, the history of a key, what cannot be."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
from click.testing import CliRunner

from orchestrator import (
    Artifact,
    create_image_artifact,
    create_markdown_artifact,
    create_progress_artifact,
    flow,
    reporting,
    settings,
    update_progress_artifact,
)
from orchestrator.cli import cli
from orchestrator.client import Client
from orchestrator.clock import now, to_text
from orchestrator.ids import uuid7

from ..live_api import Api


@pytest.fixture
def client(api: Api) -> Client:
    return Client.from_settings()


def told() -> None:
    assert reporting.process_reporter(settings.load()).flush(20)


def report(client: Client, *items: dict[str, Any]) -> list[dict[str, Any]]:
    facts = {"kind": "artifact", "key": "k", "type": "progress", "data": 1, "at": to_text(now())}
    batch = {"producer": str(uuid.uuid4()), "first": 1, "items": [{**facts, **item} for item in items]}
    refused: list[dict[str, Any]] = client.post("reports", {"batches": [batch]})["refused"]
    return refused


def test_a_progress_moves_on_and_stays_one(client: Client) -> None:
    @flow
    def load() -> None:
        bar = create_progress_artifact(0, key="load")
        update_progress_artifact(bar, 40, "rows")

    load()
    told()
    [found] = client.get("artifacts", {"key": "load"})["items"]
    assert (found["data"], found["description"], found["type"]) == (40, "rows", "progress")
    assert found["updated"]
    assert found["flow_run_id"]
    [made] = client.get("events", {"event": "artifact.created"})["items"]
    assert made["resource"]["artifact.type"] == "progress"
    assert [one["resource.role"] for one in made["related"]] == ["flow-run"]


def test_what_was_told_late_does_not_take_it_back(client: Client) -> None:
    one, at = str(uuid7()), now()
    steps = [{"id": one, "data": data, "at": to_text(at + timedelta(seconds=data))} for data in (0, 50, 20)]
    assert report(client, steps[0]) == []
    assert report(client, steps[1]) == []
    assert report(client, steps[2]) == []
    assert client.get(f"artifacts/{one}")["data"] == 50
    assert report(client, {"id": one, "type": "markdown", "data": "x", "at": to_text(at + timedelta(hours=1))}) == []
    assert client.get(f"artifacts/{one}")["type"] == "progress"


@pytest.mark.parametrize(
    "item",
    [
        {"type": "progress", "data": 101},
        {"type": "progress", "data": True},
        {"type": "image", "data": "https://x"},
        {"type": "image", "data": {"url": "javascript:alert(1)"}},
        {"type": "image", "data": {"url": "data:image/svg+xml;base64,PHN2Zz4="}},
        {"type": "image", "data": {"url": "data:image/png;base64," + "A" * 400_000}},
    ],
)
def test_what_cannot_be_shown_is_refused(client: Client, item: dict[str, Any]) -> None:
    [refused] = report(client, {"id": str(uuid7()), **item})
    assert refused["code"] == "invalid"
    assert client.get("artifacts")["items"] == []


def test_a_key_is_a_history(client: Client) -> None:
    for number in range(3):
        create_markdown_artifact(f"# {number}", key="delays")
    create_image_artifact("https://example.org/x.png", key="chart")
    create_markdown_artifact("no key")
    told()
    assert [item["key"] for item in client.get("artifacts", {"latest": True})["items"]] == ["chart", "delays"]
    assert [item["data"] for item in client.get("artifacts", {"key": "delays"})["items"]] == ["# 2", "# 1", "# 0"]
    newest = Artifact.get("delays")
    assert newest is not None
    assert (newest.data, newest.type, newest.flow_run_id, newest.updated) == ("# 2", "markdown", None, None)
    assert Artifact.get("nothing") is None
    made = client.get("events", {"event": "artifact.created"})["items"]
    assert sorted(event["resource"]["artifact.key"] for event in made) == ["chart", "delays", "delays", "delays"]


def test_the_command_line(client: Client) -> None:
    run = CliRunner().invoke
    ids = [create_markdown_artifact(f"# Title {number}", key="delays") for number in range(3)]
    create_progress_artifact(30, key="load")
    told()
    listed = run(cli, ["artifact", "ls", "--latest"]).stdout
    assert (listed.count("delays"), listed.count("load")) == (1, 1)
    assert "Title 2" in run(cli, ["artifact", "inspect", "delays"]).stdout
    assert "Title 0" in run(cli, ["artifact", "inspect", str(ids[0])]).stdout
    assert "30 %" in run(cli, ["artifact", "inspect", "load"]).stdout
    missing = run(cli, ["artifact", "inspect", "nothing"])
    assert missing.exit_code == 1
    assert run(cli, ["artifact", "delete", str(ids[0]), "--yes"]).exit_code == 0
    assert len(client.get("artifacts", {"key": "delays"})["items"]) == 2
    assert run(cli, ["artifact", "delete", "delays", "load", "--yes"]).exit_code == 0
    assert client.get("artifacts")["items"] == []
