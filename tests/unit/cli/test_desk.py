"""``orchestrator desk``: what one watches, being told of it, runs with saved forms."""

from __future__ import annotations

import pytest

from ...polling import one_line
from .api import Api, page
from .conftest import Cli

ID = "00000000-0000-4000-8000-000000000001"
ITEM = {
    "id": ID, "of": "warehouse.orders", "name": "orders", "sign": "late", "sentence": "orders is late.",
    "told_by": "slack/me", "forms": ["monday", "friday"],
}  # fmt: skip


@pytest.fixture
def desk(api: Api) -> Api:
    api.answers["GET desk"] = page(ITEM)
    api.answers["GET deployments/flights/nightly"] = {"id": ID}
    return api


def test_ls_tells_in_the_zone_asked_for(desk: Api, cli: Cli) -> None:
    shown = cli("desk", "ls", "--timezone", "Europe/Berlin").out
    assert "orders is late." in shown
    assert "monday, friday" in shown
    assert desk.calls("GET desk")[0][0] == {"timezone": ["Europe/Berlin"]}
    assert cli("desk", "ls", "--output", "json").json == [ITEM]
    desk.answers["GET desk"] = page()
    assert "orchestrator desk add" in cli("desk", "ls").err


def test_add_takes_one_thing(desk: Api, cli: Cli) -> None:
    desk.answers["POST desk"] = (201, ITEM)
    assert "orders is late." in cli("desk", "add", "--resource", "warehouse.orders").err
    assert cli("desk", "add", "--expectation", "by-nine", "--output", "json").json == ITEM
    assert [body for _, body in desk.calls("POST desk")] == [
        {"resource": "warehouse.orders"},
        {"expectation": "by-nine"},
    ]
    for words in ([], ["--resource", "a", "--deployment", "b/c"]):
        refused = cli("desk", "add", *words)
        assert (refused.code, "name one thing" in one_line(refused.err)) == (2, True)
    assert len(desk.calls("POST desk")) == 2


@pytest.mark.parametrize("named", [ID, "orders", "warehouse.orders"])
def test_things_are_taken_off_by_what_they_are_called(desk: Api, cli: Cli, named: str) -> None:
    desk.answers[f"DELETE desk/{ID}"] = None
    assert "orders is off your desk" in cli("desk", "remove", named).err
    assert len(desk.calls(f"DELETE desk/{ID}")) == 1


def test_what_is_not_there_or_there_twice_is_refused(desk: Api, cli: Cli) -> None:
    refused = cli("desk", "remove", "nothing")
    assert (refused.code, "there is no 'nothing' on your desk" in one_line(refused.err)) == (1, True)
    desk.answers["GET desk"] = page(ITEM, {**ITEM, "id": "another"})
    refused = cli("desk", "remove", "orders")
    assert (refused.code, "another" in one_line(refused.err)) == (1, True)


def test_being_told(desk: Api, cli: Cli) -> None:
    desk.answers[f"POST desk/{ID}/tell"] = ITEM
    assert "slack/me tells" in cli("desk", "tell", "orders", "--by", "slack/me").err
    assert "nobody tells" in cli("desk", "tell", "orders", "--off").err
    assert [body for _, body in desk.calls(f"POST desk/{ID}/tell")] == [{"block": "slack/me"}, {"block": None}]
    for words in ([], ["--by", "slack/me", "--off"]):
        assert cli("desk", "tell", "orders", *words).code == 2


def test_saved_forms(desk: Api, cli: Cli) -> None:
    form = f"deployments/{ID}/forms/last%20week"
    run = {"id": ID, "name": "brave-eagle", "state": {"name": "Scheduled"}}
    desk.answers.update({f"GET deployments/{ID}/forms": page({"name": "last week", "parameters": {"day": 1}})})
    desk.answers.update({f"PUT {form}": {}, f"DELETE {form}": None, f"POST {form}/runs": (201, run)})
    saved = cli("desk", "save-form", "flights/nightly", "last week", "--param", "day=1", "--params", '{"to": "x"}')
    assert saved.code == 0, saved.err
    assert desk.calls(f"PUT {form}")[0][1] == {"parameters": {"to": "x", "day": 1}}
    assert "last week" in cli("desk", "forms", "flights/nightly").out
    assert cli("desk", "run", "flights/nightly", "last week", "--output", "json").json == run
    assert "deleted last week" in cli("desk", "delete-form", "flights/nightly", "last week").err
    assert len(desk.calls(f"DELETE {form}")) == 1
