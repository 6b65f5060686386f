"""What a notification says."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta, timezone

import pytest

from orchestrator.server.services.acting import notification_texts
from orchestrator.server.services.acting.notification_texts import MESSAGE_MAX, Told
from orchestrator.settings import Settings

RUN = uuid.UUID("0190c42e-7f5e-7d3a-8c55-0242ac120002")
AT = datetime(2026, 3, 4, 5, 6, 7, tzinfo=timezone(timedelta(hours=1)))


def told(message: str = "RuntimeError: no such table\nsecond line", state: str = "Failed") -> Told:
    return Told("etl", "prod", "brisk-heron", RUN, state, message, AT, 2)


def test_it_says_what_happened_where_and_when() -> None:
    assert notification_texts.subject(told()) == "Failed: etl/prod, run brisk-heron"
    assert notification_texts.body(told(), Settings(public_url="https://flows.example.com/o")) == (
        "Run **brisk-heron** of **etl/prod** is **Failed** since 2026-03-04 04:06:07 UTC.\n"
        "\n"
        "> RuntimeError: no such table\n"
        "> second line\n"
        "\n"
        "- Flow: etl\n"
        "- Deployment: prod\n"
        "- Attempt: 2\n"
        "\n"
        f"https://flows.example.com/o/runs/{RUN}"
    )


def test_without_a_message_there_is_no_quotation() -> None:
    assert ">" not in notification_texts.body(told(" \n"), Settings())


def test_a_long_message_is_cut_and_says_so() -> None:
    body = notification_texts.body(told("x" * 9999), Settings())
    assert "x" * MESSAGE_MAX in body
    assert "x" * (MESSAGE_MAX + 1) not in body
    assert "(cut; the run's page has all of it)" in body


@pytest.mark.parametrize(
    ("settings", "base"),
    [
        (Settings(), "http://127.0.0.1:4200"),
        (Settings(host="0.0.0.0", port=80), "http://127.0.0.1:80"),
        (Settings(host="::"), "http://[::1]:4200"),
        (Settings(host="fd00::1"), "http://[fd00::1]:4200"),
        (Settings(host="flows.example.com", public_url="https://a.example.com"), "https://a.example.com"),
    ],
)
def test_the_link_leads_to_the_run(settings: Settings, base: str) -> None:
    assert notification_texts.link(RUN, settings) == f"{base}/runs/{RUN}"
