"""Triggers, firings and actions in the browser: what they say, and what people do with them."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import Page, expect

from orchestrator.server.db import session
from orchestrator.server.db.models import Trigger
from orchestrator.server.services.reacting import triggers

from .conftest import Watched
from .test_pages import address


def automated(page: Page) -> dict[str, str]:
    """What "automate this" hands on."""
    href = page.get_by_role("link", name="Automate this").get_attribute("href") or ""
    assert urlsplit(href).path == "/triggers/new"
    return {name: values[0] for name, values in parse_qs(urlsplit(href).query).items()}


def confirm(page: Page, button: str) -> None:
    page.locator("dialog[open]").get_by_role("button", name=button).click()


def test_the_list_says_what_each_waits_for_and_how_it_stands(admin: Watched) -> None:
    page = admin.open("/triggers")
    row = page.locator("#list tr", has_text="loader-is-silent")
    expect(row).to_contain_text("When no loader.beat comes for 10m, for each resource.id: emit event")
    expect(row).to_contain_text("Firing")
    stale = page.locator("#list tr", has_text="stale-tables-wait")
    expect(stale.get_by_role("img")).to_have_attribute("aria-label", re.compile(r"today last: (\d, ){6}\d$"))
    expect(page.locator("#list tr", has_text="notify slack/data-team")).to_contain_text(
        "When a run is completed or failed: notify slack/data-team."
    )
    page.get_by_label("State").select_option("off")
    expect(page.locator("#list tbody tr")).to_have_count(1)
    page.get_by_role("link", name="Clear").click()
    page.get_by_label("Deployment").select_option(label="flights/delays-nightly")
    expect(page.locator("#list tbody tr").first).to_contain_text("nightly-mostly-succeeds")
    expect(page.locator("#list")).not_to_contain_text("loader-is-silent")
    expect(page.get_by_role("link", name="New trigger")).to_have_attribute("href", "/triggers/new")


def test_one_is_turned_off_and_on_muted_and_unmuted(admin: Watched) -> None:
    admin.expected = ("422",)
    page = admin.open(address("/triggers/{contacts-fail-again}", admin))
    expect(page.locator("#remembered")).to_contain_text("2 of 3 row-count.warned or row-count.failed")
    expect(page.locator("#document")).to_contain_text("threshold: 3")
    page.get_by_role("button", name="Mute…").click()
    page.get_by_label("For how long").select_option("at")
    page.get_by_role("button", name="Mute it").click()
    expect(page.locator("#until-wrong")).to_have_text("Say until when, with date and time.")
    page.locator("#mute-until").fill("2020-01-01T09:00")
    page.get_by_role("button", name="Mute it").click()
    expect(page.locator("#until-wrong")).to_contain_text("This time has passed")
    assert admin.axe() == []
    page.get_by_label("For how long").select_option("1h")
    page.get_by_role("button", name="Mute it").click()
    expect(page.locator("#verdict")).to_contain_text("It does nothing until")
    page.get_by_role("button", name="Unmute").click()
    expect(page.locator("#verdict")).to_contain_text("Armed")
    page.get_by_role("button", name="Turn off").click()
    expect(page.locator("#verdict")).to_contain_text("Off")
    expect(page.locator("#remembered")).to_contain_text("only the next event counts")
    page.get_by_role("button", name="Turn on").click()
    expect(page.locator("#verdict")).to_contain_text("Armed")
    expect(page.locator("#changes li").first).to_contain_text("trigger.updated")
    expect(page.get_by_role("link", name="Edit")).to_have_attribute("href", re.compile("/triggers/[0-9a-f-]+/edit$"))


def test_one_is_deleted_unless_a_deployment_owns_it(admin: Watched) -> None:
    page = admin.open(address("/triggers/{nightly-mostly-succeeds}", admin))
    expect(page.locator("#of-deployment")).to_contain_text("flights/delays-nightly")
    expect(page.get_by_role("button", name="Delete")).to_have_count(0)
    page = admin.open(address("/triggers/{refresh-the-board}", admin))
    page.get_by_role("button", name="Delete").click()
    confirm(page, "Delete")
    page.wait_for_url("**/triggers")
    expect(page.locator("#list")).not_to_contain_text("refresh-the-board")
    with session.reading() as reading:
        assert reading.query(Trigger).filter_by(name="refresh-the-board").count() == 0


def test_it_explains_why_it_did_or_did_not_fire(admin: Watched) -> None:
    page = admin.open(address("/triggers/{stale-tables-wait}", admin))
    page.get_by_label("Id of the event").fill("yesterday's")
    page.get_by_role("button", name="Explain").click()
    expect(page.locator("#explain-wrong")).to_have_text("This is no id of an event: copy it from the event's page.")
    page.get_by_label("Id of the event").fill("01980000-0000-7000-8000-000000000000")
    page.get_by_role("button", name="Explain").click()
    expect(page.locator("#explain-wrong")).to_contain_text("No event of this id is kept")
    event = str(admin.server.seeded.triggered["failed-check"])
    page.get_by_label("Id of the event").fill(event)
    page.get_by_role("button", name="Explain").click()
    expect(page.locator("#explained")).to_contain_text("The event counts for it.")
    expect(page.locator("#explained").get_by_role("link", name="Its firing")).to_be_visible()
    page = admin.open(address("/triggers/{loader-is-silent}", admin) + f"?event={event}")
    expect(page.locator("#explained")).to_contain_text("The event does not count for it.")
    expect(page.locator("#explained li.state-bad")).to_contain_text("name: is freshness.failed; wanted: loader.beat")


def test_firings_are_narrowed_acknowledged_and_resolved(admin: Watched) -> None:
    page = admin.open("/firings")
    suppressed = page.locator("#list li", has_text="Suppressed")
    expect(suppressed).to_contain_text("The same had fired just before (debounce), so nothing was done.")
    page.get_by_label("Of what").select_option("expectation")
    expect(page.locator("#list li").first).to_contain_text("was missed")
    page.get_by_label("Severity").select_option("critical")
    expect(page.locator("#list li")).to_have_count(1)
    page = admin.open("/firings?q=silent")
    row = page.locator("#list li")
    expect(row).to_contain_text("loader-b")
    expect(row).to_contain_text("late")
    row.get_by_role("button", name="Acknowledge").click()
    expect(row).to_contain_text("admin of the tests looks after it")
    row.get_by_role("link", name="no loader.beat for 10m").click()
    expect(page.locator("#events")).to_contain_text("the clock decided")
    page.get_by_role("button", name="Resolve").click()
    confirm(page, "Resolve")
    expect(page.locator("#verdict")).to_contain_text("Over")
    expect(page.locator("#actions li")).to_contain_text("Emit event loader.found")


def test_a_firing_shows_its_events_its_actions_and_what_followed(admin: Watched) -> None:
    page = admin.open(address("/firings/{stale}", admin))
    expect(page.locator("#events li")).to_contain_text("freshness.failed")
    expect(page.locator("#chain li").nth(1)).to_contain_text("hold.placed of marts.revenue")
    lost = page.locator("#actions li", has_text="Given up")
    expect(lost).to_contain_text("12 tries")
    expect(lost).to_contain_text("it is taken down for the night")
    lost.locator("summary").first.click()
    expect(lost.locator("pre")).to_contain_text("Stale: marts.revenue")
    lost.get_by_role("button", name="Do it again").click()
    expect(page.locator("#actions li", has_text="Notify webhook/on-call")).to_contain_text("Waiting")
    page.locator("#events a.name").click()
    expect(page.locator("#fired li").first).to_contain_text("stale-tables-wait")


def test_actions_are_narrowed_and_lead_to_their_firings_and_runs(admin: Watched) -> None:
    page = admin.open("/actions")
    page.get_by_label("State").select_option("done")
    page.get_by_label("Kind").select_option("run-deployment")
    row = page.locator("#list li")
    expect(row).to_have_count(1)
    row.get_by_role("link", name="the run").click()
    page.wait_for_url("**/runs/*")
    page = admin.open(f"/actions/{admin.server.seeded.triggered['given-up']}")
    assert re.search("/firings/[0-9a-f-]+#action-", page.url)


def test_automate_this_hands_on_what_is_known(admin: Watched) -> None:
    revenue = "postgres://warehouse.internal/marts.revenue"
    page = admin.open(address("/events/{failed-check}", admin))
    assert automated(page) == {"event": "freshness.failed", "resource": revenue}
    page = admin.open(f"/resource?id={revenue}")
    assert automated(page) == {"resource": revenue}
    page = admin.open(address("/runs/{broken}", admin))
    told = automated(page)
    assert (told["event"], set(told)) == ("flow-run.failed", {"event", "deployment"})
    page = admin.open(address("/deployments/{delays-nightly}", admin))
    assert automated(page) == {"deployment": "flights/delays-nightly"}


def test_runs_and_expectations_lead_to_their_firings(admin: Watched) -> None:
    page = admin.open(address("/runs/{broken}", admin))
    page.locator("#actions li").first.get_by_role("link", name="flow-run.failed").click()
    expect(page.locator("#about")).to_contain_text("notify ")
    page = admin.open(address("/expectations/{files-of-all-stations}", admin))
    page.locator("#open a").first.click()
    expect(page.locator("#about")).to_contain_text("files-of-all-stations")


def test_viewers_look_and_change_nothing(guest: Watched) -> None:
    guest.page.goto(guest.server.login_url("viewer"))
    guest.expected = ("403",)
    for path in ("/triggers", "/triggers/{stale-tables-wait}", "/firings", "/firings/{stale}", "/actions"):
        page = guest.open(address(path, guest))
        expect(page.locator("h1")).to_be_visible()
        names = "Turn off|Mute|Delete|Edit|New trigger|Acknowledge|Resolve|Do it again"
        assert page.locator("main").get_by_role("button", name=re.compile(names)).count() == 0
        assert page.locator("main").get_by_role("link", name=re.compile(names)).count() == 0
    trigger = guest.server.seeded.triggered["stale-tables-wait"]
    sent = guest.page.evaluate(
        "address => fetch(address, {method: 'POST', headers: {'X-CSRF-Token': Orchestrator.csrf}}).then(a => a.status)",
        f"/triggers/{trigger}/switch",
    )
    assert sent == 403
    with session.reading() as reading:
        assert triggers.get(reading, trigger).active
