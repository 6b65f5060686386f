"""Events: a stream that does not run away from who reads it, one event with what is around it."""

from __future__ import annotations

from datetime import timedelta

from playwright.sync_api import expect

from orchestrator.clock import now
from orchestrator.server.db import session

from . import stack
from .conftest import Watched

SHOP = "shop://berlin/42"


def tell(name: str, minutes: float = 0, about: str = SHOP) -> str:
    """Write an event; gives its id."""
    with session.transaction() as writing:
        event = stack.event(name, about, "till 42", now() - timedelta(minutes=minutes))
        writing.add(event)
        return str(event.id)


def test_what_happens_appears_at_the_head(admin: Watched) -> None:
    page = admin.open("/events")
    page.evaluate("window.sameDocument = true")
    told = tell("stock.low")
    expect(page.locator("#stream > li").first).to_have_attribute("id", f"event-{told}")
    assert page.evaluate("window.sameDocument")


def test_who_reads_further_down_is_not_disturbed(admin: Watched) -> None:
    for number in range(60):
        tell(f"till.opened-{number}", minutes=2)
    page = admin.open("/events")
    expect(page.locator("#stream > li")).to_have_count(50)
    row = page.locator("#stream > li").nth(30)
    identifier = row.get_attribute("id")
    page.evaluate(
        "document.querySelectorAll('#stream > li')[30].scrollIntoView({block: 'center', behavior: 'instant'})"
    )
    before = page.evaluate("scrollY")
    for number in range(3):
        tell(f"till.closed-{number}")
    button = page.locator("#held button")
    expect(button).to_have_text("3 are new")
    assert page.evaluate("scrollY") == before
    assert page.locator("#stream > li").nth(30).get_attribute("id") == identifier
    button.click()
    expect(page.locator("#stream > li").first).to_contain_text("till.closed-2")
    assert page.evaluate("scrollY") == 0
    expect(button).to_be_hidden()


def test_the_focus_stays_where_it_is(admin: Watched) -> None:
    tell("door.opened")
    page = admin.open("/events")
    link = page.locator("#stream > li .name").first
    link.focus()
    address = link.get_attribute("href")
    tell("door.closed")
    expect(page.locator("#held button")).to_have_text("1 is new")
    assert page.evaluate("document.activeElement.getAttribute('href')") == address


def test_the_address_keeps_the_filters(admin: Watched) -> None:
    tell("stock.low", minutes=90, about="shop://paris/1")
    tell("stock.gone", minutes=3, about="shop://paris/1")
    page = admin.open("/events")
    page.fill("[name=q]", "stock.*")
    page.fill("[name=resource]", "shop://paris/1")
    page.press("[name=resource]", "Enter")
    expect(page.locator("#stream > li")).to_have_count(2)
    page.select_option("[name=within]", "1h")
    expect(page.locator("#stream > li")).to_have_count(1)
    assert "within=1h" in page.url
    assert "q=stock.*" in page.url
    page.click("text=Clear")
    expect(page.locator("#stream > li").nth(3)).to_be_visible()


def test_a_stretch_of_the_histogram_is_looked_into(admin: Watched) -> None:
    tell("till.opened", minutes=50)
    tell("till.closed", minutes=10)
    page = admin.open("/events?within=1h&q=till.*ed")
    page.wait_for_selector("#histogram[data-ready=yes]")
    expect(page.locator("#stream > li")).to_have_count(2)
    expect(page.locator("[data-total]")).to_have_text("2 events")
    box = page.locator("#histogram").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 8, box["y"] + 40, steps=4)
    page.mouse.up()
    page.wait_for_url("**since=**")
    expect(page.locator("#stream > li")).to_have_count(1)
    expect(page.locator("#stream > li")).to_contain_text("till.closed")
    page.click(".chart-said a")
    expect(page.locator("#stream > li")).to_have_count(2)


def test_kinds_and_sources_narrow_the_list(admin: Watched) -> None:
    page = admin.open("/events")
    page.select_option("[name=kind]", "action")
    page.wait_for_url("**kind=action**")
    expect(page.locator("#stream > li").first).to_contain_text("by ")
    page.select_option("[name=source]", "lineage")
    expect(page.locator("#list")).to_contain_text("No event fits")


def test_an_event_shows_its_labels_payload_and_neighbours(admin: Watched) -> None:
    first = tell("order.created", minutes=2, about="shop://rome/7")
    with session.transaction() as writing:
        related = {"resource.id": "db://orders", "resource.name": "orders", "resource.role": "table"}
        event = stack.event("order.paid", "shop://rome/7", "till 7", now(), related)
        event.follows, identifier = first, event.id
        writing.add(event)
    page = admin.open(f"/events/{identifier}")
    expect(page.locator("#payload")).to_contain_text("4821")
    expect(page.locator("#raw")).to_contain_text('"event": "order.paid"')
    expect(page.locator("#related")).to_contain_text("orders")
    expect(page.locator("#around")).to_contain_text("order.created")
    assert admin.axe() == []
    page.locator("#about").get_by_role("link", name="order.created").click()
    expect(page.locator("h1")).to_have_text("order.created")


def test_what_people_are_told_leads_to_its_page(admin: Watched) -> None:
    page = admin.open("/events?q=flow-run.*")
    page.locator("#stream > li .quiet").first.click()
    expect(page.locator("#verdict")).to_be_visible()
