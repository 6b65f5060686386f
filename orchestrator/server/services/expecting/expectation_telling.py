"""Tells what became of expectations: events, and of misses firings with their actions."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from .... import serializers
from ....clock import to_text
from ....expectations import LATE, MISSED, STREAK, outcome, sentence
from ....ids import uuid7
from ...config import current
from ...db.models import Deployment, Expectation, ExpectationOccurrence, Firing, Flow
from ..acting import actions
from ..acting.notification_texts import base_url
from ..recording.events import EventRecord, record
from . import occurrences
from .expectation_watch import RUN_PREFIX, Watch
from .expectations import label

#: Label whose values are ids of resources.
_RESOURCE = "resource.id"


def tell(session: Session, watch: Watch, row: ExpectationOccurrence, before: str, now: datetime) -> None:
    """An occurrence has another status than ``before``."""
    session.flush()
    expectation = session.get_one(Expectation, watch.id)
    facts = facts_of(watch, row, was_missed=before == MISSED)
    if row.status == MISSED:
        _record(session, watch, expectation, row, "missed", facts, now)
        _fire(session, watch, expectation, row, facts, now)
        return
    # That a heartbeat beats is no news.
    if row.status == LATE or watch.spec.kind != STREAK or before == MISSED:
        _record(session, watch, expectation, row, row.status, facts, now)
    if before == MISSED:
        _resolve(session, watch, expectation, row, facts, now)


def facts_of(watch: Watch, row: ExpectationOccurrence, was_missed: bool = False) -> dict[str, Any]:
    """What events and templates of actions are told of an occurrence."""
    times = {name: getattr(row, name) for name in ("opens", "due", "deadline", "satisfied", "judged")}
    return {
        "id": str(row.id),
        "key": row.key,
        "status": row.status,
        **{name: None if value is None else to_text(value) for name, value in times.items()},
        "judged_late": row.judged_late,
        "sentence": sentence(watch.spec),
        "reason": reason(watch, row, was_missed),
    }


def reason(watch: Watch, row: ExpectationOccurrence, was_missed: bool = False) -> str:
    """What became of an occurrence, in one line."""
    found = occurrences.state_of(row, watch.spec.count)
    about = f"run {row.key}" if row.key and watch.runs is not None else ", ".join(_values(watch, row))
    return outcome(watch.spec, found, about=about, was_missed=was_missed, is_judged_late=row.judged_late)


def _record(
    session: Session,
    watch: Watch,
    expectation: Expectation,
    row: ExpectationOccurrence,
    what: str,
    facts: dict[str, Any],
    now: datetime,
) -> None:
    event = EventRecord(f"expectation.{what}", label(expectation), _related(watch, row), facts, occurred=now)
    record(session, [event], now)


def _related(watch: Watch, row: ExpectationOccurrence) -> list[dict[str, str]]:
    found = []
    if watch.deployment_id is not None:
        found.append({"resource.id": f"orchestrator.deployment.{watch.deployment_id}", "resource.role": "deployment"})
    if watch.runs is not None and row.key:
        found.append({"resource.id": f"{RUN_PREFIX}{row.key}", "resource.role": "flow-run"})
    if row.key and watch.spec.for_each == (_RESOURCE,):
        found.append({"resource.id": row.key, "resource.role": "subject"})
    return found


def _fire(
    session: Session,
    watch: Watch,
    expectation: Expectation,
    row: ExpectationOccurrence,
    facts: dict[str, Any],
    now: datetime,
) -> None:
    """Write the firing of a miss, once, and ask for its actions."""
    is_muted = expectation.muted_until is not None and expectation.muted_until > now
    values = {
        "id": uuid7(), "expectation_id": expectation.id, "key": row.key, "occasion": _occasion(row),
        "state": "suppressed" if is_muted else "open", "suppressed": "muted" if is_muted else "", "fired": now,
        "occurred": row.deadline, "reason": facts["reason"],
        "context": _context(session, watch, expectation, row, facts),
        "chain_id": uuid.uuid4(), "depth": 0,
    }  # fmt: skip
    made = session.scalar(insert(Firing).values(values).on_conflict_do_nothing().returning(Firing.id))
    if made is not None and not is_muted:
        actions.queue(session, session.get_one(Firing, made), "fire", [*watch.spec.then], now)


def _resolve(
    session: Session,
    watch: Watch,
    expectation: Expectation,
    row: ExpectationOccurrence,
    facts: dict[str, Any],
    now: datetime,
) -> None:
    """What was missed has come after all."""
    _record(session, watch, expectation, row, "resolved", facts, now)
    query = select(Firing).where(Firing.expectation_id == expectation.id, Firing.occasion == _occasion(row))
    firing = session.scalar(query.with_for_update())
    if firing is None or firing.state != "open":
        return
    firing.state, firing.resolved = "resolved", now
    firing.context = _context(session, watch, expectation, row, facts)
    session.flush()
    actions.queue(session, firing, "resolve", [*watch.spec.on_resolve], now)


def _context(
    session: Session, watch: Watch, expectation: Expectation, row: ExpectationOccurrence, facts: dict[str, Any]
) -> dict[str, Any]:
    """What templates of the actions see."""
    about = {
        "id": str(expectation.id), "name": expectation.name, "description": watch.spec.description,
        "severity": expectation.severity, "owner": expectation.owner, "occurrence": facts,
        "url": f"{base_url(current())}/expectations/{expectation.id}",
    }  # fmt: skip
    return {"expectation": about, "labels": _labels(session, watch, row), "late": row.judged_late}


def _labels(session: Session, watch: Watch, row: ExpectationOccurrence) -> dict[str, str]:
    """What the miss is about: a run, a deployment, what ``for_each`` tells apart."""
    if watch.runs is None:
        return dict(zip(watch.spec.for_each, _values(watch, row), strict=True))
    if row.key:
        return {_RESOURCE: f"{RUN_PREFIX}{row.key}"}
    if watch.runs.deployment is None:
        return {}
    flow, _, name = watch.runs.deployment.partition("/")
    query = select(Deployment.id).join(Flow, Flow.id == Deployment.flow_id)
    found = session.scalar(query.where(Flow.name == flow, Deployment.name == name))
    return {} if found is None else {_RESOURCE: f"orchestrator.deployment.{found}"}


def _values(watch: Watch, row: ExpectationOccurrence) -> list[str]:
    """The values of the labels that ``for_each`` names."""
    names = watch.spec.for_each
    return [row.key] if len(names) == 1 else serializers.loads(row.key) if names else []


def _occasion(row: ExpectationOccurrence) -> str:
    return f"{row.key}|window:{to_text(row.slot)}"
