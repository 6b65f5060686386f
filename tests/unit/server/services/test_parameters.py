"""Parameters against a deployment's schema."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.errors import ParameterError
from orchestrator.server.services.parameters import check

SCHEMA = {
    "type": "object",
    "properties": {"day": {"type": "string"}, "n": {"type": "integer", "minimum": 1}, "where": {"type": "object"}},
    "required": ["day"],
}


def test_what_fits_is_taken() -> None:
    check(SCHEMA, {"day": "2026-03-01", "n": 2})


def test_an_empty_schema_takes_anything() -> None:
    check({}, {"x": object})


@pytest.mark.parametrize(
    ("parameters", "name", "message"),
    [
        ({"day": "x", "m": 1}, "m", "is no parameter of the flow, which has day, n, where"),
        ({}, "day", "is missing and has no default"),
        ({"day": 3}, "day", "3 is not of type 'string'"),
        ({"day": "x", "n": 0}, "n", "0 is less than the minimum of 1"),
    ],
)
def test_what_does_not_fit_is_named(parameters: dict[str, Any], name: str, message: str) -> None:
    with pytest.raises(ParameterError, match=f"parameter {name}: ") as caught:
        check(SCHEMA, parameters)
    assert caught.value.errors == {name: [message]}


def test_a_flow_that_takes_any_name_gets_it() -> None:
    check({**SCHEMA, "additionalProperties": True}, {"day": "x", "m": 1})


def test_a_schema_that_is_none_is_said_to_be_so() -> None:
    with pytest.raises(ParameterError, match="parameter_schema is no JSON schema"):
        check({"type": "strange", "properties": {"a": {}}}, {"a": 1})


def test_no_schema_is_ever_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(*_: object, **__: object) -> None:
        raise AssertionError("something was fetched")

    monkeypatch.setattr("urllib.request.urlopen", fetch)
    schema = {"type": "object", "properties": {"n": {"$ref": "http://127.0.0.1:1/schema.json"}}}
    with pytest.raises(ParameterError, match=r"refers to http://127\.0\.0\.1:1/schema\.json, which is not in it"):
        check(schema, {"n": 1})
