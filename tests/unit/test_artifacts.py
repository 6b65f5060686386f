"""Artifacts: their shapes, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from orchestrator import (
    create_image_artifact,
    create_link_artifact,
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    flow,
    update_progress_artifact,
)
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


PNG = b"\x89PNG\r\n\x1a\n" + b"rest"


def test_images_lie_at_an_address_or_are_small(reports: Reports) -> None:
    create_image_artifact("https://example.org/a.png", key="chart", description="a chart")
    create_image_artifact(data=PNG)
    assert [item["data"]["url"] for item in reports("artifact")] == [
        "https://example.org/a.png",
        "data:image/png;base64,iVBORw0KGgpyZXN0",
    ]


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"image_url": "javascript:alert(1)"}, "https://"),
        ({"image_url": "data:image/svg+xml;base64,xx"}, "https://"),
        ({"data": b"<svg onload=alert(1)>"}, "no PNG"),
        ({"data": PNG + b"x" * 262_144}, "at most"),
        ({"data": "text"}, "bytes of an image"),
        ({}, "one of them"),
        ({"image_url": "https://x", "data": PNG}, "one of them"),
    ],
)
def test_other_images_are_refused(options: dict[str, Any], match: str) -> None:
    with pytest.raises(InvalidInput, match=match):
        create_image_artifact(**options)


def test_a_progress_moves_on_under_its_id_and_tells_little(reports: Reports) -> None:
    @flow
    def outer() -> None:
        bar = create_progress_artifact(0, key="load", description="rows")
        for number in range(10_001):
            update_progress_artifact(bar, number / 100)
        update_progress_artifact(bar, 100, "all rows")

    outer()
    found = reports("artifact")
    assert len({item["id"] for item in found}) == 1
    assert {item["key"] for item in found} == {"load"}
    assert 90 <= len(found) <= 200
    assert found[-1]["data"] == 100
    assert [item["description"] for item in found[-2:]] == ["rows", "all rows"]


def test_a_progress_is_a_share_of_one_that_was_made_here(reports: Reports) -> None:
    bar = create_progress_artifact(5)
    for share in (-1, 100.5, "half", True):
        with pytest.raises(InvalidInput, match="0 to 100"):
            update_progress_artifact(bar, share)  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="made no such progress"):
        update_progress_artifact(create_markdown_artifact("x"), 5)
