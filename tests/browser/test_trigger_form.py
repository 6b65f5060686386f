"""Triggers made in the browser: a sentence of choices, the same as YAML, tried on history, saved."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from orchestrator.clock import now
from orchestrator.documents.records import Actor
from orchestrator.ids import uuid7
from orchestrator.server.db.models import Deployment, Event
from orchestrator.server.db.session import reading, transaction
from orchestrator.server.services.reacting import triggers

from .conftest import Server, Watched

ACTOR = Actor("test", "test", "tests")


@pytest.fixture(scope="module")
def orders(server: Server) -> None:
    """Orders of two shops: one falls silent for a day."""
    at = now()
    with transaction() as session:
        for hours in range(1, 70, 3):
            for shop in ("north", "south"):
                if shop == "south" and 20 < hours < 48:
                    continue
                when = at - timedelta(hours=hours)
                session.add(
                    Event(
                        id=uuid7(when), event="order.created", occurred=when, received=when, resource_id=f"shop.{shop}",
                        resource={"resource.id": f"shop.{shop}", "shop.region": "eu"}, related=[], payload={"rows": 3},
                        source="key",
                    )
                )  # fmt: skip


def settled(page: Page) -> None:
    """The server has answered to all that was typed."""
    expect(page.locator("#trigger-form")).to_have_attribute("data-state", "checked")


def saved(name: str) -> dict[str, Any]:
    with reading() as session:
        return triggers.document(triggers.get(session, name))


def full_name(watched: Watched, name: str) -> str:
    with reading() as session:
        found = session.get_one(Deployment, watched.server.seeded.deployments[name])
        return f"{found.flow.name}/{found.name}"


def test_a_sentence_is_put_together_and_saved(admin: Watched, orders: None) -> None:
    page = admin.open("/triggers/new")
    assert page.locator(".is-invalid").count() == 0, "nothing is wrong with what was not begun"
    page.fill("#when-expect-0", "order.created")
    page.get_by_role("button", name="a resource").click()
    page.fill("#when-match-0-is", "shop.*")
    page.fill("#when-threshold", "2")
    page.fill("#when-within", "4h")
    page.locator("[data-rows='when.for_each'] [data-act^=add]").click()
    page.fill("#when-for-each-0", "resource.id")
    page.select_option("#then-kind", "emit-event")
    page.locator("[data-rows=then]").get_by_role("button", name="Add it").click()
    page.fill("#then-0-event", "orders.many")
    page.fill("#then-0-resource", "{{ event.resource['resource.id'] }}")
    page.fill("#name", "many orders")
    settled(page)
    expect(page.locator("#said")).to_contain_text("order.created happens 2 times within 4h where resource.id is shop.*")
    expect(page.locator("#said .state")).to_have_text("Complete")
    expect(page.locator("#replay .replay-said")).to_contain_text("It would have fired")
    page.get_by_role("button", name="Make it").click()
    page.wait_for_url(re.compile(r"/triggers/[0-9a-f-]{36}$"))
    expect(page.locator("h1")).to_have_text("many orders")
    found = saved("many orders")
    assert found["when"] == {
        "expect": "order.created", "match": {"resource.id": "shop.*"}, "threshold": 2, "within": "4h",
        "for_each": "resource.id",
    }  # fmt: skip
    assert found["then"] == [
        {"do": "emit-event", "event": "orders.many", "resource": "{{ event.resource['resource.id'] }}"}
    ]


def test_either_side_updates_the_other(admin: Watched) -> None:
    page = admin.open("/triggers/new")
    page.fill("#name", "both sides")
    page.locator("label[for=side-yaml]").click()
    settled(page)
    expect(page.locator("#yaml")).to_have_value(re.compile(r"^name: both sides\n"))
    page.fill("#yaml", "name: other\nwhen: {expect: [a, b*], within: 5m, treshold: 2}\nthen: [{do: pause}]\n")
    settled(page)
    expect(page.locator("#said .wrongs")).to_contain_text("did you mean threshold?")
    page.locator("label[for=side-form]").click()
    expect(page.locator("#name")).to_have_value("other")
    expect(page.locator("#when-expect-1")).to_have_value("b*")
    expect(page.locator("#then-0-do")).to_have_value("pause")
    page.fill("#owner", "team")
    page.locator("label[for=side-yaml]").click()
    settled(page)
    assert "treshold: 2" in page.input_value("#yaml"), "what the form does not show is kept"
    assert "owner: team" in page.input_value("#yaml")
    page.fill("#yaml", "name: [")
    settled(page)
    expect(page.locator("#yaml-wrong")).to_contain_text("Line 1")
    assert admin.axe() == []


def test_what_is_wrong_is_said_at_its_field(admin: Watched) -> None:
    admin.expected = ("422",)
    page = admin.open("/triggers/new?event=order.created")
    page.fill("#when-within", "soon")
    page.fill("#hourly-max", "0")
    settled(page)
    expect(page.locator("#when-within-wrong")).to_contain_text("for example 90s")
    expect(page.locator("#hourly-max-wrong")).to_contain_text("whole number from 1")
    page.get_by_role("button", name="Make it").click()
    expect(page.locator("#refused")).to_contain_text("It was not saved")
    expect(page.locator("#name-wrong")).to_be_visible()
    expect(page.locator("#when-within")).to_have_value("soon")
    assert admin.axe() == []


def test_a_kind_of_action_brings_its_fields(admin: Watched) -> None:
    page = admin.open("/triggers/new?event=order.created")
    add = page.locator("[data-rows=then]").get_by_role("button", name="Add it")
    page.select_option("#then-kind", "run-deployment")
    add.click()
    target = full_name(admin, "extract")
    page.fill("#then-0-deployment", target)
    page.fill("#then-0-parameters", "rows: {{ event.payload.rows }}")
    settled(page)
    expect(page.locator("#then-0-parameters-wrong")).to_contain_text("a template goes in quotes")
    page.fill("#then-0-parameters", 'rows: "{{ event.payload.rows }}"')
    settled(page)
    expect(page.locator("#then-0-parameters-wrong")).to_have_count(0)
    page.select_option("#then-0-pick-0", "inferred")
    settled(page)
    expect(page.locator("#then-0-deployment")).to_have_count(0)
    page.select_option("#then-kind", "notify")
    add.click()
    expect(page.locator("#then-1-block")).to_be_visible()
    page.locator("#then-0").get_by_role("button", name="Take this action out").click()
    expect(page.locator("#then-0-block")).to_be_visible()
    page.select_option("#then-0-do", "set-limit")
    expect(page.locator("#then-0-slots")).to_be_visible()
    settled(page)
    text = page.locator("#yaml").input_value()
    assert text.rstrip().endswith("- do: set-limit"), text


def test_the_time_line_shows_when_and_why(admin: Watched, orders: None) -> None:
    page = admin.open("/triggers/new")
    page.locator("label[for=side-yaml]").click()
    text = "name: silent\nwhen: {absent: true, expect: order.created, for_each: resource.id, within: 12h}\n"
    page.fill("#yaml", text)
    settled(page)
    expect(page.locator("#replay .replay-said")).to_contain_text("It would have fired 1 time, and was over 1 time")
    assert page.locator(".replay-bar").count() == 1
    mark = page.locator(".replay-mark")
    mark.focus()
    expect(page.locator(".replay-told:not([hidden])")).to_contain_text("shop.south")
    page.select_option("#days", "1")
    expect(page.locator("#replay")).to_contain_text("It would not have fired in the last day")
    page.fill("#yaml", text.replace("order.created", "order.never"))
    settled(page)
    expect(page.locator("#replay")).to_contain_text("none came that matches")
    page.fill("#yaml", "name: m\nwhen: {metric: run_count, operator: '<', value: 1, range: 1h}\n")
    settled(page)
    expect(page.locator("#replay")).to_contain_text("cannot be replayed")


def test_it_opens_with_what_one_came_from(admin: Watched) -> None:
    name = full_name(admin, "extract")
    page = admin.open(f"/triggers/new?event=flow-run.failed&deployment={name}&resource=orchestrator.flow-run.*")
    expect(page.locator("#when-expect-0")).to_have_value("flow-run.failed")
    expect(page.locator("#when-match-0-is")).to_have_value("orchestrator.flow-run.*")
    expect(page.locator("#when-related-0-deployment option:checked")).to_have_text(name)
    expect(page.locator("#said")).to_contain_text(name)


def test_a_trigger_is_changed_unless_somebody_did_meanwhile(admin: Watched) -> None:
    admin.expected = ("409",)
    document = {
        "name": "grouped", "when": {"any": [{"expect": "a"}, {"expect": "b"}], "within": "1h"},
        "then": [{"do": "acknowledge"}],
    }  # fmt: skip
    with transaction() as session:
        made = triggers.create(session, document, ACTOR, now()).id
    page = admin.open(f"/triggers/{made}/edit")
    expect(page.locator("#when-kind option:checked")).to_have_text("several conditions together")
    page.fill("#description", "Looked after.")
    settled(page)
    page.get_by_role("button", name="Save").click()
    page.wait_for_url(re.compile(r"/triggers/[0-9a-f-]{36}$"))
    assert saved("grouped")["when"] == document["when"]
    assert saved("grouped")["description"] == "Looked after."
    page = admin.open(f"/triggers/{made}/edit")
    with transaction() as session:
        triggers.change(session, made, {"owner": "somebody"}, ACTOR, now())
    page.fill("#description", "Mine.")
    settled(page)
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#refused")).to_contain_text("Somebody changed this trigger")
    expect(page.locator("#description")).to_have_value("Mine.")
    assert saved("grouped")["owner"] == "somebody"


def test_what_belongs_to_a_deployment_is_shown_only(admin: Watched) -> None:
    with transaction() as session:
        deployment = session.get_one(Deployment, admin.server.seeded.deployments["extract"])
        triggers.replace_owned(session, deployment, [{"name": "owned", "when": {"expect": "x"}}], ACTOR, now())
        made = triggers.get(session, f"{deployment.flow.name}/{deployment.name}/owned").id
    page = admin.open(f"/triggers/{made}/edit")
    expect(page.locator("#owned")).to_contain_text("change it under triggers: in its deployment.yaml")
    assert page.locator("form#trigger-form").count() == 0
    assert admin.axe() == []


def test_viewers_make_none(guest: Watched) -> None:
    guest.expected = ("403",)
    guest.page.goto(guest.server.login_url("viewer"))
    page = guest.open("/triggers/new")
    expect(page.locator("h1")).to_have_text("Not with this key")
