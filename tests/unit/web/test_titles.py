"""Names of fields: those made of names in the code become readable, written ones stay."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.web.panels.titles import title, titled


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("bucket", "Bucket"),
        ("access_key_id", "Access key ID"),
        ("endpoint_url", "Endpoint URL"),
        ("sql", "SQL"),
        ("aws-region", "AWS region"),
        ("", ""),
    ],
)
def test_a_name_becomes_words(name: str, text: str) -> None:
    assert title(name) == text


def test_only_titles_that_nobody_wrote_are_replaced_at_any_depth() -> None:
    schema: dict[str, Any] = {
        "properties": {
            "api_key": {"title": "Api Key"},
            "host": {"title": "Server"},
            "plain_url": {},
            "odd": True,
            "inner": {"title": "Inner", "properties": {"ca_file": {"title": "Ca File"}}},
        },
        "$defs": {"Tls": {"properties": {"ssl_mode": {"title": "Ssl Mode"}}}, "Any": True},
    }
    fields = titled(schema)["properties"]
    assert fields["api_key"]["title"] == "API key"
    assert fields["host"]["title"] == "Server"
    assert fields["plain_url"]["title"] == "Plain URL"
    assert fields["odd"] is True
    assert fields["inner"]["properties"]["ca_file"]["title"] == "CA file"
    assert titled(schema)["$defs"]["Tls"]["properties"]["ssl_mode"]["title"] == "SSL mode"
    assert schema["properties"]["api_key"]["title"] == "Api Key"


@pytest.mark.parametrize("schema", [{}, {"properties": None}, {"properties": []}, {"type": "array"}, {"$defs": None}])
def test_schemas_that_are_none_stay_as_they_are(schema: dict[str, Any]) -> None:
    assert titled(schema) == schema
