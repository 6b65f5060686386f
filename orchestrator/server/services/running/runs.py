"""Flow runs: creating, finding, cancelling, starting again, deleting."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypedDict

from sqlalchemy import delete as delete_from
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from .... import names
from ....clock import to_text
from ....documents import records
from ....documents.records import Actor, State
from ....errors import Conflict, InvalidInput, NotFound, TransitionRefused
from ....ids import uuid7
from ....states import SUSPENDED, SUSPENDING, StateType, is_held
from ... import hints, waiters
from ...config import current
from ...db.models import Deployment, Flow, FlowRun, FlowRunState, WorkQueue
from ...db.session import after_commit
from .. import parameters as parameter_rules
from ..paging import Page, check_limit, decode_id, page
from ..recording.announcements import announce, resource
from ..statements import insert_runs
from . import deployment_templates, questions
from .run_filters import RunFilter, narrowed
from .transitions import apply, locked

if TYPE_CHECKING:
    from typing_extensions import Unpack

S = StateType

#: Runs that one call of :func:`forget_schedule` takes from a schedule.
FORGOTTEN = 2_000


@dataclass(frozen=True)
class RunRow:
    """A flow run with the names that go with it."""

    run: FlowRun
    flow_name: str
    deployment_name: str | None
    work_queue_name: str | None


class Wanted(TypedDict, total=False):
    """What of a new run may be said, and has a default."""

    #: Laid over the deployment's own; they hold no templates but those that it has itself.
    parameters: Mapping[str, Any] | None
    #: Made up when not given.
    name: str | None
    tags: Sequence[str]
    #: Not to start before; now when not given.
    due: datetime | None
    priority: int
    #: A second run with the same one, for the same flow, is not created: the first is found.
    idempotency_key: str | None
    schedule_id: uuid.UUID | None
    slot: datetime | None
    #: The parameters are those of an earlier run, templates of a schedule included.
    again: bool
    #: The chain of causes that the run belongs to, and how many firings are in it before.
    chain: tuple[uuid.UUID, int] | None
    #: The step that it is of a chain; there is one run for each in a run of the chain.
    chain_step: str | None


def create(
    session: Session, deployment: Deployment, *, actor: Actor, now: datetime, **wanted: Unpack[Wanted]
) -> tuple[uuid.UUID, bool]:
    """Create a run of a deployment, SCHEDULED, as :func:`draft` and :func:`insert` do.

    Returns:
        The run's id, and whether it is new.

    Raises:
        InvalidInput: A parameter holds a template that the deployment does not have.
        ParameterError: The parameters do not fit the deployment's schema.
    """
    return insert(session, [draft(deployment, actor=actor, now=now, **wanted)])[0]


@dataclass(frozen=True)
class Draft:
    """A run that is about to be created."""

    row: dict[str, Any]
    #: Name of its queue.
    queue: str


def draft(deployment: Deployment, *, actor: Actor, now: datetime, **wanted: Unpack[Wanted]) -> Draft:
    """A run of a deployment; nothing is written.

    Raises:
        InvalidInput: A parameter holds a template that the deployment does not have.
        ParameterError: The parameters do not fit the deployment's schema.
    """
    parameters = wanted.get("parameters") or {}
    if not wanted.get("again"):
        deployment_templates.refuse_foreign(deployment, parameters)
    merged = {**deployment.parameters, **parameters}
    parameter_rules.check(deployment.parameter_schema, merged)
    row = new_row(
        deployment, merged, actor, now,
        name=wanted.get("name"), tags=wanted.get("tags", ()), due=wanted.get("due"), priority=wanted.get("priority", 0),
    )  # fmt: skip
    row.update({key: wanted.get(key) for key in ("idempotency_key", "schedule_id", "slot")})
    if (chain := wanted.get("chain")) is not None:
        row.update(chain_id=chain[0], chain_depth=chain[1], chain_step=wanted.get("chain_step"))
    if row["due"] <= now + current().dispatch_ahead:
        row.update(hinted=now, hints=1)
    return Draft(row, deployment.work_queue.name)


def insert(session: Session, drafts: Sequence[Draft]) -> list[tuple[uuid.UUID, bool]]:
    """Create runs, SCHEDULED, by one statement; agents are told once the transaction is committed.

    Returns:
        The id of each, and whether it is new.
    """
    if not drafts:
        return []
    new = insert_runs(session, [item.row for item in drafts])
    hinted = [item for item in drafts if item.row["id"] in new and "hinted" in item.row]
    for item in hinted:
        after_commit(session, hints.run_queued, item.queue, item.row["id"])
    if hinted:
        after_commit(session, waiters.wake)
    return [
        (item.row["id"], True) if item.row["id"] in new else (_existing(session, item.row), False) for item in drafts
    ]


def new_row(
    deployment: Deployment,
    parameters: Mapping[str, Any],
    actor: Actor,
    now: datetime,
    *,
    name: str | None = None,
    tags: Sequence[str] = (),
    due: datetime | None = None,
    priority: int = 0,
) -> dict[str, Any]:
    """The columns of a new SCHEDULED run, for :func:`..statements.insert_runs`."""
    return {
        "id": uuid7(now), "flow_id": deployment.flow_id, "deployment_id": deployment.id,
        "name": name or names.run_name(), "state_type": S.SCHEDULED.value, "state_name": "Scheduled",
        "state_at": now, "parameters": parameters, "tags": list(dict.fromkeys([*deployment.tags, *tags])),
        "work_queue_id": deployment.work_queue_id, "priority": priority, "due": due or now, "created": now,
        "created_by": actor.write(), "stamp": now,
    }  # fmt: skip


def get(session: Session, run_id: uuid.UUID) -> FlowRun:
    """One flow run. Raises NotFound."""
    found = session.get(FlowRun, run_id)
    if found is None:
        raise NotFound(f"there is no flow run {run_id}")
    return found


def row(session: Session, run_id: uuid.UUID) -> RunRow:
    """One flow run with the names that go with it. Raises NotFound."""
    found = session.execute(select_rows().where(FlowRun.id == run_id)).first()
    if found is None:
        raise NotFound(f"there is no flow run {run_id}")
    return RunRow(*found)


def listing(
    session: Session, wanted: RunFilter | None = None, limit: int = 50, cursor: str | None = None
) -> Page[RunRow]:
    """A page of flow runs, newest first."""
    query = narrowed(select_rows(), wanted or RunFilter())
    if cursor:
        query = query.where(FlowRun.id < decode_id(cursor))
    found = session.execute(query.order_by(FlowRun.id.desc()).limit(check_limit(limit) + 1)).all()
    return page([RunRow(*item) for item in found], limit, lambda item: (item.run.id,))


def select_rows() -> Any:
    """The query that all lists of runs begin with; its rows are the fields of :class:`RunRow`."""
    return (
        select(FlowRun, Flow.name, Deployment.name, WorkQueue.name)
        .join(Flow, Flow.id == FlowRun.flow_id)
        .outerjoin(Deployment, Deployment.id == FlowRun.deployment_id)
        .outerjoin(WorkQueue, WorkQueue.id == FlowRun.work_queue_id)
    )


def states(session: Session, run_id: uuid.UUID) -> list[FlowRunState]:
    """The history of one run, oldest first. Raises NotFound."""
    get(session, run_id)
    query = select(FlowRunState).where(FlowRunState.flow_run_id == run_id).order_by(FlowRunState.id)
    return list(session.scalars(query))


def describe(item: RunRow) -> records.FlowRun:
    """The run as the wire tells it."""
    run = item.run
    deployment = None
    if run.deployment_id is not None and item.deployment_name is not None:
        deployment = records.Reference(run.deployment_id, item.deployment_name)
    return records.FlowRun(
        id=run.id, name=run.name, flow=records.Reference(run.flow_id, item.flow_name), deployment=deployment,
        state=State(S(run.state_type), run.state_name, run.state_message, run.state_at), attempt=run.attempt,
        parameters=run.parameters, tags=run.tags, work_queue=item.work_queue_name, priority=run.priority, due=run.due,
        slot=run.slot, started=run.started, ended=run.ended, created=run.created, agent_id=run.agent_id,
        snapshot=run.snapshot, parent_flow_run_id=run.parent_flow_run_id, parent_task_run_id=run.parent_task_run_id,
        backfill_id=run.backfill_id,
        tries=run.tries, crashes=run.crashes,
        created_by=records.Actor.read(run.created_by) if run.created_by else None, result=run.result,
    )  # fmt: skip


def cancel(session: Session, run_id: uuid.UUID, actor: Actor, now: datetime) -> FlowRun:
    """Ask a run to stop: a waiting one is CANCELLED at once, one that is held becomes CANCELLING and its agent is
    told. Asking twice changes nothing.

    Raises:
        NotFound: There is no such run.
        TransitionRefused: It ended already.
    """
    run = get(session, run_id)
    if run.state_type == S.CANCELLING.value and run.state_name != SUSPENDING:
        return run
    proposed = State(S.CANCELLING, message=f"Cancelled by {actor.name or actor.type}.", at=now)
    return apply(session, run_id, proposed, attempt=None, actor=actor, now=now).run


def suspend(session: Session, run_id: uuid.UUID, actor: Actor, now: datetime, until: datetime | None = None) -> FlowRun:
    """Have a run stop, and wait until it is resumed: a waiting one is PAUSED, ``Suspended``, at once; one that is held
    is CANCELLING, ``Suspending``, until its processes are gone, and its agent is told. Asking twice changes nothing.

    Args:
        until: When it fails unless it was resumed; None: it waits for ever.

    Raises:
        NotFound: There is no such run.
        InvalidInput: ``until`` is past.
        Conflict: It is suspended already, and ``until`` is another one.
        TransitionRefused: It ended, is being cancelled, or no agent could take it up again; ``code`` says which.
    """
    if until is not None and until <= now:
        raise InvalidInput("until: Must lie in the future", {"until": ["Must lie in the future."]})
    run = locked(session, run_id)
    if run.state_name in (SUSPENDED, SUSPENDING) and S(run.state_type) in (S.PAUSED, S.CANCELLING):
        if until is not None and until != run.suspended_until:
            raise Conflict(f"the run is {run.state_name} already: resume it, and suspend it anew until another time")
        return run
    details = {"until": to_text(until)} if until else None
    proposed = State(S.PAUSED, SUSPENDED, f"Suspended by {actor.name or actor.type}.", now, details)
    return apply(session, run_id, proposed, attempt=None, actor=actor, now=now, until=until).run


def resume(session: Session, run_id: uuid.UUID, actor: Actor, now: datetime, given: Any = None) -> FlowRun:
    """Have a paused run go on. One that is suspended is queued again: due now, or when it was due if that is later; the
    next claim raises its attempt. One whose process waits is RUNNING at once.

    Args:
        given: The answer to what it asks, an object; None: none.

    Raises:
        NotFound: There is no such run.
        InvalidInput: It asks for an answer, and this is none; ``errors`` names the fields.
        TransitionRefused: It is not suspended (yet), or its deployment is gone; ``code`` says which.
    """
    run = locked(session, run_id)
    if run.state_type == S.CANCELLING.value and run.state_name == SUSPENDING:
        told = "its processes are still being stopped: resume it once it is Suspended"
        raise TransitionRefused(f"flow run {run.name}: {told}", "resume", "suspending")
    if run.state_type != S.PAUSED.value:
        raise TransitionRefused(
            f"flow run {run.name}: it is {run.state_type}, not suspended", "resume", "not-suspended"
        )
    asked = questions.settle(session, run, given, actor, now)
    proposed, due = questions.go_on(run, f"{'Answered' if asked else 'Resumed'} by {actor.name or actor.type}.", now)
    return apply(session, run_id, proposed, attempt=None, actor=actor, now=now, due=due).run


def retry(session: Session, run_id: uuid.UUID, actor: Actor, now: datetime) -> FlowRun:
    """Queue an ended run again under its own id; the next claim raises its attempt.

    Raises:
        NotFound: There is no such run.
        TransitionRefused: It has not ended, ended well, or was started by hand.
    """
    run = locked(session, run_id)
    if S(run.state_type) is S.SCHEDULED:
        raise Conflict("the run waits to be started already")
    if run.ended is None:
        told = "resume it" if run.state_type == S.PAUSED.value else "it has not ended"
        raise TransitionRefused(f"flow run {run.name}: it is {run.state_type}: {told}", "retry", "not-ended")
    proposed = State(S.SCHEDULED, message=f"Retried by {actor.name or actor.type}.", at=now)
    return apply(session, run_id, proposed, attempt=None, actor=actor, now=now, due=now).run


def rerun(session: Session, run_id: uuid.UUID, actor: Actor, now: datetime) -> uuid.UUID:
    """Create a new run with the parameters of another one.

    Raises:
        NotFound: There is no such run.
        Conflict: It was started by hand, or its deployment is gone.
        ParameterError: The deployment has changed so that the parameters no longer fit.
    """
    run = get(session, run_id)
    deployment = session.get(Deployment, run.deployment_id) if run.deployment_id else None
    if deployment is None:
        raise Conflict("the run has no deployment (any more), so no agent can run it again")
    made, _ = create(
        session, deployment, parameters=run.parameters, actor=actor, now=now, tags=run.tags, priority=run.priority,
        again=True,
    )  # fmt: skip
    return made


def delete(session: Session, run_id: uuid.UUID, actor: Actor, now: datetime) -> None:
    """Delete a run with its tasks, history and artifacts; its logs and events go when their days are dropped.

    Raises:
        NotFound: There is no such run.
        Conflict: Something executes it.
    """
    run = get(session, run_id)
    if is_held(S(run.state_type), run.state_name):
        raise Conflict(f"the run is {run.state_type}: cancel it first")
    flow = session.scalar(select(Flow.name).where(Flow.id == run.flow_id))
    session.execute(delete_from(FlowRun).where(FlowRun.id == run_id))
    gone = {"flow": flow, "state": run.state_type, "tags": run.tags}
    announce(session, "flow-run.deleted", resource("flow-run", run_id, run.name), actor, now, before=gone)


def move(
    session: Session,
    run_id: uuid.UUID,
    state: State,
    *,
    attempt: int | None = None,
    actor: Actor,
    now: datetime,
    result: dict[str, Any] | None = None,
) -> FlowRun:
    """Propose a state; the rules decide. Agents and runs name the attempt that they speak for.

    Raises:
        InvalidInput: An agent or a run named no attempt.
        NotFound: There is no such run.
        TransitionRefused: A rule refused; ``code`` tells why.
    """
    if attempt is None and actor.type in ("agent", "run"):
        message = "attempt is missing: say which attempt of the run this is about"
        raise InvalidInput(message, {"attempt": [message]})
    return apply(session, run_id, state, attempt=attempt, actor=actor, now=now, result=result).run


def join(session: Session, run: FlowRun, chain_id: uuid.UUID, depth: int) -> None:
    """Have a run that goes on belong to the chain of what moved it on; a step of a chain stays one."""
    if run.chain_step is None:
        run.chain_id = chain_id
    run.chain_depth = depth
    session.flush()


def drop_scheduled(session: Session, schedule_ids: Sequence[uuid.UUID], after: datetime | None = None) -> int:
    """Delete the runs that schedules made ahead and that nobody ever claimed; returns how many.

    They did not happen, and stand for no decision of anybody: they leave no event behind.

    Args:
        after: Only those of slots after this instant; None: all.
    """
    waiting = select(FlowRun.id).where(
        FlowRun.schedule_id.in_(schedule_ids), FlowRun.state_type == S.SCHEDULED.value, FlowRun.attempt == 0
    )
    if after is not None:
        waiting = waiting.where(FlowRun.slot > after)
    ids = session.scalars(waiting.order_by(FlowRun.id).with_for_update()).all()
    session.execute(delete_from(FlowRun).where(FlowRun.id.in_(ids)))
    return len(ids)


def forget_schedule(session: Session, schedule_id: uuid.UUID, limit: int = FORGOTTEN) -> int:
    """Take some of the ended runs from a schedule that is about to be deleted; returns how many it took."""
    ended = select(FlowRun.id).where(FlowRun.schedule_id == schedule_id, FlowRun.ended.is_not(None))
    ids = session.scalars(ended.limit(limit).with_for_update(skip_locked=True)).all()
    session.execute(update(FlowRun).where(FlowRun.id.in_(ids)).values(schedule_id=None))
    return len(ids)


def _existing(session: Session, row: Mapping[str, Any]) -> uuid.UUID:
    """The run that has the key of a new one."""
    query = select(FlowRun.id)
    if row["idempotency_key"] is not None:
        query = query.where(FlowRun.flow_id == row["flow_id"], FlowRun.idempotency_key == row["idempotency_key"])
    else:
        query = query.where(FlowRun.schedule_id == row["schedule_id"], FlowRun.slot == row["slot"])
    found: uuid.UUID | None = session.scalar(query)
    if found is None:
        raise Conflict("a run with this key was deleted just now: ask again")
    return found
