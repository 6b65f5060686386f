"""Telegram: markup, topics, waits that stand in the body."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import ValidationError

from orchestrator.blocks.telegram import Telegram
from orchestrator.errors import InvalidInput

from ...standins import messengers


@pytest.fixture
def service() -> Iterator[messengers.Telegram]:
    with messengers.Telegram() as running:
        yield running


def bot(service: messengers.Telegram, **fields: Any) -> Telegram:
    return Telegram(**{"token": service.key, "chat": "-100", "api_url": service.url, **fields})


def test_markdown_becomes_the_markup_of_telegram(service: messengers.Telegram) -> None:
    bot(service).notify("*it* `a<b`\n\n- one\n  1. deep\n- two\n\n> said", "Loads")
    assert service.messages[0].content["text"] == (
        "<b>Loads</b>\n\n<i>it</i> <code>a&lt;b</code>\n\n• one\n  1. deep\n\n• two\n\n<blockquote>said</blockquote>"
    )


def test_topic_and_silence(service: messengers.Telegram) -> None:
    bot(service, thread=7, silent=True).notify("x")
    content = service.messages[0].content
    assert (content["message_thread_id"], content["disable_notification"]) == (7, True)


def test_the_wait_may_stand_in_the_body(service: messengers.Telegram) -> None:
    service.failing(429, {"ok": False, "error_code": 429, "parameters": {"retry_after": 0}})
    bot(service).notify("x")
    assert len(service.messages) == 1


def test_a_chat_that_the_bot_does_not_see_is_named(service: messengers.Telegram) -> None:
    with pytest.raises(InvalidInput, match="chat not found"):
        bot(service, chat="@nowhere").notify("x")
    with pytest.raises(InvalidInput, match="chat not found"):
        bot(service, chat="@nowhere").test()
    with pytest.raises(InvalidInput, match="empty"):
        bot(service).notify("")


@pytest.mark.parametrize("token", ["", "123456:ABC/../x", "123 456", "123:ABC?x"])
def test_a_token_that_would_bend_the_address_is_refused(token: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Telegram(token=token, chat="1")
    assert not token or token not in str(caught.value)
