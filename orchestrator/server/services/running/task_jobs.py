"""Task jobs: calls that a flow run hands to workers, which agents run for it on whatever computer.

A worker is an errand (:mod:`.errands`) of the flow run, in the queue that the flow names: so agents claim it, watch it
and tell how it ended. It takes jobs until there are none for a while, or its flow run is over. What a job holds is
sealed between the two ends; here it is bytes.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from ....documents.records import Actor, Storage, WaitingReason
from ....errors import Conflict, InvalidInput, NotFound
from ....states import StateType, is_over
from ... import job_waiters
from ...db.models import Deployment, FlowRun, TaskJob, WorkQueue
from ...db.session import after_commit
from ..internal import FLOW_ID
from ..statements import TERMINAL_TYPES, execute, fetch
from . import errands, waiting
from .transitions import locked

#: Jobs that a flow run may have at a time; outcomes that one answer holds, and bytes of them, about.
JOBS_MAX, PAGE, PAGE_BYTES = 10_000, 200, 8 * 1024 * 1024

_ADD = """
INSERT INTO task_job (id, flow_run_id, "order", created)
SELECT id, %(run)s, content, %(now)s FROM unnest(%(ids)s::uuid[], %(orders)s::bytea[]) AS t(id, content)
ON CONFLICT (id) DO NOTHING"""
_LOST = f"""
UPDATE task_job j SET ended = %(now)s, lost = w.state_type || coalesce(nullif(': ' || w.state_message, ': '), '')
FROM flow_run w WHERE j.flow_run_id = %(run)s AND j.ended IS NULL AND w.id = j.worker_id
    AND w.state_type IN ({TERMINAL_TYPES})"""
_END = """
UPDATE task_job j SET ended = %(now)s, outcome = t.content
FROM unnest(%(ids)s::uuid[], %(outcomes)s::bytea[]) AS t(id, content)
WHERE j.id = t.id AND j.worker_id = %(worker)s AND j.ended IS NULL"""
_ENDED = f"""
SELECT id, outcome, lost FROM (
    SELECT id, outcome, lost, ended, sum(coalesce(length(outcome), 0)) OVER w - coalesce(length(outcome), 0) AS before
    FROM task_job WHERE flow_run_id = %(run)s AND ended IS NOT NULL WINDOW w AS (ORDER BY ended, id)) AS t
WHERE before < {PAGE_BYTES} ORDER BY ended, id LIMIT {PAGE}"""
#: What was given to this worker, and is not among what it holds, got lost on the way: it is given again.
_TAKE = """
WITH picked AS MATERIALIZED (
    SELECT id FROM task_job WHERE flow_run_id = %(run)s AND ended IS NULL
        AND (worker_id IS NULL OR (worker_id = %(worker)s AND id <> ALL(%(holding)s::uuid[])))
    ORDER BY id LIMIT %(limit)s FOR UPDATE SKIP LOCKED)
UPDATE task_job j SET worker_id = %(worker)s FROM picked p WHERE j.id = p.id RETURNING j.id, j."order" AS content"""


@dataclass(frozen=True)
class Place:
    """What a worker needs to know of its flow run: which attempt it works for, and where the code of that lies."""

    attempt: int
    entrypoint: str
    storage: Storage


@dataclass(frozen=True)
class Taken:
    """What a worker is told: jobs to do; those that it holds and nobody wants any more; whether it may end."""

    jobs: list[tuple[uuid.UUID, bytes]] = field(default_factory=list)
    revoked: list[uuid.UUID] = field(default_factory=list)
    over: bool = False


@dataclass(frozen=True)
class Outcome:
    """How a job ended: what its worker said, or how the worker ended before it did."""

    id: uuid.UUID
    content: bytes | None
    lost: str | None


def add(
    session: Session,
    run_id: uuid.UUID,
    attempt: int,
    orders: Mapping[uuid.UUID, bytes],
    workers: int,
    queue: str | None,
    actor: Actor,
    now: datetime,
) -> None:
    """Take jobs, and have workers begin where there are fewer than wanted. A job that is known stays as it is.

    Args:
        workers: Most workers at a time.
        queue: Whose agents are to work; the flow run's own when None.

    Raises:
        NotFound, Conflict: As :func:`check`.
        InvalidInput: The flow run has too many jobs.
    """
    run = check(session, run_id, attempt)
    have = session.scalar(select(func.count()).select_from(TaskJob).where(TaskJob.flow_run_id == run_id)) or 0
    if have + len(orders) > JOBS_MAX:
        raise InvalidInput(f"flow run {run.name} has {have:,} task jobs: {JOBS_MAX:,} at a time are the most")
    execute(session, _ADD, {"run": run_id, "ids": list(orders), "orders": list(orders.values()), "now": now})
    staff(session, run, workers, queue, actor, now)
    after_commit(session, job_waiters.wake)


def staff(session: Session, run: FlowRun, workers: int, queue: str | None, actor: Actor, now: datetime) -> None:
    """Have as many workers as there is work for, ``workers`` at most."""
    query = select(func.count()).select_from(TaskJob).where(TaskJob.flow_run_id == run.id, TaskJob.ended.is_(None))
    if not (wanted := min(workers, session.scalar(query) or 0)):
        return
    for _ in range(wanted - len(_workers(session, run))):
        worker = errands.start(
            session, "work", {"flow_run_id": str(run.id), "attempt": run.attempt},
            work_queue=queue or _queue_of(session, run), actor=actor, now=now, about=f"for {run.name}",
        )  # fmt: skip
        session.execute(update(FlowRun).where(FlowRun.id == worker).values(parent_flow_run_id=run.id))


def outcomes(
    session: Session,
    run_id: uuid.UUID,
    attempt: int,
    taken: Sequence[uuid.UUID],
    workers: int,
    queue: str | None,
    actor: Actor,
    now: datetime,
) -> list[Outcome]:
    """Forget the jobs whose outcomes the flow has, and read what ended since; where workers died there will be others.

    Raises:
        NotFound, Conflict: As :func:`check`.
    """
    run = check(session, run_id, attempt)
    if taken:
        execute(session, "DELETE FROM task_job WHERE flow_run_id = %(run)s AND id = ANY(%(ids)s::uuid[])",
                {"run": run_id, "ids": list(taken)})  # fmt: skip
    execute(session, _LOST, {"run": run_id, "now": now})
    staff(session, run, workers, queue, actor, now)
    return [Outcome(*row) for row in fetch(session, _ENDED, {"run": run_id})]


def why_waiting(session: Session, run_id: uuid.UUID, now: datetime) -> WaitingReason | None:
    """Why no worker of a flow run works; None: some do, or there is nothing to do."""
    run = session.get(FlowRun, run_id)
    workers = _workers(session, run) if run is not None else []
    if not workers or any(state != StateType.SCHEDULED.value for _, state in workers):
        return None
    return waiting.why(session, workers[0][0], now)


def take(
    session: Session,
    run_id: uuid.UUID,
    worker_id: uuid.UUID,
    done: Mapping[uuid.UUID, bytes],
    holding: Sequence[uuid.UUID],
    limit: int,
    now: datetime,
) -> Taken:
    """Note what a worker has done, and give it jobs.

    Args:
        done: Outcomes, by job; those of jobs that are not its own are dropped.
        holding: Jobs that it has, and has not done.
        limit: Most jobs that it takes more.

    Raises:
        NotFound: It is no worker of that flow run.
    """
    worker = session.get(FlowRun, worker_id)
    if worker is None or not _works_for(worker, run_id):
        raise NotFound(f"there is no flow run {run_id}")
    told = {"run": run_id, "worker": worker_id, "now": now, "holding": list(holding), "limit": limit}
    if done:
        execute(session, _END, {**told, "ids": list(done), "outcomes": list(done.values())})
        after_commit(session, job_waiters.wake)
    run = session.get(FlowRun, run_id)
    if run is None or run.attempt != worker.parameters["attempt"] or is_over(StateType(run.state_type), run.state_name):
        return Taken(revoked=list(holding), over=True)
    wanted = session.scalars(
        select(TaskJob.id).where(TaskJob.id.in_(holding), TaskJob.worker_id == worker_id, TaskJob.ended.is_(None))
    )
    revoked = sorted(set(holding) - set(wanted)) if holding else []
    jobs = [(row.id, bytes(row.content)) for row in fetch(session, _TAKE, told)] if limit else []
    return Taken(sorted(jobs), revoked)


def place(session: Session, run_id: uuid.UUID, caller: uuid.UUID) -> Place:
    """What a flow run and its workers need to know of it.

    Raises:
        NotFound: Who asks is neither that flow run nor a worker of it.
        Conflict: It is none of a deployment, or that was deleted.
    """
    run = session.get(FlowRun, run_id)
    worker = session.get(FlowRun, caller) if caller != run_id else None
    if run is None or (caller != run_id and not _works_for(worker, run_id)):
        raise NotFound(f"there is no flow run {run_id}")
    deployment = session.get(Deployment, run.deployment_id) if run.deployment_id else None
    if deployment is None:
        raise Conflict(f"flow run {run.name} has no deployment: other computers would not find its code")
    storage = Storage(deployment.storage_block_id, deployment.storage_path, run.snapshot)
    attempt = worker.parameters["attempt"] if worker is not None else run.attempt
    return Place(attempt, deployment.entrypoint, storage)


def close(session: Session, run_id: uuid.UUID, attempt: int) -> None:
    """Forget all jobs of a flow run: its workers end. Raises NotFound, Conflict."""
    check(session, run_id, attempt)
    execute(session, "DELETE FROM task_job WHERE flow_run_id = %(run)s", {"run": run_id})
    after_commit(session, job_waiters.wake)


def check(session: Session, run_id: uuid.UUID, attempt: int) -> FlowRun:
    """The flow run, which an agent executes now.

    Raises:
        NotFound: There is no such run.
        Conflict: The attempt is over, or the run is none of a deployment.
    """
    run = locked(session, run_id)
    if run.deployment_id is None or run.work_queue_id is None:
        raise Conflict(f"flow run {run.name} is none of a deployment: other computers would not find its code")
    if run.attempt != attempt or is_over(StateType(run.state_type), run.state_name):
        raise Conflict(f"attempt {attempt} of flow run {run.name} is over")
    return run


def forget(session: Session, batch: int) -> int:
    """Delete what runs that are over have left; returns how many."""
    return execute(
        session,
        f"""DELETE FROM task_job WHERE id IN (
            SELECT j.id FROM task_job j JOIN flow_run r ON r.id = j.flow_run_id
            WHERE r.state_type IN ({TERMINAL_TYPES}) ORDER BY j.id LIMIT %(batch)s)""",
        {"batch": batch},
    )


def _works_for(worker: FlowRun | None, run_id: uuid.UUID) -> bool:
    return worker is not None and worker.flow_id == FLOW_ID and worker.parent_flow_run_id == run_id


def _workers(session: Session, run: FlowRun) -> list[tuple[uuid.UUID, str]]:
    """Workers that have not ended, with their states."""
    rows = fetch(
        session,
        f"""SELECT id, state_type FROM flow_run WHERE parent_flow_run_id = %(run)s AND flow_id = %(flow)s
            AND state_type NOT IN ({TERMINAL_TYPES}) AND (parameters ->> 'attempt')::int = %(attempt)s""",
        {"run": run.id, "flow": FLOW_ID, "attempt": run.attempt},
    )
    return [(row.id, row.state_type) for row in rows]


def _queue_of(session: Session, run: FlowRun) -> str:
    name = session.scalar(select(WorkQueue.name).where(WorkQueue.id == run.work_queue_id))
    return name or errands.DEFAULT_QUEUE
