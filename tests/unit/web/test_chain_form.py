"""Documents of chains on their way between the canvas and YAML."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator import chains
from orchestrator.errors import InvalidInput
from orchestrator.web.panels import chain_form

STEPS: dict[str, Any] = {
    "alarm": {"on": "failed", "after": {"any": ["load", "extract"]}, "deployment": "etl/alarm"},
    "load": {
        "parameters": {"at": "12:30", "day": "2026-01-31", "yes": "on"},
        "after": "extract",
        "deployment": "etl/load",
    },
    "extract": {"tags": ["nightly", "yes"], "deployment": "etl/extract"},
}


def test_steps_stand_after_those_that_they_wait_for() -> None:
    found = chain_form.ordered({"steps": STEPS, "name": "nightly"})
    assert list(found) == ["name", "description", "steps"]
    assert list(found["steps"]) == ["extract", "load", "alarm"]
    assert list(found["steps"]["alarm"]) == ["deployment", "after", "on"]
    assert found["steps"] == STEPS


def test_steps_in_a_circle_are_not_lost() -> None:
    steps = {"a": {"deployment": "x/y", "after": "b"}, "b": {"deployment": "x/y", "after": ["a"]}}
    assert chain_form.ordered({"name": "n", "steps": steps})["steps"] == steps


def test_what_is_written_is_read_as_it_was() -> None:
    document = chain_form.ordered({"steps": STEPS, "name": "nightly", "description": "Flüge: # of today"})
    text = chain_form.write_yaml(document)
    assert "    on: failed\n" in text
    assert chain_form.read_yaml(text) == document
    assert chains.read(chain_form.read_yaml(text)).steps["alarm"].ends == ("FAILED",)


def test_equal_parts_are_written_out() -> None:
    same = {"day": ["mon"]}
    text = chain_form.write_yaml({"steps": {"a": {"parameters": same}, "b": {"parameters": same}}})
    assert "&" not in text
    assert text.count("- mon") == 2


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("steps: [", "Line 1: this is no YAML"),
        ("a: &x [1]\nb: *x\nsteps: {}", "Line 2: this is no YAML: *x refers to another place"),
        ("", "one mapping"),
        ("steps: {}\n---\nsteps: {}", "one mapping"),
        ("- steps", "one mapping"),
        ("name: a", "steps: Must be a mapping"),
        ("steps: {a: b}", "steps: Must be a mapping"),
        ("steps: {a: {after: " + "[" * 3000 + "]" * 3000 + "}}", "This is no YAML"),
        ("a: \x00", "This is no YAML"),
        ("a: 2026-13-45T99:99:99Z\nsteps: 1", "steps: Must be a mapping"),
    ],
)
def test_what_is_no_chain_is_refused_in_one_line(text: str, problem: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        chain_form.read_yaml(text)
    [told] = caught.value.errors["yaml"]
    assert problem in told
    assert "\n" not in told


def test_what_is_no_json_is_refused() -> None:
    with pytest.raises(InvalidInput, match="load it again"):
        chain_form.read("{")
    assert chain_form.read('{"a": 1}') == {"a": 1}


def test_steps_can_be_looked_at_before_the_chain_has_a_name() -> None:
    assert chain_form.named({"name": "", "steps": {}})["name"] == "unnamed"
    assert chain_form.named({"name": "x"})["name"] == "x"
    assert chain_form.named([1]) == [1]
