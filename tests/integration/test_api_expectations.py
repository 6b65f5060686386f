"""Expectations over REST and on the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from orchestrator import cli
from orchestrator.errors import InvalidInput
from orchestrator.expectations.documents import FIELDS
from orchestrator.projects import deployments
from orchestrator.server import loops
from orchestrator.server.db.models import Resource
from orchestrator.server.db.session import reading, transaction
from orchestrator.server.schemas.expectations import ExpectationInputSchema
from orchestrator.server.services.deploying import deployment_documents
from orchestrator.server.services.deploying import deployments as service
from orchestrator.server.services.recording import events
from tests.api import ClientAs
from tests.live_api import Api

NINE = {
    "name": "nine o'clock",
    "owner": "team",
    "run": {"deployment": "etl/prod"},
    "every": {"cron": "0 9 * * *", "timezone": "Europe/Berlin", "calendar": "weekdays"},
    "by": "09:15",
}
BASE = "/api/v1/expectations"


def test_documents_have_the_fields_of_the_schema_and_no_others() -> None:
    assert set(FIELDS) == set(ExpectationInputSchema().fields)


class TestRest:
    def test_an_expectation_from_first_to_last(self, client_as: ClientAs) -> None:
        editor = client_as("editor")
        made = editor.post(BASE, json=NINE)
        assert made.status_code == 201
        assert made.json["sentence"].startswith("A COMPLETED run of etl/prod by 09:15 Europe/Berlin")
        where = f"{BASE}/{made.json['id']}"
        assert editor.get(f"{BASE}/nine o'clock").json == made.json
        assert editor.post(BASE, json=NINE).status_code == 409
        loops.run("expectations", datetime.now(timezone.utc))
        [first, *_] = editor.get(f"{where}/occurrences").json["items"]
        assert first["status"] == "due"
        assert editor.get(f"{BASE}/occurrences?status=missed").json["items"] == []
        now = datetime.now(timezone.utc)
        shown = editor.get(f"{BASE}/calendar", query_string={"from": text(now), "to": text(now + timedelta(days=7))})
        assert len(shown.json["items"]) == 5
        changed = editor.patch(where, json={"grace": "5m", "owner": None})
        assert changed.json["document"].get("owner") is None
        assert "5 minutes of grace" in changed.json["sentence"]
        assert editor.post(f"{where}/disable").json["active"] is False
        assert editor.post(f"{where}/enable").json["active"] is True
        muted = editor.post(f"{where}/mute", json={"until": "2030-01-01T00:00:00Z"})
        assert muted.json["muted_until"].startswith("2030-01-01")
        assert editor.delete(where).status_code == 204
        assert editor.get(where).status_code == 404

    @pytest.mark.parametrize(
        ("change", "field"),
        [
            ({"by": None}, "by"),
            ({"every": {"cron": "0 9 * *"}}, "every.cron"),
            ({"every": {"cron": "0 9 * * *", "calendar": "none"}}, "every.calendar"),
            ({"run": None}, "on"),
            ({"name": "a/b"}, "name"),
            ({"sla": 1}, "sla"),
        ],
    )
    def test_what_is_wrong_is_refused_by_field(self, client_as: ClientAs, change: dict[str, Any], field: str) -> None:
        refused = client_as("editor").post(BASE, json={**NINE, **change})
        assert refused.status_code == 422
        assert field in refused.json["errors"]

    def test_a_check_says_what_it_means_and_saves_nothing(self, client_as: ClientAs) -> None:
        viewer = client_as("viewer")
        checked = viewer.post(f"{BASE}/check", json=NINE).json
        assert len(checked["next"]) == 10
        assert checked["sentence"].startswith("A COMPLETED run")
        again = viewer.post(f"{BASE}/check", json={"name": "x", "on": {"expect": "a"}, "within": "24h"}).json
        assert len(again["next"]) == 1, "counted from now"
        assert viewer.get(BASE).json["items"] == []
        assert viewer.post(BASE, json=NINE).status_code == 403

    def test_what_happens_regularly_is_suggested_until_it_is_expected(self, client_as: ClientAs) -> None:
        now = datetime.now(timezone.utc)
        with transaction() as session:
            for minutes in range(5, 10 * 60, 10):
                at = now - timedelta(minutes=minutes)
                about = {"resource.id": "db://orders"}
                record = events.EventRecord("table.loaded", about, occurred=at, source="key")
                events.record(session, [record], at)
            seen = {"first_seen": now, "last_seen": now, "changed": now, "labels": {}}
            session.add(Resource(id="db://orders", kind="table", name="orders", **seen))
        editor = client_as("editor")
        [found] = editor.get(f"{BASE}/suggestions").json["items"]
        assert found["document"]["within"] == 780
        assert (found["samples"], found["met"]) == (59, 1)
        assert editor.post(BASE, json=found["document"]).status_code == 201
        assert editor.get(f"{BASE}/suggestions").json["items"] == []
        assert editor.get(f"{BASE}/suggestions?deployment=etl/prod").json["items"] == []
        assert editor.get(f"{BASE}/suggestions?timezone=Nowhere").status_code == 422

    def test_a_stretch_that_is_too_long_is_refused(self, client_as: ClientAs) -> None:
        refused = client_as("viewer").get(f"{BASE}/calendar?from=2026-01-01T00:00:00Z&to=2027-01-01T00:00:00Z")
        assert refused.status_code == 422
        assert "to" in refused.json["errors"]

    def test_a_deployment_has_its_own(self, client_as: ClientAs) -> None:
        editor = client_as("editor")
        own = {key: value for key, value in NINE.items() if key != "owner"}
        document = {"flow": "etl", "name": "prod", "entrypoint": "flow.py:etl", "expectations": [own]}
        assert editor.post("/api/v1/deployments", json=document).status_code == 201
        [made] = editor.get(BASE).json["items"]
        assert editor.delete(f"{BASE}/{made['id']}").status_code == 409
        assert editor.patch(f"{BASE}/{made['id']}", json={"by": "09:30"}).status_code == 409
        same = editor.post("/api/v1/deployments", json=document).json
        assert same["changes"] == []
        changed = {**document, "expectations": [{**own, "by": "09:30"}]}
        assert editor.post("/api/v1/deployments", json=changed).json["changes"] == ["expectation nine o'clock: changed"]
        wrong = editor.post("/api/v1/deployments", json={**document, "expectations": [{**own, "by": "noon"}]})
        assert (wrong.status_code, [*wrong.json["errors"]]) == (422, ["expectations.0.by"])
        del document["expectations"]
        assert editor.post("/api/v1/deployments", json=document).json["changes"] == []
        removed = editor.post("/api/v1/deployments", json={**document, "expectations": []}).json
        assert removed["changes"] == ["expectation nine o'clock: removed"]

    def test_a_deployments_own_may_leave_out_whose_runs_they_mean(self, client_as: ClientAs) -> None:
        editor = client_as("editor")
        own = {"name": "quick", "run": {"finishes_within": "30m"}}
        document = {"flow": "etl", "name": "prod", "entrypoint": "flow.py:etl", "expectations": [own]}
        assert editor.post("/api/v1/deployments", json=document).status_code == 201
        [made] = editor.get(BASE).json["items"]
        assert made["document"]["run"] == {"finishes_within": "30m", "deployment": "etl/prod"}
        assert editor.post("/api/v1/deployments", json=document).json["changes"] == []
        with reading() as session:
            found = deployment_documents.of(session, service.get(session, "etl/prod"))
        assert found["expectations"] == [own], "its file means the same under another name"
        assert editor.post(BASE, json=own).status_code == 422, "one that nobody owns has to say it"

    def test_a_calendar_that_is_used_stays(self, client_as: ClientAs) -> None:
        editor = client_as("editor")
        ours = {"weekdays": ["mon", "fri"], "holidays": ["12-25"]}
        assert editor.put("/api/v1/calendars/ours", json=ours).status_code == 201
        assert editor.put("/api/v1/calendars/ours", json=ours).status_code == 200
        assert editor.put("/api/v1/calendars/weekdays", json=ours).status_code == 422
        document = {**NINE, "every": {"cron": "0 9 * * *", "calendar": "ours"}}
        assert editor.post(BASE, json=document).status_code == 201
        refused = editor.delete("/api/v1/calendars/ours")
        assert (refused.status_code, refused.json["errors"]) == (409, {"expectations": ["nine o'clock"]})
        editor.delete(f"{BASE}/nine o'clock")
        assert editor.delete("/api/v1/calendars/ours").status_code == 204


DEPLOYMENT = """\
flow: etl
name: prod
entrypoint: flow.py:etl
expectations:
  - name: noon
    on: {expect: order.created}
    every: {cron: 0 9 * * *}
    by: 12:30
"""


def test_a_file_of_a_deployment_means_what_it_says(tmp_path: Path) -> None:
    file = tmp_path / "deployment.yaml"
    file.write_text(DEPLOYMENT)
    [document] = deployments.read(file)
    assert document.expectations == [
        {"name": "noon", "on": {"expect": "order.created"}, "every": {"cron": "0 9 * * *"}, "by": "12:30"}
    ]
    file.write_text(DEPLOYMENT.replace("12:30", "noonish"))
    with pytest.raises(InvalidInput, match=r"expectations\[0\].by: 'noonish' is no duration"):
        deployments.read(file)


FILE = """\
name: nine
on:
  expect: order.created
every: {cron: 0 9 * * *, timezone: Europe/Berlin, calendar: ours}
by: 12:30
---
name: beat
on: {match: {resource.id: sensor}}
heartbeat: 60
"""


class TestCommands:
    @pytest.fixture
    def run(self, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
        """What a command says, on both streams or as JSON alone."""

        def run(*arguments: str, code: int = 0) -> str:
            assert cli.run(list(arguments)) == code
            said = capsys.readouterr()
            return said.out if "json" in arguments else said.out + said.err

        return run

    def test_a_file_of_several(self, api: Api, run: Callable[..., str], tmp_path: Path) -> None:
        file = tmp_path / "expectations.yaml"
        file.write_text(FILE)
        told = run("calendar", "set", "ours", "--weekdays", "mon,tue", "--holiday", "2026-12-25")
        assert told == "ours is set\n"
        assert "by 12:30 Europe/Berlin" in run("expectation", "create", str(file), "--check")
        run("expectation", "create", str(file))
        assert "there is an expectation nine already" in run("expectation", "create", str(file), code=1)
        run("expectation", "create", str(file), "--update")
        names = [item["name"] for item in json.loads(run("expectation", "ls", "--output", "json"))]
        assert names == ["beat", "nine"]
        loops.run("expectations", datetime.now(timezone.utc))
        assert len(json.loads(run("expectation", "occurrences", "--output", "json"))) == 3
        assert "due" in run("expectation", "inspect", "beat")
        assert "happens regularly" in run("expectation", "suggest")
        run("expectation", "mute", "beat", "--until", "+2h")
        run("expectation", "disable", "beat", "nine")
        assert json.loads(run("expectation", "inspect", "beat", "--output", "json"))["active"] is False
        run("expectation", "enable", "beat")
        run("expectation", "delete", "beat", "nine", "--yes")
        assert run("calendar", "delete", "ours", "--yes") == "deleted ours\n"

    def test_a_file_that_is_none(self, api: Api, run: Callable[..., str], tmp_path: Path) -> None:
        file = tmp_path / "expectations.yaml"
        file.write_text("[1, 2]")
        assert "holds no expectation" in run("expectation", "create", str(file), code=2)
        file.write_text("a: [")
        assert "neither YAML nor JSON" in run("expectation", "create", str(file), code=2)


def text(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")
