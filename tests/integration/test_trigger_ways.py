"""Triggers by way of REST, of Python and of the command line; and the wake from an event to its firing."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from flask.testing import FlaskClient

from orchestrator import Trigger
from orchestrator.cli import cli
from orchestrator.clock import now, to_text
from orchestrator.errors import InvalidInput
from orchestrator.server import hints, loops

from ..api import ClientAs
from ..live_api import Api

THEN = [{"do": "emit-event", "event": "told", "resource": "x"}]
DOCUMENT = {"name": "failures", "when": {"expect": "job.failed", "match": {"env": "prod"}}, "then": THEN}


@pytest.fixture
def editor(client_as: ClientAs) -> FlaskClient:
    return client_as("editor")


def happen(client: FlaskClient, **labels: str) -> None:
    body = {"event": "job.failed", "resource": {"resource.id": "job", **labels}}
    assert client.post("/api/v1/events", json=body).status_code == 202
    loops.run("triggers", now())


def test_a_trigger_from_its_document_to_its_firings(editor: FlaskClient, client_as: ClientAs) -> None:
    made = editor.post("/api/v1/triggers", json=DOCUMENT)
    assert (made.status_code, made.json["standing"]) == (201, "armed")
    assert made.json["sentence"] == "When job.failed happens where env is prod: emit event told."
    assert editor.post("/api/v1/triggers", json=DOCUMENT).status_code == 409
    assert editor.put("/api/v1/triggers", json=DOCUMENT).status_code == 200
    loops.run("triggers", now())
    happen(editor, env="test")
    happen(editor, env="prod")
    [firing] = editor.get("/api/v1/firings").json["items"]
    assert (firing["trigger"]["name"], firing["reason"], firing["state"]) == (
        "failures",
        "job.failed of job",
        "resolved",
    )
    assert firing["context"]["event"]["event"] == "job.failed"
    assert editor.get(f"/api/v1/firings?event_id={firing['event_id']}").json["items"] == [firing]
    assert editor.get("/api/v1/firings?state=open").json["items"] == []
    acknowledged = editor.post(f"/api/v1/firings/{firing['id']}/acknowledge").json
    assert acknowledged["acknowledged_by"]
    assert editor.post(f"/api/v1/firings/{firing['id']}/resolve").status_code == 409
    told = editor.post("/api/v1/triggers/failures/explain", json={"event_id": firing["event_id"]}).json
    assert told["counts"]
    assert told["firings"] == [firing["id"]]
    other = editor.get("/api/v1/events?event=job.failed").json["items"][1]["id"]
    told = editor.post("/api/v1/triggers/failures/explain", json={"event_id": other}).json
    assert not told["counts"]
    assert {"ok": False, "what": "match env: is test; wanted: prod"} in told["verdicts"]
    muted = editor.post("/api/v1/triggers/failures/mute", json={"until": "2099-01-01T00:00:00Z"}).json
    assert muted["standing"] == "muted"
    assert editor.patch("/api/v1/triggers/failures", json={"active": False}).json["standing"] == "off"
    assert client_as("viewer").patch("/api/v1/triggers/failures", json={"active": True}).status_code == 403
    assert editor.delete("/api/v1/triggers/failures").status_code == 204
    assert editor.get("/api/v1/triggers/failures").status_code == 404
    names = {item["event"] for item in editor.get("/api/v1/events?event=trigger.*").json["items"]}
    assert names == {f"trigger.{verb}" for verb in ("created", "fired", "acknowledged", "muted", "updated", "deleted")}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"when": {}}, "when"),
        ({"when": {"expct": "a"}}, "when.expct"),
        ({"when": {"expect": "a", "threshold": 0}}, "when.threshold"),
        ({"when": {"expect": "a", "match": {"env": []}}}, "when.match.env"),
        ({"when": {"expect": "a", "match": {"env": 5}}}, "when.match.env"),
        ({"when": {"absent": True, "expect": "a"}}, "when.within"),
        ({"when": {"absent": True, "expect": "a", "within": "0.5s"}}, "when.within"),
        ({"when": {"absent": False, "expect": "a", "within": 5}}, "when.absent"),
        ({"when": {"expect": "a", "within": "soon"}}, "when.within"),
        ({"when": {"any": [], "all": []}}, "when"),
        ({"when": {"any": []}}, "when.any"),
        ({"when": {"all": [{"expect": "a", "for_each": "x"}]}}, "when.all.0.for_each"),
        ({"when": {"at_least": 3, "of": [{"expect": "a"}, {"expect": "b"}]}}, "when.at_least"),
        ({"when": {"sequence": [{"expect": "a"}, {"expect": "*"}]}}, "when.sequence.1"),
        ({"when": {"schedule": {"cron": "61 * * * *"}}}, "when.schedule.cron"),
        ({"when": {"metric": "speed", "operator": "<", "value": 1, "range": 60}}, "when.metric"),
        ({"when": {"metric": "run_count", "expect": "a", "operator": "<", "value": 1, "range": 60}}, "when.expect"),
        ({"when": {"expect": "a", "for_each": "related.table"}}, "when.for_each"),
        ({"then": [{"block": "slack/x"}]}, "then.0"),
        ({"then": [{"do": "dance"}]}, "then.0.do"),
        ({"then": [{"do": "notify", "block": "slack/none"}]}, "then.0.block"),
        ({"on_resolve": THEN}, "on_resolve"),
        ({"severity": "bad"}, "severity"),
        ({"name": ""}, "name"),
        ({"debounce": -1}, "debounce"),
    ],
)
def test_what_cannot_be_is_refused_by_field(editor: FlaskClient, change: dict[str, Any], field: str) -> None:
    body = {**DOCUMENT, **change}
    answer = editor.post("/api/v1/triggers", json=body)
    assert answer.status_code == 422
    assert field in answer.json["errors"], answer.json
    checked = editor.post("/api/v1/triggers/check", json={"document": body}).json
    assert checked == {"sentence": None, "errors": answer.json["errors"]}


def test_groups_deeper_than_five_are_refused(editor: FlaskClient) -> None:
    when: dict[str, Any] = {"expect": "a"}
    for _ in range(4):
        when = {"any": [when]}
    assert editor.post("/api/v1/triggers", json={"name": "deep", "when": when}).status_code == 201
    assert editor.post("/api/v1/triggers", json={"name": "deeper", "when": {"any": [when]}}).status_code == 422


def test_a_trigger_that_starts_runs_whenever_runs_start_is_refused(editor: FlaskClient) -> None:
    body = {"name": "x", "when": {"expect": "flow-run.*"}, "then": [{"do": "run-deployment", "inferred": True}]}
    answer = editor.post("/api/v1/triggers", json=body)
    assert (answer.status_code, list(answer.json["errors"])) == (422, ["then.0"])


def test_from_python_and_on_the_command_line(api: Api, tmp_path: Path) -> None:
    run = CliRunner().invoke
    late = Trigger("late", {"absent": True, "expect": "b", "within": "1h"}, THEN, severity="critical")
    assert late.sentence() == "When no b comes for 1h: emit event told."
    late.apply()
    assert late.apply()["severity"] == "critical"
    with pytest.raises(InvalidInput, match="when: Matches every event"):
        Trigger("x", {}).apply()
    file = tmp_path / "two.yaml"
    file.write_text("name: a\nwhen: {expect: a}\n---\nname: b\nwhen: {expect: b.*}\n")
    assert run(cli, ["trigger", "create", str(file)]).exit_code == 0
    assert run(cli, ["trigger", "create", str(file)]).exit_code == 1
    assert run(cli, ["trigger", "create", str(file), "--replace"]).exit_code == 0
    shown = json.loads(run(cli, ["trigger", "ls", "--output", "json"]).stdout)
    assert [item["name"] for item in shown] == ["a", "b", "late"]
    file.write_text("name: a\nwhen: {expect: job.failed}\nthreshold: 1")
    assert run(cli, ["trigger", "update", "a", str(file)]).exit_code == 1
    file.write_text("name: a\nwhen: {expect: job.failed}\n")
    assert run(cli, ["trigger", "update", "a", str(file)]).exit_code == 0
    assert run(cli, ["event", "emit", "job.failed", "--resource", "job"]).exit_code == 0
    tested = run(cli, ["trigger", "test", str(file), "--since", "7d"])
    assert "job.failed of job" in tested.stdout
    assert "1 firings; 1 of 1 events counted" in tested.stderr
    event = json.loads(run(cli, ["event", "ls", "--event", "job.failed", "--output", "json"]).stdout)[0]["id"]
    assert "name: is job.failed" in run(cli, ["trigger", "explain", "a", event]).stdout
    loops.run("triggers", now())
    for verb in (["mute", "a", "--until", "+1h"], ["mute", "a", "--off"], ["disable", "a"], ["enable", "a"]):
        assert run(cli, ["trigger", *verb]).exit_code == 0
    assert run(cli, ["firing", "ls", "--trigger", "a", "--state", "open"]).exit_code == 0
    assert run(cli, ["trigger", "delete", "a", "b", "--yes"]).exit_code == 0
    assert run(cli, ["trigger", "inspect", "a"]).exit_code == 1


def test_what_writes_events_wakes_the_evaluator(editor: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    woken = threading.Event()
    monkeypatch.setattr(hints, "wake", lambda loop: woken.set() if loop == "triggers" else None)
    editor.get("/api/v1/events")
    assert not woken.is_set()
    editor.post("/api/v1/events", json={"event": "a", "resource": {"resource.id": "r"}, "occurred": to_text(now())})
    assert woken.is_set()
