"""What the form of triggers suggests is what there is, as the checks of triggers take it; drafts are checked whole."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from orchestrator.clock import now
from orchestrator.errors import Conflict
from orchestrator.ids import uuid7
from orchestrator.server.db import session as db
from orchestrator.server.db.models import Event, ResourceLimit
from orchestrator.server.services.acting import action_targets
from orchestrator.server.services.reacting import triggers
from orchestrator.server.services.recording import event_names
from orchestrator.web.panels import trigger_form, trigger_replay
from orchestrator.web.panels.trigger_replay import Line, Unplayed
from tests.acting import deploy, save
from tests.server_rows import ANN

SLACK = {"webhook_url": "https://hooks.slack.com/services/x/y/z"}


@pytest.fixture(autouse=True)
def database(app: Flask) -> None:
    """A server's settings and an empty database."""


def happen(event: str, about: str = "thing", hours: float = 0) -> None:
    at = now() - timedelta(hours=hours)
    facts: dict[str, Any] = {"source": "key", "resource_id": about, "resource": {"resource.id": about}, "payload": {}}
    with db.transaction() as session:
        session.add(Event(id=uuid7(at), event=event, occurred=at, received=at, **facts))


def checked(document: dict[str, Any], **changes: str) -> trigger_form.Checked:
    with db.reading() as session:
        draft = trigger_form._of(document)
        form = {"base": trigger_form.check(session, draft).base, "edited": "form"}
        form.update({f"f:{name}": text for name, text in {**draft.fields, **changes}.items()})
        return trigger_form.check(session, trigger_form.read(form), strict=True)


def test_names_that_are_suggested_are_found() -> None:
    deploy(schedules=[{"slug": "nightly", "cron": "0 3 * * *"}], triggers=[{"name": "own", "when": {"expect": "x"}}])
    save("slack", "team", **SLACK)
    save("secret", "odd", value="x")
    with db.transaction() as session:
        triggers.create(session, {"name": "free", "when": {"expect": "x"}}, ANN, now())
        session.add(ResourceLimit(name="warehouse", slots=2))
    with db.reading() as session:
        found = {kind: action_targets.names(session, kind) for kind in action_targets._BY_NAME}
        assert found == {
            "deployment": ["etl/prod"], "work-queue": ["default"], "schedule": ["etl/prod/nightly"],
            "trigger": ["etl/prod/own", "free"], "limit": ["warehouse"],
        }  # fmt: skip
        for kind, names in found.items():
            for name in names:
                assert action_targets.find(session, kind, name)
        for interface in ("notifier", "slack"):
            assert action_targets.names(session, "block", interface) == ["slack/team"]
        assert action_targets.find(session, "block", "slack/team", "notifier")
        assert action_targets.names(session, "block") == ["secret/odd", "slack/team"]


def test_events_that_came_are_known_by_name_each_once() -> None:
    for name in ("b.done", "a.done", "b.done"):
        happen(name)
    with db.reading() as session:
        known = event_names.known(session)
        assert [name for name in known if name.endswith(".done")] == ["a.done", "b.done"]
        assert event_names.known(session, 1) == known[:1]


def test_every_error_stands_at_the_field_that_is_wrong() -> None:
    document = {
        "name": "x",
        "when": {"expect": ["a", "b"], "match": {"env": "prod"}, "within": "5m"},
        "then": [{"do": "notify", "block": "slack/none"}, {"do": "run-deployment"}, {"do": "pause", "odd": 1}],
    }
    found = checked(document, **{"when.within": "soon", "severity": "dire", "when.match.0.is": ""})
    at = {(item.field, item.path) for item in found.wrongs}
    assert ("when.within", "when.within") in at
    assert ("severity", "severity") in at
    assert ("when.match.0.is", "when.match.0.is") in at
    assert found.sentence == ""
    found = checked(document)
    assert {item.field for item in found.wrongs} == {"then.0.block", "then.1.do", "then.2.do"}
    assert [item.path for item in found.wrongs if item.field == "then.2.do"] == ["then.2.odd", "then.2"]


def test_the_sentence_names_deployments() -> None:
    identifier = deploy()
    when = {
        "expect": "flow-run.failed",
        "match_related": {"resource.role": "deployment", "resource.id": f"orchestrator.deployment.{identifier}"},
    }
    found = checked({"name": "x", "when": when, "then": [{"do": "pause", "deployment": "etl/prod"}]})
    assert found.sentence == "When flow-run.failed happens for deployment etl/prod: pause etl/prod."
    assert found.wrongs == []


def test_a_change_does_not_go_over_that_of_somebody_else() -> None:
    with db.transaction() as session:
        made = triggers.create(session, {"name": "x", "when": {"expect": "a"}, "debounce": 60}, ANN, now())
        key, known, draft = made.id, trigger_form.version(made), trigger_form.of(made)
    assert draft.document == {"name": "x", "when": {"expect": "a"}, "debounce": 60.0}
    del draft.document["debounce"]
    with db.transaction() as session:
        assert trigger_form.change(session, key, draft, known, ANN, now()).debounce_s == 0
    with db.transaction() as session, pytest.raises(Conflict, match="Somebody changed"):
        trigger_form.change(session, key, draft, known, ANN, now())


def test_history_is_told_in_words_where_it_says_nothing() -> None:
    for hours in (1, 6, 30):
        happen("a", hours=hours)

    def line(when: dict[str, Any], days: int = 7) -> Line | Unplayed:
        with db.reading() as session:
            return trigger_replay.play(session, {"when": when}, days, now())

    found = line({"expect": "a"})
    assert isinstance(found, Line)
    assert (found.fired, len(found.marks), found.said) == (3, 3, "")
    assert found.marks[-1].x > found.marks[0].x
    [*_, last] = found.marks
    assert last.firings[0].event_id is not None
    absent = line({"absent": True, "expect": "a", "within": "12h"})
    assert isinstance(absent, Line)
    assert absent.fired == len(absent.bars) == 2, "until the first event, and between the first and the second"
    for when, told in (
        ({"expect": "never"}, "no event of that name came"),
        ({"expect": "a", "match": {"resource.id": "other"}}, "none is about what it asks for"),
        ({"expect": "a", "threshold": 3, "within": "1m"}, "never as it takes"),
        ({"schedule": {"cron": "0 0 1 1 *"}}, "no time of the schedule lies there"),
        ({"absent": True, "expect": "a", "within": "300d"}, "came in time"),
        ({"metric": "run_count", "operator": "<", "value": 1, "range": "1h"}, "cannot be replayed"),
        ({}, "Complete the trigger"),
    ):
        assert told in line(when).said, when
