"""Cursors."""

from __future__ import annotations

import base64
import uuid

import pytest

from orchestrator.errors import InvalidInput
from orchestrator.ids import uuid7
from orchestrator.server.services.paging import Page, check_limit, decode, decode_id, encode, page


def test_a_cursor_gives_back_what_went_in() -> None:
    key = uuid7()
    assert decode(encode("a/b", 3, key), str, int, uuid.UUID) == ["a/b", 3, key]


@pytest.mark.parametrize(
    "cursor",
    ["", "x", "§", "****", encode("no id"), encode(1), encode(uuid.UUID(int=7), 2), base64.b64encode(b"{}").decode()],
)
def test_a_cursor_of_elsewhere_is_refused_by_name(cursor: str) -> None:
    with pytest.raises(InvalidInput, match="cursor is none of this list") as caught:
        decode_id(cursor)
    assert list(caught.value.errors) == ["cursor"]


def test_a_page_tells_where_the_next_begins() -> None:
    first = page([5, 4, 3], 2, lambda row: (row,))
    assert first.items == [5, 4]
    assert first.next is not None
    assert decode(first.next, int) == [4]
    assert page([5, 4], 2, lambda row: (row,)) == Page([5, 4], None)


@pytest.mark.parametrize("limit", [0, -1, 201])
def test_a_limit_out_of_bounds_is_refused(limit: int) -> None:
    with pytest.raises(InvalidInput, match="give 1 to 200"):
        check_limit(limit)
