"""Audit: who changed what, with what was before and after; the same as files."""

from __future__ import annotations

import csv
import io
import json

from playwright.sync_api import expect

from orchestrator.clock import now
from orchestrator.documents.records import Actor
from orchestrator.server.db import session
from orchestrator.server.services.recording.announcements import announce

from .conftest import Watched

TRICK = '=HYPERLINK("http://evil.example")'


def change() -> None:
    """Somebody whose name is a trick changes something."""
    about = {"resource.id": "orchestrator.work-queue.1", "resource.name": "night"}
    with session.transaction() as writing:
        before, after = {"limit": 2, "paused": False}, {"limit": 9, "paused": False}
        announce(writing, "work-queue.updated", about, Actor("api-key", name=TRICK), now(), before=before, after=after)


def test_a_change_shows_who_and_what_was_before(admin: Watched) -> None:
    change()
    page = admin.open("/audit?q=work-queue.*")
    row = page.locator("#stream > li").first
    expect(row).to_contain_text(TRICK)
    expect(row.locator("del")).to_have_text("2")
    expect(row.locator("ins")).to_have_text("9")
    assert "paused" not in row.inner_text()
    page.fill("[name=by]", "MARIA")
    page.press("[name=by]", "Enter")
    expect(page.locator("#list")).to_contain_text("Nobody changed anything that fits")
    page = admin.open("/audit?by=MARIA")
    expect(page.locator("#stream > li").first).to_contain_text("maria@team.example")


def test_the_trail_is_downloaded_as_it_is_filtered(admin: Watched) -> None:
    change()
    page = admin.open("/audit?q=work-queue.updated")
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()
    rows = list(csv.DictReader(io.StringIO(download.value.path().read_text("utf-8"))))
    assert rows
    assert rows[0]["who"] == "'" + TRICK
    assert json.loads(rows[0]["after"]) == {"limit": 9}
    with page.expect_download() as download:
        page.get_by_role("link", name="JSON lines").click()
    lines = [json.loads(line) for line in download.value.path().read_text("utf-8").splitlines()]
    assert {line["event"] for line in lines} == {"work-queue.updated"}
    assert lines[0]["by"]["name"] == TRICK
    assert lines[0]["before"] == {"limit": 2}
