"""Jira: transitions, tokens, errors by field."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from orchestrator.blocks.jira import Jira
from orchestrator.errors import InvalidInput, NotFound

from ...standins import trackers


@pytest.fixture
def service() -> Iterator[trackers.Jira]:
    with trackers.Jira() as running:
        yield running


def jira(service: trackers.Jira, **fields: Any) -> Jira:
    given = {"api_url": service.url, "email": "robot@example.com", "api_token": service.key, "project": "OPS"}
    return Jira(**{**given, **fields})


@pytest.mark.parametrize("close_by", ["", "finish", "Done"])
def test_an_issue_is_closed_by_a_transition_or_a_status(service: trackers.Jira, close_by: str) -> None:
    block = jira(service, close_by=close_by)
    ticket = block.open("t", "b")
    block.close(ticket.id)
    assert service.issues[11].status == "closed"
    assert ticket.url == f"{service.url}/browse/OPS-11"


def test_a_transition_that_is_not_there_names_those_that_are(service: trackers.Jira) -> None:
    ticket = jira(service).open("t", "b")
    with pytest.raises(InvalidInput, match=r"'Cancel' is not among its transitions \(Start, Finish\); set close_by"):
        jira(service, close_by="Cancel").close(ticket.id, "a comment")
    assert service.issues[11].comments == []
    service.failing(200, {"fields": {"status": {"statusCategory": {"key": "new"}}}})
    service.failing(200, {"transitions": []})
    with pytest.raises(InvalidInput, match="none leads to a done status among its transitions"):
        jira(service).close(ticket.id)


def test_an_issue_in_progress_is_open(service: trackers.Jira) -> None:
    ticket = jira(service).open("t", "b")
    service.issues[11].status = "progress"
    assert jira(service).is_open(ticket.id)


def test_a_personal_access_token_needs_no_account(service: trackers.Jira) -> None:
    assert jira(service, email="").test() == "Robot sees the project Operations."


def test_errors_by_field_are_told(service: trackers.Jira) -> None:
    with pytest.raises(InvalidInput, match=r"issuetype: The issue type selected is invalid\."):
        jira(service, issue_type="Chore").open("t", "b")
    with pytest.raises(InvalidInput, match="project: valid project is required"):
        jira(service, project="NOPE").open("t", "b")
    with pytest.raises(NotFound):
        jira(service, project="NOPE").test()


def test_descriptions_are_documents(service: trackers.Jira) -> None:
    jira(service).open("t", "**a** `b` [c](https://example.com)")
    (paragraph,) = service.issues[11].body["content"]
    assert [(node["text"], [mark["type"] for mark in node.get("marks", [])]) for node in paragraph["content"]] == [
        ("a", ["strong"]), (" ", []), ("b", ["code"]), (" ", []), ("c", ["link"])
    ]  # fmt: skip
