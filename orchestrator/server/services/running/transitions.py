"""Changing the state of flow runs: the rules are asked, then one statement makes the change, its history row and its
event; an end takes the run's unfinished tasks and subflows with it, in the same transaction.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import set_committed_value

from ....documents.records import Actor, State
from ....errors import NotFound, TransitionRefused
from ....states import END_HOOKS, LOST, SUSPENDING, TERMINAL, StateType, is_held, is_over
from ... import hints
from ...config import current, lease_by_hand
from ...db.json_text import json_text
from ...db.models import Deployment, FlowQuestion, FlowRun, WorkQueue
from ...db.models.flow_question import PENDING
from ...db.session import after_commit
from ...rules import policy
from ...rules.flow_run import RejectCrashWithinBudget
from ...rules.move import Decision, Effect, Facts, Move
from ..configuring import slots
from ..internal import FLOW_ID
from ..statements import BY_HAND, CHANGE_RECORDED, TERMINAL_TYPES, fetch, wake_readers
from . import collisions
from .task_states import ENDED_WITH_RUN, end_unfinished

S = StateType

CRASH_RETRIED = RejectCrashWithinBudget.code

#: Columns that a change may touch.
_CHANGED = (
    "state_type", "state_name", "state_message", "state_at", "started", "ended", "lease_until", "agent_id",
    "cancel_asked", "suspended_until", "due", "hinted", "hints", "result", "tries", "crashes", "hooks", "hooks_called",
    "hooks_left",
)  # fmt: skip

#: Whether somebody wants a run that ended to be tried anew: with all its retries.
_ANEW = f"(r.state_type IN ({TERMINAL_TYPES}) AND %(type)s = 'SCHEDULED')"

_APPLY = f"""
WITH moved AS (
    UPDATE flow_run r SET
        state_type = %(type)s, state_name = %(name)s, state_message = %(message)s, state_at = %(at)s,
        started = CASE WHEN %(type)s = 'SCHEDULED' THEN NULL
            WHEN %(type)s = 'RUNNING' THEN coalesce(r.started, %(at)s) ELSE r.started END,
        ended = CASE WHEN %(type)s IN ({TERMINAL_TYPES}) THEN %(at)s::timestamptz END,
        lease_until = CASE WHEN {BY_HAND} AND (%(type)s = 'SCHEDULED' OR %(held)s)
                THEN coalesce(%(by_hand_until)s::timestamptz, r.lease_until)
            WHEN %(held)s THEN r.lease_until END,
        agent_id = CASE WHEN %(type)s = 'SCHEDULED' THEN NULL ELSE r.agent_id END,
        cancel_asked = CASE WHEN %(type)s IN ('SCHEDULED', 'PAUSED') THEN NULL
            WHEN %(type)s = 'CANCELLING' THEN coalesce(r.cancel_asked, %(stamp)s) ELSE r.cancel_asked END,
        suspended_until = CASE WHEN %(type)s = 'PAUSED' OR %(name)s = '{SUSPENDING}'
            THEN coalesce(%(until)s::timestamptz, r.suspended_until) END,
        due = coalesce(%(due)s::timestamptz, r.due),
        hinted = CASE WHEN %(type)s = 'SCHEDULED' THEN NULL ELSE r.hinted END,
        hints = CASE WHEN %(type)s = 'SCHEDULED' THEN 0 ELSE r.hints END,
        result = CASE WHEN %(type)s = 'SCHEDULED' THEN NULL ELSE coalesce(%(result)s::jsonb, r.result) END,
        tries = CASE WHEN {_ANEW} THEN 0 ELSE greatest(r.tries, %(tries)s::int) END,
        crashes = CASE WHEN {_ANEW} THEN 0 ELSE r.crashes + %(crashed)s::int END,
        hooks = CASE WHEN %(type)s <> 'SCHEDULED' AND %(type)s NOT IN ({TERMINAL_TYPES}) THEN r.hooks END,
        hooks_called = CASE WHEN %(left)s::jsonb IS NULL THEN r.hooks_called ELSE r.attempt END,
        hooks_left = CASE WHEN %(left)s::jsonb IS NULL THEN r.hooks_left
            ELSE coalesce(r.hooks_left, '[]') || %(left)s::jsonb END
    WHERE r.id = %(id)s AND r.state_type = %(before)s AND r.attempt = %(attempt)s
    RETURNING r.*, %(details)s::jsonb AS details, %(stamp)s::timestamptz AS stamp
),
{CHANGE_RECORDED}
SELECT {", ".join(_CHANGED)} FROM moved"""

#: What an end, or any change that leaves a slot, has to look after: one question in place of three.
_AFTER = f"""
SELECT EXISTS (SELECT 1 FROM task_run t WHERE t.flow_run_id = %(id)s AND t.state_type NOT IN ({TERMINAL_TYPES}))
    OR EXISTS (SELECT 1 FROM flow_run c WHERE c.parent_flow_run_id = %(id)s AND c.work_queue_id IS NULL
        AND c.state_type NOT IN ({TERMINAL_TYPES})) AS unfinished,
    EXISTS (SELECT 1 FROM slot_lease s WHERE s.flow_run_id = %(id)s)
        OR EXISTS (SELECT 1 FROM slot_lease s WHERE s.root_run_id = %(id)s) AS holds_slots,
    q.name AS queue, d.concurrency_limit IS NOT NULL AND d.collision = '{collisions.CANCEL_NEW}' AS cancels_new,
    CASE WHEN d.concurrency_limit IS NOT NULL THEN (
        SELECT r.id FROM flow_run r WHERE r.work_queue_id = q.id AND r.state_type = 'SCHEDULED' AND r.due <= %(now)s
            AND r.deployment_id = d.id ORDER BY r.priority DESC, r.due, r.id LIMIT 1) END AS next_of_deployment,
    CASE WHEN q.concurrency_limit IS NOT NULL THEN (
        SELECT r.id FROM flow_run r WHERE r.work_queue_id = q.id AND r.state_type = 'SCHEDULED' AND r.due <= %(now)s
        ORDER BY r.priority DESC, r.due, r.id LIMIT 1) END AS next_run
FROM (SELECT 1) AS one LEFT JOIN work_queue q ON q.id = %(queue)s::uuid
LEFT JOIN deployment d ON d.id = %(deployment)s::uuid"""
#: New runs that one end cancels at most; the rest is left to the clock.
_COLLIDING_MAX = 200


@dataclass(frozen=True)
class Change:
    """What became of a proposed move: the run, and how the rules decided."""

    run: FlowRun
    decision: Decision


def apply(
    session: Session,
    run_id: uuid.UUID,
    proposed: State,
    *,
    attempt: int | None,
    actor: Actor,
    now: datetime,
    result: dict[str, Any] | None = None,
    due: datetime | None = None,
    until: datetime | None = None,
    tries: int | None = None,
) -> Change:
    """Move a flow run, if the rules let it.

    Args:
        attempt: The attempt that speaks; None for people and loops.
        result: Inline result or reference, kept with an end.
        due: For SCHEDULED: not to start before.
        until: For a suspension: when it ends, badly, if nobody resumes the run before.
        tries: How often its code was begun, over all attempts, as its process tells it.

    Raises:
        NotFound: There is no such run.
        TransitionRefused: A rule said WAIT or ABORT; ``code`` tells why.
    """
    run = locked(session, run_id)
    is_asked = attempt is None and actor.type != "server"
    decision = policy.decide(Move(_facts(session, run, proposed), proposed, attempt, now, is_asked))
    if decision.effect in (Effect.ABORT, Effect.WAIT):
        raise TransitionRefused(f"flow run {run.name}: {decision.message}", decision.rule, decision.code)
    if decision.is_repeat:
        return Change(run, decision)
    state = decision.state or proposed
    was_active = is_held(S(run.state_type), run.state_name)
    by_hand_until = now + lease_by_hand() if attempt is not None else None
    left = _left_hooks(run, proposed if decision.code == CRASH_RETRIED else state)
    more = {"left": left, "due": decision.due or due, "until": until, "by_hand_until": by_hand_until, "tries": tries}
    _write(session, run, state, actor, now, result, {**more, "crashed": decision.code == CRASH_RETRIED})
    _settle(session, run, was_active, now)
    return Change(run, decision)


def end_with(session: Session, run_ids: Sequence[uuid.UUID], ended: StateType, now: datetime) -> None:
    """End what still goes on inside flow runs that ended, or were suspended: their task runs, and subflows that ran in
    their process.

    Below a crashed or failed run it is CRASHED, below others CANCELLED.
    """
    kind = S.CRASHED if ended in (S.CRASHED, S.FAILED) else S.CANCELLED
    end_unfinished(session, run_ids, State(kind, message=ENDED_WITH_RUN, at=now), now)
    subflows = session.scalars(
        select(FlowRun.id)
        .where(
            FlowRun.parent_flow_run_id.in_(run_ids),
            FlowRun.work_queue_id.is_(None),
            FlowRun.state_type.not_in([kind.value for kind in TERMINAL]),
        )
        .order_by(FlowRun.id)
    ).all()
    for subflow in subflows:
        # Named Lost when crashed: the process's own report of its end, still on the way, may replace it.
        state = State(kind, LOST if kind is S.CRASHED else "", ENDED_WITH_RUN, now)
        apply(session, subflow, state, attempt=None, actor=Actor("server"), now=now)


def locked(session: Session, run_id: uuid.UUID) -> FlowRun:
    """A flow run as it is, and stays until the transaction's end. Raises NotFound."""
    query = select(FlowRun).where(FlowRun.id == run_id).with_for_update(key_share=True)
    run = session.scalar(query.execution_options(populate_existing=True))
    if run is None:
        raise NotFound(f"there is no flow run {run_id}")
    return run


def pending_question(session: Session, run_id: uuid.UUID) -> FlowQuestion | None:
    """What the present attempt of a run asked, and nobody has answered yet."""
    query = select(FlowQuestion).join(FlowRun, FlowRun.id == FlowQuestion.flow_run_id)
    query = query.where(FlowRun.id == run_id, FlowQuestion.state == PENDING, FlowQuestion.attempt == FlowRun.attempt)
    return session.scalar(query.execution_options(populate_existing=True))


def told_question(asked: FlowQuestion) -> dict[str, Any]:
    """What events, states and messages tell of a question."""
    names = ("key", "description", "schema", "has_default", "default", "deadline", "problems")
    return {"id": str(asked.id), **{name: getattr(asked, name) for name in names}}


def _facts(session: Session, run: FlowRun, proposed: State) -> Facts:
    retries = 0
    if proposed.type is S.CRASHED and run.deployment_id is not None:
        retries = session.scalar(select(Deployment.crash_retries).where(Deployment.id == run.deployment_id)) or 0
    return Facts(
        crash_retries=retries,
        crashes=run.crashes,
        crash_delay_s=current().crash_retry_delay.total_seconds(),
        type=S(run.state_type),
        name=run.state_name,
        message=run.state_message,
        attempt=run.attempt,
        due=run.due,
        is_leased=run.lease_until is not None and run.work_queue_id is not None,
        is_queued=run.work_queue_id is not None,
        is_cancel_asked=run.cancel_asked is not None and run.state_name != SUSPENDING,
        is_deployed=run.work_queue_id is not None and run.deployment_id is not None and run.flow_id != FLOW_ID,
    )


def _left_hooks(run: FlowRun, ended: State) -> str | None:
    """What has to be known of an end whose hooks nobody has undertaken to call: an agent is sent for them."""
    if not run.hooks or run.hooks_called == run.attempt or END_HOOKS.get(ended.type) not in run.hooks:
        return None
    facts = {"attempt": run.attempt, "snapshot": run.snapshot, "tries": run.tries, "state": ended.write()}
    return json_text([facts])


def _write(
    session: Session,
    run: FlowRun,
    state: State,
    actor: Actor,
    now: datetime,
    result: dict[str, Any] | None,
    more: dict[str, Any],
) -> None:
    details = dict(state.details or {})
    if actor.type not in ("run", "agent", "process"):
        details["by"] = actor.write()
    if state.type is S.PAUSED and (asked := pending_question(session, run.id)) is not None:
        details["question"] = told_question(asked)
    [changed] = fetch(
        session,
        _APPLY,
        {
            "id": run.id, "before": run.state_type, "attempt": run.attempt, "type": state.type.value,
            "name": state.name, "message": state.message, "at": state.at, "stamp": now, **more,
            "held": is_held(state.type, state.name),
            "details": json_text(details) if details else None,
            "result": None if result is None else json_text(result),
        },
    )  # fmt: skip
    wake_readers(session)
    for name in _CHANGED:
        set_committed_value(run, name, getattr(changed, name))


def _settle(session: Session, run: FlowRun, was_active: bool, now: datetime) -> None:
    """Look after what the change concerns: unfinished work below an end, agents and queues that are to be told."""
    kind = S(run.state_type)
    if kind is S.CANCELLING and run.agent_id is not None:
        after_commit(session, hints.cancel_asked, run.agent_id)
    if kind is S.SCHEDULED and run.work_queue_id is not None and run.due <= now + current().dispatch_ahead:
        name = session.scalar(select(WorkQueue.name).where(WorkQueue.id == run.work_queue_id))
        after_commit(session, hints.run_queued, name, run.id)
    if is_held(kind, run.state_name) or not (was_active or kind in TERMINAL):
        return
    about = {"id": run.id, "queue": run.work_queue_id, "deployment": run.deployment_id, "now": now}
    [after] = fetch(session, _AFTER, about)
    is_queued_again = kind is S.SCHEDULED and run.work_queue_id is not None
    if after.unfinished and (is_queued_again or is_over(kind, run.state_name)):
        end_with(session, [run.id], S.CRASHED if is_queued_again else kind, now)
    if after.holds_slots and (is_queued_again or is_over(kind, run.state_name)):
        slots.end_with(session, [run.id])
    if was_active and after.cancels_new:
        assert run.deployment_id is not None
        collisions.cancel_beside(session, run.deployment_id, f"{run.name} ({run.id})", now, _COLLIDING_MAX)
    if was_active and (following := after.next_of_deployment or after.next_run) is not None:
        # A limited queue or deployment has room again; hints that came while it was full were spent in vain.
        after_commit(session, hints.run_queued, after.queue, following)
