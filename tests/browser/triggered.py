"""Triggers for looking at: armed, firing, muted, off; what they fired for, what they remember, what was done."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from orchestrator.clock import to_text
from orchestrator.ids import uuid7
from orchestrator.server.db.models import Action, Deployment, Event, Firing, FlowRun, Trigger, TriggerBucket
from orchestrator.server.services.acting import actions
from orchestrator.server.services.reacting import triggers
from orchestrator.triggers import Seen, advance, begin, instant, pass_time, read_condition, stamp
from tests.server_rows import ANN

from . import stack

_TABLES = "postgres://warehouse.internal/"
_MINUTE, _DAY = timedelta(minutes=1), timedelta(days=1)
STALE: dict[str, Any] = {
    "name": "stale-tables-wait", "severity": "critical", "owner": "finance", "debounce": 600,
    "description": "A table that failed its freshness check must not be read until it is fresh again.",
    "when": {"expect": "freshness.failed", "match": {"resource.id": f"{_TABLES}marts.*"}, "for_each": "resource.id"},
    "then": [
        {"do": "place-hold", "resource": "{{ event.resource_id }}", "kind": "stop", "reason": "it is stale",
         "until_event": "freshness.passed"},
        {"do": "notify", "block": "webhook/on-call", "subject": "Stale: {{ resource.name }}", "body": "It waits."},
    ],
}  # fmt: skip
SILENT: dict[str, Any] = {
    "name": "loader-is-silent",
    "when": {"absent": True, "expect": "loader.beat", "within": "10m", "for_each": "resource.id"},
    "then": [{"do": "emit-event", "event": "loader.lost", "resource": "{{ firing.key }}"}],
    "on_resolve": [{"do": "emit-event", "event": "loader.found", "resource": "{{ firing.key }}"}],
}
OFTEN: dict[str, Any] = {
    "name": "contacts-fail-again", "severity": "info",
    "when": {"expect": ["row-count.warned", "row-count.failed"], "threshold": 3, "within": "1h",
             "for_each": "resource.id"},
    "then": [{"do": "run-deployment", "deployment": "crm/contacts"}],
}  # fmt: skip
AFTER: dict[str, Any] = {
    "name": "refresh-the-board", "active": False,
    "when": {"sequence": [{"expect": "table.loaded"}, {"expect": "freshness.passed"}], "within": "2h"},
    "then": [{"do": "emit-event", "event": "board.due", "resource": "bi://board"}],
}  # fmt: skip
FOLLOWS: dict[str, Any] = {
    "name": "holds-are-told",
    "when": {"expect": "hold.placed"},
    "then": [{"do": "emit-event", "event": "desk.told", "resource": "x"}],
}
RATE: dict[str, Any] = {
    "name": "nightly-mostly-succeeds",
    "when": {"metric": "success_rate", "operator": "<", "value": 0.9, "range": "7d"},
    "then": [],
}


def add(session: Session, now: datetime, deployments: Mapping[str, uuid.UUID]) -> dict[str, uuid.UUID]:
    """Fill in triggers and what came of them; gives the ids of triggers by name, of firings and of an event."""
    start = now - 9 * _DAY
    OFTEN["then"][0]["deployment"] = _any_name(session, deployments)
    made = {
        document["name"]: triggers.create(session, document, ANN, start).id
        for document in (STALE, SILENT, OFTEN, AFTER, FOLLOWS)
    }
    nightly = session.get_one(Deployment, deployments["delays-nightly"])
    triggers.replace_owned(session, nightly, [RATE], ANN, start)
    made[RATE["name"]] = triggers.get(session, RATE["name"]).id
    session.query(TriggerBucket).filter_by(trigger_id=made[RATE["name"]]).one().deadline = now + _MINUTE
    triggers.mute(session, made[RATE["name"]], now + 5 * timedelta(hours=1), ANN, now - _MINUTE)
    triggers.change(session, made[STALE["name"]], {"hourly_max": 60}, ANN, now - _DAY)
    return made | _stale(session, now, made) | _silent(session, now, made[SILENT["name"]]) | _often(session, now, made)


def _any_name(session: Session, deployments: Mapping[str, uuid.UUID]) -> str:
    found = session.get_one(Deployment, deployments["contacts"])
    return f"{found.flow.name}/{found.name}"


def _stale(session: Session, now: datetime, made: Mapping[str, uuid.UUID]) -> dict[str, uuid.UUID]:
    """It fired on some days, once in vain; of the last firing one action was done, one given up; another followed."""
    trigger = made[STALE["name"]]
    for day, number in enumerate((2, 0, 1, 3, 1)):
        for place in range(number):
            at = now - (6 - day) * _DAY - place * 20 * _MINUTE
            _firing(session, trigger, at, f"freshness.failed of marts.{('churn', 'revenue', 'punctuality')[place]}")
    event = session.query(Event).filter_by(event="freshness.failed").order_by(Event.id.desc()).first()
    assert event is not None
    context = {"event": {"event": event.event, "resource": event.resource}, "causes": [str(event.id)],
               "key": {"resource.id": event.resource_id},
               "window": {"from": to_text(event.occurred), "to": to_text(event.occurred), "count": 1}}  # fmt: skip
    stale = _firing(session, trigger, event.occurred, "freshness.failed of marts.revenue", event.id, context)
    held, told = (session.get_one(Action, key) for key in actions.queue(session, stale, "fire", STALE["then"], now))
    held.state, held.attempts, held.ended, held.next_try = "done", 1, event.occurred, None
    held.rendered = {**STALE["then"][0], "resource": event.resource_id}
    held.result = {"hold_id": str(uuid.uuid4())}
    told.state, told.attempts, told.ended, told.next_try = "given-up", 12, now - _MINUTE, None
    told.error = "the endpoint answered 503 Service Unavailable: it is taken down for the night"
    told.rendered = {**STALE["then"][1], "subject": "Stale: marts.revenue"}
    again = _firing(session, trigger, event.occurred + 2 * _MINUTE, "freshness.failed of marts.revenue", None, context)
    again.state, again.suppressed = "suppressed", "debounced"
    follows = _firing(session, made[FOLLOWS["name"]], event.occurred + _MINUTE, "hold.placed of marts.revenue")
    follows.chain_id, follows.depth = stale.chain_id, 1
    [emitted] = actions.queue(session, follows, "fire", FOLLOWS["then"], now)
    waiting = session.get_one(Action, emitted)
    waiting.attempts, waiting.error, waiting.next_try = 2, "resource: is no id of a resource", now + 40 * _MINUTE
    session.flush()
    return {"stale": stale.id, "again": again.id, "failed-check": event.id, "given-up": told.id}


def _silent(session: Session, now: datetime, trigger_id: uuid.UUID) -> dict[str, uuid.UUID]:
    """One loader beats, one is silent: an open firing that was noted late."""
    spec = read_condition(SILENT["when"])
    for name, ago in (("loader-a", 2), ("loader-b", 31)):
        at = now - ago * _MINUTE
        beat = Seen("1", "loader.beat", stamp(at), {"resource.id": name})
        state = advance(spec, None, beat, f'["{name}"]', stamp(at)).state
        assert state is not None
        stood = pass_time(spec, state, f'["{name}"]', stamp(now))
        _bucket(session, trigger_id, name, stood.state, stood.deadline, now)
    silent = _firing(session, trigger_id, now - 21 * _MINUTE, "no loader.beat for 10m")
    silent.key, silent.state, silent.resolved = '["loader-b"]', "open", None
    silent.fired = now - 4 * _MINUTE
    silent.context = {"key": {"resource.id": "loader-b"}, "causes": [], "late": True}
    session.flush()
    return {"silent": silent.id}


def _often(session: Session, now: datetime, made: Mapping[str, uuid.UUID]) -> dict[str, uuid.UUID]:
    """Two of three have come."""
    spec = read_condition(OFTEN["when"])
    name, state = f"{_TABLES}staging.contacts", begin(spec, stamp(now - _DAY)).state
    for ago in (20, 5):
        at = now - ago * _MINUTE
        session.add(stack.event("row-count.warned", name, "staging.contacts", at))
        seen = Seen(str(ago), "row-count.warned", stamp(at), {"resource.id": name})
        state = advance(spec, state, seen, f'["{name}"]', stamp(now - _DAY)).state
    _bucket(session, made[OFTEN["name"]], name, state, None, now)
    run = session.query(FlowRun).filter_by(name="wary-crane").one()
    done = _firing(
        session, made[OFTEN["name"]], now - 3 * _DAY, "3 events, the last row-count.failed of staging.contacts"
    )
    [key] = actions.queue(session, done, "fire", OFTEN["then"], now - 3 * _DAY)
    action = session.get_one(Action, key)
    action.state, action.attempts, action.ended, action.next_try = "done", 1, now - 3 * _DAY, None
    action.result = {"run_id": str(run.id)}
    session.flush()
    return {}


def _bucket(session: Session, trigger_id: uuid.UUID, key: str, state: Any, deadline: int | None, now: datetime) -> None:
    due = None if deadline is None else instant(deadline)
    session.add(TriggerBucket(trigger_id=trigger_id, key=f'["{key}"]', state=state, deadline=due, updated=now))


def _firing(
    session: Session, trigger_id: uuid.UUID, at: datetime, reason: str, event_id: uuid.UUID | None = None,
    context: dict[str, Any] | None = None,
) -> Firing:  # fmt: skip
    found = session.get_one(Trigger, trigger_id)
    identifier = uuid7(at)
    firing = Firing(
        id=identifier, trigger_id=found.id, occasion=f"[]|event:{identifier}", state="resolved", fired=at, occurred=at,
        event_id=event_id, reason=reason, context=context or {}, chain_id=identifier, resolved=at,
    )  # fmt: skip
    session.add(firing)
    session.flush()
    return firing
