"""Labels against selectors."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.triggers import matching
from orchestrator.triggers.matching import like, matches, matches_related, meets

LABELS = {"resource.id": "s3.bucket.sales", "env": "prod", "empty": ""}


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ({}, True),
        ({"env": "prod"}, True),
        ({"env": "Prod"}, False),
        ({"env": "prod", "resource.id": "s3.*"}, True),
        ({"env": "prod", "resource.id": "gcs.*"}, False),
        ({"env": ["test", "prod"]}, True),
        ({"env": ["test", "stage"]}, False),
        ({"env": "!test"}, True),
        ({"env": "!prod"}, False),
        ({"env": ["!test", "!stage"]}, True),
        ({"env": ["!test", "!prod"]}, False),
        ({"env": ["*", "!prod"]}, False),
        ({"env": ["p*", "!*d"]}, False),
        ({"env": ["p*", "!test"]}, True),
        ({"env": ["stage", "!test"]}, False),
        ({"owner": "*"}, False),
        ({"owner": "!*"}, True),
        ({"owner": "!team"}, True),
        ({"owner": ["!team", "x"]}, False),
        ({"empty": ""}, True),
        ({"empty": "*"}, True),
        ({"env": []}, True),
        ({"resource.id": "*.bucket.*"}, True),
        ({"resource.id": "s3*bucket*les"}, True),
        ({"resource.id": "s3.bucket.sales*sales"}, False),
        ({"resource.id": "[s]3.bucket.sale?"}, False),
    ],
)
def test_selectors(selector: dict[str, str | list[str]], expected: bool) -> None:
    assert matches(selector, LABELS) is expected


def test_each_related_selector_is_met_by_some_resource() -> None:
    related = [{"resource.id": "a", "resource.role": "table"}, {"resource.id": "b", "resource.role": "flow"}]
    assert matches_related([], related)
    assert matches_related([{"resource.role": "table", "resource.id": "a"}], related)
    assert not matches_related([{"resource.role": "table", "resource.id": "b"}], related)
    assert matches_related([{"resource.role": "flow"}, {"resource.id": "*"}], related)
    assert not matches_related([{"resource.role": "flow"}, {"resource.role": "tag"}], related)
    assert not matches_related([{}], [])


@given(st.text("ab*", max_size=8), st.text("ab", max_size=10))
def test_a_pattern_is_like_what_a_regular_expression_says(pattern: str, value: str) -> None:
    expected = re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), value) is not None
    assert like(pattern, value) is expected
    assert meets("!" + pattern, value) is not expected


def test_a_pattern_made_to_be_slow_is_not() -> None:
    assert not like("*a" * 500 + "b", "a" * 100_000)


def test_exact_patterns_are_told_from_others() -> None:
    assert [name for name in ("a", "a*", "!a", "*") if matching.is_exact(name)] == ["a"]
    assert matching.positive(["a", "!b", "c*"]) == ["a", "c*"]
