"""``orchestrator hold``: placed, looked at before, listed, released."""

from __future__ import annotations

from typing import Any

import pytest

from ...polling import one_line
from .api import Api, page
from .conftest import Cli

HOLD: dict[str, Any] = {
    "id": "h1", "kind": "stop", "slots": None, "delay_s": None, "match": {"resource.id": "s3://lake"},
    "reason": "broken", "until": None, "until_event": None, "released": None, "release_reason": None,
    "deployments": [{"name": "etl/load"}],
}  # fmt: skip


def test_preview_says_what_would_be_held_and_holds_nothing(api: Api, cli: Cli) -> None:
    found = {"number": 1, "deployments": [{"name": "etl/load", "waiting": 2}]}
    api.answers["POST holds/preview"] = found
    shown = cli("hold", "preview", "s3://lake", "--label", "env=prod")
    assert "it would be on 1 resource\n" in shown.err
    assert "etl/load" in shown.out
    assert api.asked == [("POST holds/preview", {}, {"match": {"resource.id": "s3://lake", "env": "prod"}})]
    as_json = cli("hold", "preview", "s3://lake", "--output", "json")
    assert (as_json.json, as_json.err) == (found, "")
    api.answers["POST holds/preview"] = {"number": 3, "deployments": []}
    assert "No deployment touches it now." in cli("hold", "preview", "s3://*").err


@pytest.mark.parametrize("verb", [["preview"], ["place", "--reason", "x"]])
@pytest.mark.parametrize(("words", "named"), [([], "RESOURCE"), (["--label", "env"], "NAME=PATTERN")])
def test_what_is_held_has_to_be_said(api: Api, cli: Cli, verb: list[str], words: list[str], named: str) -> None:
    refused = cli("hold", *verb, *words)
    assert (refused.code, named in one_line(refused.err)) == (2, True)
    assert api.asked == []


def test_place_says_what_it_holds(api: Api, cli: Cli) -> None:
    api.answers["POST holds"] = (201, HOLD)
    assert "it holds: etl/load" in cli("hold", "place", "s3://lake", "--reason", "broken").err
    assert cli("hold", "place", "a", "--reason", "r", "--limit", "2", "--until", "2026-01-31T09:00:00Z").code == 0
    words = ("--delay", "10m", "--until-event", "check.passed", "--until-resource", "a*")
    assert cli("hold", "place", "a", "--reason", "r", *words, "--output", "json").json == HOLD
    first, second, third = [body for _, body in api.calls("POST holds")]
    assert first == {"match": {"resource.id": "s3://lake"}, "kind": "stop", "reason": "broken", "until": None}
    assert (second["kind"], second["slots"], second["until"]) == ("limit", 2, "2026-01-31T09:00:00Z")
    assert (third["kind"], third["delay_s"]) == ("delay", 600)
    assert third["until_event"] == {"event": "check.passed", "match": {"resource.id": "a*"}}


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--limit", "1", "--delay", "5m"], "not both"),
        (["--for", "1h", "--until", "2026-01-31T09:00:00Z"], "not both"),
        (["--until-resource", "a"], "--until-event"),
        (["--delay", "soon"], "--delay"),
        (["--for", "soon"], "--for"),
    ],
)
def test_what_does_not_go_together_is_refused(api: Api, cli: Cli, words: list[str], named: str) -> None:
    refused = cli("hold", "place", "a", "--reason", "r", *words)
    assert (refused.code, named in one_line(refused.err)) == (2, True)
    assert api.asked == []


def test_ls_tells_how_each_holds(api: Api, cli: Cli) -> None:
    past = {
        **HOLD,
        "id": "h2",
        "kind": "limit",
        "slots": 2,
        "released": "2026-01-31T09:00:00Z",
        "release_reason": "by hand",
    }
    event = {**HOLD, "id": "h3", "kind": "limit", "slots": 4, "until_event": {"event": "check.passed", "match": {}}}
    api.answers["GET holds"] = page(HOLD, past, event)
    shown = " ".join(cli("hold", "ls", "--all").out.split())
    for word in ("s3://lake", "stop", "released", "at most 4", "check.passed"):
        assert word in shown
    assert cli("hold", "ls", "--output", "json").json == [HOLD, past, event]
    assert [query for query, _ in api.calls("GET holds")] == [
        {"limit": ["50"]},
        {"limit": ["50"], "in_force": ["true"]},
    ]


def test_inspect_and_release(api: Api, cli: Cli) -> None:
    api.answers.update({"GET holds/h1": HOLD, "POST holds/h1/release": HOLD, "POST holds/h2/release": HOLD})
    assert cli("hold", "inspect", "h1", "--output", "json").json == HOLD
    done = cli("hold", "release", "h1", "h2", "--reason", "mended")
    assert (done.code, done.err) == (0, "released h1\nreleased h2\n")
    assert api.calls("POST holds/h2/release")[0][1] == {"reason": "mended"}
    assert cli("hold", "release", "none").code == 1
