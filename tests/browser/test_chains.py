"""Chains in the browser: the list, one drawn, and a run of it as it goes on."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import delete, update

from orchestrator.clock import now
from orchestrator.server.db import session as db
from orchestrator.server.db.models import Flow, FlowRun, WorkQueue
from orchestrator.server.services.acting import chain_steps
from orchestrator.server.services.reacting import chains

from ..server_rows import ANN, add_deployment
from .conftest import Server, Watched

STEPS: dict[str, Any] = {
    "arrivals": {"deployment": "night/read"},
    "departures": {"deployment": "night/read"},
    "delays": {"deployment": "night/join", "after": ["arrivals", "departures"]},
    "report": {"deployment": "night/tell", "after": "delays"},
    "alarm": {"deployment": "night/tell", "after": {"any": ["arrivals", "departures"]}, "on": ["failed", "crashed"]},
}


@pytest.fixture(scope="module")
def run_id(server: Server) -> Iterator[uuid.UUID]:
    with db.transaction() as session:
        for name in ("read", "join", "tell"):
            add_deployment(session, flow="night", name=name, queue="nobody-serves")
        document = {"name": "flight-night", "description": "Flights of the day, as one.", "steps": STEPS}
        chains.apply(session, document, ANN, now())
        made = chains.start(session, "flight-night", {}, ANN, now()).id
    yield made
    with db.transaction() as session:
        chains.delete(session, "flight-night", ANN, now())
        session.execute(delete(FlowRun).where(FlowRun.chain_id.is_not(None)))
        session.execute(delete(Flow).where(Flow.name == "night"))
        session.execute(delete(WorkQueue).where(WorkQueue.name == "nobody-serves"))


def become(run_id: uuid.UUID, step: str, kind: str) -> None:
    """Put the run of a step into a state, as if it had gone there."""
    with db.transaction() as session:
        found = chain_steps.runs_of(session, run_id)[step]
        ended = now() if kind in ("COMPLETED", "FAILED") else None
        values = {"state_type": kind, "state_name": kind.capitalize(), "started": now(), "ended": ended}
        session.execute(update(FlowRun).where(FlowRun.id == found.id).values(**values))


def sound(watched: Watched) -> None:
    page = watched.page
    page.wait_for_selector("#chain[data-ready=yes]")
    assert watched.axe() == []
    page.emulate_media(color_scheme="dark")
    page.wait_for_selector("html[data-bs-theme=dark]")
    page.set_viewport_size({"width": 400, "height": 860})
    assert watched.overflow() == 0
    assert watched.axe() == []


def statuses(page: Page) -> dict[str, str]:
    found: dict[str, str] = page.evaluate(
        "() => Object.fromEntries(document.getElementById('chain').graph.nodes()"
        ".map((node) => [node.id(), node.data('label').split('\\n')[1]]))"
    )
    return found


def test_a_chain_is_drawn_and_is_started_by_a_button(admin: Watched, run_id: uuid.UUID) -> None:
    page = admin.open("/chains")
    assert admin.axe() == []
    page.get_by_role("link", name="flight-night").click()
    page.wait_for_selector("#chain[data-ready=yes]")
    expect(page.locator("#steps li")).to_have_count(5)
    expect(page.locator("#steps")).to_contain_text("when arrivals and departures complete")
    expect(page.locator("#steps")).to_contain_text("when arrivals or departures fail or crash")
    assert page.evaluate("() => document.getElementById('chain').graph.edges().length") == 5
    page.get_by_role("button", name="Run").click()
    expect(page.locator("h1")).to_have_text("Run of flight-night")
    page.go_back()
    expect(page.locator("#runs li")).to_have_count(2)
    sound(admin)


def test_a_run_is_followed_as_it_goes_on(admin: Watched, run_id: uuid.UUID) -> None:
    become(run_id, "arrivals", "RUNNING")
    page = admin.open(f"/chains/flight-night/runs/{run_id}")
    page.wait_for_selector("#chain[data-ready=yes]")
    expect(page.locator("#step-arrivals .state")).to_have_text("Running")
    assert statuses(page)["arrivals"] == "Running"
    become(run_id, "arrivals", "FAILED")
    expect(page.locator("#step-arrivals .state")).to_have_text("Failed", timeout=30_000)
    expect(page.locator("#step-delays")).to_contain_text("arrivals ended failed, not completed")
    page.wait_for_function("() => document.getElementById('chain').graph.getElementById('arrivals').hasClass('failed')")
    assert statuses(page) == {
        "arrivals": "Failed", "departures": "Waiting", "delays": "Not reached", "report": "Not reached",
        "alarm": "Waiting",
    }  # fmt: skip
    sound(admin)


def test_viewers_look_and_start_nothing(guest: Watched, run_id: uuid.UUID) -> None:
    guest.page.goto(guest.server.login_url("viewer"))
    page = guest.open("/chains/flight-night")
    assert page.get_by_role("button", name="Run").count() == 0
