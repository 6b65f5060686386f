"""Texts and moments."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from pydantic import ValidationError

from orchestrator.blocks.date_time import DateTime
from orchestrator.blocks.string import String


@pytest.mark.parametrize("value", ["", "text", "zwei\nZeilen", "数据"])
def test_a_string_comes_back(value: str) -> None:
    assert String.from_document(String(value=value).to_document()).get() == value


@pytest.mark.parametrize(
    ("value", "utc"),
    [("2026-01-01T00:00:00Z", 0), ("2026-01-01T02:00:00+02:00", 0), (datetime(2026, 1, 1, tzinfo=timezone.utc), 0)],
)
def test_a_moment_comes_back_aware(value: Any, utc: int) -> None:
    found = DateTime.from_document(DateTime(value=value).to_document()).get()
    assert found == datetime(2026, 1, 1, utc, tzinfo=timezone.utc)
    assert found.utcoffset() is not None


def test_an_offset_is_kept() -> None:
    found = DateTime.from_document(DateTime(value="2026-01-01T02:00:00+02:00").to_document()).get()  # type: ignore[arg-type]
    assert found.utcoffset() == timedelta(hours=2)


@pytest.mark.parametrize("value", ["2026-01-01T00:00:00", "yesterday", None])
def test_a_moment_without_a_zone_is_none(value: Any) -> None:
    with pytest.raises(ValidationError):
        DateTime(value=value)


@pytest.mark.parametrize("value", [None, 1, ["x"]])
def test_a_string_is_a_text(value: Any) -> None:
    with pytest.raises(ValidationError):
        String(value=value)
