"""Pages follow what happens: without a reload, without taking away focus, scroll, selection or an open menu."""

from __future__ import annotations

import re
import uuid
from datetime import timedelta

from playwright.sync_api import expect

from orchestrator.clock import now
from orchestrator.ids import uuid7
from orchestrator.server.db import session
from orchestrator.server.db.models import FlowRun, Log, TaskRun

from .conftest import Watched


def add_log(run_id: uuid.UUID, message: str, level: int = 20) -> None:
    with session.transaction() as writing:
        writing.add(
            Log(id=uuid7(), flow_run_id=run_id, attempt=1, level=level, logger="flow", message=message, at=now())
        )


def add_task(run_id: uuid.UUID, name: str, state: str = "RUNNING", task_id: uuid.UUID | None = None) -> uuid.UUID:
    at = now()
    with session.transaction() as writing:
        task = TaskRun(
            id=task_id or uuid7(), flow_run_id=run_id, name=name, task_key=name, flow_attempt=1, attempt=1,
            state_type=state, state_name=state.capitalize(), state_at=at, started=at - timedelta(seconds=1),
            ended=at if state == "COMPLETED" else None,
        )  # fmt: skip
        writing.merge(task)
        return task.id


def finish(run_id: uuid.UUID) -> None:
    with session.transaction() as writing:
        run = writing.get_one(FlowRun, run_id)
        run.state_type, run.state_name, run.state_at, run.ended = "COMPLETED", "Completed", now(), now()


def test_a_run_is_followed_to_its_end(admin: Watched) -> None:
    run_id = admin.server.seeded.runs["live"]
    page = admin.open(f"/runs/{run_id}")
    page.evaluate("window.sameDocument = true")
    expect(page.locator("#logs .log").first).to_be_visible()
    page.fill("[data-timeline-search]", "transform")
    add_log(run_id, "a line that came later")
    task_id = add_task(run_id, "transform-late")
    expect(page.locator("#logs")).to_contain_text("a line that came later")
    row = page.locator(".task", has_text="transform-late")
    expect(row).to_have_class("task state-running")
    add_task(run_id, "transform-late", "COMPLETED", task_id)
    expect(row).to_have_class("task state-completed")
    assert page.evaluate("document.activeElement.matches('[data-timeline-search]')")
    expect(page.locator("[data-timeline-search]")).to_have_value("transform")
    finish(run_id)
    expect(page.locator("#verdict b").first).to_have_text("Completed")
    expect(page.get_by_role("button", name="Run again")).to_be_visible()
    add_log(run_id, "the last words, after the end")
    expect(page.locator("#logs")).to_contain_text("the last words")
    assert page.evaluate("window.sameDocument")


def test_logs_are_searched_by_level_and_text(admin: Watched) -> None:
    page = admin.open(f"/runs/{admin.server.seeded.runs['broken']}")
    expect(page.locator("#logs .log-20").first).to_be_visible()
    page.select_option("[data-logs-level]", "40")
    expect(page.locator("#logs .log")).to_have_count(1)
    page.select_option("[data-logs-level]", "")
    page.fill("[data-logs-search]", "ZZZ")
    expect(page.locator("#logs .log").first).to_contain_text("airport ZZZ")
    expect(page.locator("#logs mark").first).to_have_text("ZZZ")
    expect(page.locator("#logs .log", has_text="reading a.csv")).to_have_count(0)
    with page.expect_download() as download:
        page.click("text=Download")
    text = download.value.path().read_text("utf-8")
    assert "sqlite3.OperationalError" in text
    assert "reading a.csv" in text


def test_earlier_lines_of_a_long_log_are_loaded_on_demand(admin: Watched) -> None:
    run_id = admin.server.seeded.runs["done"]
    with session.transaction() as writing:
        writing.add_all(
            Log(id=uuid7(), flow_run_id=run_id, attempt=1, level=20, logger="flow", message=f"line {n:04}", at=now())
            for n in range(900)
        )
    page = admin.open(f"/runs/{run_id}")
    expect(page.locator("#logs")).to_contain_text("line 0899")
    assert page.locator("#logs .log").count() == 500
    page.evaluate("document.getElementById('logs').scrollTop = 0")
    page.click("text=Load earlier lines")
    expect(page.locator("#logs .log")).to_have_count(1000)


def test_five_thousand_tasks_draw_only_those_in_view(admin: Watched) -> None:
    run_id = admin.server.seeded.runs["broken"]
    start = now() - timedelta(hours=2)
    tasks = [
        TaskRun(
            id=uuid7(), flow_run_id=run_id, name=f"mapped-{n}", task_key="mapped", flow_attempt=1, attempt=1,
            state_type="COMPLETED", state_name="Completed", state_at=start + timedelta(milliseconds=6 * n),
            started=start + timedelta(milliseconds=5 * n), ended=start + timedelta(milliseconds=6 * n),
        )
        for n in range(4974)
    ]  # fmt: skip
    for first in range(0, len(tasks), 500):  # an idle transaction is ended by the database
        with session.transaction() as writing:
            writing.add_all(tasks[first : first + 500])
    page = admin.open(f"/runs/{run_id}")
    expect(page.locator("[data-timeline-count]")).to_have_text("5000")
    assert page.locator(".task").count() < 60
    page.evaluate("document.getElementById('timeline').scrollTop = 1e7")
    expect(page.locator(".task", has_text="mapped-4973").first).to_be_visible()
    assert page.locator(".task").count() < 60
    page.fill("[data-timeline-search]", "mapped-1234")
    expect(page.locator("[data-timeline-count]")).to_have_text("1 of 5000")


def test_a_list_keeps_ticks_and_scroll_while_it_changes(admin: Watched) -> None:
    page = admin.open("/runs")
    box = page.locator("[data-tick]").nth(5)
    box.check()
    ticked = box.get_attribute("data-tick")
    page.evaluate("scrollTo(0, 400)")
    with session.transaction() as writing:
        run = writing.get_one(FlowRun, admin.server.seeded.runs["done"])
        run.name = "renamed-meanwhile"
    expect(page.locator("#list")).to_contain_text("renamed-meanwhile")
    expect(page.locator(f"#tick-{ticked}")).to_be_checked()
    assert page.evaluate("scrollY") == 400


def test_what_did_not_change_is_not_sent_again(admin: Watched) -> None:
    page = admin.open("/deployments")
    with page.expect_response(lambda answer: answer.status == 304 and answer.url.endswith("/deployments")):
        pass


def test_a_server_that_is_away_is_told_and_comes_back(admin: Watched) -> None:
    admin.expected = ("ERR_CONNECTION_REFUSED", "htmx", "Failed to load", "failed:")
    page = admin.open("/queues")
    expect(page.locator("#list")).to_be_visible()
    page.route("**/queues", lambda route: route.abort("connectionrefused"))
    expect(page.locator("#offline")).to_be_visible()
    page.unroute("**/queues")
    expect(page.locator("#offline")).to_be_hidden()


def test_times_follow_the_preference_and_show_their_zone(admin: Watched) -> None:
    page = admin.open(f"/runs/{admin.server.seeded.runs['broken']}")
    started = page.locator("#verdict time").first
    expect(started).to_contain_text("CET")
    at = started.get_attribute("datetime")
    page.click("[data-open=preferences]")
    page.select_option("#pref-zone", "America/New_York")
    page.keyboard.press("Escape")
    expect(started).to_contain_text("GMT-5")
    expect(page.locator("[data-zone-name]").first).to_have_text("America/New_York")
    expect(page.locator("#logs .log time").first).to_have_attribute("title", re.compile("GMT-5"))
    page.reload()
    expect(page.locator("#verdict time").first).to_contain_text("GMT-5")
    assert page.locator("#verdict time").first.get_attribute("datetime") == at
    page.evaluate("localStorage.clear()")
