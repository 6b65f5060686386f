"""Holds: what touches a resource waits, until a time, an event, or somebody's word.

Which deployments a hold is for is worked out when it is placed, and again by a loop while it is in force
(:mod:`..mapping.touching`): deployments are applied, blocks are loaded and relations are seen meanwhile. A claim then
asks one small table (:data:`..statements.HELD_BY`). Runs that go on already are left alone.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from ....clock import to_text
from ....documents.records import Actor
from ....errors import Conflict, InvalidInput, NotFound
from ....ids import uuid7, uuid7_floor
from ....triggers.matching import Selector, like, matches, selector_text
from ...db.models import DeploymentHold, Firing, FlowRun, Hold
from ..mapping import touching
from ..paging import Page, check_limit, decode_id, page
from ..recording.announcements import announce, resource
from ..statements import execute, fetch
from .action_kind import first_of

#: Most holds in force at once: each costs the loop a look at what touches what.
IN_FORCE_MAX = 500
#: Deployments that an event names as related.
RELATED_NAMED = 20
#: Resources that a preview names.
RESOURCES_NAMED = 20
#: Events that are looked through at once for one that releases a hold.
LOOK = 1000
#: How far up from a subflow its deployment is looked for.
CHAIN_MAX = 20
#: Ids of events may lie this much before the time at which they were written.
_SKEW = timedelta(minutes=5)
_NOTHING_NAMED = "Name what is held: a resource's id, or labels."
CLOCK = Actor("server", name="holds")

_PUT = """
INSERT INTO deployment_hold (hold_id, deployment_id)
SELECT %(hold)s, id FROM deployment WHERE id = ANY(%(deployments)s) ORDER BY id ON CONFLICT DO NOTHING"""
_DROP = "DELETE FROM deployment_hold WHERE hold_id = %(hold)s AND NOT deployment_id = ANY(%(deployments)s)"
#: What waited is hinted at once, not when its next hint would have been.
_UNHINT = """
UPDATE flow_run r SET hinted = NULL, hints = 0 FROM (
    SELECT w.id FROM flow_run w JOIN deployment_hold t ON t.deployment_id = w.deployment_id
    WHERE t.hold_id = %(hold)s AND w.state_type = 'SCHEDULED' AND w.due <= %(now)s AND w.hinted IS NOT NULL
    ORDER BY w.id FOR NO KEY UPDATE OF w SKIP LOCKED) AS waiting
WHERE r.id = waiting.id"""
_DEPLOYMENTS = """
SELECT t.hold_id, d.id, f.name || '/' || d.name AS name,
    (SELECT count(*) FROM flow_run r WHERE r.deployment_id = d.id AND r.state_type = 'SCHEDULED' AND r.due <= %(now)s
    ) AS waiting
FROM deployment_hold t JOIN deployment d ON d.id = t.deployment_id JOIN flow f ON f.id = d.flow_id
WHERE t.hold_id = ANY(%(holds)s) ORDER BY name"""
#: Deployments by id, with the number of their runs that are due and have not begun.
_NAMED = """
SELECT d.id, f.name || '/' || d.name AS name,
    (SELECT count(*) FROM flow_run r WHERE r.deployment_id = d.id AND r.state_type = 'SCHEDULED' AND r.due <= %(now)s
    ) AS waiting
FROM deployment d JOIN flow f ON f.id = d.flow_id WHERE d.id = ANY(%(ids)s) ORDER BY name"""
_SINCE = """
SELECT id, event, resource FROM event WHERE id > %(after)s AND received >= %(placed)s AND event LIKE %(like)s
ORDER BY id LIMIT %(look)s"""


@dataclass(frozen=True)
class Wanted:
    """What a hold is to be; :func:`place` says what fits together."""

    #: Labels of the resources that are held.
    match: dict[str, Any]
    kind: str
    reason: str
    slots: int | None = None
    delay_s: float | None = None
    until: datetime | None = None
    #: ``{"event": pattern, "match": labels}``.
    until_event: dict[str, Any] | None = None


@dataclass(frozen=True)
class HoldRow:
    """A hold and what it holds: deployments by name, ``{"id", "name", "waiting"}`` with the number of waiting runs."""

    hold: Hold
    deployments: list[dict[str, Any]]


@dataclass(frozen=True)
class Preview:
    """What a hold would be on, and what it would hold."""

    #: Ids of resources, the first :data:`RESOURCES_NAMED` of ``number``.
    resources: list[str]
    number: int
    #: As :class:`HoldRow` has them.
    deployments: list[dict[str, Any]]


def preview(session: Session, match: Mapping[str, Any], now: datetime) -> Preview:
    """What a hold on these would hold, if it were placed now. Raises InvalidInput where nothing is named."""
    if not match:
        raise InvalidInput(f"match: {_NOTHING_NAMED}", {"match": [_NOTHING_NAMED]})
    found = touching.selected(session, match)
    rows = fetch(session, _NAMED, {"ids": touching.touching_ids(session, found), "now": now})
    named = [{"id": row.id, "name": row.name, "waiting": row.waiting} for row in rows]
    return Preview(found[:RESOURCES_NAMED], len(found), named)


def place(session: Session, wanted: Wanted, actor: Actor, now: datetime, firing_id: uuid.UUID | None = None) -> HoldRow:
    """Put a hold on resources; it is in force at once.

    Raises:
        InvalidInput: A field is missing, or does not go with the kind.
        Conflict: As many holds are in force as there may be.
    """
    _check(wanted, now)
    if session.scalar(select(func.count()).where(Hold.released.is_(None))) >= IN_FORCE_MAX:  # type: ignore[operator]
        raise Conflict(f"{IN_FORCE_MAX} holds are in force already: release one with `orchestrator hold release`")
    hold = Hold(
        id=uuid7(now), match=wanted.match, kind=wanted.kind, slots=wanted.slots, delay_s=wanted.delay_s,
        reason=wanted.reason, until=wanted.until, until_event=wanted.until_event, placed=now,
        placed_by=actor.write(), firing_id=firing_id,
    )  # fmt: skip
    session.add(hold)
    session.flush()
    refresh(session, hold)
    row = _rows(session, [hold], now)[0]
    facts = {"kind": hold.kind, "reason": hold.reason, "match": hold.match, "until": hold.until and to_text(hold.until)}
    _announce(session, "placed", row, actor, now, **facts)
    return row


def release(session: Session, hold_id: uuid.UUID, actor: Actor, now: datetime, reason: str = "by hand") -> HoldRow:
    """Let go of what a hold holds; one that was released stays as it is. Raises NotFound."""
    hold = session.scalar(select(Hold).where(Hold.id == hold_id).with_for_update())
    if hold is None:
        raise NotFound(f"there is no hold {hold_id}")
    row = _rows(session, [hold], now)[0]
    if hold.released is not None:
        return row
    hold.released, hold.released_by, hold.release_reason = now, actor.write(), reason
    session.flush()
    execute(session, _UNHINT, {"hold": hold.id, "now": now})
    execute(session, _DROP, {"hold": hold.id, "deployments": []})
    _announce(session, "released", row, actor, now, reason=reason)
    return row


def get(session: Session, hold_id: uuid.UUID, now: datetime) -> HoldRow:
    """One hold. Raises NotFound."""
    hold = session.get(Hold, hold_id)
    if hold is None:
        raise NotFound(f"there is no hold {hold_id}")
    return _rows(session, [hold], now)[0]


def listing(
    session: Session,
    now: datetime,
    in_force: bool | None = None,
    on: str | None = None,
    limit: int = 50,
    cursor: str | None = None,
) -> Page[HoldRow]:
    """A page of holds, newest first.

    Args:
        in_force: Only those in force, or only those that were released; None: all.
        on: Only those in force that hold this resource, by its id.
    """
    query = select(Hold)
    if on is not None:
        query = query.where(Hold.id.in_(_on(session, on)))
    if in_force is not None:
        query = query.where(Hold.released.is_(None) if in_force else Hold.released.is_not(None))
    if cursor:
        query = query.where(Hold.id < decode_id(cursor))
    rows = session.scalars(query.order_by(Hold.id.desc()).limit(check_limit(limit) + 1)).all()
    return page(_rows(session, rows, now), limit, lambda row: (row.hold.id,))


def on_deployment(session: Session, deployment_id: uuid.UUID) -> list[Hold]:
    """The holds in force that hold a deployment, oldest first."""
    query = select(Hold).join(DeploymentHold, DeploymentHold.hold_id == Hold.id)
    query = query.where(DeploymentHold.deployment_id == deployment_id, Hold.released.is_(None))
    return list(session.scalars(query.order_by(Hold.id)))


def on_labels(session: Session, labels: Mapping[str, str]) -> list[Hold]:
    """The holds in force on the resource that has these labels, oldest first."""
    found = session.scalars(select(Hold).where(Hold.released.is_(None)).order_by(Hold.id))
    return [hold for hold in found if matches(hold.match, labels)]


def of_firing(session: Session, firing_id: uuid.UUID, match: Mapping[str, Any]) -> Hold | None:
    """The hold on this that a firing placed."""
    query = select(Hold).where(Hold.firing_id == firing_id, Hold.match == dict(match))
    return session.scalar(query.order_by(Hold.id.desc()).limit(1))


def placed_by(
    session: Session, firing_id: uuid.UUID, trigger_id: uuid.UUID | None, resource_id: str | None
) -> list[uuid.UUID]:
    """The holds in force that a firing placed, or any firing of a trigger.

    Args:
        resource_id: Only those on it, as it was written when they were placed.
    """
    query = select(Hold.id).where(Hold.released.is_(None)).order_by(Hold.id)
    if trigger_id is None:
        query = query.where(Hold.firing_id == firing_id)
    else:
        query = query.join(Firing, Firing.id == Hold.firing_id).where(Firing.trigger_id == trigger_id)
    if resource_id is not None:
        query = query.where(Hold.match == {"resource.id": resource_id})
    return list(session.scalars(query))


def refresh(session: Session, hold: Hold) -> None:
    """Work out anew which deployments a hold holds."""
    free = _told_by(session, hold)
    deployments = [found for found in touching.deployments_touching(session, hold.match) if found not in free]
    execute(session, _DROP, {"hold": hold.id, "deployments": deployments})
    execute(session, _PUT, {"hold": hold.id, "deployments": deployments})


def step(session: Session, now: datetime, batch: int) -> int:
    """What the loop does: release what is over, and see which deployments the others hold. Returns how many it saw."""
    query = select(Hold).where(Hold.released.is_(None)).order_by(Hold.id).limit(batch)
    holds = session.scalars(query.with_for_update(skip_locked=True)).all()
    for hold in holds:
        why = _over(session, hold, now)
        if why:
            release(session, hold.id, CLOCK, now, why)
        else:
            refresh(session, hold)
    return len(holds)


def _told_by(session: Session, hold: Hold) -> set[uuid.UUID]:
    """The deployments whose run told of the event that a hold was placed for, where it waits for another event: what
    checks a table has to run again, for its next success to let the table go.
    """
    firing = session.get(Firing, hold.firing_id) if hold.firing_id and hold.until_event else None
    event = firing.context.get("event") if firing is not None else None
    if not isinstance(event, Mapping):
        return set()
    run_id = first_of("flow-run", [event["resource"], *event["related"]])
    for _ in range(CHAIN_MAX):  # a subflow has no deployment, the run that it is part of has
        run = session.get(FlowRun, run_id) if run_id is not None else None
        if run is None:
            break
        if run.deployment_id is not None:
            return {run.deployment_id}
        run_id = run.parent_flow_run_id
    return set()


def _on(session: Session, resource_id: str) -> list[uuid.UUID]:
    holds = session.scalars(select(Hold).where(Hold.released.is_(None))).all()
    return [hold.id for hold in holds if resource_id in touching.selected(session, hold.match)]


def _over(session: Session, hold: Hold, now: datetime) -> str:
    """Why a hold is over; empty when it is not."""
    if hold.until is not None and hold.until <= now:
        return f"its time was over at {to_text(hold.until)}"
    if hold.until_event is None:
        return ""
    pattern, wanted = hold.until_event["event"], hold.until_event.get("match", {})
    beginning = pattern.split("*")[0].replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    after = uuid7_floor(hold.placed - _SKEW)
    while True:
        values = {"after": after, "placed": hold.placed, "like": beginning + "%", "look": LOOK}
        rows = fetch(session, _SINCE, values)
        for row in rows:
            if like(pattern, row.event) and matches(wanted, row.resource):
                return f"event {row.event} {row.id}"
        if len(rows) < LOOK:
            return ""
        after = rows[-1].id


def _check(wanted: Wanted, now: datetime) -> None:
    told = {
        "match": _NOTHING_NAMED if not wanted.match else "",
        "slots": "Goes with kind limit, and only with it." if (wanted.kind == "limit") != (wanted.slots is not None)
        else "",
        "delay_s": "Goes with kind delay, and only with it." if (wanted.kind == "delay") != (wanted.delay_s is not None)
        else "",
        "until": "Lies in the past." if wanted.until is not None and wanted.until <= now else "",
    }  # fmt: skip
    found = {field: [problem] for field, problem in told.items() if problem}
    if found:
        field, (problem,) = next(iter(found.items()))
        raise InvalidInput(f"{field}: {problem}", found)


def _rows(session: Session, holds: Sequence[Hold], now: datetime) -> list[HoldRow]:
    found: dict[uuid.UUID, list[dict[str, Any]]] = {hold.id: [] for hold in holds}
    for row in fetch(session, _DEPLOYMENTS, {"holds": list(found), "now": now}):
        found[row.hold_id].append({"id": row.id, "name": row.name, "waiting": row.waiting})
    return [HoldRow(hold, found[hold.id]) for hold in holds]


def _announce(session: Session, verb: str, row: HoldRow, actor: Actor, now: datetime, **payload: Any) -> None:
    about = resource("hold", row.hold.id, title(row.hold.match))
    related = [resource("deployment", item["id"], item["name"], "deployment") for item in row.deployments]
    exact = row.hold.match.get("resource.id")
    if isinstance(exact, str) and "*" not in exact and not exact.startswith("!"):
        related.insert(0, {"resource.id": exact, "resource.role": "held"})
    announce(session, f"hold.{verb}", about, actor, now, related[:RELATED_NAMED], **payload)


def title(match: Mapping[str, Any] | Selector) -> str:
    """What a hold is called: what it holds."""
    return f"hold on {selector_text(match)}"
