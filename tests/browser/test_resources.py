"""Resources: the list now and as of a time, one resource's page, whose it is."""

from __future__ import annotations

import re
from datetime import timedelta

from playwright.sync_api import expect

from orchestrator.clock import now

from .conftest import Watched

REVENUE = "/resource?id=postgres://warehouse.internal/marts.revenue"


def test_the_list_is_narrowed_by_state_kind_and_label(admin: Watched) -> None:
    page = admin.open("/resources")
    page.get_by_role("link", name="Failing").click()
    expect(page.locator("#list tbody tr")).to_have_count(3)
    page.fill("[name=kind]", "sql.*")
    page.press("[name=kind]", "Enter")
    expect(page.locator("#list tbody tr")).to_have_count(1)
    expect(page.locator("#list")).to_contain_text("marts.revenue")
    page = admin.open("/resources?label=team=flights&owner=finance")
    expect(page.locator("#list tbody tr")).to_have_count(1)
    page = admin.open("/resources?state=vanished")
    expect(page.locator("#list")).to_contain_text("loader-7f")


def test_a_resource_says_when_it_is_fresh_next(admin: Watched) -> None:
    page = admin.open("/resource?id=postgres://warehouse.internal/staging.arrivals")
    panel = page.locator("#eta")
    expect(panel).to_contain_text(re.compile(r"expected (\d{4}-\d\d-\d\d )?\d\d:\d\d"))
    expect(panel).to_contain_text(re.compile(r"learned from \d+ times"))
    page = admin.open(REVENUE)
    expect(page.locator("#eta")).to_contain_text("warehouse/dbt-build waits: its work queue is paused")


def test_the_list_is_shown_as_it_was(admin: Watched) -> None:
    page = admin.open("/resources?q=marts.revenue")
    expect(page.locator("#list tbody tr")).to_contain_text("Failing")
    then = now() - timedelta(minutes=30)
    page.evaluate(
        """(at) => {
          const field = document.querySelector("[data-as-of]"), day = new Date(at);
          field.value = `${Orchestrator.date(day)}T${Orchestrator.clock(day, false)}`;
          field.dispatchEvent(new Event("change"));
        }""",
        then.isoformat(),
    )
    page.click("text=Filter")
    page.wait_for_url("**as_of=**")
    expect(page.locator("#list tbody tr")).to_contain_text("Healthy")
    expect(page.locator("[data-as-of]")).to_have_value(re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d$"))
    page.click("text=back to now")
    expect(page.locator("#list tbody tr").first).to_be_visible()
    assert "as_of" not in page.url


def test_a_resource_shows_what_it_was_and_what_is_around_it(admin: Watched) -> None:
    page = admin.open(REVENUE)
    expect(page.locator("#verdict")).to_contain_text("freshness.failed")
    expect(page.locator("#states li")).to_have_count(2)
    expect(page.locator("#into")).to_contain_text("Board pack")
    page.locator("#into").get_by_text("dbt-build").click()
    expect(page.locator("#out")).to_contain_text("staging.arrivals")
    page.get_by_role("link", name="Its own page").click()
    expect(page.locator("h1")).to_have_text("warehouse/dbt-build")


def test_an_editor_says_whose_it_is(admin: Watched) -> None:
    page = admin.open("/resource?id=bi://board")
    page.click("text=Edit…")
    page.fill("#edit-owner", "board-office")
    page.fill("#edit-description", "Sent on the **first** of each month.")
    page.click("#edit >> text=Save")
    expect(page.locator("#about")).to_contain_text("board-office")
    expect(page.locator("#description strong")).to_have_text("first")
    page = admin.open("/audit?q=resource.edited")
    expect(page.locator("#stream")).to_contain_text("board-office")


def test_what_only_events_name_has_a_page(admin: Watched) -> None:
    admin.expected = ("404",)
    page = admin.open("/resource?id=there://is/nothing")
    expect(page.locator("body")).to_contain_text("there is no resource there://is/nothing")
