"""``orchestrator resource``: what is narrowed, changed, merged and left out."""

from __future__ import annotations

import pytest

from ...polling import one_line
from .api import Api, page
from .conftest import Cli

TABLE = "postgres://house/orders"
PATH = "resources/postgres%3A%2F%2Fhouse%2Forders"


def test_ls_passes_its_filters_on(api: Api, cli: Cli) -> None:
    api.answers["GET resources"] = page({"id": TABLE, "kind": "sql.table", "name": "orders"})
    words = ("--state", "failing", "--owner", "sales", "--label", "env=prod", "--label", "tier=1", "--limit", "7")
    assert TABLE in cli("resource", "ls", *words, "--as-of", "2026-01-31T09:00:00Z").out
    assert api.calls("GET resources")[0][0] == {
        "state": ["failing"], "owner": ["sales"], "label": ["env=prod", "tier=1"], "limit": ["7"],
        "vanished": ["false"], "as_of": ["2026-01-31T09:00:00.000000Z"],
    }  # fmt: skip


def test_inspect_as_of_a_time_shows_the_state_of_then(api: Api, cli: Cli) -> None:
    api.answers[f"GET {PATH}"] = {"id": TABLE, "state": "healthy", "state_since": "2026-02-01T00:00:00.000000Z"}
    api.answers["GET relations"] = page()
    late, early = "2026-02-01T00:00:00.000000Z", "2026-01-01T00:00:00.000000Z"
    api.answers[f"GET {PATH}/states"] = page(
        {"state": "healthy", "since": late, "until": None}, {"state": "failing", "since": early, "until": late}
    )
    shown = cli("resource", "inspect", TABLE, "--as-of", "2026-01-15T00:00:00Z", "--output", "json").json
    assert (shown["state"], shown["state_since"]) == ("failing", early)
    assert [item["state"] for item in shown["states"]] == ["failing"]
    assert api.calls("GET relations")[0][0]["as_of"] == ["2026-01-15T00:00:00.000000Z"]


def test_set_changes_what_is_named_and_nothing_else(api: Api, cli: Cli) -> None:
    api.answers[f"PATCH {PATH}"] = {"id": TABLE, "owner": "sales"}
    done = cli("resource", "set", TABLE, "--owner", "sales", "--label", "env=prod", "--label", "old=")
    assert (done.code, "is changed" in done.err) == (0, True)
    assert cli("resource", "set", TABLE, "--description", "Orders.", "--output", "json").json["owner"] == "sales"
    assert [body for _, body in api.calls(f"PATCH {PATH}")] == [
        {"owner": "sales", "labels": {"env": "prod", "old": None}},
        {"description": "Orders."},
    ]


@pytest.mark.parametrize(
    ("words", "named"), [([], "--owner"), (["--label", "env"], "--label"), (["--label", "=x"], "--label")]
)
def test_set_refuses_in_one_line(api: Api, cli: Cli, words: list[str], named: str) -> None:
    refused = cli("resource", "set", TABLE, *words)
    assert (refused.code, named in one_line(refused.err)) == (2, True)
    assert api.asked == []


def test_merge_asks_first(api: Api, cli: Cli) -> None:
    api.answers[f"POST {PATH}/merge"] = None
    assert cli("resource", "merge", TABLE, "other").code == 2
    assert api.asked == []
    assert cli("resource", "merge", TABLE, "other", "--yes").code == 0
    assert api.calls(f"POST {PATH}/merge")[0][1] == {"into": "other"}


def test_rules_are_made_listed_and_deleted(api: Api, cli: Cli) -> None:
    api.answers["POST resource-rules"] = (201, {})
    api.answers["GET resource-rules"] = page({"id": "7", "pattern": "tmp.*", "action": "ignore", "into": None})
    api.answers["DELETE resource-rules/7"] = None
    assert "left out" in cli("resource", "ignore", "tmp.*").err
    assert "merged into orders" in cli("resource", "ignore", "old.*", "--into", "orders").err
    bodies = [body for _, body in api.calls("POST resource-rules")]
    assert bodies == [{"pattern": "tmp.*", "into": None}, {"pattern": "old.*", "into": "orders"}]
    assert "tmp.*" in cli("resource", "rules").out
    assert cli("resource", "delete-rule", "tmp.*").code == 0
    assert len(api.calls("DELETE resource-rules/7")) == 1
    refused = cli("resource", "delete-rule", "none")
    assert (refused.code, "there is no rule none" in one_line(refused.err)) == (2, True)
