"""Desks: what the holder of a key watches, told in plain sentences, and who tells when it goes wrong.

A desk belongs to an API key, as logins do. What tells its holder is a trigger like any other, made here.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from ....documents.records import Actor
from ....errors import Conflict, InvalidInput, NotFound
from ....ids import uuid7
from ...db.models import (
    ApiKey,
    Deployment,
    DeploymentHold,
    DeskItem,
    Expectation,
    Flow,
    FlowRun,
    Hold,
    Resource,
    Trigger,
)
from ..deploying import deployments, saved_forms
from ..expecting import expectation_etas, expectations
from ..mapping import eta
from ..mapping.eta_rules import Eta
from ..reacting import triggers
from ..recording.resource_states import FAILING, VANISHED, WORDS
from ..running import run_briefs
from ..statements import fetch
from . import desk_words
from .desk_words import DeskRow, Expected

#: Most things on one desk: all are shown at once.
MOST = 100
#: Longest id of a resource.
RESOURCE_MAX = 1024

#: How the last occurrence of each key ended, and the next deadline, of some expectations.
_LAST = """
SELECT DISTINCT ON (expectation_id, key) expectation_id, status, deadline, satisfied FROM expectation_occurrence
WHERE expectation_id = ANY(%(ids)s) AND status <> 'due' ORDER BY expectation_id, key, due DESC"""
_NEXT = """
SELECT expectation_id, min(deadline) AS deadline FROM expectation_occurrence
WHERE expectation_id = ANY(%(ids)s) AND status = 'due' GROUP BY expectation_id"""
#: Expectations of one resource, named by its id.
_ABOUT = """
SELECT id, document #>> '{on,match,resource.id}' AS resource_id FROM expectation
WHERE document #>> '{on,match,resource.id}' = ANY(%(ids)s)"""


@dataclass(frozen=True)
class Thing:
    """What is put on a desk: one of these."""

    #: By its id.
    resource: str | None = None
    #: By id or flow/name.
    deployment: str | uuid.UUID | None = None
    #: By id or name.
    expectation: str | uuid.UUID | None = None


def add(session: Session, key_id: uuid.UUID, thing: Thing, now: datetime) -> tuple[DeskItem, bool]:
    """Put a thing on the desk of a key; returns it, and whether it was not there.

    Raises:
        InvalidInput: Not exactly one thing is named.
        NotFound, Conflict: There is no such thing, or several; or the desk is full.
    """
    facts = _facts(session, thing)
    session.execute(select(ApiKey.id).where(ApiKey.id == key_id).with_for_update(key_share=True))
    found = session.scalar(select(DeskItem).filter_by(api_key_id=key_id, **facts))
    if found is not None:
        return found, False
    if (session.scalar(select(func.count()).where(DeskItem.api_key_id == key_id)) or 0) >= MOST:
        raise Conflict(f"{MOST} things are on your desk already: take one off first")
    made = DeskItem(id=uuid7(now), api_key_id=key_id, created=now, **facts)
    session.add(made)
    session.flush()
    return made, True


def remove(session: Session, key_id: uuid.UUID, item_id: uuid.UUID, actor: Actor, now: datetime) -> None:
    """Take a thing off a desk, with the trigger that told of it. Raises NotFound."""
    item = get(session, key_id, item_id)
    _forget(session, item, actor, now)
    session.delete(item)
    session.flush()


def get(session: Session, key_id: uuid.UUID, item_id: uuid.UUID) -> DeskItem:
    """A thing on the desk of a key. Raises NotFound, also where it is on another's."""
    found = session.get(DeskItem, item_id)
    if found is None or found.api_key_id != key_id:
        raise NotFound(f"there is no {item_id} on your desk")
    return found


def tell(
    session: Session, key_id: uuid.UUID, item_id: uuid.UUID, block: str | None, actor: Actor, now: datetime
) -> DeskItem:
    """Have a notifier tell when a thing fails or is late; None: nobody tells any more.

    Raises:
        NotFound: It is not on the desk.
        InvalidInput: The block is no notifier.
    """
    item = get(session, key_id, item_id)
    _forget(session, item, actor, now)
    if block is not None:
        [row] = _rows(session, [item], now)
        document = {
            "name": f"desk {str(item.id)[-12:]} {row.name}"[:200].replace("/", " "),
            "description": f"Tells {actor.name or actor.id} of {row.name}, which is on their desk.",
            "owner": actor.name,
            "when": _bad(item),
            "then": [{"do": "notify", "block": block}],
        }
        item.trigger_id = triggers.create(session, document, actor, now).id
        session.flush()
    return item


def listing(session: Session, key_id: uuid.UUID, now: datetime) -> list[DeskRow]:
    """All that is on a desk, the worst first, then by name."""
    items = session.scalars(select(DeskItem).where(DeskItem.api_key_id == key_id)).all()
    rows = _rows(session, items, now)
    return sorted(rows, key=lambda row: (desk_words.SIGNS.index(row.sign), row.name.lower(), row.item.id))


def row_of(session: Session, item: DeskItem, now: datetime) -> DeskRow:
    """One thing as :func:`listing` tells it."""
    return _rows(session, [item], now)[0]


def _facts(session: Session, thing: Thing) -> dict[str, Any]:
    given = [name for name in ("resource", "deployment", "expectation") if getattr(thing, name)]
    if len(given) != 1:
        problem = "Name one thing: a resource, a deployment or an expectation."
        raise InvalidInput(f"resource: {problem}", {"resource": [problem]})
    if thing.resource:
        return {"resource_id": thing.resource}
    if thing.deployment:
        return {"deployment_id": deployments.get(session, thing.deployment).id}
    assert thing.expectation is not None
    return {"expectation_id": expectations.get(session, thing.expectation).id}


def _bad(item: DeskItem) -> dict[str, Any]:
    """What a trigger waits for that tells of it."""
    if item.resource_id is not None:
        words = [*WORDS[FAILING], *WORDS[VANISHED]]
        return {"match": {"resource.id": item.resource_id}, "expect": [f"*.{word}" for word in words]}
    if item.expectation_id is not None:
        about = {"resource.id": f"orchestrator.expectation.{item.expectation_id}"}
        return {"match": about, "expect": ["expectation.missed"]}
    related = [{"resource.role": "deployment", "resource.id": f"orchestrator.deployment.{item.deployment_id}"}]
    late = {"match": {"state.name": "Late"}, "match_related": related, "expect": ["flow-run.scheduled"]}
    return {"any": [{"match_related": related, "expect": ["flow-run.failed", "flow-run.crashed"]}, late]}


def _forget(session: Session, item: DeskItem, actor: Actor, now: datetime) -> None:
    if item.trigger_id is not None:
        triggers.delete_(session, item.trigger_id, actor, now)
        item.trigger_id = None
        session.flush()


def _rows(session: Session, items: Sequence[DeskItem], now: datetime) -> list[DeskRow]:
    told = _told(session, [item.trigger_id for item in items if item.trigger_id])
    etas = eta.of(session, [_thing(item) for item in items if item.expectation_id is None], now)
    rows = [
        *_resources(session, [item for item in items if item.resource_id], etas, now),
        *_deployments(session, [item for item in items if item.deployment_id], etas, now),
        *_expectations(session, [item for item in items if item.expectation_id], now),
    ]
    return [
        DeskRow(item, kind, name, sign, parts, told.get(item.trigger_id, ""), forms)
        for item, kind, name, sign, parts, forms in rows
    ]


def _thing(item: DeskItem) -> str:
    return item.resource_id or f"orchestrator.deployment.{item.deployment_id}"


def _resources(session: Session, items: Sequence[DeskItem], etas: Mapping[str, Eta], now: datetime) -> list[Any]:
    ids = [item.resource_id for item in items]
    if not ids:
        return []
    found = {row.id: row for row in session.scalars(select(Resource).where(Resource.id.in_(ids)))}
    about: dict[str, list[uuid.UUID]] = {}
    for row in fetch(session, _ABOUT, {"ids": ids}):
        about.setdefault(row.resource_id, []).append(row.id)
    expected = _expected(session, [key for keys in about.values() for key in keys], now)
    rows = []
    for item in items:
        known = found.get(item.resource_id or "")
        wanted = [expected[key] for key in about.get(item.resource_id or "", ())]
        sign, parts = desk_words.of_resource(known, wanted, now, etas[_thing(item)])
        rows.append((item, "resource", known.name if known else item.resource_id, sign, parts, ()))
    return rows


def _deployments(session: Session, items: Sequence[DeskItem], etas: Mapping[str, Eta], now: datetime) -> list[Any]:
    ids = [item.deployment_id for item in items if item.deployment_id]
    if not ids:
        return []
    query = select(Deployment.id, Flow.name, Deployment.name, Deployment.paused)
    named = {row[0]: row for row in session.execute(query.join(Flow).where(Deployment.id.in_(ids)))}
    last, coming = run_briefs.history(session, ids, 1), run_briefs.upcoming(session, ids, 1)
    run_ids = [brief.id for briefs in (*last.values(), *coming.values()) for brief in briefs]
    runs = {run.id: run for run in session.scalars(select(FlowRun).where(FlowRun.id.in_(run_ids)))}
    holds: dict[uuid.UUID, list[Hold]] = {}
    held = select(DeploymentHold.deployment_id, Hold).join(Hold, Hold.id == DeploymentHold.hold_id)
    for held_id, hold in session.execute(held.where(DeploymentHold.deployment_id.in_(ids), Hold.released.is_(None))):
        holds.setdefault(held_id, []).append(hold)
    forms = saved_forms.of(session, ids)
    rows = []
    for item in items:
        key = item.deployment_id
        assert key is not None
        _, flow, name, paused = named[key]
        ends = [next((runs.get(brief.id) for brief in briefs[key]), None) for briefs in (last, coming)]
        sign, parts = desk_words.of_deployment(paused, ends[0], ends[1], holds.get(key, ()), now, etas[_thing(item)])
        rows.append((item, "deployment", f"{flow}/{name}", sign, parts, forms[key]))
    return rows


def _expectations(session: Session, items: Sequence[DeskItem], now: datetime) -> list[Any]:
    ids = [item.expectation_id for item in items if item.expectation_id]
    if not ids:
        return []
    names = {row.id: row.name for row in session.scalars(select(Expectation).where(Expectation.id.in_(ids)))}
    expected = _expected(session, ids, now)
    rows = []
    for item in items:
        assert item.expectation_id is not None
        sign, parts = desk_words.of_expectation(expected[item.expectation_id], now)
        rows.append((item, "expectation", names[item.expectation_id], sign, parts, ()))
    return rows


def _expected(session: Session, ids: Sequence[uuid.UUID], now: datetime) -> dict[uuid.UUID, Expected]:
    if not ids:
        return {}
    last: dict[uuid.UUID, list[Any]] = {}
    for row in fetch(session, _LAST, {"ids": list(ids)}):
        last.setdefault(row.expectation_id, []).append((row.status, row.deadline, row.satisfied))
    coming = {row.expectation_id: row.deadline for row in fetch(session, _NEXT, {"ids": list(ids)})}
    found = session.scalars(select(Expectation).where(Expectation.id.in_(ids))).all()
    ahead = expectation_etas.of_expectations(session, found, now)
    return {row.id: Expected(row.active, last.get(row.id, ()), coming.get(row.id), ahead.get(row.id)) for row in found}


def _told(session: Session, ids: Sequence[uuid.UUID]) -> dict[uuid.UUID | None, str]:
    if not ids:
        return {}
    found = session.scalars(select(Trigger).where(Trigger.id.in_(ids)))
    return {row.id: str(next((act.get("block") for act in row.actions if act.get("block")), "")) for row in found}
