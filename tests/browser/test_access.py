"""Logging in and out, what each role may do, and sessions that end with their key."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from orchestrator.clock import now
from orchestrator.server.db import session
from orchestrator.server.db.models import ApiKey
from orchestrator.server.services.identity import keys

from .conftest import Server, Watched, profile, watched


def key_of(server: Server, role: str) -> str:
    return server.seeded.keys[role]


def log_in(guest: Watched, key: str) -> None:
    guest.page.fill("#key", key)
    guest.page.click("text=Log in >> nth=-1")


@pytest.fixture
def viewer(chromium: Browser, server: Server) -> Iterator[Watched]:
    context = profile(chromium)
    made = watched(context, server)
    one = next(made)
    one.page.goto(server.login_url("viewer"))
    yield one
    next(made, None)
    context.close()


def test_a_stranger_is_sent_to_the_login_and_then_on(guest: Watched) -> None:
    page = guest.open("/runs?state=FAILED")
    assert "/login?next=" in page.url
    log_in(guest, key_of(guest.server, "editor"))
    page.wait_for_url("**/runs?state=FAILED")
    cookie = next(item for item in page.context.cookies() if item["name"] == "orchestrator_session")
    assert cookie["httpOnly"]
    assert cookie["sameSite"] == "Lax"


def test_a_wrong_key_is_told(guest: Watched) -> None:
    guest.expected = ("403",)
    page = guest.open("/login")
    log_in(guest, "orc_wrong")
    expect(page.get_by_role("alert")).to_contain_text("There is no such key")


def test_an_agents_key_opens_no_dashboard(guest: Watched) -> None:
    guest.expected = ("403",)
    page = guest.open("/login")
    log_in(guest, key_of(guest.server, "agent"))
    expect(page.locator("h1")).to_have_text("Not with this key")


def test_a_link_opens_once(guest: Watched, chromium: Browser) -> None:
    guest.expected = ("403",)
    link = guest.server.login_url("admin")
    page = guest.page
    page.goto(link)
    expect(page.locator("h1")).to_have_text("Tower")
    page.context.clear_cookies()
    page.goto(link)
    expect(page.get_by_role("alert")).to_contain_text("was used or is too old")


def test_the_address_after_login_stays_ours(guest: Watched) -> None:
    page = guest.open("/login?next=https://example.com/")
    log_in(guest, key_of(guest.server, "viewer"))
    expect(page.locator("h1")).to_have_text("Tower")
    assert page.url.startswith(guest.server.url)


def test_logging_out_ends_the_session(guest: Watched) -> None:
    page = guest.page
    page.goto(guest.server.login_url("viewer"))
    page.get_by_role("button", name="Log out").click()
    page.wait_for_url("**/login")
    guest.open("/runs")
    assert "/login" in page.url


def test_a_revoked_key_closes_its_session_at_once(guest: Watched) -> None:
    guest.expected = ("401",)
    with session.transaction() as writing:
        key, text = keys.create(writing, "short-lived", "viewer", now())
    page = guest.open("/login")
    log_in(guest, text)
    expect(page.locator("h1")).to_have_text("Tower")
    with session.transaction() as writing:
        writing.get_one(ApiKey, key.id).revoked = now()
    page.wait_for_url("**/login")  # the page's own poll finds out
    expect(page.get_by_role("alert")).to_contain_text("Your session has ended")


def test_a_viewer_sees_no_buttons_and_cannot_post(viewer: Watched) -> None:
    viewer.expected = ("403",)
    run, deployment = viewer.server.seeded.runs["live"], viewer.server.seeded.deployments["delays-nightly"]
    page = viewer.open(f"/runs/{run}")
    expect(page.locator("h1")).to_have_text("quick-swift")
    assert page.get_by_role("button", name="Cancel").count() == 0
    viewer.open(f"/deployments/{deployment}")
    assert page.get_by_role("link", name="Run…").count() == 0
    token = page.get_attribute("meta[name=csrf-token]", "content")
    answer = page.request.post(f"{viewer.server.url}/runs/{run}/cancel", form={"csrf": token or ""})
    assert answer.status == 403
    assert "needs the role editor" in answer.text()
    viewer.open(f"/deployments/{deployment}/run")
    expect(page.locator("h1")).to_have_text("Not with this key")


def test_a_post_from_elsewhere_is_refused(admin: Watched) -> None:
    run = admin.server.seeded.runs["live"]
    answer = admin.page.request.post(f"{admin.server.url}/runs/{run}/cancel", form={})
    assert answer.status == 403
    assert "out of date" in answer.text()


def test_a_session_reads_the_api_but_writes_nothing_through_it(admin: Watched) -> None:
    ask = admin.page.request
    assert ask.get(f"{admin.server.url}/api/v1/openapi.json").status == 200
    run = admin.server.seeded.runs["live"]
    assert ask.post(f"{admin.server.url}/api/v1/flow-runs/{run}/cancel").status in (401, 404)


def test_no_page_but_the_login_is_open(guest: Watched) -> None:
    rules = [rule for rule in guest.server.app.url_map.iter_rules() if rule.endpoint.startswith("web.")]
    client = guest.server.app.test_client()
    for rule in rules:
        if rule.endpoint in ("web.static", "web.login.show", "web.login.enter"):
            continue
        path = re.sub(r"<uuid:\w+>", "01890000-0000-7000-8000-000000000000", rule.rule)
        path = re.sub(r"<any\((\w+)[^>]*>", r"\1", path)
        method = "GET" if "GET" in (rule.methods or set()) else "POST"
        answer = client.open(path, method=method, base_url=guest.server.url)
        assert answer.status_code in (303, 403), rule
