"""Behind a proxy on a sub-path: every page works, no address leaves the path."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from .conftest import Server, Watched, profile, serve, watched

PREFIX = "/orch"


class Proxy:
    """A proxy that serves only what lies below the prefix, and strips it or not."""

    def __init__(self, app: Callable[..., Iterable[bytes]], strips: bool) -> None:
        self.app, self.strips = app, strips

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if not path.startswith(PREFIX + "/"):
            start_response("502 Bad Gateway", [("Content-Type", "text/plain")])
            return [b"outside of the sub-path"]
        if self.strips:
            environ["PATH_INFO"] = path[len(PREFIX) :]
        return self.app(environ, start_response)


@pytest.fixture(scope="module", params=[True, False], ids=["stripped", "passed on"])
def server(own_database: str, request: pytest.FixtureRequest) -> Iterator[Server]:
    yield from serve(own_database, PREFIX, fill=request.param, wrap=lambda app: Proxy(app, request.param))


@pytest.fixture
def visitor(chromium: Browser, server: Server) -> Iterator[Watched]:
    context = profile(chromium)
    made = watched(context, server)
    one = next(made)
    one.page.goto(server.login_url("admin") if server.seeded.runs else f"{server.url}/login")
    yield one
    next(made, None)
    context.close()


def test_every_room_below_the_path(visitor: Watched) -> None:
    page = visitor.page
    if not visitor.server.seeded.runs:
        page.fill("#key", visitor.server.seeded.keys["admin"])
        page.click("text=Log in >> nth=-1")
    expect(page.locator("h1")).to_have_text("Tower")
    cookie = next(item for item in page.context.cookies() if item["name"] == "orchestrator_session")
    assert cookie["path"] == f"{PREFIX}/"
    for room in ("Runs", "Deployments", "Blocks", "Queues", "Agents", "Tower"):
        page.get_by_role("link", name=room, exact=True).first.click()
        expect(page.locator("h1")).to_have_text(room)
        links = page.eval_on_selector_all("a[href]", "all => all.map(one => one.href)")
        assert all(link.startswith(visitor.server.url) or "#" in link for link in links)
    with page.expect_response(lambda answer: answer.request.resource_type == "xhr"):
        pass  # a poll finds its way as well
    if visitor.server.seeded.runs:
        visitor.open(f"/runs/{visitor.server.seeded.runs['done']}")
        expect(page.locator("#logs .log").first).to_be_visible()
        expect(page.locator(".task").first).to_be_visible()
    page.get_by_role("button", name="Log out").click()
    expect(page).to_have_url(f"{visitor.server.url}/login")
