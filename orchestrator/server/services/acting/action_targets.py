"""Finding what documents of actions name: by id, or by the name that people use."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from ....errors import Conflict, InvalidInput, NotFound
from ...db.models import Block, BlockType, Deployment, Flow, ResourceLimit, Schedule, Trigger, WorkQueue
from ..configuring import block_lookup
from ..internal import FLOW_ID


def find(session: Session, kind: str, ref: str, interface: str = "") -> uuid.UUID:
    """The id of a block, deployment, work queue, schedule, trigger or limit.

    Args:
        interface: That the type of a block needs to have, or the slug of that type.

    Raises:
        NotFound: There is none.
        Conflict: Several have the name.
        InvalidInput: The block is of another kind.
    """
    if kind == "block":
        return _block(session, ref, interface)
    try:
        by_id: uuid.UUID | None = uuid.UUID(ref)
    except ValueError:
        by_id = None
    model, by_name = _BY_NAME[kind]
    query = select(model.id).where(model.id == by_id if by_id is not None else by_name(ref))
    if model is Deployment:
        query = query.where(Deployment.flow_id != FLOW_ID)
    found = session.scalars(query.limit(2)).all()
    if not found:
        raise NotFound(f"there is no {kind.replace('-', ' ')} {ref}")
    if len(found) > 1:
        raise Conflict(f"several {kind.replace('-', ' ')}s are named {ref}; say which")
    identifier: uuid.UUID = found[0]
    return identifier


def names(session: Session, kind: str, interface: str = "", limit: int = 200) -> list[str]:
    """The names of what there is of a kind, by name, as :func:`find` takes them.

    Args:
        interface: Of blocks: what the type needs to have, or its slug.
        limit: Most that are told.
    """
    if kind == "block":
        query = block_lookup.select_blocks().where(Block.name.is_not(None)).limit(limit)
        if interface:
            query = query.where(BlockType.interfaces.contains([interface]) | (BlockType.slug == interface))
        return sorted(
            block_lookup.label(block) for block in session.scalars(query.order_by(BlockType.slug, Block.name))
        )
    query = _NAMES[kind].limit(limit)
    return sorted("/".join(filter(None, row)) for row in session.execute(query))


def _block(session: Session, ref: str, interface: str) -> uuid.UUID:
    block = block_lookup.get(session, ref)
    able = [block.block_type.slug, *block.block_type.interfaces]
    if interface and interface not in able:
        raise InvalidInput(f"block {ref} is no {interface} but {', '.join(able)}")
    return block.id


def _deployment(ref: str) -> Any:
    flow, slash, name = ref.partition("/")
    if not slash:
        return Deployment.name == ref
    return (Deployment.name == name) & (Deployment.flow_id == _flow(flow))


def _schedule(ref: str) -> Any:
    deployment, _, slug = ref.rpartition("/")
    of = select(Deployment.id).where(_deployment(deployment))
    return (Schedule.slug == slug) & Schedule.deployment_id.in_(of)


def _trigger(ref: str) -> Any:
    deployment, slash, name = ref.rpartition("/")
    if not slash:
        return (Trigger.name == ref) & Trigger.deployment_id.is_(None)
    of = select(Deployment.id).where(_deployment(deployment))
    return ((Trigger.name == name) & Trigger.deployment_id.in_(of)) | (
        (Trigger.name == ref) & Trigger.deployment_id.is_(None)
    )


def _flow(name: str) -> Any:
    return select(Flow.id).where(Flow.name == name).scalar_subquery()


_FULL: Any = select(Flow.name, Deployment.name).where(Deployment.flow_id == Flow.id, Flow.id != FLOW_ID)
_TRIGGERS: Any = select(Flow.name, Deployment.name, Trigger.name).select_from(Trigger)
_NAMES: dict[str, Any] = {
    "deployment": _FULL.order_by(Flow.name, Deployment.name),
    "work-queue": select(WorkQueue.name).order_by(WorkQueue.name),
    "schedule": _FULL.add_columns(Schedule.slug)
    .where(Schedule.deployment_id == Deployment.id)
    .order_by(Flow.name, Deployment.name, Schedule.slug),
    "trigger": _TRIGGERS.outerjoin(Deployment, Deployment.id == Trigger.deployment_id)
    .outerjoin(Flow, Flow.id == Deployment.flow_id)
    .order_by(Trigger.name, Trigger.id),
    "limit": select(ResourceLimit.name).order_by(ResourceLimit.name),
}
_BY_NAME: dict[str, tuple[Any, Callable[[str], Any]]] = {
    "deployment": (Deployment, _deployment),
    "work-queue": (WorkQueue, lambda ref: WorkQueue.name == ref),
    "schedule": (Schedule, _schedule),
    "trigger": (Trigger, _trigger),
    "limit": (ResourceLimit, lambda ref: ResourceLimit.name == ref),
}
