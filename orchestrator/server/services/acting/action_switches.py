"""What ``pause`` and ``resume`` have in common: stopping and starting deployments, schedules, queues and triggers."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from ..deploying import deployments, schedules
from ..reacting import triggers
from ..running import work_queues
from . import action_scope, action_targets
from .action_kind import Asked, Field

FIELDS = (
    *action_scope.DEPLOYMENTS,
    Field("schedule", "schedule", "flow/deployment/slug of a schedule."),
    Field("work_queue", "work-queue", "Name of a work queue."),
    Field("trigger", "trigger", "Name of a trigger; flow/deployment/name of one that a deployment owns."),
)
NAMES = tuple(item.name for item in FIELDS)


def switch(session: Session, asked: Asked, now: datetime, *, on: bool) -> dict[str, Any]:
    """Stop or start what an action names; what stands so already is left as it is."""
    values = asked.values
    if "schedule" in values:
        schedule = action_targets.find(session, "schedule", values["schedule"])
        schedules.change(session, schedule, {"active": on}, asked.actor, now)
        return {"schedule_id": str(schedule)}
    if "work_queue" in values:
        queue = action_targets.find(session, "work-queue", values["work_queue"])
        work_queues.change(session, queue, {"paused": not on}, asked.actor, now)
        return {"work_queue_id": str(queue)}
    if "trigger" in values:
        trigger = action_targets.find(session, "trigger", values["trigger"])
        triggers.change(session, trigger, {"active": on}, asked.actor, now)
        return {"trigger_id": str(trigger)}
    found = action_scope.deployments(session, asked)
    for identifier in found:
        deployments.change(session, identifier, {"paused": not on}, asked.actor, now)
    return {"deployment_ids": [str(identifier) for identifier in found]}
