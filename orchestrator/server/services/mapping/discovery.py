"""Discovery: looks through blocks by the clock, each an errand on an agent.

A block that can be looked through has a row here from its first save. There is never more than one look of a block at
a time; what a look sends is taken from that look alone. A look that fails changes nothing of what is known.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from ....clock import to_text
from ....documents.records import Actor, WaitingReason
from ....errors import Conflict, InvalidInput
from ....ids import uuid7_from
from ...config import current
from ...db.models import Block, Discovery, WorkQueue
from ..configuring import blocks
from ..recording import events
from ..recording.announcements import announce
from ..recording.announcements import resource as label
from ..running import errands, waiting, work_queues
from ..statements import TERMINAL_TYPES, fetch
from . import resources

#: Looks under way at once, in all and in one queue: people's runs come first.
IN_FLIGHT, IN_ONE_QUEUE = 10, 4
INTERVAL_MIN, INTERVAL_MAX = 10, 30 * 86_400
#: How much an interval is lengthened or shortened, at random, so that looks spread.
JITTER = 0.1
#: Longest time to the next look after failures, where the interval is not longer.
BACK_OFF_MAX = timedelta(hours=1)
#: Events of things that happened longer ago than this carry the time of the look before in their ids.
_MARGIN = timedelta(days=1, hours=1)
CLOCK = Actor("server", name="discovery")

_NEW = """
INSERT INTO discovery (block_id, next_due, created)
SELECT b.id, %(now)s, %(now)s FROM block b JOIN block_type t ON t.id = b.block_type_id
WHERE 'discoverable' = ANY(t.interfaces) AND b.name IS NOT NULL
    AND NOT EXISTS (SELECT 1 FROM discovery d WHERE d.block_id = b.id)
ORDER BY b.id LIMIT %(batch)s ON CONFLICT DO NOTHING RETURNING block_id"""
#: Due blocks whose queue has an agent; without one nothing is queued up, and the block says what it waits for.
_DUE = f"""
SELECT d.block_id, coalesce(q.name, '{errands.DEFAULT_QUEUE}') AS queue
FROM discovery d LEFT JOIN work_queue q ON q.id = d.work_queue_id
WHERE d.active AND d.flow_run_id IS NULL AND d.next_due <= %(now)s AND NOT coalesce(q.paused, false)
    AND EXISTS (SELECT 1 FROM agent a WHERE a.stopped IS NULL AND a.last_heartbeat >= %(heard)s
        AND coalesce(q.name, '{errands.DEFAULT_QUEUE}') = ANY(a.queues))
ORDER BY d.next_due, d.block_id LIMIT %(batch)s FOR UPDATE OF d SKIP LOCKED"""
_BUSY = f"""
SELECT coalesce(q.name, '{errands.DEFAULT_QUEUE}') AS queue, count(*) AS looks
FROM discovery d LEFT JOIN work_queue q ON q.id = d.work_queue_id WHERE d.flow_run_id IS NOT NULL GROUP BY 1"""
_ENDED = f"""
SELECT d.block_id, r.state_type, r.state_name, r.state_message
FROM discovery d JOIN flow_run r ON r.id = d.flow_run_id WHERE r.state_type IN ({TERMINAL_TYPES})
ORDER BY d.block_id LIMIT %(batch)s FOR UPDATE OF d SKIP LOCKED"""

_HOW = f"SELECT state_name, state_message FROM flow_run WHERE id = %(id)s AND state_type IN ({TERMINAL_TYPES})"

_SERVED = """
SELECT EXISTS (SELECT 1 FROM agent WHERE stopped IS NULL AND last_heartbeat >= %(heard)s
        AND %(queue)s = ANY(queues)) AS online,
    EXISTS (SELECT 1 FROM work_queue WHERE name = %(queue)s AND paused) AS paused"""


@dataclass(frozen=True)
class Standing:
    """How the discovery of a block is set, and how it goes."""

    block: Block
    row: Discovery
    work_queue: str
    waiting_reason: WaitingReason | None


def get(session: Session, ref: str | uuid.UUID, now: datetime) -> Standing:
    """How a block is looked through. Raises NotFound, or InvalidInput where its kind cannot be."""
    block = errands.able(session, "discover", ref)
    row = session.get(Discovery, block.id) or _fresh(block, now)
    queue = session.get(WorkQueue, row.work_queue_id) if row.work_queue_id else None
    name = queue.name if queue is not None else errands.DEFAULT_QUEUE
    return Standing(block, row, name, _waits_for(session, row, name, now))


def change(session: Session, ref: str | uuid.UUID, values: Mapping[str, Any], actor: Actor, now: datetime) -> Standing:
    """Set ``active``, ``interval_s`` or ``work_queue`` (its name). Raises as :func:`get`, and InvalidInput."""
    block = errands.able(session, "discover", ref)
    row = _row(session, block, now)
    before = _plain(session, row)
    interval = values.get("interval_s", row.interval_s)
    if not INTERVAL_MIN <= interval <= INTERVAL_MAX:
        problem = f"Must be {INTERVAL_MIN} s to {INTERVAL_MAX // 86_400} days."
        raise InvalidInput(f"interval_s: {problem}", {"interval_s": [problem]})
    if "work_queue" in values:
        row.work_queue_id = work_queues.ensure(session, values["work_queue"], now, actor).id
    if interval != row.interval_s or (values.get("active") and not row.active):
        # From now on, or at once where it was off.
        row.next_due = now if not row.active else min(row.next_due, now + _about(interval))
    row.interval_s, row.active = interval, values.get("active", row.active)
    session.flush()
    about = label("block", block.id, blocks.label(block))
    announce(session, "discovery.updated", about, actor, now, before=before, after=_plain(session, row))
    return get(session, block.id, now)


def look_now(session: Session, ref: str | uuid.UUID, actor: Actor, now: datetime) -> uuid.UUID:
    """Have a block looked through, also one that is off; returns the flow run, or that of the look under way."""
    block = errands.able(session, "discover", ref)
    row = _row(session, block, now)
    if row.flow_run_id is not None:
        _settle(session, row, now)
    if row.flow_run_id is not None:
        return row.flow_run_id
    queue = session.get(WorkQueue, row.work_queue_id) if row.work_queue_id else None
    run = _begin(session, row, block, queue.name if queue else errands.DEFAULT_QUEUE, actor, errands.ASKED, now)
    errands.note(session, "discover", block, run, actor, now)
    return run


def step(session: Session, now: datetime, batch: int) -> int:
    """What the loop does: settle looks that ended, take in new blocks, begin looks; the largest of these numbers."""
    ended = _of(session, fetch(session, _ENDED, {"batch": batch}))
    for row in ended:
        _settle(session, row, now)
    taken = fetch(session, _NEW, {"now": now, "batch": batch})
    orphans = resources.forget_orphans(session, now, batch)
    _begin_due(session, now, batch)
    return max(len(ended), len(taken), orphans)


def under_way(session: Session, block_id: uuid.UUID, run_id: uuid.UUID | None) -> tuple[Block, Discovery]:
    """The block and the row of the look that a request speaks for. Raises Conflict where it is another's."""
    row = session.scalar(select(Discovery).where(Discovery.block_id == block_id).with_for_update())
    if row is None or row.flow_run_id is None or row.flow_run_id != run_id:
        raise Conflict(f"no look through block {block_id} is under way by this run")
    return blocks.get(session, block_id), row


def cursor(session: Session, block_id: uuid.UUID, run_id: uuid.UUID | None) -> tuple[Any, bool]:
    """Where the last good look ended, and whether there was one. Raises as :func:`under_way`."""
    query = select(Discovery.cursor, Discovery.last_ok).where(
        Discovery.block_id == block_id, Discovery.flow_run_id == run_id
    )
    found = session.execute(query).first()
    if found is None or run_id is None:
        raise Conflict(f"no look through block {block_id} is under way by this run")
    return found[0], found[1] is None


def observed(
    session: Session, block: Block, row: Discovery, items: Sequence[Mapping[str, Any]], now: datetime
) -> events.Ingested:
    """Record what happened in a system; of one key once, however often it is told."""
    since = row.last_ok or row.created
    return events.ingest(session, [_raw(block, item, since, now) for item in items], now, "block")


def finish(
    session: Session,
    block: Block,
    row: Discovery,
    *,
    cursor: Any,
    found: int,
    is_complete: bool,
    notice: str,
    now: datetime,
) -> int:
    """End a good look; what a whole one did not find has vanished. Returns how many resources that are."""
    gone = resources.vanish(session, block, row.asked or row.created, now) if is_complete else 0
    if row.failures:
        about = label("block", block.id, blocks.label(block))
        announce(session, "discovery.recovered", about, CLOCK, now, failures=row.failures)
    values = {"last_ok": now, "failures": 0, "error": "", "notice": notice, "found": found, "cursor": cursor}
    session.execute(update(Discovery).where(Discovery.block_id == block.id).values(values))
    return gone


def back_off(interval_s: int, failures: int) -> timedelta:
    """Time to the next look after so many failures in a row: doubling, up to an hour."""
    longest = max(BACK_OFF_MAX.total_seconds(), interval_s)
    return timedelta(seconds=min(interval_s * 2.0 ** min(failures, 20), longest))


def _plain(session: Session, row: Discovery) -> dict[str, Any]:
    queue = session.get(WorkQueue, row.work_queue_id) if row.work_queue_id else None
    named = queue.name if queue is not None else errands.DEFAULT_QUEUE
    return {"active": row.active, "interval_s": row.interval_s, "work_queue": named}


def _begin_due(session: Session, now: datetime, batch: int) -> None:
    busy = {row.queue: row.looks for row in fetch(session, _BUSY, {})}
    room = IN_FLIGHT - sum(busy.values())
    if room <= 0:
        return
    due = fetch(session, _DUE, {"now": now, "heard": now - 3 * current().heartbeat, "batch": batch})
    rows = {row.block_id: row for row in _of(session, due)}
    for block_id, queue in due:
        if room <= 0 or busy.get(queue, 0) >= IN_ONE_QUEUE:
            continue
        room, busy[queue] = room - 1, busy.get(queue, 0) + 1
        block = blocks.get(session, block_id)
        _begin(session, rows[block_id], block, queue, CLOCK, errands.BY_THE_CLOCK, now)


def _begin(
    session: Session, row: Discovery, block: Block, queue: str, actor: Actor, priority: int, now: datetime
) -> uuid.UUID:
    parameters, about = {"block_id": str(block.id)}, blocks.label(block)
    run_id = errands.start(
        session, "discover", parameters, work_queue=queue, actor=actor, now=now, about=about, priority=priority
    )
    row.flow_run_id, row.asked, row.last_run = run_id, now, now
    row.next_due = now + _about(row.interval_s)
    session.flush()
    return run_id


def _settle(session: Session, row: Discovery, now: datetime) -> None:
    """Let go of the look under way, if it ended; note why it failed, if it did."""
    ended = fetch(session, _HOW, {"id": row.flow_run_id})
    if not ended:
        return
    row.flow_run_id = None
    if row.last_ok is None or row.asked is None or row.last_ok < row.asked:
        row.failures += 1
        row.error = ended[0].state_message or f"the look ended as {ended[0].state_name}"
        row.next_due = now + _jittered(back_off(row.interval_s, row.failures))
        if row.failures == 1:
            block = blocks.get(session, row.block_id)
            about = label("block", block.id, blocks.label(block))
            announce(session, "discovery.failed", about, CLOCK, now, error=row.error)
    session.flush()


def _of(session: Session, found: Sequence[Any]) -> list[Discovery]:
    ids = [row.block_id for row in found]
    return list(session.scalars(select(Discovery).where(Discovery.block_id.in_(ids)))) if ids else []


def _row(session: Session, block: Block, now: datetime) -> Discovery:
    query = select(Discovery).where(Discovery.block_id == block.id).with_for_update()
    found = session.scalar(query)
    if found is None:
        # The loop may be taking it in right now.
        fresh = {"block_id": block.id, "next_due": now, "created": now}
        session.execute(insert(Discovery).values(fresh).on_conflict_do_nothing())
        found = session.scalars(query).one()
    return found


def _fresh(block: Block, now: datetime) -> Discovery:
    return Discovery(
        block_id=block.id, active=True, interval_s=300, next_due=now, failures=0, error="", notice="", found=0,
        created=now,
    )  # fmt: skip


def _waits_for(session: Session, row: Discovery, queue: str, now: datetime) -> WaitingReason | None:
    """Why the next look does not begin; None where nothing is in its way."""
    if row.flow_run_id is not None:
        return waiting.why(session, row.flow_run_id, now)
    if not row.active or row.next_due > now:
        return None
    served = fetch(session, _SERVED, {"queue": queue, "heard": now - 3 * current().heartbeat})
    if not served[0].online:
        start = f"orchestrator agent start -q {queue}"
        return WaitingReason("no-agent-on-queue", f"No agent serves work queue {queue}: start one with `{start}`.")
    if served[0].paused:
        return WaitingReason("queue-paused", f"Work queue {queue} is paused: resume it.")
    return WaitingReason("any-moment", "An agent will look in a moment.")


def _raw(block: Block, item: Mapping[str, Any], since: datetime, now: datetime) -> dict[str, Any]:
    """An observed event as events come from outside."""
    occurred: datetime | None = item["occurred"]
    identifier = None
    if item["key"]:
        oldest = now - current().event_retention + _MARGIN
        is_recent = occurred is not None and oldest <= occurred <= now + events.AHEAD_MAX
        at = occurred if is_recent and occurred is not None else max(since, oldest)
        identifier = str(uuid7_from(at, f"{block.id}\n{item['event']}\n{item['key']}"))
    subject = item["resource"]
    return {
        "id": identifier,
        "event": item["event"],
        "occurred": to_text(occurred or now),
        "resource": {**_texts(subject["labels"]), **resources.labels_of(subject)},
        "related": resources.related_of(block, subject),
        "payload": item["payload"],
    }


def _texts(labels: Mapping[str, Any]) -> dict[str, str]:
    return {key: str(value) for key, value in labels.items() if value is not None}


def _about(interval_s: int) -> timedelta:
    return _jittered(timedelta(seconds=interval_s))


def _jittered(time: timedelta) -> timedelta:
    return time * random.uniform(1 - JITTER, 1 + JITTER)
