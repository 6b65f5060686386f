"""Hooks of runs whose agent could not call them: another agent of their queue is sent to.

Whoever calls the hooks of an attempt's end undertakes it first, here: an agent by :func:`take`, the server in the
statement that writes the end (:mod:`.transitions`). The first one does, and nobody else. So an agent that comes back
calls nothing that the server has sent another one for.
"""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import update
from sqlalchemy.orm import Session

from ....documents.records import Actor, Infrastructure, Job, Reference, Results, State, Storage
from ...db.models import FlowRun
from ..statements import execute, fetch, held
from . import errands

_TAKE = f"""
UPDATE flow_run r SET hooks_called = r.attempt
WHERE r.id = %(id)s AND r.attempt = %(attempt)s AND r.hooks_called <> r.attempt AND {held("r")}"""

_LEFT = """
SELECT r.id, r.name, r.parameters, r.tags, r.hooks_left, f.name AS flow, d.id AS deployment_id, d.name AS deployment,
    d.entrypoint, d.storage_block_id, d.storage_path, d.results_block_id, d.results_path, q.name AS queue
FROM flow_run r JOIN flow f ON f.id = r.flow_id
LEFT JOIN deployment d ON d.id = r.deployment_id LEFT JOIN work_queue q ON q.id = r.work_queue_id
WHERE r.hooks_left IS NOT NULL ORDER BY r.id LIMIT %(batch)s FOR NO KEY UPDATE OF r SKIP LOCKED"""


def take(session: Session, run_id: uuid.UUID, attempt: int) -> bool:
    """Undertake to call the hooks for the end that an attempt of a run comes to.

    Returns:
        False where somebody else has, or the attempt is over for the server: then they are not to be called.
    """
    return execute(session, _TAKE, {"id": run_id, "attempt": attempt}) > 0


def send(session: Session, actor: Actor, now: datetime, batch: int) -> int:
    """Send agents to call the hooks that were left; returns for how many runs.

    Of a run whose deployment was deleted nobody knows where its code lies: its hooks are not called.
    """
    found = fetch(session, _LEFT, {"batch": batch})
    for row in found:
        for left in row.hooks_left if row.deployment_id is not None and row.queue is not None else ():
            errand = errands.start(
                session, "call-hooks", {"hooks_of": _told(row, left)}, work_queue=row.queue, actor=actor, now=now,
                about=f"of {row.name}", again=True,
            )  # fmt: skip
            session.execute(update(FlowRun).where(FlowRun.id == errand).values(parent_flow_run_id=row.id))
    if found:
        session.execute(update(FlowRun).where(FlowRun.id.in_([row.id for row in found])).values(hooks_left=None))
    return len(found)


def _told(row: Any, left: dict[str, Any]) -> dict[str, Any]:
    """The job that the run was, as far as hooks need it, and the end it came to."""
    state = State.read(left["state"])
    job = Job(
        id=row.id, attempt=left["attempt"], name=row.name, flow=row.flow, state=state, entrypoint=row.entrypoint,
        token="", deployment=Reference(row.deployment_id, row.deployment),
        storage=Storage(row.storage_block_id, row.storage_path, left["snapshot"]), infrastructure=Infrastructure(None),
        results=Results(row.results_block_id, row.results_path) if row.results_block_id else None,
        parameters=row.parameters, tags=row.tags, tries=left["tries"], work_queue=row.queue, starts_in_ms=0,
    )  # fmt: skip
    return {"job": job.write(), "state": left["state"]}
