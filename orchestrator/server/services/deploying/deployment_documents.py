"""A deployment as the document that gives the same one: for a file to keep, and for the form that changes it."""

from __future__ import annotations

import uuid
from typing import Any

from sqlalchemy.orm import Session

from ....documents import deployment as documents
from ...db.models import Block, Deployment, Schedule
from ..configuring import blocks
from ..expecting import expectations
from ..mapping import deployment_resources
from ..reacting import triggers
from . import deployment_notifications, schedules


def of(session: Session, deployment: Deployment) -> dict[str, Any]:
    """What ``POST deployments`` takes to make it. Secrets of blocks of its own are masked; applied, they are kept.

    Whether it is paused is no part of it: applying leaves that as it is.
    """
    storage = _block(session, deployment.storage_block_id)
    infrastructure = _block(session, deployment.infrastructure_block_id)
    results = _block(session, deployment.results_block_id)
    overrides = deployment.infrastructure_overrides
    has_storage = storage is not None or deployment.storage_path or deployment.snapshot
    return {
        "flow": deployment.flow.name,
        "name": deployment.name,
        "entrypoint": deployment.entrypoint,
        "description": deployment.description,
        "tags": list(deployment.tags),
        "version": deployment.version,
        "storage": {"block": storage, "path": deployment.storage_path, "snapshot": deployment.snapshot}
        if has_storage
        else None,
        "infrastructure": {"block": infrastructure, "overrides": overrides} if infrastructure or overrides else None,
        "results": {"block": results, "path": deployment.results_path} if results else None,
        "notifications": [
            {"block": deployment_notifications.block_of(item), "on": deployment_notifications.states_of(item)}
            for item in deployment.notifications
        ],
        "triggers": triggers.owned_documents(session, deployment.id),
        "expectations": expectations.owned_documents(session, deployment),
        **deployment_resources.by_role(deployment),
        "work_queue": deployment.work_queue.name,
        "crash_retries": deployment.crash_retries,
        "concurrency_limit": deployment.concurrency_limit,
        "collision": deployment.collision,
        "labels": list(deployment.labels),
        "parameters": deployment.parameters,
        "schedules": [_schedule(item) for item in deployment.schedules],
        "parameter_schema": deployment.parameter_schema,
    }


def text(session: Session, deployment: Deployment) -> str:
    """The document as YAML with comments, as ``orchestrator deployment build`` writes it."""
    return documents.render(documents.Document(**of(session, deployment)))


def _block(session: Session, block_id: uuid.UUID | None) -> str | dict[str, Any] | None:
    if block_id is None:
        return None
    block = session.get_one(Block, block_id)
    return blocks.label(block) if block.name else {"type": block.block_type.slug, "data": block.data}


def _schedule(schedule: Schedule) -> dict[str, Any]:
    """A schedule with what is not as it is anyway."""
    found = {"slug": schedule.slug, **schedules.plan_of(schedule).brief(), "active": schedule.active}
    if schedule.parameters:
        found["parameters"] = schedule.parameters
    whole = {name: int(value) for name, value in found.items() if isinstance(value, float) and value.is_integer()}
    return {**found, **whole}
