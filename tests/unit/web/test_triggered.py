"""What the pages of triggers, firings and actions say, and what their addresses and forms may hold."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
import yaml
from flask import Flask

from orchestrator.errors import InvalidInput
from orchestrator.server.db.models import Action, Event, Firing, Trigger
from orchestrator.web import looks
from orchestrator.web.automating import automate, automate_event
from orchestrator.web.panels import actions, firings, triggers

NOW = datetime(2026, 11, 23, 12, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"do": "run-deployment", "deployment": "etl/prod"}, "Run deployment etl/prod"),
        ({"do": "notify", "block": "slack/team", "body": "x"}, "Notify slack/team"),
        ({"do": "place-hold", "resource": "s3://raw"}, "Place hold s3://raw"),
        ({"do": "cancel-run", "inferred": True}, "Cancel run"),
        ({"do": "emit-event", "event": "a.b", "resource": {"resource.id": "x"}}, "Emit event a.b"),
    ],
)
def test_an_action_is_said_in_a_few_words(document: dict[str, Any], said: str) -> None:
    assert actions.words(document) == said


def test_an_action_that_was_tried_is_said_with_its_templates_filled_in() -> None:
    row = Action(kind="place-hold", spec={"do": "place-hold", "resource": "{{ x }}"}, rendered=None)
    assert actions.words_of(row) == "Place hold {{ x }}"
    row.rendered = {"resource": "s3://raw"}
    assert actions.words_of(row) == "Place hold s3://raw"


def test_a_document_is_written_without_what_is_so_anyway_and_in_the_order_of_people() -> None:
    row = Trigger(
        name="t", description="", owner="", severity="warning", active=True, debounce_s=90.0, hourly_max=1000,
        condition={"within": "1h", "for_each": "resource.id", "expect": "a", "absent": True},
        actions=[{"block": "slack/team", "do": "notify"}], resolve_actions=[],
    )  # fmt: skip
    text = triggers.written(row)
    assert yaml.safe_load(text) == {
        "name": "t", "debounce": 90, "then": [{"do": "notify", "block": "slack/team"}],
        "when": {"absent": True, "expect": "a", "for_each": "resource.id", "within": "1h"},
    }  # fmt: skip
    lines = [line.strip(" -").partition(":")[0] for line in text.splitlines()]
    assert lines == ["name", "debounce", "when", "absent", "expect", "for_each", "within", "then", "do", "block"]


@pytest.mark.parametrize(
    ("form", "field"),
    [
        ({}, "for"),
        ({"for": "2y"}, "for"),
        ({"for": "at"}, "until"),
        ({"for": "at", "until": "noon"}, "until"),
        ({"for": "at", "until": "2026-11-23T12:00:00Z"}, "until"),
    ],
)
def test_for_how_long_to_mute_is_checked_at_its_field(form: dict[str, str], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        triggers.until(form, NOW)
    assert list(caught.value.errors) == [field]


def test_muting_ends_after_a_while_or_at_a_time() -> None:
    assert triggers.until({"for": "4h"}, NOW) == NOW + timedelta(hours=4)
    assert triggers.until({"for": "at", "until": "2026-11-24T09:00:00Z"}, NOW) == NOW + timedelta(hours=21)


@pytest.mark.parametrize(
    ("read", "given", "named"),
    [
        (triggers.asked, {"standing": "sleeping"}, "standing=sleeping"),
        (triggers.asked, {"deployment": "x"}, "deployment=x"),
        (firings.asked, {"state": "closed"}, "state=closed"),
        (firings.asked, {"of": "chain"}, "of=chain"),
        (actions.asked, {"kind": "dance"}, "kind=dance"),
        (actions.asked, {"trigger": "t"}, "trigger=t"),
    ],
)
def test_a_filter_that_cannot_be_is_named(read: Any, given: dict[str, str], named: str) -> None:
    with pytest.raises(InvalidInput, match=named):
        read(given)


def test_what_a_firing_is_for() -> None:
    assert firings.keys(Firing(key='["a"]', context={"key": {"resource.id": "a"}})) == {"resource.id": "a"}
    assert firings.keys(Firing(key='["a"]', context={})) == {"1": "a"}
    missed = Firing(expectation_id=uuid.uuid4(), key="BER", context={})
    assert firings.keys(missed) == {"for": "BER"}
    missed.key = ""
    assert firings.keys(missed) == {}


def test_what_was_over_as_it_happened_has_fired_and_is_not_called_over() -> None:
    assert looks.firing(Firing(state="resolved", fired=NOW, resolved=NOW)).name == "Fired"
    assert looks.firing(Firing(state="resolved", fired=NOW, resolved=NOW + timedelta(hours=1))).name == "Over"
    assert looks.firing(Firing(state="open", fired=NOW, resolved=None)).name == "Open"


def test_a_document_of_an_older_grammar_is_shown_without_its_sentence() -> None:
    assert firings.said(_trigger({"expct": "a"})) == ""
    assert firings.said(_trigger({"expect": "a"})) == "When a happens: only note it."


def _trigger(condition: dict[str, Any]) -> Trigger:
    return Trigger(
        name="t", description="", owner="", severity="info", active=True, debounce_s=0, hourly_max=5,
        condition=condition, actions=[], resolve_actions=[],
    )  # fmt: skip


def test_automating_hands_on_what_is_known_and_of_a_run_its_deployment() -> None:
    app = Flask(__name__)
    app.add_url_rule("/triggers/new", "web.trigger_form.new", lambda: "")
    about = "orchestrator.flow-run.01980000-0000-7000-8000-000000000000"
    related = [
        {"resource.id": "orchestrator.deployment.1", "resource.name": "prod", "resource.role": "deployment"},
        {"resource.id": "orchestrator.flow.2", "resource.name": "etl", "resource.role": "flow"},
    ]
    with app.test_request_context():
        assert automate() == "/triggers/new"
        assert automate(event="a.b", resource="s3://x/y z") == "/triggers/new?event=a.b&resource=s3://x/y+z"
        run = Event(event="flow-run.failed", resource_id=about, related=related)
        assert automate_event(run) == "/triggers/new?event=flow-run.failed&deployment=etl/prod"
        file = Event(event="file.landed", resource_id="s3://x", related=[])
        assert automate_event(file) == "/triggers/new?event=file.landed&resource=s3://x"
