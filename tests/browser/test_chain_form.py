"""Chains drawn in the browser: with the mouse, with the keyboard alone, and as YAML."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import delete, select

from orchestrator.clock import now
from orchestrator.documents.records import State
from orchestrator.errors import NotFound
from orchestrator.server.db import session as db
from orchestrator.server.db.models import Agent, Flow, FlowRun, WorkQueue
from orchestrator.server.services.acting import chain_steps
from orchestrator.server.services.reacting import chains
from orchestrator.server.services.running import claims, runs
from orchestrator.states import StateType

from ..evaluated import work
from ..server_rows import ANN, add_agent, add_deployment, token
from .conftest import Server, Watched

SHOTS = os.environ.get("ORCHESTRATOR_TEST_SCREENSHOTS")
SCHEMA = {
    "type": "object",
    "properties": {"day": {"type": "string", "default": "today"}, "rows": {"type": "integer", "default": 10}},
    "additionalProperties": False,
}
#: Where on the page the middle of a step (or its dot) is.
PLACE = """([kind, name]) => {
    const box = document.getElementById("canvas"), {left, top} = box.getBoundingClientRect();
    const {x, y} = box.graph.getElementById(`${kind}:${name}`).renderedPosition();
    return [left + x, top + y];
}"""


@pytest.fixture(scope="module", autouse=True)
def deployed(server: Server) -> Iterator[None]:
    with db.transaction() as session:
        for name in ("extract", "load", "alarm"):
            add_deployment(session, flow="drawn", name=name, queue="nobody-draws", parameter_schema=SCHEMA)
    yield
    with db.transaction() as session:
        session.execute(delete(FlowRun).where(FlowRun.chain_id.is_not(None)))
        session.execute(delete(Flow).where(Flow.name == "drawn"))
        session.execute(delete(WorkQueue).where(WorkQueue.name == "nobody-draws"))


@pytest.fixture(autouse=True)
def no_chains(deployed: None) -> Iterator[None]:
    yield
    with db.transaction() as session:
        for row in chains.listing(session).items:
            chains.delete(session, row.chain.name, ANN, now())


def kept(name: str) -> dict[str, Any]:
    with db.reading() as session:
        found: dict[str, Any] = chains.row(session, name).version.document
        return found


def opened(watched: Watched, path: str = "/chains/new") -> Page:
    page = watched.open(path)
    page.wait_for_selector("#chain-form[data-ready=yes]")
    return page


def add(page: Page, deployment: str) -> None:
    page.fill("#adding", deployment)
    page.click("[data-add]")
    expect(page.locator("#adding")).to_have_value("")


def drag(page: Page, source: tuple[str, str], target: tuple[str, str]) -> None:
    """From one place of the canvas to another, as a hand does it."""
    page.locator("#canvas").scroll_into_view_if_needed()
    from_x, from_y = page.evaluate(PLACE, list(source))
    to_x, to_y = page.evaluate(PLACE, list(target))
    page.mouse.move(from_x, from_y)
    page.mouse.down()
    page.mouse.move((from_x + to_x) / 2, (from_y + to_y) / 2 + 9, steps=4)
    page.mouse.move(to_x, to_y, steps=4)
    page.mouse.up()


def edges(page: Page) -> list[str]:
    found: list[str] = page.evaluate(
        "() => document.getElementById('canvas').graph.edges().map((one) => one.id()).sort()"
    )
    return found


def step(page: Page, name: str) -> Any:
    return page.locator(f"[data-step='{name}']")


def save(page: Page, name: str) -> None:
    page.click("#save")
    expect(page.locator("h1")).to_have_text(name)


def shoot(watched: Watched, name: str) -> None:
    """The page has no fault in light and dark, on a desk and on a phone."""
    page = watched.page
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        page.wait_for_selector(f"html[data-bs-theme={theme}]")
        for width in (1440, 400):
            page.set_viewport_size({"width": width, "height": 900})
            if SHOTS:
                page.screenshot(path=Path(SHOTS) / f"{name}-{theme}-{width}.png", full_page=width == 400)
            assert watched.overflow() == 0
            assert watched.axe() == []
    page.emulate_media(color_scheme="light")
    page.set_viewport_size({"width": 1440, "height": 900})


def end(run_id: uuid.UUID, name: str, kind: StateType) -> None:
    with db.transaction() as session:
        found = chain_steps.runs_of(session, run_id)[name]
        agent = session.scalar(select(Agent)) or add_agent(session)
        job = claims.claim(session, agent.id, ["nobody-draws"], now=now(), issue_token=token)
        assert job is not None
        assert job.id == found.id
        for state in (StateType.RUNNING, kind):
            runs.move(session, found.id, State(state, at=now()), attempt=job.attempt, actor=ANN, now=now())


def statuses(run_id: uuid.UUID, name: str) -> dict[str, str]:
    work()
    with db.reading() as session:
        return {key: reached.status for key, reached in chains.run_row(session, name, run_id).steps.items()}


def test_a_chain_is_drawn_with_the_mouse_saved_and_run(admin: Watched) -> None:
    work()  # from now on events are read
    admin.open("/chains").get_by_role("link", name="New chain").click()
    page = admin.page
    page.wait_for_selector("#chain-form[data-ready=yes]")
    assert admin.axe() == []
    page.fill("#name", "by-hand")
    for name in ("extract", "load", "alarm"):
        add(page, f"drawn/{name}")
    drag(page, ("dot", "extract"), ("step", "load"))
    drag(page, ("dot", "extract"), ("step", "alarm"))
    drag(page, ("dot", "load"), ("step", "alarm"))
    assert edges(page) == ["extract > alarm", "extract > load", "load > alarm"]
    # the connection that was drawn last is the chosen one: how its step is started is asked beside it
    expect(step(page, "alarm").get_by_role("button", expanded=True)).to_be_visible()
    alarm = step(page, "alarm")
    alarm.get_by_label("It starts when").select_option("any")
    alarm.get_by_role("checkbox", name="Failed").check()
    alarm.get_by_role("checkbox", name="Completed").uncheck()
    expect(alarm).to_contain_text("after extract or load: failed")
    page.click("[data-tidy]")
    before = page.evaluate(PLACE, ["step", "load"])
    page.mouse.move(*before)
    page.mouse.down()
    page.mouse.move(before[0] + 20, before[1] - 50, steps=5)
    page.mouse.up()
    assert page.evaluate(PLACE, ["step", "load"])[1] < before[1] - 30
    step(page, "load").locator("[data-part=head]").click()
    step(page, "load").locator("input[name='root[day]']").fill("friday")
    shoot(admin, "chain-new")
    save(page, "by-hand")
    steps = {"extract": {"deployment": "drawn/extract"}}
    steps["load"] = {"deployment": "drawn/load", "after": "extract", "parameters": {"day": "friday"}}
    steps["alarm"] = {"deployment": "drawn/alarm", "after": {"any": ["extract", "load"]}, "on": "failed"}
    assert kept("by-hand")["steps"] == steps
    with db.transaction() as session:
        run_id = chains.start(session, "by-hand", {}, ANN, now()).id
    end(run_id, "extract", StateType.COMPLETED)
    assert statuses(run_id, "by-hand") == {"extract": "done", "load": "waiting", "alarm": "waiting"}
    end(run_id, "load", StateType.FAILED)
    assert statuses(run_id, "by-hand")["alarm"] == "waiting"
    end(run_id, "alarm", StateType.COMPLETED)
    assert statuses(run_id, "by-hand") == {"extract": "done", "load": "failed", "alarm": "done"}
    page.goto(f"{admin.server.url}/chains/by-hand/edit")
    page.wait_for_selector("#chain-form[data-ready=yes]")
    kept_at = page.evaluate(PLACE, ["step", "load"])[1]
    assert kept_at < page.evaluate(PLACE, ["step", "extract"])[1] - 20  # where it was put


def test_without_a_mouse_the_list_does_the_same(admin: Watched) -> None:
    page = opened(admin)
    page.fill("#name", "by-keyboard")
    for name in ("drawn/extract", "drawn/load"):
        page.fill("#adding", name)
        page.press("#adding", "Enter")
    load = step(page, "load")
    load.get_by_label("Waits for").select_option("extract")
    expect(load.get_by_role("checkbox", name="Completed")).to_be_checked()
    for end_ in ("Failed", "Crashed", "Cancelled"):
        load.get_by_role("checkbox", name=end_).check()
    delay = load.get_by_label("and then, after")
    delay.press_sequentially("5m")
    expect(page.locator("#chain-form[data-checked]")).to_be_attached()
    expect(delay).to_have_value("5m")
    expect(delay).to_be_focused()  # what the server says of the steps takes nothing away
    name = load.get_by_label("Name")
    name.fill("into-warehouse")
    name.press("Tab")
    expect(step(page, "into-warehouse")).to_contain_text("after extract: ended in any way")
    step(page, "extract").get_by_role("button").first.press("Enter")
    rename = step(page, "extract").get_by_label("Name")
    rename.fill("read")
    rename.press("Tab")
    expect(step(page, "into-warehouse")).to_contain_text("after read: ended in any way")
    assert edges(page) == ["read > into-warehouse"]
    save(page, "by-keyboard")
    assert kept("by-keyboard")["steps"] == {
        "read": {"deployment": "drawn/extract"},
        "into-warehouse": {"deployment": "drawn/load", "after": "read", "on": "ended", "delay": "5m"},
    }
    opened(admin, "/chains/by-keyboard/edit")
    step(page, "into-warehouse").get_by_role("button").first.press("Enter")
    step(page, "into-warehouse").get_by_role("button", name="Do not wait for read").press("Enter")
    expect(step(page, "into-warehouse")).to_contain_text("starts the chain")
    step(page, "read").get_by_role("button").first.press("Enter")
    step(page, "read").get_by_role("button", name="Remove the step").press("Enter")
    expect(page.locator(".chain-step")).to_have_count(1)
    save(page, "by-keyboard")
    assert kept("by-keyboard")["steps"] == {"into-warehouse": {"deployment": "drawn/load"}}
    with db.reading() as session:
        assert chains.get(session, "by-keyboard").version == 2


def test_what_is_wrong_is_told_at_the_step_and_nothing_is_saved(admin: Watched) -> None:
    admin.expected = ("422", "409")
    page = opened(admin)
    for name in ("extract", "load", "nowhere"):
        add(page, f"drawn/{name}")
    expect(step(page, "nowhere").locator("[data-part=errors]")).to_contain_text("here is no deployment drawn/nowhere")
    drag(page, ("dot", "extract"), ("step", "load"))
    drag(page, ("dot", "load"), ("step", "extract"))
    expect(step(page, "load").locator("[data-part=errors]")).to_contain_text("Goes in a circle")
    assert page.evaluate("() => document.getElementById('canvas').graph.nodes('.wrong').length") >= 2
    shoot(admin, "chain-wrong")
    page.click("#save")
    expect(page.locator("#name-error")).to_have_text("Must have 1 to 100 characters.")
    expect(page.locator("[data-summary]")).to_contain_text("It was not saved")
    for name in ("nowhere", "load"):
        step(page, name).locator("[data-part=head]").click()
        step(page, name).get_by_role("button", name="Remove the step").click()
    expect(page.locator(".chain-step-errors:visible")).to_have_count(0)
    step(page, "extract").locator("[data-part=head]").click()
    step(page, "extract").get_by_role("button", name="As JSON").click()
    step(page, "extract").get_by_label("Parameters as JSON").fill("{nonsense")
    page.fill("#name", "wrong")
    page.click("#save")
    expect(step(page, "extract").locator("[data-part=errors]")).to_contain_text("no JSON object")
    step(page, "extract").get_by_label("Parameters as JSON").fill('{"rows": 5}')
    with db.transaction() as session:
        chains.apply(session, {"name": "wrong", "steps": {"x": {"deployment": "drawn/load"}}}, ANN, now())
    page.click("#save")
    expect(page.locator("#name-error")).to_contain_text("there is a chain wrong already")
    page.fill("#name", "right")
    save(page, "right")
    assert kept("right")["steps"]["extract"]["parameters"] == {"rows": 5}


def test_the_yaml_is_the_very_document(admin: Watched) -> None:
    admin.expected = ("422", "409")
    document = {
        "name": "written", "description": "Both ways.",
        "steps": {
            "second": {"deployment": "drawn/load", "after": "first", "on": ["failed", "crashed"]},
            "first": {"deployment": "drawn/extract", "parameters": {"day": "monday"}, "tags": ["nightly"]},
        },
    }  # fmt: skip
    with db.transaction() as session:
        chains.apply(session, document, ANN, now())
    page = opened(admin, "/chains/written/edit")
    page.click("[data-yaml-mode]")
    expect(page.locator("#yaml")).to_be_visible()
    text = page.locator("#yaml").input_value()
    assert text.index("first:") < text.index("second:")
    assert "    on:\n" in text
    assert admin.axe() == []
    page.fill("#yaml", "steps: [")
    page.click("[data-yaml-mode]")
    expect(page.locator("#yaml-error")).to_contain_text("Line 1: this is no YAML")
    page.fill("#yaml", text.replace("drawn/load", "drawn/none"))
    page.click("#save")
    expect(page.locator("[data-summary]")).to_contain_text("here is no deployment drawn/none")
    page.fill("#yaml", text.replace("name: written", "name: other"))
    page.click("#save")
    expect(page.locator("#name-error")).to_have_text("A chain keeps its name: this one is written.")
    page.fill("#yaml", text + "  third: {deployment: drawn/alarm, after: [first, second], on: ended}\n")
    page.click("[data-yaml-mode]")
    expect(step(page, "third")).to_contain_text("after first and second: ended in any way")
    assert edges(page) == ["first > second", "first > third", "second > third"]
    with db.transaction() as session:  # somebody else was faster
        chains.apply(session, {**document, "description": "Another."}, ANN, now())
    page.click("#save")
    expect(page.locator("[data-summary]")).to_contain_text("now in version 2")
    page.on("dialog", lambda dialog: dialog.accept())
    opened(admin, "/chains/written/edit")
    page.click("[data-yaml-mode]")
    expect(page.locator("#yaml")).to_be_visible()
    page.fill("#yaml", text + "  third: {deployment: drawn/alarm, after: [first, second], on: ended}\n")
    save(page, "written")
    third = {"deployment": "drawn/alarm", "after": ["first", "second"], "on": "ended"}
    assert kept("written")["steps"] == {**document["steps"], "third": third}


def test_viewers_draw_nothing(guest: Watched) -> None:
    guest.expected = ("403",)
    guest.page.goto(guest.server.login_url("viewer"))
    page = guest.open("/chains")
    assert page.get_by_role("link", name="New chain").count() == 0
    guest.open("/chains/new")
    expect(page.locator("#chain-form")).to_have_count(0)
    with db.reading() as session, pytest.raises(NotFound):
        chains.get(session, "new")
