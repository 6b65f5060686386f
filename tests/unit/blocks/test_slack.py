"""Slack: its two ways, its errors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import ValidationError

from orchestrator.blocks.slack import Slack
from orchestrator.blocks.slack_credentials import SlackCredentials
from orchestrator.errors import AccessDenied, InvalidInput, OrchestratorError, Unavailable

from ...standins import messengers


@pytest.fixture
def service() -> Iterator[messengers.Slack]:
    with messengers.Slack() as running:
        yield running


def app(service: messengers.Slack, **fields: Any) -> Slack:
    token = SlackCredentials(token=service.key, api_url=f"{service.url}/api")
    return Slack(**{"credentials": token, "channel": "#loads", **fields})


def test_a_message_is_a_header_and_markdown_with_a_preview(service: messengers.Slack) -> None:
    app(service).notify("**done** <!channel> & more", subject="Loads")
    content = service.messages[0].content
    assert [block["type"] for block in content["blocks"]] == ["header", "markdown"]
    assert content["text"] == "Loads"
    app(service).notify("<!channel> & more")
    assert service.messages[1].content["text"] == "&lt;!channel&gt; &amp; more"


def test_one_way_must_be_given() -> None:
    for fields in (
        {},
        {"channel": "#loads"},
        {"credentials": SlackCredentials(token="t")},
        {"webhook_url": "https://x/y", "credentials": SlackCredentials(token="t"), "channel": "#x"},
    ):
        with pytest.raises(ValidationError, match=r"give either|need a channel"):
            Slack(**fields)


@pytest.mark.parametrize(
    ("error", "kind"),
    [("channel_not_found", InvalidInput), ("not_in_channel", InvalidInput), ("token_revoked", AccessDenied),
     ("missing_scope", AccessDenied), ("internal_error", Unavailable)],
)  # fmt: skip
def test_its_errors_come_with_status_200(service: messengers.Slack, error: str, kind: type[OrchestratorError]) -> None:
    service.failing(200, {"ok": False, "error": error})
    with pytest.raises(kind, match=error):
        app(service).notify("x")


def test_a_channel_that_is_not_there_is_named(service: messengers.Slack) -> None:
    with pytest.raises(InvalidInput, match="channel_not_found"):
        app(service, channel="#nowhere").notify("x")


@pytest.mark.parametrize(
    ("status", "said", "kind"),
    [(404, "no_service", AccessDenied), (403, "action_prohibited", AccessDenied), (410, "channel_is_archived",
     InvalidInput), (404, "channel_not_found", InvalidInput), (500, "rollup_error", Unavailable)],
)  # fmt: skip
def test_errors_of_a_webhook(service: messengers.Slack, status: int, said: str, kind: type[OrchestratorError]) -> None:
    service.failing(status, said)
    with pytest.raises(kind, match=said):
        Slack(webhook_url=f"{service.url}/services/T/B/{service.key}").notify("x")


def test_an_empty_message_is_refused_before_it_is_sent(service: messengers.Slack) -> None:
    with pytest.raises(InvalidInput, match="empty"):
        app(service).notify("  ")
    assert service.requests == []


def test_credentials_tell_whose_they_are(service: messengers.Slack) -> None:
    token = SlackCredentials(token=service.key, api_url=f"{service.url}/api")
    assert token.test() == "The token is that of robot in the workspace Example."
    with pytest.raises(AccessDenied, match="invalid_auth"):
        SlackCredentials(token="other", api_url=f"{service.url}/api").test()


def test_a_webhook_that_is_gone_fails_its_test(service: messengers.Slack) -> None:
    with pytest.raises(AccessDenied):
        Slack(webhook_url=f"{service.url}/services/T/B/unknown-key").test()
