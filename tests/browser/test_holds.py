"""Holds in the browser: what one would hold, placing it, seeing it wherever it matters, releasing it."""

from __future__ import annotations

from playwright.sync_api import expect

from .conftest import Watched
from .test_pages import address


def test_a_hold_is_previewed_placed_seen_and_released(admin: Watched) -> None:
    page = admin.open("/resource?id=s3://flights-dev/raw/airports.csv")
    page.get_by_role("link", name="Hold…").click()
    expect(page.locator("#would li").first).to_have_text("delays/nightly")
    page.fill("#resource", "s3://flights-dev/raw/delays*")
    expect(page.locator("#would")).to_contain_text("2 resources are held")
    page.fill("#resource", "s3://flights-dev/raw/airports.csv")
    expect(page.locator("#resource-ids option")).to_have_count(1)
    page.get_by_role("button", name="Hold it").click()
    expect(page.locator("#reason")).to_have_class("form-control is-invalid")
    page.fill("#reason", "the export is broken")
    assert page.locator("#slots").is_hidden()
    page.locator("label[for=kind-limit]").click()
    page.fill("#slots", "0")
    page.select_option("#ends", "for")
    page.fill("#for", "2h")
    page.get_by_role("button", name="Hold it").click()
    row = page.locator("#list .hold", has_text="the export is broken")
    expect(row).to_contain_text("at most 0 runs")
    row.get_by_role("link", name="delays/nightly").click()
    expect(page.locator(".verdict", has_text="the export is broken")).to_contain_text("at most 0 at once")
    page = admin.open("/")
    expect(page.locator("#red")).to_contain_text("the export is broken")
    page = admin.open("/resource?id=s3://flights-dev/raw/airports.csv")
    page.locator(".verdict", has_text="Held").get_by_role("button", name="Release").click()
    page.locator("dialog[open]").get_by_role("button", name="Release").click()
    expect(page.locator(".verdict", has_text="Held")).to_have_count(0)
    page = admin.open("/holds?show=released")
    expect(page.locator("#list .hold").first).to_contain_text("the export is broken")


def test_a_run_that_waits_shows_the_hold(admin: Watched) -> None:
    page = admin.open(address("/runs?deployment={extract}&state=SCHEDULED", admin))
    page.locator("#list a.name").first.click()
    expect(page.locator(".verdict", has_text="row counts are off by half")).to_contain_text("no run starts")


def test_viewers_see_holds_and_place_none(guest: Watched) -> None:
    guest.page.goto(guest.server.login_url("viewer"))
    page = guest.open("/holds")
    expect(page.locator("#list .hold").first).to_be_visible()
    assert page.get_by_role("link", name="Hold something").count() == 0
    assert page.get_by_role("button", name="Release").count() == 0
