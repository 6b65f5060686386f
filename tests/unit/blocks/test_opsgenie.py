"""Opsgenie: what an alert is made of, and how it is closed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from orchestrator.blocks.opsgenie import Opsgenie
from orchestrator.errors import AccessDenied, InvalidInput

from ...standins import messengers


@pytest.fixture
def service() -> Iterator[messengers.Opsgenie]:
    with messengers.Opsgenie() as running:
        yield running


def alerts(service: messengers.Opsgenie, **fields: Any) -> Opsgenie:
    return Opsgenie(**{"api_key": service.key, "api_url": service.url, **fields})


def test_an_alert_has_priority_responders_and_alias_and_is_closed_by_it(service: messengers.Opsgenie) -> None:
    block = alerts(service, priority="P1", responders=["data"], tags=["load"], alias="load/daily late?")
    block.notify("details", "late")
    content = service.messages[0].content
    assert (content["priority"], content["alias"], content["tags"]) == ("P1", "load/daily late?", ["load"])
    assert content["responders"] == [{"type": "team", "name": "data"}]
    block.resolve()
    assert service.requests[1].path == "/v2/alerts/load/daily late?/close"
    assert service.requests[1].query == {"identifierType": "alias"}


def test_a_key_that_may_not_read_is_known_all_the_same(service: messengers.Opsgenie) -> None:
    service.failing(403, {"message": "You are not authorized", "code": 40301})
    assert "may not read" in alerts(service).test()
    with pytest.raises(AccessDenied):
        alerts(service, api_key="other").test()


def test_nothing_is_neither_raised_nor_closed(service: messengers.Opsgenie) -> None:
    with pytest.raises(InvalidInput, match="empty"):
        alerts(service).notify("")
    with pytest.raises(InvalidInput, match="alias"):
        alerts(service).resolve()
