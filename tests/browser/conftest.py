"""A seeded server in this process, a real Chromium in front of it, and a page that tolerates no error."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
from flask import Flask
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    Response,
    expect,
)
from sqlalchemy import make_url

from orchestrator.clock import now
from orchestrator.server.db import session
from orchestrator.server.db.models import ApiKey
from orchestrator.server.services.identity import logins
from orchestrator.settings import Settings
from orchestrator.web.app import create_app
from orchestrator.web.panels import tower

from ..chromium import launched
from ..listening import Listener
from . import blocks, desks, expected, kept, seed, stack, triggered

# A computer that does other things beside may take its time.
expect.set_options(timeout=20_000)

#: Waits for the end of all transitions; animations that go on for ever are left alone.
SETTLED = """() => Promise.all(document.getAnimations()
    .filter(one => one.effect.getComputedTiming().endTime !== Infinity)
    .map(one => one.finished.catch(() => null)))"""
AXE = Path(__file__).parent / "vendor" / "axe-core-4.14.1" / "axe.min.js"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder needs a browser."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """The browser; see :mod:`tests.chromium`."""
    with launched() as browser:
        yield browser


@pytest.fixture(scope="module")
def own_database(services: tuple[str, str], template_database: str) -> Iterator[str]:
    """A database that the tests of one file share."""
    name = f"browser_{uuid.uuid4().hex[:12]}"
    _execute(services[0], f"CREATE DATABASE {name} TEMPLATE {template_database}")
    yield make_url(services[0]).set(database=name).render_as_string(hide_password=False)
    session.dispose()
    _execute(services[0], f"DROP DATABASE {name} WITH (FORCE)")


@dataclass
class Server:
    """A running server, what is in it, and a way to log in."""

    url: str
    app: Flask
    seeded: seed.Seeded

    def login_url(self, role: str = "admin") -> str:
        """A one-time link for the key of that role."""
        with session.transaction() as writing:
            key = writing.query(ApiKey).filter_by(name=f"{role} of the tests").one()
            return f"{self.url}/login?token={logins.issue(writing, key.id, now())}"


def serve(
    database: str, prefix: str = "", fill: bool = True, wrap: Callable[[Any], Any] | None = None
) -> Iterator[Server]:
    """Serve the whole application on a free port, from a thread."""
    tower.forget()
    session.configure(database)
    with session.transaction() as writing:
        seeded = seed.fill(writing, now(), days=2) if fill else seed.Seeded(keys=seed.add_keys(writing, now()))
    listener = Listener(_not_yet)
    url = f"http://127.0.0.1:{listener.server_port}"
    app = create_app(Settings(database_url=database, secret_key="a key for tests", public_url=url + prefix))
    app.config["BACKGROUND"] = False
    if fill:
        with session.transaction() as writing:
            seeded.blocks = blocks.add(writing, now(), seeded.deployments)
            stack.add(writing, now(), seeded.deployments)
            seeded.expected = expected.add(writing, now())
            seeded.triggered = triggered.add(writing, now(), seeded.deployments)
            kept.add(writing, now(), seeded)
            desks.add(writing, now(), seeded)
    listener.app = wrap(app) if wrap else app
    thread = threading.Thread(target=listener.serve_forever, daemon=True)
    thread.start()
    try:
        yield Server(url + prefix, app, seeded)
    finally:
        listener.shutdown()
        thread.join()
        listener.server_close()


@pytest.fixture(scope="module")
def server(own_database: str) -> Iterator[Server]:
    """A server with two days of runs in it."""
    yield from serve(own_database)


@dataclass
class Watched:
    """A page of the browser with everything that went wrong on it."""

    page: Page
    server: Server
    problems: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    #: Texts of problems that this test provokes on purpose.
    expected: tuple[str, ...] = ()

    def open(self, path: str) -> Page:
        """Go to a path of the server, whose agents are alive and whose figures are of this moment."""
        refresh()
        self.asked.clear()
        self.page.goto(self.server.url + path)
        return self.page

    def axe(self) -> list[str]:
        """What axe-core finds wrong with the page as it is now, once its colours have stopped to change."""
        self.page.evaluate(SETTLED)
        self.page.evaluate(AXE.read_text("utf-8") + "; undefined")
        found = self.page.evaluate(
            "axe.run(document, {resultTypes: ['violations']}).then(all => all.violations.map("
            "one => `${one.impact} ${one.id}: ${one.nodes.map(node => node.html.slice(0, 160)).join(' | ')}`))"
        )
        return list(found)

    def overflow(self) -> int:
        """Pixels that the page is wider than the window."""
        return int(self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))

    def listen(self) -> None:
        """Note errors from now on."""
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.problems.append(f"script: {error}"))
        self.page.on("requestfailed", self._failed)
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("response", self._answered)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.problems.append(f"console: {message.text}")

    def _failed(self, request: Request) -> None:
        if "ERR_ABORTED" not in (request.failure or ""):  # left for another page meanwhile
            self.problems.append(f"failed: {request.url} {request.failure}")

    def _answered(self, response: Response) -> None:
        if response.status >= 400:
            self.problems.append(f"status: {response.status} {response.url}")

    def check(self) -> None:
        """Fail when anything went wrong that was not expected."""
        expected = self.expected
        if any(text.startswith("console: htmx:sendAbort") for text in self.problems):
            expected = (*expected, "htmx:sendAbort", "htmx:afterRequest")  # left for another page meanwhile
        bad = [text for text in self.problems if not any(part in text for part in expected)]
        assert not bad, bad


def refresh() -> None:
    """Agents and loops give a sign of life; kept figures are dropped."""
    tower.forget()
    with session.transaction() as writing:
        seed.beat(writing, now())


def profile(chromium: Browser, **options: Any) -> BrowserContext:
    """A browser profile of its own."""
    made = chromium.new_context(
        **{"viewport": {"width": 1440, "height": 900}, "timezone_id": "Europe/Berlin", **options}
    )
    made.set_default_timeout(15_000)
    return made


def watched(context: BrowserContext, server: Server) -> Iterator[Watched]:
    """A page of that profile; at the end, nothing may have gone wrong on it."""
    made = Watched(context.new_page(), server)
    made.listen()
    yield made
    made.page.close()
    made.check()


@pytest.fixture
def guest(chromium: Browser, server: Server) -> Iterator[Watched]:
    """A page of somebody who is not logged in."""
    context = profile(chromium)
    yield from watched(context, server)
    context.close()


@pytest.fixture(scope="module")
def admin_profile(chromium: Browser, server: Server) -> Iterator[BrowserContext]:
    """A profile in which an admin is logged in."""
    context = profile(chromium)
    page = context.new_page()
    page.goto(server.login_url("admin"))
    page.close()
    yield context
    context.close()


@pytest.fixture
def admin(admin_profile: BrowserContext, server: Server) -> Iterator[Watched]:
    """A page of an admin."""
    yield from watched(admin_profile, server)


def _not_yet(environ: Any, start_response: Any) -> list[bytes]:
    raise RuntimeError("the server has not started")


def _execute(url: str, statement: str) -> None:
    plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain, autocommit=True) as link:
        link.execute(statement)
