"""Work queues: where runs wait for agents."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, TextClause, func, select, text, update
from sqlalchemy import delete as sql_delete
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from ....documents.records import Actor
from ....errors import Conflict, InvalidInput, NotFound
from ....ids import uuid7
from ....states import TERMINAL, StateType
from ...db.models import Deployment, Flow, FlowRun, WorkQueue
from ..internal import FLOW_ID
from ..paging import Page, check_limit, decode, page
from ..recording.announcements import announce, resource
from ..statements import held

#: Most ended runs that may still remember a queue which is deleted.
REMEMBERED_MAX = 10_000
#: Who makes a queue where nobody asked for it.
SERVER = Actor("server")


@dataclass(frozen=True)
class WorkQueueRow:
    """A queue, and how many runs wait in it (due now) and occupy its slots."""

    queue: WorkQueue
    waiting: int
    running: int


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
) -> WorkQueue:
    """Make a queue. Raises Conflict when there is one of that name, InvalidInput for a negative limit."""
    _check_limit(concurrency_limit)
    values = {
        "id": uuid7(now),
        "name": name,
        "description": description,
        "concurrency_limit": concurrency_limit,
        "paused": paused,
        "created": now,
    }
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


def change(session: Session, ref: str | uuid.UUID, values: dict[str, object], actor: Actor, now: datetime) -> WorkQueue:
    """Set ``description``, ``paused`` or ``concurrency_limit``. Raises NotFound, InvalidInput."""
    queue = get(session, ref)
    limit = values.get("concurrency_limit")
    _check_limit(limit if isinstance(limit, int) else None)
    before = _plain(queue)
    for name, value in values.items():
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
    return {name: getattr(queue, name) for name in ("description", "paused", "concurrency_limit")}


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
    due = FlowRun.state_type == StateType.SCHEDULED.value, FlowRun.due <= now
    waiting = _count(session, ids, *due)
    running = _count(session, ids, text(held("flow_run")))
    return [WorkQueueRow(queue, waiting.get(queue.id, 0), running.get(queue.id, 0)) for queue in queues]


def _count(
    session: Session, ids: list[uuid.UUID], *conditions: ColumnElement[bool] | TextClause
) -> dict[uuid.UUID, int]:
    query = (
        select(FlowRun.work_queue_id, func.count())
        .where(FlowRun.work_queue_id.in_(ids), *conditions)
        .group_by(FlowRun.work_queue_id)
    )
    return {queue_id: number for queue_id, number in session.execute(query) if queue_id is not None}


def _check_limit(limit: int | None) -> None:
    if limit is not None and limit < 0:
        raise InvalidInput("concurrency_limit is negative", {"concurrency_limit": ["Must be 0 or more, or null."]})
