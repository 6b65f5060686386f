"""Taking secrets out of documents by their schema."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.server.services.configuring.secret_fields import (
    MASK,
    join,
    kept,
    pointer,
    secret_paths,
    split,
    unpointer,
)

SECRET = {"type": "string", "writeOnly": True}
DEFINITIONS = {
    "Inner": {"type": "object", "properties": {"plain": {}, "hidden": SECRET}},
    "Loop": {"type": "object", "properties": {"next": {"$ref": "#/$defs/Loop"}, "hidden": SECRET}},
}


@pytest.mark.parametrize(
    ("field", "paths"),
    [
        ({"type": "string"}, []),
        (SECRET, [("a",)]),
        ({"$ref": "#/$defs/Inner"}, [("a", "hidden")]),
        ({"$ref": "#/$defs/Inner", "writeOnly": True}, [("a",)]),
        ({"type": "array", "items": {"$ref": "#/$defs/Inner"}}, [("a",)]),
        ({"anyOf": [{"$ref": "#/$defs/Inner"}, {"type": "null"}]}, [("a",)]),
        ({"type": "object", "additionalProperties": SECRET}, [("a",)]),
    ],
)
def test_write_only_is_found_wherever_it_stands(field: dict[str, Any], paths: list[tuple[str, ...]]) -> None:
    assert secret_paths({"properties": {"a": field}, "$defs": DEFINITIONS}) == paths


def test_a_schema_that_holds_itself_comes_to_an_end() -> None:
    found = secret_paths({"properties": {"a": {"$ref": "#/$defs/Loop"}}, "$defs": DEFINITIONS})
    assert ("a", "hidden") in found
    assert ("a", "next", "hidden") in found


KEYS = st.text(max_size=4)
VALUES = st.recursive(st.none() | st.integers() | st.text(), lambda inner: st.dictionaries(KEYS, inner), max_leaves=8)


@given(
    st.dictionaries(KEYS, VALUES), st.lists(st.lists(KEYS, min_size=1, max_size=3).map(tuple), max_size=4, unique=True)
)
def test_join_undoes_split(document: dict[str, Any], paths: list[tuple[str, ...]]) -> None:
    # A schema never gives a place inside another one.
    apart = [path for path in paths if not any(path != other and path[: len(other)] == other for other in paths)]
    shown, hidden = split(document, apart)
    assert join(shown, hidden) == document


@given(st.lists(st.text(), min_size=1).map(tuple))
def test_places_survive_being_text(path: tuple[str, ...]) -> None:
    assert unpointer(pointer(path)) == path


def test_what_is_masked_is_told() -> None:
    paths = [("a",), ("b", "c"), ("d",)]
    assert kept({"a": MASK, "b": {"c": MASK}, "d": "new"}, paths) == ["a", "b/c"]
