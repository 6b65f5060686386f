"""``task-runs``."""

from __future__ import annotations

import uuid
from typing import Any

from flask import Response

from ...states import StateType
from ..db.models import TaskRun, TaskRunState
from ..db.session import reading
from ..schemas import task_runs as schemas
from ..schemas.base import PageQuery
from ..schemas.flow_runs import HistoryPage
from ..services.running import task_runs
from ..services.running.task_runs import TaskRunFilter
from .access import needs
from .resource import Resource, answer, answer_all, answer_page

blueprint = Resource("task-runs", "Task runs; they arrive with the reports.")


@blueprint.route("/task-runs")
@needs("viewer")
@blueprint.arguments(schemas.TaskRunQuery, location="query")
@blueprint.response(200, schemas.TaskRunPage)
def list_task_runs(query: dict[str, Any]) -> Response:
    """List task runs: of one flow run in the order in which they began, else newest first."""
    limit, cursor = query.pop("limit"), query.pop("cursor")
    wanted = TaskRunFilter(state_types=[StateType(kind) for kind in query.pop("state_type", ())], **query)
    with reading() as session:
        found = task_runs.listing(session, wanted, limit, cursor)
    return answer_page(found, present)


@blueprint.route("/task-runs/<uuid:task_run_id>")
@needs("viewer")
@blueprint.response(200, schemas.TaskRunSchema)
def get_task_run(task_run_id: uuid.UUID) -> Response:
    """Get a task run."""
    with reading() as session:
        return answer(present(task_runs.get(session, task_run_id)))


@blueprint.route("/task-runs/<uuid:task_run_id>/states")
@needs("viewer")
@blueprint.arguments(PageQuery, location="query")
@blueprint.response(200, HistoryPage)
def list_task_run_states(query: dict[str, Any], task_run_id: uuid.UUID) -> Response:
    """List the states that a task run took, oldest first."""
    with reading() as session:
        found = task_runs.states(session, task_run_id)
    return answer_all([present_state(item) for item in found], query)


def present(run: TaskRun) -> dict[str, Any]:
    """A task run as JSON."""
    shown = (
        "id",
        "flow_run_id",
        "name",
        "task_key",
        "flow_attempt",
        "attempt",
        "tags",
        "upstream",
        "parent_id",
        "result",
    )
    state = {
        "type": run.state_type,
        "name": run.state_name,
        "message": run.state_message,
        "at": run.state_at,
        "details": None,
    }
    return {**{name: getattr(run, name) for name in shown}, "state": state, "started": run.started, "ended": run.ended}


def present_state(state: TaskRunState) -> dict[str, Any]:
    """A state of the history as JSON."""
    return {
        **{name: getattr(state, name) for name in ("id", "type", "name", "message", "at", "attempt")},
        "details": None,
    }
