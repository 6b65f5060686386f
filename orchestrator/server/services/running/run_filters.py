"""Which flow runs are meant: the filter of lists, and of what is done to many."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select

from ....ids import uuid7_floor
from ....states import StateType
from ...db.models import FlowRun, WorkQueue
from ..internal import FLOW_ID

#: ``created`` and the time that an id carries may differ by this much: ids of runs started by hand are made there.
_CLOCKS_DIFFER = timedelta(days=1)


@dataclass(frozen=True)
class RunFilter:
    """Which flow runs a list shows; what is empty or None does not restrict."""

    state_types: Sequence[StateType] = field(default_factory=tuple)
    state_names: Sequence[str] = field(default_factory=tuple)
    flow_id: uuid.UUID | None = None
    deployment_id: uuid.UUID | None = None
    #: Name of a queue.
    work_queue: str | None = None
    #: Runs that carry all of them.
    tags: Sequence[str] = field(default_factory=tuple)
    #: Text that the run's name holds, whatever its case.
    name: str | None = None
    parent_flow_run_id: uuid.UUID | None = None
    backfill_id: uuid.UUID | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    due_before: datetime | None = None
    #: Runs that a schedule made.
    scheduled_only: bool = False
    #: Errands, too, which are left out unless their flow or deployment is asked for.
    internal: bool = False


def narrowed(query: Any, wanted: RunFilter) -> Any:
    """A query for flow runs with the conditions of a filter."""
    if wanted.state_types:
        query = query.where(FlowRun.state_type.in_([kind.value for kind in wanted.state_types]))
    if wanted.state_names:
        query = query.where(FlowRun.state_name.in_(list(wanted.state_names)))
    if wanted.flow_id is not None:
        query = query.where(FlowRun.flow_id == wanted.flow_id)
    elif not wanted.internal and wanted.deployment_id is None:
        query = query.where(FlowRun.flow_id != FLOW_ID)
    if wanted.deployment_id is not None:
        query = query.where(FlowRun.deployment_id == wanted.deployment_id)
    if wanted.work_queue is not None:
        named = select(WorkQueue.id).where(WorkQueue.name == wanted.work_queue)
        query = query.where(FlowRun.work_queue_id == named.scalar_subquery())
    if wanted.tags:
        query = query.where(FlowRun.tags.contains(list(wanted.tags)))
    if wanted.name:
        query = query.where(FlowRun.name.icontains(wanted.name, autoescape=True))
    if wanted.parent_flow_run_id is not None:
        query = query.where(FlowRun.parent_flow_run_id == wanted.parent_flow_run_id)
    if wanted.backfill_id is not None:
        query = query.where(FlowRun.backfill_id == wanted.backfill_id)
    if wanted.scheduled_only:
        query = query.where(FlowRun.slot.is_not(None))
    return _within(query, wanted)


def _within(query: Any, wanted: RunFilter) -> Any:
    if wanted.created_after is not None:
        query = query.where(FlowRun.created >= wanted.created_after)
        query = query.where(FlowRun.id >= uuid7_floor(wanted.created_after - _CLOCKS_DIFFER))
    if wanted.created_before is not None:
        query = query.where(FlowRun.created < wanted.created_before)
        query = query.where(FlowRun.id < uuid7_floor(wanted.created_before + _CLOCKS_DIFFER))
    if wanted.due_before is not None:
        query = query.where(FlowRun.due < wanted.due_before)
    return query
