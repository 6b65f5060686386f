"""Why a run waits: one reason code, one sentence."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from ....clock import to_text
from ....documents.records import WaitingReason
from ....errors import NotFound
from ....states import StateType
from ....triggers.matching import selector_text
from ... import hints
from ...config import current
from ...db.models import FlowQuestion
from ..backfill_statements import TURN
from ..schedule_statements import EARLIER
from ..statements import HANDED_OUT, HELD_BY, fetch, held, serves
from .transitions import pending_question

_FACTS = f"""
SELECT r.state_type, r.due, r.suspended_until, q.name AS queue, q.paused AS queue_paused, q.concurrency_limit AS most,
    NOT {HANDED_OUT} AS too_late, d.name AS deployment, d.paused AS deployment_paused, d.not_ready,
    d.concurrency_limit AS deployment_most, d.labels,
    (SELECT count(*) FROM flow_run h WHERE h.work_queue_id = q.id AND {held("h")}) AS occupied,
    agents.serving, agents.online, agents.fitting, agents.free, agents.polling
FROM flow_run r LEFT JOIN work_queue q ON q.id = r.work_queue_id LEFT JOIN deployment d ON d.id = r.deployment_id
CROSS JOIN LATERAL (
    SELECT count(*) AS serving, count(*) FILTER (WHERE is_online) AS online,
        count(*) FILTER (WHERE is_online AND fits) AS fitting,
        count(*) FILTER (WHERE is_online AND fits AND room) AS free,
        count(*) FILTER (WHERE is_online AND fits AND room AND transport = 'http') AS polling
    FROM (
        SELECT a.transport, a.last_heartbeat >= %(heard)s AS is_online, d.labels <@ a.labels AS fits,
            a.slots > (SELECT count(*) FROM flow_run h WHERE h.agent_id = a.id AND {held("h")}) AS room
        FROM agent a WHERE a.stopped IS NULL AND {serves("a", "q")}) AS served
) AS agents
WHERE r.id = %(id)s"""

_HOLD = f"""
SELECT x.* FROM flow_run r JOIN deployment d ON d.id = r.deployment_id CROSS JOIN LATERAL (
    SELECT h.id, h.kind, h.slots, h.delay_s, h.reason, h.until, h.match {HELD_BY}
    ORDER BY h.kind = 'stop' DESC, h.id LIMIT 1) AS x
WHERE r.id = %(id)s"""


#: The runs that hold the places of a run's deployment.
_BESIDE = f"""
SELECT h.id, h.name FROM flow_run r JOIN flow_run h ON h.deployment_id = r.deployment_id
WHERE r.id = %(id)s AND {held("h")} ORDER BY h.id"""
#: Names of holders that one sentence tells.
_TOLD_MAX = 3


def why(session: Session, run_id: uuid.UUID, now: datetime) -> WaitingReason | None:
    """Why a SCHEDULED or PAUSED run is not running; None when it is neither.

    The codes are :data:`orchestrator.documents.records.WAITING_CODES`, looked at in that order.

    Raises:
        NotFound: There is no such run.
    """
    rows = fetch(session, _FACTS, {"id": run_id, "heard": now - 3 * current().heartbeat})
    if not rows:
        raise NotFound(f"there is no flow run {run_id}")
    facts = rows[0]
    if facts.state_type == StateType.PAUSED:
        return _paused(facts, pending_question(session, run_id))
    if facts.state_type != StateType.SCHEDULED:
        return None
    return (
        _held_back(facts, now)
        or _deployment_limit(session, run_id, facts)
        or _hold(session, run_id, now)
        or _takes_turns(session, run_id)
        or _backfill(session, run_id)
        or _unserved(facts)
    )


def _paused(facts: Any, question: FlowQuestion | None) -> WaitingReason:
    until = to_text(facts.suspended_until) if facts.suspended_until else ""
    if question is None:
        told = f", and fails at {until} if it is not" if until else ""
        return WaitingReason("suspended", f"It waits until it is resumed{told}.")
    what = "resumes it" if question.schema is None else "answers"
    then = "goes on with its default" if question.has_default else "fails"
    told = f"It waits until somebody {what}{f', and {then} at {until} if nobody does' if until else ''}."
    return WaitingReason("asks", told)


def _held_back(facts: Any, now: datetime) -> WaitingReason | None:
    if facts.queue is None:
        return WaitingReason("not-queued", "It was started by hand: the process that started it goes on with it.")
    if facts.deployment is None:
        return WaitingReason("no-deployment", "Its deployment was deleted, so no agent can take it: cancel it.")
    if facts.due > now:
        return WaitingReason("not-due", f"It is due at {to_text(facts.due)}.")
    if facts.not_ready is not None:
        return WaitingReason("deployment-not-ready", f"Deployment {facts.deployment} is not ready: {facts.not_ready}")
    if facts.deployment_paused:
        return WaitingReason("deployment-paused", f"Deployment {facts.deployment} is paused: resume it.")
    if facts.queue_paused:
        return WaitingReason("queue-paused", f"Work queue {facts.queue} is paused: resume it.")
    if facts.too_late:
        return WaitingReason(
            "queue-draining", f"Work queue {facts.queue} is drained: resume it, or run this elsewhere."
        )
    if facts.most is not None and facts.occupied >= facts.most:
        told = f"Work queue {facts.queue} has {facts.occupied} of at most {facts.most} runs at once."
        return WaitingReason("limit-full", told)
    return None


def _deployment_limit(session: Session, run_id: uuid.UUID, facts: Any) -> WaitingReason | None:
    most = facts.deployment_most
    if most is None:
        return None
    if most == 0:
        return WaitingReason(
            "deployment-limit", f"Deployment {facts.deployment} is limited to no run: raise the limit."
        )
    holders = fetch(session, _BESIDE, {"id": run_id})
    if len(holders) < most:
        return None
    names = ", ".join(f"{run.name} ({run.id})" for run in holders[:_TOLD_MAX])
    more = f" and {len(holders) - _TOLD_MAX} more" if len(holders) > _TOLD_MAX else ""
    told = f"Deployment {facts.deployment} has {len(holders)} of at most {most} runs at once: {names}{more}."
    return WaitingReason("deployment-limit", told)


def _hold(session: Session, run_id: uuid.UUID, now: datetime) -> WaitingReason | None:
    for hold in fetch(session, _HOLD, {"id": run_id, "horizon": now}):
        how = {
            "stop": "no run that touches it starts",
            "limit": f"at most {hold.slots} runs that touch it go on at once",
            "delay": f"runs that touch it start {hold.delay_s} s later",
        }[hold.kind]
        until = f" Until {to_text(hold.until)}." if hold.until else ""
        told = f"{selector_text(hold.match)} is held ({hold.reason}): {how}.{until} Hold {hold.id}."
        return WaitingReason("held", told)
    return None


def _takes_turns(session: Session, run_id: uuid.UUID) -> WaitingReason | None:
    for run in fetch(session, EARLIER, {"id": run_id}):
        told = f"Runs of its schedule {run.slug} do not overlap, and {run.name} ({run.id}) is not over."
        return WaitingReason("earlier-run", told)
    return None


def _backfill(session: Session, run_id: uuid.UUID) -> WaitingReason | None:
    for found in fetch(session, TURN, {"id": run_id}):
        if found.cancelled is not None:
            return WaitingReason("backfill-full", f"Its backfill {found.id} is being cancelled.")
        who = f", {found.name} ({found.run_id}) among them" if found.run_id else ""
        told = f"At most {found.max_active} runs of backfill {found.id} go on at once{who}, and others come before it."
        return WaitingReason("backfill-full", told)
    return None


def _unserved(facts: Any) -> WaitingReason:
    if not facts.serving:
        start = f"orchestrator agent start -q {facts.queue}"
        return WaitingReason(
            "no-agent-on-queue", f"No agent serves work queue {facts.queue}: start one with `{start}`."
        )
    if not facts.online:
        told = f"All agents of work queue {facts.queue} ({facts.serving}) are offline: start one, or look at its host."
        return WaitingReason("agents-offline", told)
    if not facts.fitting:
        options = " ".join(f"--label {label}" for label in facts.labels)
        told = f"No agent of work queue {facts.queue} has the labels that deployment {facts.deployment} requires: "
        start = f"start one with `orchestrator agent start -q {facts.queue} {options}`."
        return WaitingReason("no-agent-with-labels", told + start)
    if not facts.free:
        return WaitingReason("agents-full", f"All slots of the agents of work queue {facts.queue} are taken.")
    if not facts.polling and hints.is_down():
        told = "Redis does not answer, so agents ask for work less often: it may take some seconds more."
        return WaitingReason("broker-down", told)
    return WaitingReason("any-moment", "An agent will take it in a moment.")
