"""The stack map: what is on it, finding and focusing, going back in time, events on their way."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from orchestrator.clock import now
from orchestrator.server.db import session

from . import stack
from .conftest import Watched

REVENUE = "postgres://warehouse.internal/marts.revenue"


def opened(admin: Watched, query: str = "") -> Page:
    page = admin.open("/map" + query)
    page.wait_for_selector("#map[data-ready=yes]")
    return page


def shown(page: Page) -> list[str]:
    """The names of what is on the map."""
    return list(page.evaluate("document.getElementById('map').graph.nodes('.item').map((node) => node.data('name'))"))


def test_all_resources_stand_in_the_boxes_of_their_kinds(admin: Watched) -> None:
    page = opened(admin)
    assert {"flights-dev", "marts.revenue", "Board pack", "delays-nightly"} <= set(shown(page))
    boxes = page.evaluate("document.getElementById('map').graph.nodes('.box').map((node) => node.data('name'))")
    assert "report  3" in boxes
    apart = page.evaluate("""() => {
      const all = document.getElementById('map').graph.nodes('.item').map((node) => JSON.stringify(node.position()));
      return new Set(all).size === all.length;
    }""")
    assert apart


def test_a_resource_is_found_chosen_and_focused(admin: Watched) -> None:
    page = opened(admin)
    page.keyboard.press("/")
    page.keyboard.type("marts.rev")
    page.keyboard.press("Enter")
    card = page.locator("[data-map-card]")
    expect(card.locator("h2")).to_have_text("marts.revenue")
    expect(card).to_contain_text("dbt-build writes it")
    card.get_by_role("button", name="Focus").click()
    assert set(shown(page)) == {
        "marts.revenue", "dbt-build", "Revenue per route", "Board pack", "staging.arrivals", "staging.departures",
        "staging.contacts", "staging.invoices",
    }  # fmt: skip
    assert "focus=" in page.url
    page.select_option("[data-map-hops]", "1")
    assert set(shown(page)) == {"marts.revenue", "dbt-build", "Revenue per route", "Board pack"}
    places = page.evaluate("""() => Object.fromEntries(
      document.getElementById('map').graph.nodes('.item').map((node) => [node.data('name'), node.position('x')]))""")
    assert places["dbt-build"] < places["marts.revenue"] < places["Board pack"]
    page.reload()
    page.wait_for_selector("#map[data-ready=yes]")
    assert len(shown(page)) == 4
    page.get_by_role("button", name="Whole map").click()
    assert len(shown(page)) > 20
    page.locator("[data-map-card]").get_by_role("link", name="Open").click()
    expect(page.locator("h1")).to_have_text("marts.revenue")


def test_the_card_says_when_it_is_fresh_next_and_holds(admin: Watched, guest: Watched) -> None:
    page = opened(admin, f"?focus={REVENUE}")
    ahead = page.locator("[data-map-ahead]")
    expect(ahead).to_contain_text("Not known when it is fresh next: warehouse/dbt-build waits")
    page.fill("[data-map-search]", "staging.arrivals")
    page.press("[data-map-search]", "Enter")
    expect(ahead).to_contain_text("Expected ")
    page.locator("[data-map-card]").get_by_role("link", name="Hold…").click()
    expect(page.locator("h1")).to_contain_text("Hold")
    assert "staging.arrivals" in page.url
    guest.page.goto(guest.server.login_url("viewer"))
    expect(opened(guest, f"?focus={REVENUE}").locator("[data-hold-it]")).to_have_count(0)


def test_what_is_not_there_is_told(admin: Watched) -> None:
    page = opened(admin)
    page.fill("[data-map-search]", "nothing is called this")
    expect(page.locator("[data-map-hits]")).to_contain_text("Nothing here is called that")
    page.keyboard.press("Escape")
    expect(page.locator("[data-map-hits]")).to_be_hidden()
    page = opened(admin, "?kind=there-is-no-such-kind")
    expect(page.locator("[data-map-empty]")).to_be_visible()


def test_the_keyboard_moves_and_zooms(admin: Watched) -> None:
    page = opened(admin)
    page.focus("#map")
    view = "(() => { const graph = document.getElementById('map').graph; return [graph.pan('x'), graph.zoom()]; })()"
    x, zoom = page.evaluate(view)
    page.keyboard.press("ArrowRight")
    assert page.evaluate(view)[0] < x
    page.keyboard.press("+")
    assert page.evaluate(view)[1] > zoom
    page.keyboard.press("0")
    assert abs(page.evaluate(view)[1] - zoom) < 0.01


def test_events_travel_over_the_map(admin: Watched) -> None:
    page = opened(admin)
    page.evaluate("""() => {
      const pen = CanvasRenderingContext2D.prototype, arc = pen.arc;
      window.drawn = 0;
      pen.arc = function (...where) {
        if (this.canvas.className === 'map-pulses') window.drawn++;
        return arc.apply(this, where);
      };
    }""")
    with page.expect_response(lambda answer: "/map/events" in answer.url and answer.status == 200):
        pass
    with session.transaction() as writing:
        writing.add(stack.event("table.loaded", REVENUE, "revenue", now()))
    for _ in range(300):
        if page.evaluate("window.drawn") > 0:
            return
        page.wait_for_timeout(100)
    raise AssertionError("no event was drawn")


def test_a_map_that_changes_keeps_its_view(admin: Watched) -> None:
    page = opened(admin)
    page.locator("[data-zoom='1.3']").click()
    zoom = page.evaluate("document.getElementById('map').graph.zoom()")
    at = now()
    with session.transaction() as writing:
        writing.add(stack.resource("bi://brand-new", "Brand new", "report", at, at))
    for _ in range(300):
        if "Brand new" in shown(page):
            break
        page.wait_for_timeout(100)
    assert "Brand new" in shown(page)
    assert page.evaluate("document.getElementById('map').graph.zoom()") == zoom


def test_the_map_goes_back_in_time(admin: Watched) -> None:
    page = opened(admin)
    failing = page.locator("[data-count=failing]")
    expect(failing).to_have_text("3")
    slide = """(minutes) => {
      const time = document.getElementById('map-time');
      time.value = minutes;
      time.dispatchEvent(new Event('input'));
    }"""
    page.evaluate(slide, -60)
    expect(failing).to_have_text("0")
    expect(page.locator("[data-count=healthy]")).to_have_text("3")
    assert "as_of=" in page.url
    page.reload()
    expect(failing).to_have_text("0")
    page.evaluate(slide, -6 * 60)
    expect(page.locator("[data-map-empty]")).to_be_visible()
    page.get_by_role("button", name="Back to now").click()
    expect(failing).to_have_text("3")
    assert "as_of" not in page.url
