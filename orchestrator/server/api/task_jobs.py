"""``flow-runs/.../task-jobs``: calls of tasks, from a flow run's own process to its workers, and their outcomes."""

from __future__ import annotations

import base64
import time
import uuid
from typing import Any

from flask import Response

from ...clock import now
from ...errors import NotFound
from .. import job_waiters
from ..db.session import reading, transaction
from ..schemas import task_jobs as schemas
from ..services.identity import tokens
from ..services.running import task_jobs
from . import holding
from .access import actor, needs, principal
from .resource import Resource, answer, no_content

blueprint = Resource("task-jobs", "Task jobs: what flows have done by workers on other computers.")


@blueprint.route("/flow-runs/<uuid:run_id>/task-jobs", methods=["POST"])
@needs("run")
@blueprint.arguments(schemas.TaskJobsInputSchema)
@blueprint.response(204)
def add_task_jobs(body: dict[str, Any], run_id: uuid.UUID) -> Response:
    """Have workers do calls; workers begin where there are too few. Sending a job again changes nothing."""
    _own(run_id)
    orders = {job["id"]: job["content"] for job in body.pop("jobs")}
    with transaction() as session:
        task_jobs.add(
            session, run_id, body["attempt"], orders, body["workers"], body["work_queue"], actor=actor(), now=now()
        )
    return no_content()


@blueprint.route("/flow-runs/<uuid:run_id>/task-jobs/outcomes", methods=["POST"])
@needs("run")
@blueprint.arguments(schemas.OutcomesInputSchema)
@blueprint.response(200, schemas.OutcomesSchema)
def read_outcomes(body: dict[str, Any], run_id: uuid.UUID) -> Response:
    """Read how jobs ended, once some have or `wait_s` is over; forget those that the flow has."""
    _own(run_id)
    deadline = time.monotonic() + body["wait_s"]
    found = _outcomes(run_id, body)
    # Where very many wait already, the answer is the present state: who asks may ask again.
    if not found["items"] and time.monotonic() < deadline and holding.take(4):
        try:
            woken = job_waiters.wait(run_id, deadline - time.monotonic(), is_worker=False)
        finally:
            holding.leave(4)
        if woken:
            found = _outcomes(run_id, {**body, "taken": []})
    return answer(found)


@blueprint.route("/flow-runs/<uuid:run_id>/task-jobs", methods=["DELETE"])
@needs("run")
@blueprint.arguments(schemas.CloseQuery, location="query")
@blueprint.response(204)
def close_task_jobs(query: dict[str, Any], run_id: uuid.UUID) -> Response:
    """Forget all jobs of a flow run: its workers drop what they do, and end."""
    _own(run_id)
    with transaction() as session:
        task_jobs.close(session, run_id, query["attempt"])
    return no_content()


@blueprint.route("/flow-runs/<uuid:run_id>/task-jobs/place")
@needs("run")
@blueprint.response(200, schemas.WorkPlaceSchema)
def get_work_place(run_id: uuid.UUID) -> Response:
    """Get where the code of a flow run lies, and the key that seals its jobs. For its own process and its workers."""
    with reading() as session:
        found = task_jobs.place(session, run_id, _caller())
    key = _text(tokens.job_key(run_id, found.attempt))
    facts = {"attempt": found.attempt, "entrypoint": found.entrypoint, "storage": found.storage.write(), "key": key}
    return answer(facts, headers={"Cache-Control": "no-store"})


@blueprint.route("/flow-runs/<uuid:run_id>/task-jobs/take", methods=["POST"])
@needs("run")
@blueprint.arguments(schemas.TakeInputSchema)
@blueprint.response(200, schemas.TakenSchema)
def take_task_jobs(body: dict[str, Any], run_id: uuid.UUID) -> Response:
    """Tell what was done, and take more. For workers of the flow run."""
    deadline = time.monotonic() + body["wait_s"]
    done = {job["id"]: job["content"] for job in body["done"]}
    found = _take(run_id, done, body)
    if not (found["items"] or found["over"] or found["revoked"]) and time.monotonic() < deadline and holding.take(4):
        try:
            woken = job_waiters.wait(run_id, deadline - time.monotonic(), is_worker=True)
        finally:
            holding.leave(4)
        if woken:
            found = _take(run_id, {}, body)
    return answer(found)


def _outcomes(run_id: uuid.UUID, body: dict[str, Any]) -> dict[str, Any]:
    with transaction() as session:
        ended = task_jobs.outcomes(
            session, run_id, body["attempt"], body["taken"], body["workers"], body["work_queue"],
            actor=actor(), now=now(),
        )  # fmt: skip
        reason = None if ended else task_jobs.why_waiting(session, run_id, now())
    items = [{"id": one.id, "content": _text(one.content), "lost": one.lost} for one in ended]
    return {"items": items, "waiting_reason": reason}


def _take(run_id: uuid.UUID, done: dict[uuid.UUID, bytes], body: dict[str, Any]) -> dict[str, Any]:
    with transaction() as session:
        found = task_jobs.take(session, run_id, _caller(), done, body["holding"], body["limit"], now())
    items = [{"id": job, "content": _text(content)} for job, content in found.jobs]
    return {"items": items, "revoked": found.revoked, "over": found.over}


def _text(content: bytes | None) -> str | None:
    return None if content is None else base64.b64encode(content).decode()


def _caller() -> uuid.UUID:
    found = principal().run_id
    assert found is not None, "only the keys of runs get here"
    return found


def _own(run_id: uuid.UUID) -> None:
    if _caller() != run_id:
        raise NotFound(f"there is no flow run {run_id}")
