"""Expectations in the browser: the calendar, what became of one, and what is done with it."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from .conftest import Watched
from .test_pages import address


def test_the_calendar_says_by_sign_and_words_what_became_of_each_day(admin: Watched) -> None:
    page = admin.open("/expectations")
    row = page.locator("tr", has_text="files-of-all-stations")
    signs = row.locator("a.expected-sign")
    assert signs.count() == 14, "each day, that of today and those ahead too"
    assert any("missed" in sign.inner_text() for sign in signs.all())
    page.get_by_role("link", name="A week earlier").click()
    expect(page).to_have_url(re.compile("from="))
    page.get_by_role("link", name="Today").click()
    expect(page).not_to_have_url(re.compile("from="))


def test_one_is_narrowed_muted_and_turned_off(admin: Watched) -> None:
    page = admin.open(address("/expectations/{files-of-all-stations}", admin))
    expect(page.locator("#open li").first).to_contain_text("missed; expected by")
    page.locator("#occurrences a", has_text="Late").click()
    expect(page.locator("#occurrences tbody .state").first).to_have_text("Late")
    page.get_by_role("button", name="Mute 4 h").click()
    expect(page.locator("#about")).to_contain_text("muted until")
    page.get_by_role("button", name="Unmute").click()
    expect(page.locator("#about")).not_to_contain_text("muted until")
    page.get_by_role("button", name="Turn off").click()
    expect(page.locator("#about")).to_contain_text("nothing is expected")
    page.get_by_role("button", name="Turn on").click()
    expect(page.locator("#about")).not_to_contain_text("nothing is expected")


def test_viewers_look_and_change_nothing(guest: Watched) -> None:
    guest.page.goto(guest.server.login_url("viewer"))
    page = guest.open(address("/expectations/{arrivals-are-fresh}", guest))
    expect(page.locator("h1")).to_have_text("arrivals-are-fresh")
    assert page.get_by_role("button", name="Mute 4 h").count() == 0
