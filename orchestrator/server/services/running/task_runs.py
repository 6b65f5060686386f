"""Task runs, for reading; they are written by :mod:`.reports`."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from ....errors import NotFound
from ....states import StateType
from ...db.models import TaskRun, TaskRunState
from ..paging import Page, check_limit, decode_id, page


@dataclass(frozen=True)
class TaskRunFilter:
    """Which task runs a list shows; what is empty does not restrict."""

    flow_run_id: uuid.UUID | None = None
    state_types: Sequence[StateType] = field(default_factory=tuple)
    name: str | None = None


def get(session: Session, task_run_id: uuid.UUID) -> TaskRun:
    """One task run. Raises NotFound."""
    found = session.get(TaskRun, task_run_id)
    if found is None:
        raise NotFound(f"there is no task run {task_run_id}")
    return found


def states(session: Session, task_run_id: uuid.UUID) -> list[TaskRunState]:
    """The history of one task run, oldest first. Raises NotFound."""
    get(session, task_run_id)
    query = select(TaskRunState).where(TaskRunState.task_run_id == task_run_id).order_by(TaskRunState.id)
    return list(session.scalars(query))


def listing(session: Session, wanted: TaskRunFilter, limit: int = 50, cursor: str | None = None) -> Page[TaskRun]:
    """A page of task runs: in the order in which they began within one flow run, else newest first."""
    query: Any = select(TaskRun)
    oldest_first = wanted.flow_run_id is not None
    if wanted.flow_run_id is not None:
        query = query.where(TaskRun.flow_run_id == wanted.flow_run_id)
    if wanted.state_types:
        query = query.where(TaskRun.state_type.in_([kind.value for kind in wanted.state_types]))
    if wanted.name:
        query = query.where(TaskRun.name.icontains(wanted.name, autoescape=True))
    if cursor:
        last = decode_id(cursor)
        query = query.where(TaskRun.id > last if oldest_first else TaskRun.id < last)
    query = query.order_by(TaskRun.id if oldest_first else TaskRun.id.desc()).limit(check_limit(limit) + 1)
    return page(session.scalars(query).all(), limit, lambda row: (row.id,))
