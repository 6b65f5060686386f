"""What people do on the pages: start runs from the form, cancel, retry, pause, limit, act on many."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone

import pytest
from playwright.sync_api import Browser, expect

from orchestrator.clock import now
from orchestrator.documents.records import Actor
from orchestrator.server.db import session
from orchestrator.server.db.models import Deployment, FlowRun, Schedule, WorkQueue
from orchestrator.server.services.running import runs

from .conftest import Watched, profile, watched


def form_path(admin: Watched) -> str:
    return f"/deployments/{admin.server.seeded.deployments['delays-nightly']}/run"


def run_of(address: str) -> FlowRun:
    with session.reading() as reading:
        return reading.get_one(FlowRun, uuid.UUID(address.rsplit("/", 1)[-1].split("?")[0]))


@pytest.fixture
def in_shanghai(chromium: Browser, admin: Watched) -> Iterator[Watched]:
    context = profile(chromium, timezone_id="Asia/Shanghai")
    made = watched(context, admin.server)
    one = next(made)
    one.page.goto(admin.server.login_url("admin"))
    yield one
    next(made, None)
    context.close()


def test_run_now_with_the_form(admin: Watched) -> None:
    page = admin.open(form_path(admin))
    page.fill("input[name='root[airport]']", "MUC")
    page.fill("input[name='root[limit]']", "42")
    page.check("input[name='root[dry_run]']")
    page.fill("#name", "from-the-form")
    page.fill("#tags", "one, two")
    page.click("text=Start the run")
    page.wait_for_url("**/runs/*")
    expect(page.locator("h1")).to_have_text("from-the-form")
    run = run_of(page.url)
    assert run.parameters["airport"] == "MUC"
    assert run.parameters["limit"] == 42
    assert run.parameters["dry_run"] is True
    assert {"one", "two"} <= set(run.tags)
    assert run.created_by["name"] == "admin of the tests"


def test_a_wrong_value_is_told_at_its_field_and_nothing_else_is_lost(admin: Watched) -> None:
    admin.expected = ("422",)
    page = admin.open(form_path(admin))
    page.fill("input[name='root[airport]']", "Berlin")
    page.fill("input[name='root[limit]']", "7")
    page.fill("#name", "kept")
    page.click("text=Start the run")
    page.wait_for_selector("#errors")
    airport = page.locator("input[name='root[airport]']")
    expect(airport).to_have_attribute("aria-invalid", "true")
    expect(airport).to_have_value("Berlin")
    expect(page.locator("input[name='root[limit]']")).to_have_value("7")
    expect(page.locator("#name")).to_have_value("kept")
    assert "Berlin" in page.inner_text(f"#{airport.get_attribute('aria-describedby')}")
    assert admin.axe() == []
    airport.fill("BER")
    page.click("text=Start the run")
    page.wait_for_url("**/runs/*")
    assert run_of(page.url).parameters["airport"] == "BER"


def test_json_is_the_other_way_in(admin: Watched) -> None:
    page = admin.open(form_path(admin))
    page.click("text=As JSON")
    parameters = {**json.loads(page.input_value("#parameters")), "airport": "FRA", "mode": "full"}
    page.fill("#parameters", json.dumps(parameters))
    page.click("text=As a form")
    expect(page.locator("select[name='root[mode]']")).to_have_value("full")
    page.click("text=Start the run")
    page.wait_for_url("**/runs/*")
    assert run_of(page.url).parameters["mode"] == "full"


def test_run_later_in_the_zone_of_the_reader(in_shanghai: Watched) -> None:
    page = in_shanghai.open(form_path(in_shanghai))
    page.check("input[value=later]")
    page.fill("#due-wall", "2027-01-31T09:00:00")
    page.click("text=Start the run")
    page.wait_for_url("**/runs/*")
    assert run_of(page.url).due == datetime(2027, 1, 31, 1, tzinfo=timezone.utc)
    expect(page.locator("#verdict")).to_contain_text("2027-01-31 09:00:00 GMT+8")
    expect(page.locator("#verdict")).to_contain_text("It is due at")


def test_cancel_asks_first(admin: Watched) -> None:
    run_id = admin.server.seeded.runs["live"]
    page = admin.open(f"/runs/{run_id}")
    page.get_by_role("button", name="Cancel").click()
    dialog = page.locator("#confirm")
    expect(dialog).to_contain_text("Cancel quick-swift?")
    dialog.get_by_role("button", name="No, leave it").click()
    assert run_of(page.url).state_type == "RUNNING"
    page.locator("main").get_by_role("button", name="Cancel").click()
    dialog.get_by_role("button", name="Cancel").click()
    expect(page.locator("#verdict b").first).to_have_text("Cancelling")  # without a reload
    expect(page.locator("#toasts")).to_contain_text("Asked the run to stop")
    assert run_of(page.url).cancel_asked is not None


def test_retry_and_run_again(admin: Watched) -> None:
    broken = admin.server.seeded.runs["broken"]
    page = admin.open(f"/runs/{broken}")
    page.get_by_role("button", name="Run again").click()
    page.wait_for_url(lambda address: "/runs/" in address and str(broken) not in address)
    assert run_of(page.url).state_type == "SCHEDULED"
    admin.open(f"/runs/{broken}")
    page.get_by_role("button", name="Retry").click()
    expect(page.locator("#verdict b").first).to_have_text("Scheduled")


def test_suspend_and_resume(admin: Watched) -> None:
    with session.transaction() as writing:
        deployment = writing.get_one(Deployment, admin.server.seeded.deployments["delays-nightly"])
        run_id, _ = runs.create(
            writing, deployment, parameters={"airport": "JFK"}, actor=Actor("user"), now=now(), name="set-aside"
        )
    page = admin.open(f"/runs/{run_id}")
    page.get_by_role("button", name="Suspend").click()
    expect(page.locator("#verdict b").first).to_have_text("Suspended")
    expect(page.locator("#verdict")).to_contain_text("It waits until it is resumed.")
    expect(page.get_by_role("button", name="Suspend", exact=True)).to_have_count(0)
    assert run_of(page.url).state_type == "PAUSED"
    found = admin.open("/runs?state=PAUSED")
    expect(found.locator("main")).to_contain_text("set-aside")
    page = admin.open(f"/runs/{run_id}")
    page.get_by_role("button", name="Resume").click()
    expect(page.locator("#verdict b").first).to_have_text("Scheduled")
    with session.transaction() as writing:
        run = writing.get_one(FlowRun, run_id)
        run.state_type, run.state_name, run.attempt, run.started = "RUNNING", "Running", 1, now()
        run.lease_until = now() + timedelta(minutes=5)
    page = admin.open(f"/runs/{run_id}")
    page.get_by_role("button", name="Suspend").click()
    dialog = page.locator("#confirm")
    expect(dialog).to_contain_text("Suspend set-aside? Its process is stopped; once resumed, it begins anew.")
    dialog.get_by_role("button", name="Suspend").click()
    expect(page.locator("#verdict b").first).to_have_text("Suspending")
    expect(page.locator("#verdict")).to_contain_text("then it waits until it is resumed")
    expect(page.locator("main").get_by_role("button", name="Cancel")).to_be_visible()


def test_pausing_a_deployment_and_a_schedule(admin: Watched) -> None:
    deployment_id = admin.server.seeded.deployments["contacts"]
    page = admin.open(f"/deployments/{deployment_id}")
    switch = page.get_by_role("switch")
    switch.click()
    expect(switch).to_have_attribute("aria-checked", "false")
    page.get_by_role("button", name="Pause", exact=True).click()
    expect(page.locator("#paused")).to_contain_text("Paused.")
    with session.reading() as reading:
        assert reading.get_one(Deployment, deployment_id).paused
        assert not reading.query(Schedule).filter_by(deployment_id=deployment_id).one().active
    page.get_by_role("button", name="Resume").click()
    expect(page.locator("#paused")).to_have_count(0)


def test_pausing_and_limiting_a_queue(admin: Watched) -> None:
    queue_id = admin.server.seeded.queues["gpu"]
    page = admin.open("/queues")
    row = page.locator(f"#queue-{queue_id}")
    row.get_by_role("switch").click()
    expect(row).to_contain_text("Paused")
    limit = row.get_by_label("Limit of gpu")
    limit.fill("3")
    limit.press("Enter")
    expect(row).to_contain_text("/ 3")
    with session.reading() as reading:
        queue = reading.get_one(WorkQueue, queue_id)
    assert queue.paused
    assert queue.concurrency_limit == 3


def test_many_runs_at_once_with_a_preview(admin: Watched) -> None:
    page = admin.open("/runs?state=SCHEDULED&state=COMPLETED")
    boxes = page.locator("[data-tick]")
    scheduled = page.locator("tr", has=page.locator(".state-scheduled")).locator("[data-tick]")
    scheduled.nth(0).check()
    scheduled.nth(1).check()
    page.locator("tr", has=page.locator(".state-completed")).locator("[data-tick]").first.check()
    chosen = [scheduled.nth(index).get_attribute("data-tick") for index in (0, 1)]
    expect(page.locator("#bulk")).to_contain_text("3 chosen, 2 of them can be cancelled")
    page.locator("#bulk").get_by_role("button", name="Cancel").click()
    page.locator("#confirm").get_by_role("button", name="Cancel them").click()
    expect(page.locator("#toasts")).to_contain_text("Asked 2 of 3 runs to stop; 1 had ended already")
    for run_id in chosen:
        assert run_of(f"/{run_id}").state_type == "CANCELLED"
    expect(page.locator("#bulk")).to_be_hidden()
    assert boxes.locator("visible=true").count() > 0
