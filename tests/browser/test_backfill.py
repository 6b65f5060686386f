"""A backfill in the browser: what it would do, that it is made, and cancelled as a whole."""

from __future__ import annotations

from playwright.sync_api import expect

from .conftest import Watched
from .test_pages import address


def test_a_backfill_is_looked_at_made_and_cancelled(admin: Watched) -> None:
    admin.expected = ("422",)
    page = admin.open(address("/deployments/{delays-nightly}", admin))
    page.get_by_role("link", name="Backfill…").click()
    page.get_by_role("button", name="Start the backfill").click()
    expect(page.locator("#start")).to_have_class("form-control is-invalid")
    page.fill("#start", "2026-01-05")
    page.fill("#end", "2026-01-07")
    expect(page.locator("#would .count")).to_have_text("3")
    page.fill("#parameters", '{"limit": 5}')
    page.fill("#max_active", "2")
    page.get_by_role("button", name="Start the backfill").click()
    expect(page.locator("#progress")).to_contain_text("0 of 3 runs are over")
    expect(page.locator("#facts")).to_contain_text("the earliest first")
    expect(page.locator("#runs li")).to_have_count(3)
    page.locator("#runs a.name").first.click()
    page.locator("#facts").get_by_role("link", name="of the slot").click()
    page.get_by_role("button", name="Cancel it").click()
    page.locator("dialog[open]").get_by_role("button", name="Cancel it").click()
    expect(page.locator("#progress")).to_contain_text("3 of 3 runs are over")
    expect(page.locator("#progress")).to_contain_text("Cancelled")
    page.get_by_role("link", name="delays-nightly").first.click()
    expect(page.locator("#backfills")).to_contain_text("3 of 3")
