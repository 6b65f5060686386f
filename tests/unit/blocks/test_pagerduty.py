"""PagerDuty: what an alert is made of, and how it is resolved."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pydantic import ValidationError

from orchestrator.blocks.pagerduty import PagerDuty
from orchestrator.errors import InvalidInput

from ...standins import messengers


@pytest.fixture
def service() -> Iterator[messengers.PagerDuty]:
    with messengers.PagerDuty() as running:
        yield running


def test_an_alert_has_severity_source_and_key_and_is_resolved_by_it(service: messengers.PagerDuty) -> None:
    block = PagerDuty(
        routing_key=service.key, severity="critical", source="warehouse", dedup_key="load", api_url=service.url
    )
    block.notify("details\nmore", "late")
    event = service.messages[0].content
    assert event["payload"]["severity"] == "critical"
    assert event["payload"]["source"] == "warehouse"
    assert event["dedup_key"] == "load"
    block.resolve()
    block.resolve("other")
    assert [request.json()["event_action"] for request in service.requests] == ["trigger", "resolve", "resolve"]
    assert service.requests[2].json()["dedup_key"] == "other"


def test_without_a_subject_the_first_line_is_the_summary(service: messengers.PagerDuty) -> None:
    PagerDuty(routing_key=service.key, api_url=service.url).notify("\nfirst\nsecond")
    assert service.messages[0].content["payload"]["summary"] == "first"
    assert "dedup_key" not in service.messages[0].content


def test_nothing_is_neither_raised_nor_resolved(service: messengers.PagerDuty) -> None:
    block = PagerDuty(routing_key=service.key, api_url=service.url)
    with pytest.raises(InvalidInput, match="empty"):
        block.notify(" ")
    with pytest.raises(InvalidInput, match="dedup_key"):
        block.resolve()
    assert service.requests == []


def test_only_severities_that_pagerduty_knows() -> None:
    with pytest.raises(ValidationError):
        PagerDuty(routing_key="x", severity="terrible")  # type: ignore[arg-type]
