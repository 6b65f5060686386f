"""Limits and notifications as people see them: who holds a block's slots, and who was told of a run, or was not."""

from __future__ import annotations

import re
import uuid

from playwright.sync_api import expect

from orchestrator.clock import now
from orchestrator.server.db import session
from orchestrator.server.db.models import Action, FlowRun
from orchestrator.server.services.configuring import blocks

from .blocks import WHO
from .conftest import Watched


def end(run_name: str) -> None:
    with session.transaction() as writing:
        run = writing.query(FlowRun).filter_by(name=run_name).one()
        run.state_type, run.state_name, run.state_at, run.ended = "COMPLETED", "Completed", now(), now()


def declare(name: str, most: int | None, each: int = 1) -> uuid.UUID:
    """A database that takes so many connections, some of them for each run."""
    values = {"connection_url": "sqlite:////srv/a.db", "max_connections": most, "connections_per_run": each}
    with session.transaction() as writing:
        return blocks.create(writing, "sql-database", values, name=name, actor=WHO, now=now()).id


def test_queues_show_limits_with_who_holds_them(admin: Watched) -> None:
    declare("rented", 7)
    seeded = admin.server.seeded
    page = admin.open("/queues")
    part = page.locator("#limits")
    shared = part.get_by_role("row").filter(has_text="block/team-warehouse/reports")
    expect(shared).to_contain_text("2 / 5")
    expect(shared.get_by_role("listitem").first).to_contain_text(
        re.compile(r"quick-swift\s+flights/delays-nightly, since \d\d:\d\d(:\d\d)? CET")
    )
    expect(shared).not_to_contain_text("All taken")
    full = part.get_by_role("row").filter(has_text="block/sql-database/bookings")
    expect(full).to_contain_text("All taken")
    expect(full).to_contain_text("1 / 1")
    free = part.get_by_role("row").filter(has_text="block/sql-database/rented")
    expect(free).to_contain_text("0 / 7")
    expect(free).to_contain_text("no run")
    assert admin.axe() == []
    shared.get_by_role("link", name="block/team-warehouse/reports").click()
    expect(page).to_have_url(re.compile(f"/blocks/{seeded.blocks['reports']}$"))
    page.locator("#limit").get_by_role("link", name="quick-swift").click()
    expect(page).to_have_url(re.compile(f"/runs/{seeded.runs['live']}$"))


def test_a_block_shows_its_limit_and_follows_it(admin: Watched) -> None:
    seeded = admin.server.seeded.blocks
    page = admin.open(f"/blocks/{seeded['bookings']}")
    part = page.locator("#limit")
    expect(part).to_contain_text("1 of 1 slot is taken, by:")
    expect(part).to_contain_text("busy-magpie")
    expect(part).to_contain_text("The next one waits.")
    assert admin.axe() == []
    end("busy-magpie")
    expect(part).to_contain_text("No run holds it: its one slot is free.")
    expect(part).not_to_contain_text("The next one waits.")
    admin.open(f"/blocks/{seeded['reports']}")
    expect(part).to_contain_text("1 of 5 slots is taken, by:")


def test_a_slot_may_be_of_several_connections(admin: Watched) -> None:
    page = admin.open(f"/blocks/{declare('wide', 9, each=4)}")
    expect(page.locator("#limit")).to_contain_text("No run holds it: all 2 slots are free.")
    expect(page.locator("#limit")).to_contain_text("A run takes a slot of 4 connections")


def test_a_block_without_a_limit_speaks_of_none(admin: Watched) -> None:
    page = admin.open(f"/blocks/{declare('boundless', None)}")
    expect(page.locator("#users")).to_be_visible()
    expect(page.locator("#limit")).to_have_count(0)


def test_a_run_shows_who_was_told_of_it_and_who_was_not(admin: Watched) -> None:
    seeded = admin.server.seeded
    page = admin.open(f"/runs/{seeded.runs['broken']}")
    part = page.locator("#actions")
    sent = part.get_by_role("listitem").filter(has_text="slack/data-team")
    expect(sent).to_contain_text("Done")
    expect(sent).to_contain_text("notify on flow-run.failed")
    expect(sent).to_contain_text("after 2 tries")
    lost = part.get_by_role("listitem").filter(has_text="webhook/on-call")
    expect(lost).to_contain_text("Given up")
    expect(lost).to_contain_text("after 12 tries")
    expect(lost).to_contain_text("the endpoint answered 410 Gone")
    assert admin.axe() == []
    with session.transaction() as writing:
        row = writing.query(Action).filter(Action.target == "webhook/on-call", Action.error.contains("410")).one()
        row.state, row.ended, row.error = "done", now(), ""
        writing.query(Action).filter_by(target="slack/data-team").one().target = "slack/data-teams"
    expect(lost).to_contain_text("Done")
    expect(sent.get_by_role("link", name="slack/data-teams")).to_have_count(0)
    lost.get_by_role("link", name="webhook/on-call").click()
    expect(page).to_have_url(re.compile(f"/blocks/{seeded.blocks['on-call']}$"))
    expect(page.locator("#users")).to_contain_text("it is told of its runs")


def test_a_run_that_nobody_is_told_of_has_no_such_panel(admin: Watched) -> None:
    page = admin.open(f"/runs/{admin.server.seeded.runs['live']}")
    expect(page.locator("#facts")).to_be_visible()
    expect(page.locator("#actions")).to_have_count(0)


def test_a_deployment_shows_who_is_told_and_when(admin: Watched) -> None:
    page = admin.open(f"/deployments/{admin.server.seeded.deployments['delays-nightly']}")
    facts = page.locator("#facts")
    expect(facts).to_contain_text(re.compile(r"slack/data-team\s*when a run is Completed or Failed"))
    expect(facts).to_contain_text(re.compile(r"webhook/on-call\s*when a run is Failed, Crashed or Cancelled"))
    assert admin.axe() == []
