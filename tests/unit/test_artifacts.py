"""Artifacts: their shapes, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from orchestrator import create_link_artifact, create_markdown_artifact, create_table_artifact, flow
from orchestrator.errors import InvalidInput

Reports = Callable[..., list[dict[str, Any]]]


def test_each_kind_has_its_shape(reports: Reports) -> None:
    @flow
    def outer() -> None:
        create_markdown_artifact("# Hello", key="hello", description="a greeting")
        create_table_artifact([{"a": 1, "b": 2}, {"a": 3}])
        create_table_artifact([["a", "b"], [1, 2]])
        create_table_artifact({"a": [1, 2], "b": [3, 4]})
        create_link_artifact("https://example.org", "an example")
        create_link_artifact("s3://bucket/key")

    outer()
    found = reports("artifact")
    assert found[0]["key"] == "hello"
    assert found[0]["description"] == "a greeting"
    assert [(item["type"], item["data"]) for item in found] == [
        ("markdown", "# Hello"),
        ("table", [{"a": 1, "b": 2}, {"a": 3}]),
        ("table", [{"a": 1, "b": 2}]),
        ("table", [{"a": 1, "b": 3}, {"a": 2, "b": 4}]),
        ("link", {"url": "https://example.org", "text": "an example"}),
        ("link", {"url": "s3://bucket/key", "text": "s3://bucket/key"}),
    ]


def test_outside_of_a_run_it_goes_to_the_configured_api(reports: Reports) -> None:
    identifier = create_markdown_artifact("x")
    (item,) = reports("artifact")
    assert item["id"] == str(identifier)
    assert item["flow_run_id"] is None


@pytest.mark.parametrize(
    "make",
    [
        lambda: create_markdown_artifact(3),  # type: ignore[arg-type]
        lambda: create_markdown_artifact("x", key="Not Good"),
        lambda: create_table_artifact("text"),  # type: ignore[arg-type]
        lambda: create_table_artifact([["a", "b"], [1]]),
        lambda: create_table_artifact({"a": [1], "b": [1, 2]}),
        lambda: create_table_artifact({"a": 1}),  # type: ignore[dict-item]
        lambda: create_link_artifact("javascript:alert(1)"),
    ],
)
def test_what_does_not_fit_is_refused(make: Callable[[], Any]) -> None:
    with pytest.raises(InvalidInput, match=r"key|markdown|table|link"):
        make()
