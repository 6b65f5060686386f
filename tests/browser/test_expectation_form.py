"""Expectations made and changed in the browser, what the past suggests, and pings."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from orchestrator.clock import now
from orchestrator.server.db import session
from orchestrator.server.services.expecting import expectations

from ..server_rows import ANN
from .conftest import Watched
from .test_pages import address


def document(name: str) -> dict[str, object]:
    with session.reading() as reading:
        return dict(expectations.get(reading, name).document)


def test_one_is_made_in_plain_words_and_says_meanwhile_what_it_means(admin: Watched) -> None:
    page = admin.open("/expectations/new")
    said = page.locator("#said")
    expect(said).to_contain_text("Say whose runs")
    expect(page.locator(".is-invalid")).to_have_count(0)
    page.get_by_label("Name").fill("morning")
    page.get_by_label("Deployment", exact=True).fill("flights/delays-nightly")
    for day in ("Sat", "Sun"):
        page.get_by_label(day).uncheck()
    page.get_by_role("combobox", name="Time zone").fill("Europe/Berlin")
    expect(said).to_contain_text("A COMPLETED run of flights/delays-nightly by 09:15 Europe/Berlin, Monday to Friday")
    expect(said.locator("ol li")).to_have_count(5)
    page.get_by_label("Grace").fill("soon")
    expect(page.locator("#grace-wrong")).to_contain_text("is no duration")
    expect(page.locator("#grace")).to_have_attribute("aria-invalid", "true")
    page.get_by_label("Grace").fill("5m")
    expect(page.locator("#grace-wrong")).to_be_hidden()
    page.locator("#then").get_by_role("button", name="Tell somebody").click()
    page.get_by_label("Notifier").select_option("slack/data-team")
    page.get_by_role("button", name="Expect this").click()
    expect(page.locator("h1")).to_have_text("morning")
    assert document("morning") == {
        "name": "morning", "run": {"deployment": "flights/delays-nightly"}, "grace": "5m", "by": "09:15",
        "every": {"cron": "0 9 * * 1-5", "timezone": "Europe/Berlin"},
        "then": [{"do": "notify", "block": "slack/data-team"}],
    }  # fmt: skip


def test_it_is_turned_into_yaml_and_back_and_loses_nothing(admin: Watched) -> None:
    page = admin.open(address("/expectations/{files-of-all-stations}/edit", admin))
    page.get_by_role("button", name="As YAML").click()
    text = page.locator("#yaml")
    expect(text).to_have_value(re.compile("for_each: station"))
    written = text.input_value()
    text.fill(written + "on_resolve: [\n")
    expect(page.locator("#yaml-wrong")).to_contain_text("this is no YAML")
    text.fill(written + "on_resolve:\n- {do: call-webhook, block: webhook/on-call, body: {a: 1}}\nseverity: critical\n")
    page.get_by_role("button", name="As a form").click()
    expect(page.locator("#on_resolve")).to_contain_text("Call a webhook")
    expect(page.get_by_label("How bad is a miss?")).to_have_value("critical")
    page.get_by_label("Owner").fill("ingest-team")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#about")).to_contain_text("ingest-team")
    found = document("files-of-all-stations")
    assert found["on_resolve"] == [{"do": "call-webhook", "block": "webhook/on-call", "body": {"a": 1}}]
    assert found["each_of"] == ["BER", "HAM", "MUC"]


def test_what_is_refused_comes_back_as_it_was_typed(admin: Watched) -> None:
    admin.expected = ("422", "409")
    page = admin.open("/expectations/new")
    page.get_by_label("Name").fill("broken")
    page.get_by_text("Again and again").click()
    page.get_by_role("textbox", name="At least once within").fill("soon")
    page.get_by_role("button", name="Expect this").click()
    expect(page.get_by_role("alert")).to_contain_text("It was not saved")
    expect(page.locator("#span-wrong")).to_contain_text("is no duration")
    expect(page.locator("#deployment-wrong")).to_contain_text("Say whose runs")
    assert (page.locator("#span").input_value(), page.locator("#name").input_value()) == ("soon", "broken")


def test_a_deployments_own_is_read_only(admin: Watched) -> None:
    document = {"name": "owned", "run": {"deployment": "flights/delays-nightly"}, "within": "24h"}
    with session.transaction() as writing:
        from_deployment = admin.server.seeded.deployments["delays-nightly"]
        made = expectations.create(writing, document, ANN, now(), from_deployment)
        identifier = made.id
    page = admin.open(f"/expectations/{identifier}")
    expect(page.locator("#about")).to_contain_text("it is changed in that one's file")
    assert page.get_by_role("link", name="Edit").count() == 0
    admin.expected = ("409",)
    page = admin.open(f"/expectations/{identifier}/edit")
    expect(page.locator("main")).to_contain_text("It belongs to a deployment")


def test_what_the_past_suggests_is_expected_with_a_button(admin: Watched) -> None:
    page = admin.open("/expectations/suggestions")
    row = page.locator(".suggestion", has_text="crm-sync/contacts")
    expect(row).to_contain_text("of the past met it")
    row.get_by_role("link", name="Expect this").click()
    expect(page.get_by_label("Name")).to_have_value("crm-sync-contacts-expected")
    page.get_by_role("button", name="Expect this").click()
    expect(page.locator("h1")).to_have_text("crm-sync-contacts-expected")
    page = admin.open("/expectations/suggestions")
    expect(page.locator(".suggestion").first).to_be_visible()
    expect(page.locator(".suggestion", has_text="crm-sync/contacts")).to_have_count(0)


def test_a_ping_is_made_and_its_address_shown_once(admin: Watched) -> None:
    admin.expected = ("422",)
    page = admin.open("/pings")
    expect(page.locator("tr", has_text="sync-crm").locator(".state")).to_have_text("Failed")
    page.get_by_role("link", name="New ping").click()
    page.get_by_role("button", name="Make it").click()
    expect(page.locator("#name-wrong")).to_have_text("Give it a name.")
    page.get_by_label("Name").fill("vacuum")
    page.get_by_role("button", name="Make it").click()
    shown = page.locator("#address code")
    expect(shown).to_contain_text("/ping/")
    url = shown.inner_text()
    assert page.request.get(f"{url}/ok").status == 204
    page = admin.open("/pings")
    expect(page.locator("#address")).to_have_count(0)
    row = page.locator("tr", has_text="vacuum")
    expect(row.locator(".state")).to_have_text("OK")
    row.get_by_role("button", name="Rotate vacuum").click()
    page.locator("dialog[open]").get_by_role("button", name="Rotate").click()
    expect(page.locator("#address code")).not_to_have_text(url)
    assert page.request.get(f"{url}/ok").status == 404
    page.locator("tr", has_text="vacuum").get_by_role("link", name="Tell me when it stays away").click()
    expect(page.locator("#said")).to_contain_text("An event ping.succeeded of ping.vacuum at least every 1 day 1 hour")


def test_viewers_see_and_change_nothing(guest: Watched) -> None:
    guest.page.goto(guest.server.login_url("viewer"))
    page = guest.open("/expectations/suggestions")
    expect(page.locator(".suggestion").first).to_be_visible()
    assert page.get_by_role("link", name="Expect this").count() == 0
    page = guest.open("/pings")
    assert page.get_by_role("button", name=re.compile("Rotate|Delete")).count() == 0
    guest.expected = ("403",)
    expect(guest.open("/expectations/new").locator("main")).to_contain_text("editor")
