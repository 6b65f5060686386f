"""What a run asks turns up on its open page, is answered there, and is gone again."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from orchestrator.clock import now
from orchestrator.documents.records import Actor, State
from orchestrator.server.db import session
from orchestrator.server.services.running import claims, questions, runs
from orchestrator.server.services.running.questions import Asked
from orchestrator.states import StateType
from tests.server_rows import add_agent, add_deployment, add_run, token

from .conftest import Server, Watched, profile, watched

S = StateType
SCHEMA = {
    "type": "object",
    "properties": {
        "decision": {"position": 0, "enum": ["load it", "leave it"], "title": "Decision", "type": "string"},
        "limit": {
            "position": 1,
            "default": 500,
            "minimum": 1,
            "title": "Limit",
            "type": "integer",
            "description": "Most rows.",
        },
        "reason": {"position": 2, "anyOf": [{"type": "string"}, {"type": "null"}], "default": None, "title": "Reason"},
    },
    "required": ["decision"],
    "additionalProperties": False,
}
TEXT = "## 41,208 rows are new\n\nThat is **eight times** as many as yesterday. Shall they be loaded?"


@pytest.fixture
def running(server: Server) -> uuid.UUID:
    """A run that goes on."""
    name = uuid.uuid4().hex[:8]
    with session.transaction() as writing:
        run = add_run(writing, add_deployment(writing, "approval", name, queue=name), name=f"approve-{name}")
        agent = add_agent(writing, (name,))
        claims.claim(writing, agent.id, [name], now=now(), issue_token=token)
        runs.move(writing, run.id, State(S.RUNNING), attempt=1, actor=Actor("agent"), now=now())
        return run.id


def ask(run_id: uuid.UUID, **more: object) -> None:
    asked = Asked(key="load", schema=SCHEMA, description=TEXT, timeout_s=7200, **more)  # type: ignore[arg-type]
    with session.transaction() as writing:
        questions.ask(writing, run_id, asked, attempt=1, actor=Actor("process"), now=now())


def test_a_question_is_answered_where_it_turns_up(admin: Watched, running: uuid.UUID) -> None:
    page = admin.open(f"/runs/{running}")
    expect(page.locator("#verdict b")).to_have_text("Running")
    ask(running)
    panel = page.locator("section", has=page.get_by_role("heading", name="Waits for an answer"))
    expect(panel.get_by_text("eight times")).to_be_visible()
    expect(panel).to_contain_text("then it fails")
    expect(page.get_by_role("button", name="Resume")).to_have_count(0)
    form = panel.locator("form")
    expect(form.get_by_label("Limit")).to_have_value("500")
    assert not admin.axe()

    form.get_by_role("button", name="Answer").click()
    expect(form.get_by_label("Decision")).to_have_attribute("aria-invalid", "true")
    form.get_by_label("Decision").select_option("load it")
    form.get_by_role("button", name="As JSON").click()
    form.get_by_label("Answer as JSON").fill('{"decision": "load it", "limit": 0}')
    admin.expected = ("422",)
    form.get_by_role("button", name="Answer", exact=True).click()
    expect(form.get_by_role("alert")).to_contain_text("limit")
    form.get_by_role("button", name="As a form").click()
    form.get_by_label("Limit").fill("700")
    form.get_by_role("button", name="Answer", exact=True).click()
    expect(page.get_by_text("Answered: the run goes on")).to_be_visible()
    expect(page.locator("#verdict b")).to_have_text("Running")
    expect(panel).to_have_count(0)
    with session.reading() as reading:
        [found] = questions.listing(reading, running)
        assert found.answer == {"decision": "load it", "limit": 700, "reason": None}
        assert found.answered_by["name"] == "admin of the tests"

    page = admin.open(f"/runs/{running}?tab=inputs")
    expect(page.locator("#inputs")).to_contain_text("answered by admin of the tests")


def test_who_waits_is_on_the_tower_and_in_lists(admin: Watched, running: uuid.UUID) -> None:
    ask(running, problems={"limit": ["has to be even"]})
    page = admin.open("/")
    row = page.locator("#asking li", has=page.locator(f"[href$='{running}']"))
    expect(row).to_contain_text("Waits for an answer: 41,208 rows are new")
    row.get_by_role("link").first.click()
    expect(page.get_by_role("alert")).to_contain_text("has to be even")
    page = admin.open("/runs?state=PAUSED")
    expect(page.locator(f"#run-{running}")).to_contain_text("Waits for an answer: 41,208 rows are new")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_fits_a_phone_and_a_wide_screen(
    chromium: Browser, server: Server, running: uuid.UUID, theme: str, tmp_path: Path
) -> None:
    ask(running)
    for width in (1440, 400):
        context = profile(chromium, viewport={"width": width, "height": 900}, color_scheme=theme)
        for one in watched(context, server):
            one.page.goto(server.login_url("editor"))
            one.open(f"/runs/{running}")
            expect(one.page.locator("form[data-question]").get_by_label("Limit")).to_be_visible()
            assert one.overflow() <= 0
            assert not one.axe()
            one.page.screenshot(path=tmp_path / f"question-{theme}-{width}.png", full_page=True)
        context.close()


def test_a_viewer_sees_what_is_asked(chromium: Browser, server: Server, running: uuid.UUID) -> None:
    ask(running)
    context = profile(chromium)
    for one in watched(context, server):
        one.page.goto(server.login_url("viewer"))
        page = one.open(f"/runs/{running}")
        expect(
            page.get_by_text("Whoever has the role editor can answer it here: decision, limit, reason.")
        ).to_be_visible()
        expect(page.locator("form[data-question]")).to_have_count(0)
    context.close()
