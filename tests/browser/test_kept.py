"""Limits, variables and artifacts in the browser."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from orchestrator.server.db.models import Artifact
from orchestrator.server.db.session import transaction

from .conftest import Watched
from .test_pages import address


def test_a_limit_is_made_changed_switched_off_and_deleted(admin: Watched) -> None:
    admin.expected = ("422", "409")
    page = admin.open("/limits")
    page.get_by_role("link", name="New limit").click()
    page.fill("#name", "licences")
    page.get_by_role("button", name="Make it").click()
    expect(page.locator("#slots")).to_have_class("form-control is-invalid")
    page.fill("#slots", "3")
    page.get_by_role("button", name="Make it").click()
    row = page.locator("#list tr", has_text="licences")
    expect(row).to_contain_text("0 / 3")
    page.get_by_label("Slots of licences").fill("5")
    page.get_by_label("Slots of licences").press("Enter")
    expect(row).to_contain_text("0 / 5")
    switch = page.get_by_role("switch", name="licences limits")
    switch.click()
    expect(switch).to_have_attribute("aria-checked", "false")
    page.get_by_role("button", name="Delete licences").click()
    page.locator("dialog[open]").get_by_role("button", name="Delete…").click()
    expect(row).to_have_count(0)


def test_who_holds_and_waits_is_shown_and_slots_are_taken_back(admin: Watched) -> None:
    page = admin.open("/limits?q=warehouse")
    row = page.locator("#list tr", has_text="code that asks for it")
    expect(row).to_contain_text("2 / 2")
    expect(row).to_contain_text("All taken")
    expect(row).to_contain_text("1 waits, next laptop:12")
    row.get_by_role("button", name="Take back from notebook:4711").click()
    page.locator("dialog[open]").get_by_role("button", name="Take back…").click()
    expect(row.locator(".holders")).to_contain_text("laptop:12")
    expect(row.locator(".holders")).not_to_contain_text("notebook:4711")


def test_a_variable_is_made_changed_and_deleted(admin: Watched) -> None:
    admin.expected = ("422", "409")
    page = admin.open("/variables/new")
    page.fill("#name", "no name")
    page.fill("#value", '{"a": 1}')
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#name")).to_have_class("form-control font-monospace is-invalid")
    page.fill("#name", "colours")
    page.fill("#tags", "look, feel")
    page.get_by_role("button", name="Save").click()
    row = page.locator("#list tr", has_text="colours")
    expect(row).to_contain_text('{"a": 1}')
    expect(row).to_contain_text("feel")
    row.get_by_role("link", name="colours").click()
    expect(page.locator("#value")).to_have_value('{"a": 1}')
    page.fill("#value", "plain text")
    page.get_by_role("button", name="Save").click()
    expect(row).to_contain_text("plain text")
    page.get_by_role("button", name="Delete colours").click()
    page.locator("dialog[open]").get_by_role("button", name="Delete…").click()
    expect(row).to_have_count(0)


def test_a_cached_result_is_found_and_forgotten(admin: Watched) -> None:
    page = admin.open("/cached-results")
    row = page.locator("#list tr", has_text="prices.of_day")
    expect(row).to_contain_text('"BER": 12')
    expect(page.locator("#list tr", has_text="inputs-1")).to_contain_text("in a file")
    page.get_by_label("Task", exact=True).fill("fetch")
    page.get_by_role("button", name="Filter").click()
    expect(row).to_have_count(0)
    page.get_by_role("button", name="Forget the result of fetch").click()
    page.locator("dialog[open]").get_by_role("button", name="Forget…").click()
    expect(page.locator("#list")).to_contain_text("No cached result fits.")


def test_a_key_shows_its_newest_version_and_all_before(admin: Watched) -> None:
    page = admin.open("/artifacts")
    page.get_by_role("link", name="late-flights").click()
    expect(page.locator("#artifact")).to_contain_text("Four flights.")
    expect(page.locator("#versions li")).to_have_count(2)
    page.locator("#versions li a.name").last.click()
    expect(page.locator("#artifact")).to_contain_text("Late <script>alert(1)</script>")
    page.get_by_role("link", name="an earlier version").click()
    expect(page.locator("#artifact")).to_contain_text("Four flights.")


def test_images_are_shown_where_they_are_harmless(admin: Watched) -> None:
    page = admin.open("/artifacts/punctuality")
    assert page.locator(".artifact-image").evaluate("image => image.naturalWidth") == 1
    page = admin.open("/artifacts/elsewhere")
    expect(page.get_by_role("link", name="https://example.org/chart.png")).to_be_visible()
    assert page.locator(".artifact-image").count() == 0


def test_a_progress_moves_on_the_page_of_its_run(admin: Watched) -> None:
    page = admin.open(address("/runs/{live}?tab=artifacts", admin))
    bar = page.get_by_role("progressbar", name="import")
    expect(bar).to_have_attribute("value", "42.5")
    with transaction() as session:
        session.query(Artifact).filter_by(key="import").one().data = 80
    expect(bar).to_have_attribute("value", "80")


@pytest.mark.parametrize("path", ["/limits", "/variables", "/cached-results", "/artifacts", "/artifacts/late-flights"])
def test_viewers_change_nothing(path: str, guest: Watched) -> None:
    guest.page.goto(guest.server.login_url("viewer"))
    page = guest.open(path)
    expect(page.locator(".head h1")).to_be_visible()
    names = ("New limit", "New variable", "Delete", "Take", "Forget")
    assert (
        sum(page.locator("main").get_by_role(role, name=name).count() for role in ("button", "link") for name in names)
        == 0
    )
