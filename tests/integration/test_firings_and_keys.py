"""Firings of triggers and of expectations side by side, what triggers remember, and how they stand."""

from __future__ import annotations

import json
import uuid
from datetime import timedelta
from typing import Any

import pytest
from click.testing import CliRunner
from flask.testing import FlaskClient

from orchestrator.cli import cli
from orchestrator.clock import now, to_text
from orchestrator.ids import uuid7
from orchestrator.server import loops
from orchestrator.server.db import session as db
from orchestrator.server.db.models import Firing
from orchestrator.server.services.acting import actions
from orchestrator.server.services.expecting import expectations
from orchestrator.server.services.reacting import trigger_activity, triggers

from ..api import ClientAs
from ..live_api import Api
from ..server_rows import ANN

TOLD = {"do": "emit-event", "event": "told", "resource": "x"}
FRESH = {
    "name": "fresh", "severity": "critical", "within": "1h", "then": [TOLD], "on_resolve": [TOLD],
    "on": {"match": {"resource.id": "t"}, "expect": ["t.loaded"]},
}  # fmt: skip


@pytest.fixture
def editor(client_as: ClientAs) -> FlaskClient:
    return client_as("editor")


def missed() -> uuid.UUID:
    """The open firing of a new expectation, whose action is in the outbox."""
    with db.transaction() as session:
        made = expectations.create(session, FRESH, ANN, now())
        firing = Firing(
            id=uuid7(), expectation_id=made.id, occasion="w", occurred=now(), chain_id=uuid7(),
            context={}, reason="fresh was missed",
        )  # fmt: skip
        session.add(firing)
        session.flush()
        actions.queue(session, firing, "fire", [TOLD], now())
        return firing.id


def fired(client: FlaskClient, name: str = "jobs", **labels: str) -> None:
    """A firing of a new trigger."""
    document = {"name": name, "when": {"expect": "job.failed"}, "then": [TOLD]}
    assert client.post("/api/v1/triggers", json=document).status_code == 201
    loops.run("triggers", now())
    happen(client, "job.failed")


def happen(client: FlaskClient, event: str, of: str = "job") -> None:
    assert client.post("/api/v1/events", json={"event": event, "resource": {"resource.id": of}}).status_code == 202
    loops.run("triggers", now())


def names(client: FlaskClient, path: str) -> list[Any]:
    return [(item["trigger"] or item["expectation"])["name"] for item in client.get(f"/api/v1/{path}").json["items"]]


def test_a_firing_names_the_trigger_or_the_expectation_that_it_is_of(editor: FlaskClient) -> None:
    firing_id = missed()
    fired(editor)
    assert names(editor, "firings") == ["jobs", "fresh"]
    assert names(editor, "firings?of=expectation") == names(editor, "firings?name=FRES") == ["fresh"]
    assert names(editor, "firings?of=trigger") == ["jobs"]
    assert names(editor, "firings?severity=critical") == ["fresh"]
    one = editor.get(f"/api/v1/firings/{firing_id}").json
    assert (one["trigger"], one["expectation"]["name"], one["severity"]) == (None, "fresh", "critical")
    assert names(editor, f"firings?expectation_id={one['expectation']['id']}") == ["fresh"]
    assert names(editor, "actions") == ["jobs", "fresh"]
    assert names(editor, f"actions?expectation_id={one['expectation']['id']}") == ["fresh"]
    assert editor.get("/api/v1/firings?of=chain").status_code == 422


def test_the_miss_of_an_expectation_is_acknowledged_and_ended_by_hand(editor: FlaskClient) -> None:
    firing_id = missed()
    editor.post(f"/api/v1/firings/{firing_id}/acknowledge")
    assert editor.post(f"/api/v1/firings/{firing_id}/resolve").json["state"] == "resolved"
    asked = editor.get(f"/api/v1/actions?firing_id={firing_id}").json["items"]
    assert [item["moment"] for item in asked] == ["resolve", "fire"]
    events = editor.get("/api/v1/events?event=expectation.*").json["items"]
    assert {"expectation.acknowledged", "expectation.closed"} <= {item["event"] for item in events}
    assert all(item["resource"]["resource.id"].startswith("orchestrator.expectation.") for item in events)


def test_the_command_line_names_the_expectation_too(api: Api) -> None:
    run = CliRunner().invoke
    missed()
    for noun, more in (("firing", ["--of", "expectation"]), ("action", [])):
        rows = json.loads(run(cli, [noun, "ls", "--expectation", "fresh", *more, "--output", "json"]).stdout)
        assert [(item["trigger"], item["expectation"]["name"]) for item in rows] == [(None, "fresh")]
        assert "Expectation" in run(cli, [noun, "ls"]).stdout
    assert json.loads(run(cli, ["firing", "ls", "--of", "trigger", "--output", "json"]).stdout) == []
    made = run(cli, ["trigger", "ls", "--standing", "armed", "--output", "json"])
    assert (made.exit_code, json.loads(made.stdout)) == (0, [])


def test_triggers_are_listed_by_how_they_stand(editor: FlaskClient) -> None:
    for name in ("off", "muted", "armed", "firing"):
        when = {"absent": True, "expect": "beat", "within": "1m"} if name == "firing" else {"expect": name}
        body = {"name": name, "when": when, "active": name != "off"}
        assert editor.post("/api/v1/triggers", json=body).status_code == 201
    editor.post("/api/v1/triggers/muted/mute", json={"until": to_text(now() + timedelta(hours=1))})
    loops.run("triggers", now() + timedelta(minutes=5))
    for name in ("off", "muted", "armed", "firing"):
        found = editor.get(f"/api/v1/triggers?standing={name}").json["items"]
        assert [(item["name"], item["standing"]) for item in found] == [(name, name)]


def test_what_a_trigger_remembers_is_told_by_key(editor: FlaskClient) -> None:
    when = {"expect": "job.failed", "threshold": 3, "for_each": "resource.id"}
    editor.post("/api/v1/triggers", json={"name": "thrice", "when": when})
    loops.run("triggers", now())
    for of in ("a", "b", "a"):
        happen(editor, "job.failed", of)
    found = editor.get("/api/v1/triggers/thrice/keys").json["items"]
    assert [(item["key"], item["text"]) for item in found] == [
        (["a"], "2 of 3 job.failed"),
        (["b"], "1 of 3 job.failed"),
    ]
    page = editor.get("/api/v1/triggers/thrice/keys?limit=1").json
    assert editor.get(f"/api/v1/triggers/thrice/keys?limit=1&cursor={page['next']}").json["items"] == [found[1]]
    assert editor.get("/api/v1/triggers/none/keys").status_code == 404


def test_how_often_triggers_fired_is_counted_by_day(editor: FlaskClient) -> None:
    fired(editor)
    happen(editor, "job.failed")
    editor.post("/api/v1/triggers", json={"name": "silent", "when": {"expect": "never"}})
    with db.reading() as session:
        ids = [triggers.get(session, name).id for name in ("jobs", "silent")]
        told = trigger_activity.of(session, ids, now())
    assert (told[ids[0]].total, told[ids[0]].days[-1] + told[ids[0]].days[-2]) == (2, 2)
    assert told[ids[0]].last is not None
    assert (told[ids[1]].total, told[ids[1]].last) == (0, None)
