"""Every page: no error, nothing for axe to find, few requests, usable on a phone, right in light and dark."""

from __future__ import annotations

import pytest

from .conftest import Watched

PAGES = (
    "/",
    "/runs",
    "/runs?state=FAILED&within=24h",
    "/runs?q=nothing-has-this-name",
    "/runs/{live}",
    "/runs/{broken}",
    "/runs/{broken}?tab=states",
    "/runs/{done}?tab=artifacts",
    "/runs/{done}?tab=inputs",
    "/runs/{done}?tab=subflows",
    "/runs/{done}?tab=events",
    "/deployments",
    "/deployments/{delays-nightly}",
    "/deployments/{delays-nightly}/run",
    "/deployments/{delays-nightly}/edit",
    "/deployments/{delays-nightly}/duplicate",
    "/deployments/new",
    "/blocks",
    "/blocks?q=nothing-has-this-name",
    "/blocks?type=odd-type",
    "/blocks/catalogue",
    "/blocks/catalogue?q=nothing-is-called-this",
    "/blocks/new/team-warehouse",
    "/blocks/new/s3",
    "/blocks/new/odd-type",
    "/blocks/new/bare-type",
    "/blocks/{reports}",
    "/blocks/{reports}/edit",
    "/blocks/{strange}",
    "/blocks/{slack-token}",
    "/blocks/{bookings}",
    "/queues",
    "/agents",
    "/events",
    "/events?q=nothing-is-called-this",
    "/events?q=table.*&since=2026-01-01T00:00:00Z&until=2026-01-02T00:00:00Z",
    "/resources",
    "/resources?kind=sql.*",
    "/resources?q=nothing-is-called-this",
    "/resource?id=postgres://warehouse.internal/marts.revenue",
    "/resources?state=failing&as_of=2026-01-01T00:00:00Z",
    "/map",
    "/triggers/new",
    "/triggers/new?event=table.*&resource=postgres://warehouse.internal/marts.*",
    "/chains",
    "/expectations",
    "/expectations?q=nothing-is-called-this",
    "/expectations/{delays-by-nine}",
    "/expectations/{files-of-all-stations}?status=missed",
    "/expectations/{arrivals-are-fresh}",
    "/triggers",
    "/triggers?q=nothing-is-called-this",
    "/triggers?standing=muted",
    "/triggers/{stale-tables-wait}",
    "/triggers/{stale-tables-wait}?event={failed-check}",
    "/triggers/{loader-is-silent}",
    "/triggers/{nightly-mostly-succeeds}",
    "/firings",
    "/firings?state=open",
    "/firings?q=nothing-is-called-this",
    "/firings/{stale}",
    "/firings/{silent}",
    "/actions",
    "/actions?state=given-up",
    "/actions?kind=set-limit",
    "/expectations/new",
    "/expectations/{delays-by-nine}/edit",
    "/expectations/suggestions",
    "/pings",
    "/pings?q=nothing-is-called-this",
    "/pings/new",
    "/desk",
    "/holds",
    "/holds?show=released",
    "/limits",
    "/limits?q=nothing-is-called-this",
    "/limits/new",
    "/variables",
    "/variables?q=nothing-is-called-this",
    "/variables/new",
    "/variables/thresholds/edit",
    "/artifacts",
    "/artifacts?q=nothing-is-called-this",
    "/artifacts/late-flights",
    "/artifacts/punctuality",
    "/artifacts/import",
    "/holds/new?resource=s3://flights-dev/raw/arrivals.csv",
    "/audit",
    "/audit?q=nothing-is-called-this",
)


def address(path: str, watched: Watched) -> str:
    seeded = watched.server.seeded
    return path.format(**seeded.runs, **seeded.deployments, **seeded.blocks, **seeded.expected, **seeded.triggered)


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_sound(path: str, admin: Watched) -> None:
    page = admin.open(address(path, admin))
    is_form = "/new?" in path or path.endswith(("/run", "/edit", "/duplicate", "/new")) or "/new/" in path
    page.wait_for_load_state("networkidle" if is_form else "load")
    data = [url for url in admin.asked if "/static/" not in url]
    assert len(data) <= 6, data
    outside = [url for url in admin.asked if not url.startswith(admin.server.url)]
    assert not outside
    assert admin.axe() == []
    page.emulate_media(color_scheme="dark")
    page.wait_for_selector("html[data-bs-theme=dark]")
    page.set_viewport_size({"width": 400, "height": 860})
    assert admin.overflow() == 0
    assert admin.axe() == []


def test_the_login_page_is_sound(guest: Watched) -> None:
    page = guest.open("/login")
    assert guest.axe() == []
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size({"width": 400, "height": 860})
    assert guest.overflow() == 0
    assert guest.axe() == []


def test_a_wrong_address_is_told_in_style(admin: Watched) -> None:
    admin.expected = ("404",)
    page = admin.open("/there-is-nothing")
    assert "There is no such page" in page.inner_text("h1")
    assert page.locator("nav a.nav-link").count() >= 9
    assert admin.axe() == []


def test_a_page_has_the_policy_that_allows_no_foreign_script(admin: Watched) -> None:
    answer = admin.page.goto(admin.server.url + "/runs")
    assert answer is not None
    policy = answer.headers["content-security-policy"]
    assert "script-src 'self' 'nonce-" in policy
    scripts = policy.split("script-src")[1].split(";")[0]
    assert "unsafe" not in scripts


def test_artifacts_cannot_bring_scripts(admin: Watched) -> None:
    page = admin.open(address("/runs/{done}?tab=artifacts", admin))
    written = page.locator(".written").filter(has_text="alert(1)")
    assert "<script>alert(1)</script>" in written.inner_text()
    assert page.locator(".written script").count() == 0
    assert page.locator("a[href^=javascript]").count() == 0


def test_keyboard_reaches_search_rooms_and_help(admin: Watched) -> None:
    page = admin.open("/deployments")
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.name") == "q"
    page.keyboard.press("Escape")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("?")
    page.wait_for_selector("#keys[open]")
    page.keyboard.press("Escape")
    page.keyboard.press("g")
    page.keyboard.press("r")
    page.wait_for_url("**/runs")


def test_theme_is_kept(admin: Watched) -> None:
    page = admin.open("/")
    page.click("[data-open=preferences]")
    page.select_option("#pref-theme", "dark")
    page.reload()
    assert page.evaluate("document.documentElement.dataset.bsTheme") == "dark"
    page.click("[data-open=preferences]")
    page.select_option("#pref-theme", "auto")
    assert page.evaluate("document.documentElement.dataset.bsTheme") == "light"
