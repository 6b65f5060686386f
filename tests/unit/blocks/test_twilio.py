"""Twilio: numbers, senders, several recipients."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import ValidationError

from orchestrator.blocks.twilio import Twilio
from orchestrator.errors import InvalidInput

from ...standins import messengers


@pytest.fixture
def service() -> Iterator[messengers.Twilio]:
    with messengers.Twilio() as running:
        yield running


def sms(service: messengers.Twilio, **fields: Any) -> Twilio:
    given = {"account_sid": "AC123", "auth_token": service.key, "sender": "+15005550006", "api_url": service.url}
    return Twilio(**{"recipients": ["+15005550009"], **given, **fields})


def test_each_number_has_the_text_and_a_refused_one_is_named(service: messengers.Twilio) -> None:
    with pytest.raises(InvalidInput, match=r"\+15005550000.*not valid"):
        sms(service, recipients=["+1 (500) 555-0000", "+49 151/1234"]).notify("late", "Load")
    assert [message.content["To"] for message in service.messages] == ["+491511234"]
    assert service.messages[0].text == "Load\nlate"


def test_a_messaging_service_may_send(service: messengers.Twilio) -> None:
    sms(service, sender="", messaging_service_sid="MG1").notify("x")
    assert service.messages[0].content["MessagingServiceSid"] == "MG1"
    assert "From" not in service.messages[0].content


@pytest.mark.parametrize(
    "fields",
    [{"sender": ""}, {"messaging_service_sid": "MG1"}, {"recipients": []}, {"recipients": ["015112345"]},
     {"recipients": ["+x"]}, {"account_sid": "../x"}],
)  # fmt: skip
def test_what_cannot_work_is_refused_when_written(service: messengers.Twilio, fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        sms(service, **fields)


def test_the_test_names_the_account(service: messengers.Twilio) -> None:
    assert sms(service).test() == "The account Example is active."
