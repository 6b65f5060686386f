"""monday.com: refusals with status 200, boards and columns."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from orchestrator.blocks.monday import Monday
from orchestrator.errors import AccessDenied, InvalidInput, NotFound, OrchestratorError, Unavailable

from ...standins import trackers


@pytest.fixture
def service() -> Iterator[trackers.Monday]:
    with trackers.Monday() as running:
        yield running


def monday(service: trackers.Monday, **fields: Any) -> Monday:
    return Monday(**{"api_url": service.url, "api_token": service.key, "board": "77", **fields})


@pytest.mark.parametrize(
    ("status", "answer", "kind"),
    [
        (200, trackers.refusal("USER_UNAUTHORIZED", "no"), AccessDenied),
        (200, trackers.refusal("ColumnValueException", "no such label"), InvalidInput),
        (
            200,
            {"error_code": "InvalidBoardIdException", "error_message": "bad board", "status_code": 200},
            InvalidInput,
        ),
        (200, trackers.refusal("COMPLEXITY_BUDGET_EXHAUSTED", "reset in 3 seconds"), Unavailable),
        (200, trackers.refusal("ResourceNotFoundException", "no item"), NotFound),
        (403, {"error_code": "UserUnauthorizedException", "error_message": "no"}, AccessDenied),
        (500, trackers.refusal("INTERNAL_SERVER_ERROR", "oops"), Unavailable),
        (200, "no json", InvalidInput),
    ],
)
def test_refusals(service: trackers.Monday, status: int, answer: Any, kind: type[OrchestratorError]) -> None:
    service.failing(status, answer)
    with pytest.raises(kind, match=r"monday\.com"):
        monday(service).open("t", "b")


def test_an_item_has_its_text_and_labels_as_its_first_update(service: trackers.Monday) -> None:
    ticket = monday(service).open("late", "since **noon**", ["load", "daily"])
    assert service.issues[11].body == "<p>since <strong>noon</strong></p>\n<p>Labels: load, daily</p>\n"
    assert ticket.url.endswith("/pulses/11")
    assert service.requests[0].headers["API-Version"]


def test_archived_items_are_not_open(service: trackers.Monday) -> None:
    ticket = monday(service).open("t", "")
    service.failing(200, {"data": {"items": [{"state": "archived", "column_values": [{"id": "status", "text": ""}]}]}})
    assert not monday(service).is_open(ticket.id)


def test_boards_and_columns_that_are_not_there_are_named(service: trackers.Monday) -> None:
    with pytest.raises(NotFound, match="no board 78"):
        monday(service, board="78").test()
    with pytest.raises(InvalidInput, match="no column 'state'"):
        monday(service, status_column="state").test()
    ticket = monday(service).open("t", "")
    with pytest.raises(InvalidInput, match="no column 'state'"):
        monday(service, status_column="state").is_open(ticket.id)
