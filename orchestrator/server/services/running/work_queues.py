"""Work queues: where runs wait for agents."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete as sql_delete
from sqlalchemy import or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from ....documents.records import Actor
from ....errors import Conflict, InvalidInput, NotFound
from ....ids import uuid7
from ....states import TERMINAL
from ...config import current
from ...db.models import Deployment, Flow, FlowRun, WorkQueue
from ..internal import FLOW_ID
from ..paging import Page, check_limit, decode, page
from ..recording.announcements import announce, resource
from ..schedule_statements import LATE_S
from ..statements import HANDED_OUT, fetch, held, serves
from .sharing import check_share_by

#: Most ended runs that may still remember a queue which is deleted.
REMEMBERED_MAX = 10_000
_NUMBERS = f"""
SELECT q.id, w.waiting, w.oldest, w.left_over,
    (SELECT count(*) FROM flow_run h WHERE h.work_queue_id = q.id AND {held("h")}) AS running,
    (SELECT count(*) FROM agent a WHERE a.stopped IS NULL AND a.last_heartbeat >= %(heard)s
        AND {serves("a", "q")}) AS agents
FROM work_queue q CROSS JOIN LATERAL (
    SELECT count(*) AS waiting, min(r.due) FILTER (WHERE r.backfill_id IS NULL) AS oldest,
        count(*) FILTER (WHERE {HANDED_OUT}) AS left_over
    FROM flow_run r WHERE r.work_queue_id = q.id AND r.state_type = 'SCHEDULED' AND r.due <= %(now)s) AS w
WHERE q.id = ANY(%(ids)s)"""
#: Who makes a queue where nobody asked for it.
SERVER = Actor("server")


@dataclass(frozen=True)
class WorkQueueRow:
    """A queue, how many runs wait in it (due now) and occupy its slots, and how it does.

    ``status`` is the first of these that applies:

    - ``PAUSED``: it hands out nothing.
    - ``DRAINING``: it hands out what it had when somebody drained it; ``DRAINED``: nothing of that is left.
    - ``NO_AGENTS``: no agent that is online serves it.
    - ``BEHIND``: runs that are due have waited for more than 15 seconds.
    - ``READY``.
    """

    queue: WorkQueue
    waiting: int
    running: int
    status: str = "NO_AGENTS"
    #: Agents that are online and serve it.
    agents: int = 0


def ensure(session: Session, name: str, now: datetime, actor: Actor = SERVER) -> WorkQueue:
    """The queue of that name, made if it is new. Any number may do this at once."""
    found = session.scalar(select(WorkQueue).where(WorkQueue.name == name))
    if found is None:
        add(session, [name], actor, now)
        found = session.scalars(select(WorkQueue).where(WorkQueue.name == name)).one()
    return found


def add(session: Session, names: Iterable[str], actor: Actor, now: datetime) -> None:
    """Make those queues that are not there yet."""
    rows = [{"id": uuid7(now), "name": name, "created": now} for name in sorted(set(names))]
    if not rows:
        return
    adding = insert(WorkQueue).values(rows).on_conflict_do_nothing(index_elements=["name"])
    for made in session.execute(adding.returning(WorkQueue.id, WorkQueue.name)).all():
        announce(session, "work-queue.created", resource("work-queue", made.id, made.name), actor, now, after={})


def create(
    session: Session,
    name: str,
    *,
    actor: Actor,
    now: datetime,
    description: str = "",
    concurrency_limit: int | None = None,
    paused: bool = False,
    ageing_s: int | None = None,
    share_by: str | None = None,
) -> WorkQueue:
    """Make a queue.

    Args:
        ageing_s: Seconds of waiting by which a run's priority rises by one; None: it does not rise.
        share_by: Whose runs take turns: ``deployment``, ``flow`` or ``tag:PREFIX``; None: nobody's.

    Raises:
        Conflict: There is one of that name.
        InvalidInput: A negative limit, or a key that is none.
    """
    values = {
        "id": uuid7(now), "name": name, "description": description, "concurrency_limit": concurrency_limit,
        "paused": paused, "ageing_s": ageing_s, "share_by": share_by, "created": now,
    }  # fmt: skip
    _check(values)
    made = session.execute(insert(WorkQueue).values(values).on_conflict_do_nothing().returning(WorkQueue.id)).first()
    if made is None:
        raise Conflict(f"there is a work queue {name} already")
    queue = get(session, made.id)
    announce(session, "work-queue.created", resource("work-queue", queue.id, name), actor, now, after=_plain(queue))
    return queue


def get(session: Session, ref: str | uuid.UUID) -> WorkQueue:
    """A queue by id or name. Raises NotFound."""
    condition = WorkQueue.id == ref if isinstance(ref, uuid.UUID) else WorkQueue.name == ref
    found = session.scalar(select(WorkQueue).where(condition))
    if found is None:
        raise NotFound(f"there is no work queue {ref}")
    return found


def named(session: Session, names: Iterable[str], prefixes: Sequence[str]) -> list[str]:
    """Those names, and after them the names of the queues that begin like one of the prefixes, each once."""
    if not prefixes:
        return list(dict.fromkeys(names))
    begins = or_(*(WorkQueue.name.startswith(prefix, autoescape=True) for prefix in prefixes))
    found = session.scalars(select(WorkQueue.name).where(begins).order_by(WorkQueue.name))
    return list(dict.fromkeys([*names, *found]))


def row(session: Session, ref: str | uuid.UUID, now: datetime) -> WorkQueueRow:
    """A queue with its numbers. Raises NotFound."""
    return _with_numbers(session, [get(session, ref)], now)[0]


def listing(session: Session, now: datetime, limit: int = 50, cursor: str | None = None) -> Page[WorkQueueRow]:
    """A page of queues, by name."""
    query = select(WorkQueue)
    if cursor:
        query = query.where(WorkQueue.name > decode(cursor, str)[0])
    rows = session.scalars(query.order_by(WorkQueue.name).limit(check_limit(limit) + 1)).all()
    found = page(rows, limit, lambda queue: (queue.name,))
    return Page(_with_numbers(session, found.items, now), found.next)


def change(
    session: Session, ref: str | uuid.UUID, values: Mapping[str, object], actor: Actor, now: datetime
) -> WorkQueue:
    """Set ``description``, ``paused``, ``draining`` (true: since now), ``concurrency_limit``, ``ageing_s`` or
    ``share_by``. Raises NotFound, InvalidInput.
    """
    queue = get(session, ref)
    _check(values)
    before = _plain(queue)
    for name, value in values.items():
        if name == "draining":
            value = (queue.draining or now) if value else None
        setattr(queue, name, value)
    session.flush()
    about, after = resource("work-queue", queue.id, queue.name), _plain(queue)
    if before != after:
        announce(session, "work-queue.updated", about, actor, now, before=before, after=after)
    return queue


def delete(session: Session, ref: str | uuid.UUID, actor: Actor, now: datetime) -> None:
    """Delete a queue; ended runs forget it.

    Raises:
        NotFound: There is no such queue.
        Conflict: Deployments use it, runs wait or go on in it, or very many ended runs remember it.
    """
    queue = get(session, ref)
    session.execute(select(WorkQueue.id).where(WorkQueue.id == queue.id).with_for_update())
    users = _deployments_of(session, queue.id)
    if users:
        raise Conflict(f"work queue {queue.name} is used by the deployments {', '.join(users)}")
    ended = FlowRun.state_type.in_([kind.value for kind in TERMINAL])
    if session.scalar(select(FlowRun.id).where(FlowRun.work_queue_id == queue.id, ~ended).limit(1)):
        raise Conflict(f"work queue {queue.name} has runs that have not ended")
    remembered = select(FlowRun.id).where(FlowRun.work_queue_id == queue.id).limit(REMEMBERED_MAX + 1)
    if len(session.scalars(remembered).all()) > REMEMBERED_MAX:
        raise Conflict(f"more than {REMEMBERED_MAX} ended runs are of work queue {queue.name}: pause it instead")
    session.execute(update(FlowRun).where(FlowRun.work_queue_id == queue.id).values(work_queue_id=None))
    session.execute(sql_delete(Deployment).where(Deployment.work_queue_id == queue.id, Deployment.flow_id == FLOW_ID))
    session.delete(queue)
    session.flush()
    about = resource("work-queue", queue.id, queue.name)
    announce(session, "work-queue.deleted", about, actor, now, before=_plain(queue))


def _plain(queue: WorkQueue) -> dict[str, Any]:
    names = ("description", "paused", "concurrency_limit", "ageing_s", "share_by")
    return {**{name: getattr(queue, name) for name in names}, "draining": queue.draining is not None}


def _deployments_of(session: Session, queue_id: uuid.UUID) -> list[str]:
    query = (
        select(Flow.name, Deployment.name)
        .join(Flow, Flow.id == Deployment.flow_id)
        .where(Deployment.work_queue_id == queue_id, Flow.id != FLOW_ID)
        .order_by(Flow.name, Deployment.name)
        .limit(10)
    )
    return [f"{flow}/{name}" for flow, name in session.execute(query)]


def _with_numbers(session: Session, queues: Sequence[WorkQueue], now: datetime) -> list[WorkQueueRow]:
    ids = [queue.id for queue in queues]
    found = {row.id: row for row in fetch(session, _NUMBERS, {"ids": ids, "now": now, "heard": _heard(now)})}
    rows = [(queue, found[queue.id]) for queue in queues]
    return [WorkQueueRow(queue, row.waiting, row.running, _status(queue, row, now), row.agents) for queue, row in rows]


def _heard(now: datetime) -> datetime:
    """Since when an agent has to have been heard of to be online."""
    return now - 3 * current().heartbeat


def _status(queue: WorkQueue, row: Any, now: datetime) -> str:
    if queue.paused:
        return "PAUSED"
    if queue.draining is not None:
        return "DRAINING" if row.running or row.left_over else "DRAINED"
    if not row.agents:
        return "NO_AGENTS"
    return "BEHIND" if row.oldest is not None and row.oldest < now - timedelta(seconds=LATE_S) else "READY"


def _check(values: Mapping[str, object]) -> None:
    limit, ageing = values.get("concurrency_limit"), values.get("ageing_s")
    if isinstance(limit, int) and limit < 0:
        raise InvalidInput("concurrency_limit is negative", {"concurrency_limit": ["Must be 0 or more, or null."]})
    if isinstance(ageing, int) and ageing < 1:
        raise InvalidInput("ageing_s is not positive", {"ageing_s": ["Must be 1 or more, or null."]})
    check_share_by(values.get("share_by"))
