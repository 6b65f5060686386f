"""An outage is told of twice: when it begins, and when all that was out works again."""

from __future__ import annotations

import logging

import pytest

from orchestrator.workers.agent.identity import Outage


@pytest.fixture
def outage(caplog: pytest.LogCaptureFixture) -> Outage:
    caplog.set_level(logging.WARNING, "orchestrator.agent")
    return Outage("the API", "waiting for it")


def test_it_is_told_once_when_it_begins_and_once_when_it_ends(outage: Outage, caplog: pytest.LogCaptureFixture) -> None:
    outage.ends()
    for _ in range(3):
        outage.begins("connection refused")
    for _ in range(3):
        outage.ends()
    assert caplog.messages == [
        "the API cannot be used (connection refused); waiting for it",
        "the API is back after 0 s",
    ]


def test_what_works_does_not_end_the_outage_of_what_does_not(outage: Outage, caplog: pytest.LogCaptureFixture) -> None:
    """Heartbeats pass, claims do not: that is one outage, and not one a second."""
    for _ in range(3):
        outage.begins("500", "claims")
        outage.ends()
    assert len(caplog.messages) == 1
    outage.ends("claims")
    assert caplog.messages[1:] == ["the API is back after 0 s"]
