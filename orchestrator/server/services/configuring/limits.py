"""Limits: how many may hold something at once. People make them, and code takes their slots (:mod:`.slots`); or a block
declares one by ``max_connections``: it is held by at most so many runs at once, by fewer where it lets each have
several (``connections_per_run``).

A lease of a block's limit is bound to one attempt of a run. How many are taken is counted whenever it is asked, over
runs that are live at that attempt: what a lost run held is free as soon as the run is known to be lost, and no count
can drift.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from .... import clock
from ....clock import to_text
from ....documents.records import Actor
from ....errors import Conflict, InvalidInput, NotFound, TransitionRefused
from ....ids import uuid7
from ...db.models import Block, ResourceLimit
from ..paging import Page, check_limit, decode, page
from ..recording.announcements import announce, resource
from ..statements import execute, fetch, held
from .block_lookup import label
from .slot_rules import Limit

#: The field by which a block declares its limit, the one that tells what each run may take of it, and the interface
#: that gives the fields this meaning.
FIELD, EACH, INTERFACE = "max_connections", "connections_per_run", "database"
#: Code of the refusal when all slots are taken.
FULL = "limit-full"
#: Holders that a refusal names.
NAMED = 5

_LIVE = f"""
limit_lease l JOIN flow_run r ON r.id = l.flow_run_id AND r.attempt = l.attempt AND {held("r")}"""

#: A statement of its own: who holds slots has to be counted in a snapshot made after the lock was granted.
_LOCK = "SELECT id, name, slots FROM resource_limit WHERE block_id = ANY(%(blocks)s) ORDER BY id FOR NO KEY UPDATE"

_HOLDERS = f"""
SELECT l.limit_id, l.flow_run_id, l.attempt, l.taken, r.name, f.name AS flow, d.name AS deployment
FROM {_LIVE} JOIN flow f ON f.id = r.flow_id LEFT JOIN deployment d ON d.id = r.deployment_id
WHERE l.limit_id = ANY(%(limits)s) ORDER BY l.taken, l.flow_run_id"""

#: Who holds slots by code, and who waits for some.
_SLOTS = """
SELECT s.id, s.limit_id, s.occupy, s.holder, s.flow_run_id, s.task_run_id, s.asked, s.taken, s.expires,
    r.name, r.attempt, f.name AS flow, d.name AS deployment
FROM slot_lease s JOIN resource_limit l ON l.id = s.limit_id LEFT JOIN flow_run r ON r.id = s.flow_run_id
LEFT JOIN flow f ON f.id = r.flow_id LEFT JOIN deployment d ON d.id = r.deployment_id
WHERE s.limit_id = ANY(%(limits)s) AND (s.taken IS NULL OR l.slot_decay_per_second IS NULL)
    AND (s.expires > %(now)s OR s.taken IS NOT NULL)
ORDER BY s.taken NULLS LAST, s.asked, s.id"""

_SWEEP = f"""
DELETE FROM limit_lease x WHERE x.limit_id = ANY(%(limits)s) AND NOT EXISTS (
    SELECT 1 FROM {_LIVE} WHERE l.limit_id = x.limit_id AND l.flow_run_id = x.flow_run_id AND l.attempt = x.attempt)"""

_TAKE = """
INSERT INTO limit_lease (limit_id, flow_run_id, attempt, taken) VALUES (%(limit)s, %(run)s, %(attempt)s, %(now)s)
ON CONFLICT DO NOTHING"""


@dataclass(frozen=True)
class Attempt:
    """One attempt of a flow run: what takes leases."""

    run_id: uuid.UUID
    number: int


@dataclass(frozen=True)
class LimitRow:
    """A limit with those that hold its slots, and those that wait for some."""

    limit: ResourceLimit
    #: ``{"id", "flow_run_id", "task_run_id", "name", "attempt", "flow", "deployment", "occupy", "taken", "expires"}``,
    #: those that took theirs first in front.
    holders: list[dict[str, Any]] = field(default_factory=list)
    #: Likewise, in the order in which they are served; ``asked`` in place of ``taken``.
    waiting: list[dict[str, Any]] = field(default_factory=list)
    #: When it was read.
    at: datetime | None = None

    @property
    def taken(self) -> int:
        """How many slots are taken."""
        if self.limit.slot_decay_per_second is None or self.at is None:
            return sum(holder["occupy"] for holder in self.holders)
        found = self.limit
        facts = Limit(found.id, found.slots, True, found.slot_decay_per_second, found.level, found.level_at)
        return math.ceil(facts.level_now(self.at) - 1e-9)


def create(
    session: Session,
    name: str,
    slots: int,
    actor: Actor,
    now: datetime,
    *,
    active: bool = True,
    slot_decay_per_second: float | None = None,
) -> LimitRow:
    """Make a limit whose slots code takes. Raises Conflict when there is one of that name."""
    values = {"name": name, "slots": slots, "active": active, "slot_decay_per_second": slot_decay_per_second}
    made = session.scalar(
        insert(ResourceLimit)
        .values(id=uuid7(now), created=now, updated=now, **values)
        .on_conflict_do_nothing(index_elements=["name"])
        .returning(ResourceLimit)
    )
    if made is None:
        raise Conflict(f"there is a limit {name} already")
    announce(session, "limit.created", resource("limit", made.id, made.name), actor, now, after=_plain(made))
    return LimitRow(made, at=now)


def change(session: Session, ref: str | uuid.UUID, changes: Mapping[str, Any], actor: Actor, now: datetime) -> LimitRow:
    """Change a limit: ``slots``, ``active``, ``slot_decay_per_second``; those that hold slots go on.

    Raises:
        NotFound: There is no such limit.
        Conflict: A block declares it: that says how it is.
    """
    found = _own(session, ref)
    before = _plain(found)
    if any(before[name] != value for name, value in changes.items()):
        for name, value in changes.items():
            setattr(found, name, value)
        found.updated = now
        session.flush()
        about = resource("limit", found.id, found.name)
        announce(session, "limit.updated", about, actor, now, before=before, after=_plain(found))
    return _with_holders(session, [found], now)[0]


def remove(session: Session, ref: str | uuid.UUID, actor: Actor, now: datetime) -> None:
    """Delete a limit: from then on it limits nothing. Raises as :func:`change`."""
    found = _own(session, ref)
    session.execute(delete(ResourceLimit).where(ResourceLimit.id == found.id))
    announce(session, "limit.deleted", resource("limit", found.id, found.name), actor, now, before=_plain(found))


def get(session: Session, ref: str | uuid.UUID, now: datetime) -> LimitRow:
    """A limit by name or id. Raises NotFound."""
    return _with_holders(session, [_find(session, ref)], now)[0]


def _find(session: Session, ref: str | uuid.UUID) -> ResourceLimit:
    column = ResourceLimit.id if isinstance(ref, uuid.UUID) else ResourceLimit.name
    found = session.scalar(select(ResourceLimit).where(column == ref))
    if found is None:
        raise NotFound(f"there is no limit {ref}: `orchestrator limit create {ref} --slots N` makes it")
    return found


def _own(session: Session, ref: str | uuid.UUID) -> ResourceLimit:
    found = _find(session, ref)
    if found.block_id is not None:
        raise Conflict(f"the limit {found.name} is declared by its block: change the block's {FIELD}")
    return found


def _plain(limit: ResourceLimit) -> dict[str, Any]:
    return {name: getattr(limit, name) for name in ("slots", "active", "slot_decay_per_second")}


def declare(session: Session, block: Block, actor: Actor, now: datetime) -> None:
    """Bring the limit of a saved block to what its field says: make it, change it, or remove it."""
    slots = _slots(block.data) if INTERFACE in block.block_type.interfaces else None
    found = session.scalar(select(ResourceLimit).where(ResourceLimit.block_id == block.id))
    had = found.slots if found is not None else None
    if slots == had:
        return
    if slots is None:
        session.execute(delete(ResourceLimit).where(ResourceLimit.block_id == block.id))
    elif found is None:
        name = f"block/{label(block)}"
        found = ResourceLimit(id=uuid7(now), name=name, slots=slots, block_id=block.id, created=now, updated=now)
        session.add(found)
    else:
        found.slots, found.updated = slots, now
    session.flush()
    assert found is not None
    verb = "deleted" if slots is None else "created" if had is None else "updated"
    related = [resource("block", block.id, label(block), "block")]
    before, after = ({"slots": number} if number is not None else None for number in (had, slots))
    about = resource("limit", found.id, found.name)
    announce(session, f"limit.{verb}", about, actor, now, related, before=before, after=after)


def _slots(data: Mapping[str, Any]) -> int | None:
    """How many runs a block's values let hold it; None: any number."""
    most, each = data.get(FIELD), data.get(EACH, 1)
    if not isinstance(most, int) or isinstance(most, bool) or most < 1:
        return None
    return max(1, most // each) if isinstance(each, int) and each > 1 else most


def take(session: Session, block_ids: Iterable[uuid.UUID], attempt: Attempt, now: datetime) -> None:
    """Have an attempt hold a slot of every limit of these blocks; what it holds already it keeps.

    Raises:
        TransitionRefused: All slots of one are taken; ``code`` is :data:`FULL`, the message names holders. The
            transaction is to be rolled back then, so that it keeps none of the others while it waits.
    """
    found = fetch(session, _LOCK, {"blocks": sorted(block_ids)})
    if not found:
        return
    limits = [row.id for row in found]
    execute(session, _SWEEP, {"limits": limits})
    holders = fetch(session, _HOLDERS, {"limits": limits})
    for limit in found:
        holding = [row for row in holders if row.limit_id == limit.id]
        if any((row.flow_run_id, row.attempt) == (attempt.run_id, attempt.number) for row in holding):
            continue
        if len(holding) >= limit.slots:
            raise TransitionRefused(_full(limit, holding), rule="limits", code=FULL)
        values = {"limit": limit.id, "run": attempt.run_id, "attempt": attempt.number, "now": now}
        execute(session, _TAKE, values)


def set_slots(session: Session, limit_id: uuid.UUID, slots: int, actor: Actor, now: datetime) -> ResourceLimit:
    """Let so many runs hold a limit at once, until its block is saved anew; those that hold it go on.

    Raises:
        NotFound: There is no such limit.
        InvalidInput: There would be no slot.
    """
    if slots < 1:
        raise InvalidInput("slots: a limit has at least one slot", {"slots": ["Must be at least 1."]})
    found = session.get(ResourceLimit, limit_id)
    if found is None:
        raise NotFound(f"there is no limit {limit_id}")
    if found.slots != slots:
        before, found.slots, found.updated = found.slots, slots, now
        session.flush()
        about = resource("limit", found.id, found.name)
        announce(session, "limit.updated", about, actor, now, before={"slots": before}, after={"slots": slots})
    return found


def listing(
    session: Session,
    limit: int = 50,
    cursor: str | None = None,
    *,
    prefix: str | None = None,
    name: str | None = None,
    now: datetime | None = None,
) -> Page[LimitRow]:
    """A page of limits with their holders, by name.

    Args:
        prefix: How the names begin.
        name: Part of the name, in any case.
    """
    query = select(ResourceLimit)
    if prefix is not None:
        query = query.where(ResourceLimit.name.startswith(prefix, autoescape=True))
    if name is not None:
        query = query.where(ResourceLimit.name.icontains(name, autoescape=True))
    if cursor:
        query = query.where(ResourceLimit.name > decode(cursor, str)[0])
    rows = session.scalars(query.order_by(ResourceLimit.name).limit(check_limit(limit) + 1)).all()
    found = page(rows, limit, lambda row: (row.name,))
    return Page(_with_holders(session, found.items, now or clock.now()), found.next)


def of_block(session: Session, block_id: uuid.UUID) -> LimitRow | None:
    """The limit that a block declares, with its holders; None where it declares none."""
    found = session.scalar(select(ResourceLimit).where(ResourceLimit.block_id == block_id))
    return None if found is None else _with_holders(session, [found], clock.now())[0]


def _with_holders(session: Session, found: Sequence[ResourceLimit], now: datetime) -> list[LimitRow]:
    rows = {row.id: LimitRow(row, at=now) for row in found}
    limits = {"limits": list(rows)}
    for holder in fetch(session, _HOLDERS, limits) if rows else ():
        facts = dict(holder._mapping)
        rows[facts.pop("limit_id")].holders.append({**facts, **_OF_A_BLOCK})
    for slot in fetch(session, _SLOTS, {**limits, "now": now}) if rows else ():
        facts = dict(slot._mapping)
        row, facts["name"] = rows[facts.pop("limit_id")], facts["name"] or facts.pop("holder")
        facts.pop("holder", None)
        (row.holders if slot.taken is not None else row.waiting).append(facts)
    return list(rows.values())


#: What holders of a block's limit have beside.
_OF_A_BLOCK: dict[str, Any] = {"id": None, "task_run_id": None, "occupy": 1, "asked": None, "expires": None}


def _full(limit: Any, holding: list[Any]) -> str:
    names = [f"{row.flow}/{row.name} since {to_text(row.taken)}" for row in holding[:NAMED]]
    more = [f"and {len(holding) - NAMED} more"] if len(holding) > NAMED else []
    return f"limit {limit.name}: {len(holding)} of {limit.slots} slots are taken, by {', '.join([*names, *more])}"
