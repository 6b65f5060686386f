"""Work queues, schedules, events, artifacts, variables, limits, agents, profiles, settings, versions."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

import pytest

from orchestrator import settings
from orchestrator.cli import event
from orchestrator.observing import emitting
from orchestrator.server.db.models.event import KINDS, SOURCES

from ...polling import one_line
from .api import Api, page
from .conftest import Cli

ID = str(uuid.uuid4())


def test_work_queues(api: Api, cli: Cli) -> None:
    queue = {"id": ID, "name": "duck", "paused": False, "concurrency_limit": 3, "waiting": 1, "running": 2}
    api.answers.update({"GET work-queues": page(queue), "POST work-queues": (201, queue)})
    api.answers.update({f"{verb} work-queues/duck": queue for verb in ("GET", "PATCH")})
    api.answers["DELETE work-queues/duck"] = None
    assert "duck" in cli("work-queue", "ls").out
    assert cli("work-queue", "create", "duck", "--limit", "3", "--output", "json").json == queue
    assert api.calls("POST work-queues")[0][1] == {
        "name": "duck",
        "description": "",
        "concurrency_limit": 3,
        "paused": False,
        "ageing_s": None,
        "share_by": None,
    }
    assert "3" in cli("work-queue", "inspect", "duck").out
    for words in (["pause", "duck"], ["resume", "duck"], ["set-limit", "duck", "7"], ["set-limit", "duck", "none"]):
        assert cli("work-queue", *words).code == 0
    changes = [body for _, body in api.calls("PATCH work-queues/duck")]
    resumed = {"paused": False, "draining": False}
    assert changes == [{"paused": True}, resumed, {"concurrency_limit": 7}, {"concurrency_limit": None}]
    words = ["set-order", "duck", "--ageing", "60", "--share-by", "none"]
    assert [cli("work-queue", *order).code for order in (["drain", "duck"], words)] == [0, 0]
    changes = [body for _, body in api.calls("PATCH work-queues/duck")][-2:]
    assert changes == [{"draining": True}, {"ageing_s": 60, "share_by": None}]
    for order in (["--ageing", "0"], ["--ageing", "soon"], []):
        assert cli("work-queue", "set-order", "duck", *order).code == 2
    refused = cli("work-queue", "set-limit", "duck", "many")
    assert (refused.code, "none" in one_line(refused.err)) == (2, True)
    assert cli("work-queue", "delete", "duck").code == 2
    assert cli("work-queue", "delete", "duck", "-y").code == 0


def test_preview_needs_no_server_and_keeps_the_clock(cli: Cli) -> None:
    words = ["schedule", "preview", "--cron", "30 2 * * *", "--timezone", "Europe/Berlin"]
    words += ["--after", "2026-03-28T00:00:00Z", "-n", "3"]
    assert cli(*words, "--output", "json").json == [
        "2026-03-28T01:30:00.000000Z",
        "2026-03-29T01:00:00.000000Z",
        "2026-03-30T00:30:00.000000Z",
    ]
    table = cli(*words).out
    assert "03:00:00 CEST" in table
    assert "Europe/Berlin" in table


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--cron", "bad"], "cron"),
        ([], "exactly one"),
        (["--cron", "@daily", "--interval", "5m"], "exactly one"),
        (["--interval", "soon"], "interval"),
        (["--rrule", "FREQ=NEVER"], "FREQ"),
        (["--cron", "@daily", "--timezone", "Berlin"], "timezone"),
        (["--cron", "@daily", "--after", "soon"], "--after"),
    ],
)
def test_preview_refuses_in_one_line(cli: Cli, words: list[str], named: str) -> None:
    done = cli("schedule", "preview", *words)
    assert done.code == 2
    assert named in one_line(done.err)


def test_schedules(api: Api, cli: Cli) -> None:
    facts = {
        "id": ID, "slug": "nightly", "cron": None, "rrule": None, "interval": 90.0, "timezone": "UTC",
        "active": True, "next": ["2026-01-31T12:00:00.000000Z"],
    }  # fmt: skip
    api.answers.update({"GET schedules": page(facts), "GET deployments": page({"id": ID, "name": "first"})})
    api.answers.update({f"PATCH schedules/{ID}": facts, f"DELETE schedules/{ID}": None})
    assert "every 90 s" in cli("schedule", "ls", "--deployment", "first").out
    assert api.calls("GET schedules")[0][0]["deployment_id"] == [ID]
    assert cli("schedule", "ls", "--output", "json").json == [facts]
    assert [cli("schedule", *words).code for words in (["pause", ID], ["resume", ID], ["delete", ID, "-y"])] == [
        0,
        0,
        0,
    ]
    assert [body for _, body in api.calls(f"PATCH schedules/{ID}")] == [{"active": False}, {"active": True}]


def test_events(api: Api, cli: Cli) -> None:
    api.answers["POST events"] = (202, {"accepted": 1, "refused": []})
    done = cli(
        "event", "emit", "table.loaded", "--resource", "warehouse.orders", "--label", "team=data",
        "--payload", '{"rows": 3}', "--occurred", "2026-01-31T12:00:00Z", "--kind", "relationship",
        "--relation", "reads=warehouse.raw", "--related", "source=bucket", "--follows", ID,
    )  # fmt: skip
    assert done.code == 0, done.err
    assert api.calls("POST events")[0][1] == {
        "id": None,
        "event": "table.loaded",
        "occurred": "2026-01-31T12:00:00.000000Z",
        "resource": {"resource.id": "warehouse.orders", "team": "data"},
        "related": [{"resource.id": "bucket", "resource.role": "source"}],
        "payload": {"rows": 3},
        "kind": "relationship",
        "relations": [{"target": "warehouse.raw", "role": "reads"}],
        "follows": ID,
    }
    for words in (["--payload", "[1]"], ["--payload", "{"], ["--label", "team"], ["--relation", "x"], ["--kind", "x"]):
        refused = cli("event", "emit", "x", "--resource", "y", *words)
        assert (refused.code, one_line(refused.err)[:5]) == (2, "Error")
    api.answers["POST events"] = (422, {"code": 422, "status": "x", "message": "too old", "errors": {}})
    refused = cli("event", "emit", "x", "--resource", "y")
    assert (refused.code, one_line(refused.err)) == (2, "Error: too old")
    one = {"id": ID, "event": "x", "occurred": "2026-01-31T12:00:00.000000Z", "resource": {"resource.id": "y"}}
    api.answers["GET events"] = page(one)
    assert cli("event", "ls", "--event", "x", "--resource", "y", "--output", "json").json == [one]
    assert api.calls("GET events")[0][0] == {"event": ["x"], "resource_id": ["y"], "limit": ["50"]}
    assert "y" in cli("event", "ls").out


def test_artifacts(api: Api, cli: Cli) -> None:
    facts = {"id": ID, "key": "report", "type": "markdown", "description": "", "data": "# Title\n\n- point"}
    api.answers.update({"GET artifacts": page(facts), f"GET artifacts/{ID}": dict(facts)})
    assert cli("artifact", "ls", "--key", "report", "--flow-run", ID, "--output", "json").json == [facts]
    assert api.calls("GET artifacts")[0][0] == {"key": ["report"], "flow_run_id": [ID], "limit": ["50"]}
    assert cli("artifact", "inspect", ID, "--output", "json").json == facts
    assert "Title" in cli("artifact", "inspect", ID).out
    table = {**facts, "type": "table", "data": [{"airport": "BER", "delay": 3}]}
    api.answers[f"GET artifacts/{ID}"] = table
    assert "BER" in cli("artifact", "inspect", ID).out


def test_variables(api: Api, cli: Cli) -> None:
    facts = {"name": "day", "value": {"of": "the week"}, "tags": ["a"], "updated": "2026-01-31T09:00:00.000000Z"}
    api.answers.update({"GET variables": page(facts), "GET variables/day": facts, "PUT variables/day": facts})
    api.answers["DELETE variables/day"] = None
    for words, value in ((["5"], 5), (["monday"], "monday"), (["5", "--text"], "5")):
        assert cli("variable", "set", "day", *words, "--tag", "a").err == "day is set\n"
        assert api.calls("PUT variables/day")[-1][1] == {"value": value, "tags": ["a"]}
    assert cli("variable", "set", "day", "x", "--output", "json").json == facts
    assert api.calls("PUT variables/day")[-1][1] == {"value": "x", "tags": None}
    assert cli("variable", "get", "day").out == '{"of": "the week"}\n'
    assert "day" in cli("variable", "ls", "--tag", "a").out
    assert api.calls("GET variables")[0][0] == {"tag": ["a"], "limit": ["50"]}
    assert cli("variable", "delete", "day").code == 2
    assert cli("variable", "delete", "day", "none", "--yes").code == 1
    assert api.calls("DELETE variables/day") == []
    assert cli("variable", "delete", "day", "--yes").err == "deleted day\n"


def test_limits_and_agents(api: Api, cli: Cli) -> None:
    holder = {"flow": "etl", "name": "brave-eagle"}
    limit = {
        "name": "db", "block_id": None, "slots": 2, "slot_decay_per_second": None, "active": True, "taken": 1,
        "holders": [holder], "waiting": [],
    }  # fmt: skip
    agent = {"id": ID, "name": "box", "status": "ONLINE", "queues": ["duck"], "running": 1, "slots": 10}
    api.answers.update({"GET limits": page(limit), "GET agents": page(agent)})
    assert "etl/brave-eagle" in cli("limit", "ls").out
    assert cli("limit", "ls", "--output", "json").json == [limit]
    assert "ONLINE" in cli("agent", "ls").out
    assert cli("agent", "ls", "--output", "json").json == [agent]
    api.answers["GET agents"] = page({**agent, "prefixes": ["team-"], "labels": ["gpu"]})
    assert "duck, team-*" in cli("agent", "ls").out
    assert "gpu" in cli("agent", "ls").out
    told = cli("agent", "start", "--on-drain", "wait", "--drain-timeout", "5")
    assert (told.code, "leave --drain-timeout out" in told.err) == (2, True)
    api.answers["GET agents"] = page()
    assert "orchestrator agent start" in cli("agent", "ls").err


def test_profiles(cli: Cli, own_home: Path) -> None:
    assert cli("profile", "create", "team", "--api-url", "http://team.test", "--api-key", "orc_secret").code == 0
    assert [row["active"] for row in cli("profile", "ls", "--output", "json").json] == [True, False]
    assert cli("profile", "use", "team").code == 0
    assert settings.load().api_url == "http://team.test"
    shown = cli("profile", "inspect", "--output", "json")
    assert shown.json == {"name": "team", "api_url": "http://team.test", "api_key": "********"}
    assert "orc_secret" not in shown.out
    assert "already" in one_line(cli("profile", "create", "team").err)
    assert "team" in one_line(cli("profile", "use", "other").err)
    assert "active" in one_line(cli("profile", "delete", "team", "-y").err)
    assert cli("profile", "create", "spare").code == 0
    assert cli("profile", "delete", "spare", "-y").code == 0
    assert [row["name"] for row in cli("profile", "ls", "--output", "json").json] == ["team"]
    assert (own_home / "profiles.toml").stat().st_mode & 0o777 == 0o600
    refused = cli("profile", "create", "bad", "--api-url", "")
    assert refused.code == 0


def test_settings_are_shown_with_their_source_and_secrets_masked(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, own_home: Path
) -> None:
    assert cli("config", "set", "API_KEY=orc_secret", "heartbeat=20s", "ORCHESTRATOR_PORT=4300").code == 0
    monkeypatch.setenv("ORCHESTRATOR_PORT", "4400")
    done = cli("config", "view", "--output", "json")
    rows = {row["name"]: row for row in done.json}
    assert (rows["API_KEY"]["value"], rows["API_KEY"]["source"]) == ("********", "profile default")
    assert (rows["HEARTBEAT"]["value"], rows["HEARTBEAT"]["source"]) == ("20s", "profile default")
    assert (rows["PORT"]["value"], rows["PORT"]["source"]) == (4400, "environment")
    assert (rows["LEASE"]["value"], rows["LEASE"]["source"]) == ("30s", "default")
    assert "orc_secret" not in done.out + cli("config", "view").out
    assert "orc_secret" in cli("config", "view", "--show-secrets").out
    assert "still wins" in cli("config", "set", "PORT=4500").err
    assert cli("config", "unset", "API_KEY", "PORT").code == 0
    assert settings.read_profiles(own_home)["profiles"]["default"] == {"heartbeat": "20s"}


@pytest.mark.parametrize("entry", ["PORT", "=3", "COLOUR=red", "PORT=many", "HOME=/x"])
def test_a_setting_that_is_none_is_refused(cli: Cli, entry: str, own_home: Path) -> None:
    done = cli("config", "set", entry)
    assert done.code in (1, 2)
    one_line(done.err)
    assert not (own_home / "profiles.toml").exists()


def test_a_broken_setting_names_its_variable(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "ORCHESTRATOR_PORT", "many")
    assert "ORCHESTRATOR_PORT" in one_line(cli("config", "view").err)


def test_version_with_and_without_a_server(api: Api, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    api.answers["GET openapi.json"] = {"info": {"version": "9.9.9"}}
    assert cli("version", "--output", "json").json["server"] == "9.9.9"
    api.answers["GET openapi.json"] = (401, {"code": "unauthorized", "message": "wrong key", "errors": {}})
    facts = cli("version", "--output", "json").json
    assert (facts["server"], facts["server_error"]) == (None, "wrong key")
    monkeypatch.delenv("ORCHESTRATOR_API_URL")
    done = cli("version")
    assert done.code == 0
    assert "client" in done.out


def test_kinds_and_sources_of_events_are_those_of_the_server() -> None:
    assert (event._SOURCES, emitting.KINDS) == (SOURCES, KINDS)
