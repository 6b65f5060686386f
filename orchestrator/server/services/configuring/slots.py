"""Slots of limits that code holds: taken together, in the order of arrival; each a lease that its process renews.

Whoever waits has a ticket. Slots are handed to tickets by whoever looks first: a request that comes, one that gives
back, or a process of the API in which others wait. Each look locks its limits before it counts.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from ....errors import InvalidInput, NotFound
from .. import ticks
from ..statements import execute, fetch
from . import slot_rules
from .slot_rules import Limit, Ticket

#: How long a ticket is kept for the next question of its process, beyond the time that it said it waits; and a slot
#: for the process that waited for it.
PATIENCE = timedelta(seconds=15)
#: An expiry counts only when the API has been up for this long: before, nobody could renew.
UP_FOR = timedelta(seconds=60)
#: Tickets that one look goes through.
LOOKED_AT = 500

_NAMED = """
SELECT id, name, slots, active, slot_decay_per_second AS decay, block_id FROM resource_limit
WHERE name = ANY(%(names)s) ORDER BY id"""
#: A statement of its own: what is held has to be counted in a snapshot made after the lock was granted.
_LOCK = """
SELECT id, slots, active, slot_decay_per_second AS decay, level, level_at FROM resource_limit
WHERE id = ANY(%(limits)s) ORDER BY id FOR NO KEY UPDATE"""
_LIMITS = _LOCK.replace("FOR NO KEY UPDATE", "")
_ASK = """
INSERT INTO slot_lease AS s (id, limit_id, occupy, parts, holder, flow_run_id, root_run_id, task_run_id, asked, expires)
SELECT %(id)s, l, %(occupy)s, %(parts)s, %(holder)s, %(flow_run)s, %(root_run)s, %(task_run)s, %(now)s, %(waits_until)s
FROM unnest(%(limits)s::uuid[]) AS t(l)
ON CONFLICT (id, limit_id) DO UPDATE SET parts = excluded.parts,
    expires = CASE WHEN s.taken IS NULL THEN excluded.expires ELSE %(held_until)s END"""
_STANDING = f"""
SELECT id, limit_id, occupy, parts, asked, taken, expires FROM slot_lease
WHERE limit_id = ANY(%(limits)s) AND taken IS NOT NULL
UNION ALL (SELECT id, limit_id, occupy, parts, asked, taken, expires FROM slot_lease
    WHERE limit_id = ANY(%(limits)s) AND taken IS NULL ORDER BY asked, id LIMIT {LOOKED_AT})"""
#: In one order everywhere, so that no two transactions wait for each other.
_TOUCH = """
SELECT id FROM slot_lease WHERE id = ANY(%(ids)s) AND limit_id = ANY(%(limits)s) ORDER BY id, limit_id FOR UPDATE"""
_FORGET = "DELETE FROM slot_lease WHERE id = ANY(%(ids)s) AND limit_id = ANY(%(limits)s) AND expires < %(now)s"
_GRANT = """
UPDATE slot_lease SET taken = %(now)s, expires = %(until)s WHERE id = ANY(%(ids)s) AND taken IS NULL"""
_FILL = "UPDATE resource_limit SET level = %(level)s, level_at = %(now)s WHERE id = %(limit)s"
_PICK_UP = """
WITH mine AS (UPDATE slot_lease s SET expires = %(held_until)s FROM resource_limit l
    WHERE s.id = %(id)s AND s.taken IS NOT NULL AND l.id = s.limit_id
    RETURNING s.limit_id, l.slot_decay_per_second IS NOT NULL AS is_rate)
SELECT limit_id, is_rate FROM mine"""
_SPENT = "DELETE FROM slot_lease WHERE id = %(id)s AND limit_id = ANY(%(limits)s)"
_LINKED = """
SELECT DISTINCT o.limit_id FROM slot_lease t JOIN slot_lease o ON o.id = t.id
WHERE t.limit_id = ANY(%(limits)s) AND t.taken IS NULL"""
_OF = (
    "SELECT DISTINCT limit_id FROM slot_lease WHERE id = %(id)s AND (%(root)s::uuid IS NULL OR root_run_id = %(root)s)"
)
_RELEASE = "DELETE FROM slot_lease WHERE id = %(id)s"
_RENEW = """
WITH mine AS (SELECT id, limit_id FROM slot_lease WHERE id = ANY(%(ids)s) AND taken IS NOT NULL
    AND (%(root)s::uuid IS NULL OR root_run_id = %(root)s) ORDER BY id, limit_id FOR UPDATE)
UPDATE slot_lease s SET expires = greatest(s.expires, %(until)s) FROM mine
WHERE s.id = mine.id AND s.limit_id = mine.limit_id RETURNING s.id"""
_END = """
WITH theirs AS (SELECT id, limit_id FROM slot_lease WHERE flow_run_id = ANY(%(runs)s) OR root_run_id = ANY(%(runs)s)
    ORDER BY id, limit_id FOR UPDATE)
DELETE FROM slot_lease s USING theirs t WHERE s.id = t.id AND s.limit_id = t.limit_id"""
_EXPIRED = """
WITH old AS (SELECT id, limit_id FROM slot_lease WHERE expires < %(now)s AND (%(all)s OR taken IS NULL)
    ORDER BY id, limit_id LIMIT %(batch)s FOR UPDATE SKIP LOCKED)
DELETE FROM slot_lease s USING old WHERE s.id = old.id AND s.limit_id = old.limit_id"""
_FOUND = "SELECT id, bool_and(taken IS NOT NULL) AS is_taken FROM slot_lease WHERE id = ANY(%(ids)s) GROUP BY id"


@dataclass(frozen=True)
class Request:
    """What code asks for."""

    id: uuid.UUID
    names: Sequence[str]
    occupy: int
    #: Seconds that the slots are held without being renewed.
    lease_s: float
    holder: str = ""
    flow_run_id: uuid.UUID | None = None
    root_run_id: uuid.UUID | None = None
    task_run_id: uuid.UUID | None = None
    #: Whether each of the names has to be an active limit, and whether each has to have slots that come back.
    strict: bool = False
    rate: bool = False


@dataclass(frozen=True)
class Answer:
    """What became of a request."""

    granted: bool
    #: Limits that it holds slots of, or waits for.
    limits: list[uuid.UUID]
    #: Names that limit nothing: there is no such limit, or it is not active.
    unlimited: list[str]
    #: Whether there is nothing to give back: all slots come back by themselves.
    is_spent: bool = False


def ask(session: Session, request: Request, wait: timedelta, now: datetime) -> Answer:
    """Take slots, or a place among those who wait; asked again under the same id it keeps its place.

    Args:
        wait: How long its process waits before it asks again.

    Raises:
        NotFound: ``strict``, and there is no such limit or it is not active.
        InvalidInput: More slots than there are, or a limit that is not made for this.
    """
    named = fetch(session, _NAMED, {"names": list(request.names)})
    _check(request, named)
    found = [row for row in named if row.active]
    limits = [row.id for row in found]
    unlimited = sorted(set(request.names) - {row.name for row in found})
    if not limits:
        return Answer(True, [], unlimited, True)
    locked = _limits(session, _LOCK, limits)
    times = {"now": now, "held_until": now + timedelta(seconds=request.lease_s), "waits_until": now + wait + PATIENCE}
    facts = {
        "id": request.id, "occupy": request.occupy, "holder": request.holder, "flow_run": request.flow_run_id,
        "root_run": request.root_run_id, "task_run": request.task_run_id, "limits": limits, "parts": len(limits),
    }  # fmt: skip
    execute(session, _ASK, {**facts, **times})
    _hand_out(session, locked, now)
    mine = fetch(session, _PICK_UP, {"id": request.id, "held_until": times["held_until"]})
    if len(mine) < len(limits):
        return Answer(False, limits, unlimited)
    spent = [row.limit_id for row in mine if row.is_rate]
    if spent:
        execute(session, _SPENT, {"id": request.id, "limits": spent})
    return Answer(True, limits, unlimited, len(spent) == len(mine))


def _check(request: Request, named: Sequence[Any]) -> None:
    there = {row.name for row in named if row.active}
    if request.strict and (missing := [name for name in request.names if name not in there]):
        idle = {row.name for row in named}
        told = [f"{name} is not active" if name in idle else f"there is no limit {name}" for name in missing]
        raise NotFound(f"{', '.join(told)}: `orchestrator limit create {missing[0]} --slots N` makes one")
    for row in named:
        problem = ""
        if row.block_id is not None:
            problem = f"{row.name} is the limit of a block: loading the block takes its slot"
        elif request.rate and row.decay is None:
            problem = f"{row.name} has no slot_decay_per_second: its slots never come back by themselves"
        elif row.active and request.occupy > row.slots:
            problem = f"occupy is {request.occupy}, and {row.name} has {row.slots} slots in all"
        if problem:
            raise InvalidInput(problem, {"names": [problem]})


def release(session: Session, request_id: uuid.UUID, now: datetime, root_run_id: uuid.UUID | None = None) -> bool:
    """Give back what a request holds, or its place; others get it at once. Tells whether there was something.

    Args:
        root_run_id: Only of this run.
    """
    limits = [row.limit_id for row in fetch(session, _OF, {"id": request_id, "root": root_run_id})]
    if not limits:
        return False
    locked = _limits(session, _LOCK, _linked(session, limits))
    execute(session, _RELEASE, {"id": request_id})
    _hand_out(session, locked, now)
    return True


def renew(
    session: Session, ids: Sequence[uuid.UUID], lease_s: float, now: datetime, root_run_id: uuid.UUID | None = None
) -> list[uuid.UUID]:
    """Hold slots for longer; returns the requests that hold nothing any more."""
    until = now + timedelta(seconds=lease_s)
    kept = {row.id for row in fetch(session, _RENEW, {"ids": list(ids), "until": until, "root": root_run_id})}
    return [one for one in ids if one not in kept]


def end_with(session: Session, run_ids: Sequence[uuid.UUID]) -> int:
    """Take back all that the code of ended runs holds or waits for; returns how much it was."""
    return execute(session, _END, {"runs": list(run_ids)})


def sweep(session: Session, now: datetime, batch: int) -> int:
    """Take back what is not renewed, and forget who waits no longer."""
    counts = ticks.api_up_for(session, now) >= UP_FOR
    return execute(session, _EXPIRED, {"now": now, "all": counts, "batch": batch})


def linked(session: Session, ids: Collection[uuid.UUID]) -> list[uuid.UUID]:
    """All limits that these requests wait for, and those that others beside them wait for as well."""
    found = fetch(session, "SELECT DISTINCT limit_id FROM slot_lease WHERE id = ANY(%(ids)s)", {"ids": list(ids)})
    return _linked(session, [row.limit_id for row in found])


def is_time(session: Session, limits: Sequence[uuid.UUID], now: datetime) -> bool:
    """Whether :func:`hand_out` would do something; asked without locks."""
    known = _limits(session, _LIMITS, limits)
    rows = fetch(session, _STANDING, {"limits": list(known)})
    return any(row.expires < now for row in rows) or bool(_due(known, rows, now))


def hand_out(session: Session, limits: Sequence[uuid.UUID], now: datetime) -> None:
    """Give free slots to those who wait."""
    _hand_out(session, _limits(session, _LOCK, limits), now)


def settled(session: Session, ids: Collection[uuid.UUID]) -> set[uuid.UUID]:
    """Those of the requests that need not wait any longer: they have their slots, or lost their place."""
    rows = {row.id: row.is_taken for row in fetch(session, _FOUND, {"ids": list(ids)})}
    return {one for one in ids if rows.get(one, True)}


def _hand_out(session: Session, limits: dict[uuid.UUID, Limit], now: datetime) -> None:
    rows = fetch(session, _STANDING, {"limits": list(limits)})
    old = {row.id for row in rows if row.expires < now}
    if any(row.taken is not None for row in rows if row.id in old) and ticks.api_up_for(session, now) < UP_FOR:
        old -= {row.id for row in rows if row.taken is not None}
    due = _due(limits, [row for row in rows if row.id not in old], now)
    if not due and not old:
        return
    touched = {"ids": [*old, *(ticket.id for ticket in due)], "limits": list(limits)}
    still = {row.id for row in fetch(session, _TOUCH, touched)}
    if old & still:
        execute(session, _FORGET, {"ids": [*old & still], "limits": list(limits), "now": now})
    taken = [ticket for ticket in due if ticket.id in still]
    if taken:
        execute(session, _GRANT, {"ids": [ticket.id for ticket in taken], "now": now, "until": now + PATIENCE})
    for limit in limits.values():
        spent = sum(ticket.occupy for ticket in taken if limit.id in ticket.limits)
        if spent and limit.decay is not None:
            at = max(now, limit.level_at or now)
            execute(session, _FILL, {"limit": limit.id, "level": limit.level_now(now) + spent, "now": at})


def _due(limits: dict[uuid.UUID, Limit], rows: Sequence[Any], now: datetime) -> list[Ticket]:
    held: dict[uuid.UUID, int] = dict.fromkeys(limits, 0)
    waiting: dict[uuid.UUID, list[Any]] = {}
    for row in rows:
        if row.taken is not None:
            held[row.limit_id] += row.occupy
        else:
            waiting.setdefault(row.id, []).append(row)
    order = sorted(waiting.values(), key=lambda parts: (parts[0].asked, parts[0].id))
    tickets = [
        Ticket(parts[0].id, frozenset(row.limit_id for row in parts), parts[0].occupy, len(parts) >= parts[0].parts)
        for parts in order
    ]  # fmt: skip
    free = {key: limit.free(held[key], now) for key, limit in limits.items()}
    return slot_rules.granted(tickets, limits, free)


def _limits(session: Session, statement: str, ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, Limit]:
    rows = fetch(session, statement, {"limits": sorted(ids)})
    return {row.id: Limit(row.id, row.slots, row.active, row.decay, row.level, row.level_at) for row in rows}


def _linked(session: Session, limits: Sequence[uuid.UUID]) -> list[uuid.UUID]:
    found = {row.limit_id for row in fetch(session, _LINKED, {"limits": limits})} if limits else set()
    return sorted(found | {*limits})
