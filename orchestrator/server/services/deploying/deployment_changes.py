"""What changed of a deployment, in words."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from ...db.models import Block, BlockType, Deployment
from . import deployment_blocks


def block_labels(session: Session, deployments: Sequence[Deployment]) -> dict[uuid.UUID, str]:
    """``type/name`` of every block that the deployments refer to, by its id."""
    known = set().union(*(deployment_blocks.of(item) for item in deployments))
    if not known:
        return {}
    query = select(Block.id, BlockType.slug, Block.name).join(BlockType, BlockType.id == Block.block_type_id)
    found = session.execute(query.where(Block.id.in_(known)))
    return {identifier: f"{slug}/{name or identifier}" for identifier, slug, name in found}


def shown(session: Session, deployment: Deployment) -> dict[str, Any]:
    """A deployment as people are told of it: what differs from an earlier time is a change."""
    labels = block_labels(session, [deployment])
    storage, infrastructure = deployment.storage_block_id, deployment.infrastructure_block_id
    results = deployment.results_block_id
    shown: dict[str, Any] = {
        "description": deployment.description,
        "version": deployment.version,
        "tags": ", ".join(deployment.tags),
        "entrypoint": deployment.entrypoint,
        "storage": labels[storage] if storage else "",
        "path": deployment.storage_path,
        "snapshot": (deployment.snapshot or "")[:12],
        "infrastructure": labels[infrastructure] if infrastructure else "process",
        "results": labels[results] if results else "",
        "path of results": deployment.results_path,
        "work queue": deployment.work_queue.name,
        "crash retries": deployment.crash_retries,
        "concurrency limit": "" if deployment.concurrency_limit is None else deployment.concurrency_limit,
        "collision": deployment.collision,
        "required labels": ", ".join(deployment.labels),
        "parameter schema": deployment.parameter_schema,
        "paused": deployment.paused,
        "not ready": deployment.not_ready or "",
    }
    shown.update({f"parameter {name}": value for name, value in deployment.parameters.items()})
    overrides = deployment.infrastructure_overrides.items()
    shown.update({f"infrastructure override {name}": value for name, value in overrides})
    return shown


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """What changed, a line each, of two times as :func:`shown` tells them."""
    lines = []
    for name in dict.fromkeys([*before, *after]):
        old, new = before.get(name), after.get(name)
        if old == new and (name in before) == (name in after):
            continue
        if name == "parameter schema":
            lines.append("parameter schema: changed")
        elif name == "paused":
            lines.append("paused" if new else "resumed")
        else:
            lines.append(f"{name}: {_text(name, old, before)} -> {_text(name, new, after)}")
    return lines


def _text(name: str, value: Any, where: Mapping[str, Any]) -> str:
    return "(none)" if name not in where or value == "" else str(value)
