"""Values of secrets are masked in whatever form a run tells them."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import quote

import pytest

from orchestrator.masking import MASK, Masks, secrets_in

CANARY = 'canary "5f/1d"'


def masks(*values: Any) -> Masks:
    made = Masks()
    made.add(values)
    return made


@pytest.mark.parametrize(
    "form",
    [
        CANARY,
        f"x{CANARY}y",
        json.dumps({"k": CANARY}),
        repr([CANARY + "'"]),
        f"https://u:{quote(CANARY, safe='')}@host",
        base64.b64encode(CANARY.encode()).decode(),
    ],
)
def test_every_form_is_masked(form: str) -> None:
    shown = masks(CANARY, CANARY + "'").text(form)
    assert MASK in shown
    assert "5f" not in shown


def test_a_value_of_many_lines_is_masked_line_by_line() -> None:
    key = "-----BEGIN-----\nabcdefgh\nijklmnop\nqr\n-----END-----\n"
    found = masks(key)
    assert found.text(f"key={key.strip()}.") == f"key={MASK}."
    assert [found.text(line) for line in key.splitlines()] == [MASK, MASK, MASK, "qr", MASK]


def test_what_is_in_dicts_and_lists_is_masked_and_short_values_are_not() -> None:
    found = masks({"user": "somebody", "port": 5432, "on": True, "no": None, "pin": "123"}, ["nested", ["deeper"]])
    assert found.text("somebody 5432 True None 123 nested deeper") == f"{MASK} {MASK} True None 123 {MASK} {MASK}"


def test_the_longer_of_two_values_is_masked_whole() -> None:
    assert masks("abcd", "abcdefgh").text("abcdefgh abcd") == f"{MASK} {MASK}"


def test_new_values_are_told_once() -> None:
    found = Masks()
    told: list[list[str]] = []
    found.told = told.append
    found.add(["value"])
    found.add(["value"])
    assert told == [["value"]]


def test_a_part_of_a_value_does_not_stay_where_a_line_is_cut() -> None:
    found = masks("canary-5f")
    assert found.uncut("the key is canary-5") == f"the key is {MASK}"
    assert found.uncut("the key is can") == "the key is can"
    assert found.uncut("the key") == "the key"


@pytest.mark.parametrize(
    ("item", "hidden"),
    [
        ({"kind": "log", "logger": "canary-5f", "message": "canary-5f"}, ["message"]),
        ({"kind": "artifact", "data": [{"canary-5f": ["canary-5f"]}], "key": "k"}, ["data"]),
        ({"kind": "flow-run", "parameters": {"token": "canary-5f"}, "id": "canary-5f"}, ["parameters"]),
        ({"kind": "flow-run-state", "state": {"message": "canary-5f"}, "result": {"value": "canary-5f"}}, ["state"]),
        ({"kind": "task-run", "state": {"details": {"traceback": ["canary-5f"]}}, "id": "canary-5f"}, ["state"]),
        ({"kind": "event", "event": {"payload": {"a": "canary-5f"}, "resource": {"resource.name": "canary-5f"}}},
         ["event"]),
        ({"kind": "end", "state": {"message": "canary-5f"}, "result": {"value": "canary-5f"}}, ["state"]),
        ({"kind": "masks", "values": ["canary-5f"]}, []),
    ],
)  # fmt: skip
def test_reports_are_masked_where_people_read_and_not_where_programs_do(
    item: dict[str, Any], hidden: list[str]
) -> None:
    shown = masks("canary-5f").item(item)
    assert set(shown) == set(item)
    for key, value in shown.items():
        assert ("canary" not in json.dumps(value)) == (key in hidden or "canary" not in json.dumps(item[key])), key


def test_words_of_ours_stay_whatever_a_secret_is() -> None:
    state = {"type": "COMPLETED", "name": "Completed", "message": "Completed", "at": "2026-05-04T10:00:00Z"}
    found = masks("COMPLETED", "Completed", "2026-05-04T10:00:00Z").item({"kind": "end", "state": state})["state"]
    assert found == {**state, "message": MASK}


def test_secrets_of_a_loaded_document_are_found_at_any_depth() -> None:
    document = {
        "data": {"key": "k", "a/b": {"c": 5}, "credentials": {"$block": "x", "data": {"secret": ["s"]}}, "open": "o"},
        "secrets": ["key", "a~1b/c", "credentials/data/secret/0", "gone/too"],
    }
    assert secrets_in(document) == ["k", 5, "s"]
    assert secrets_in({"data": {}}) == []
