"""The blocks of a deployment: those it refers to, and nameless ones that are its own, written in its document."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from ....documents.records import Actor
from ....errors import InvalidInput, NotFound
from ...db.models import Block, Deployment
from ..configuring import block_usage, blocks
from ..configuring.block_history import differences
from . import block_removal


@dataclass(frozen=True)
class Chosen:
    """The block for one role, and which fields of the deployment's own block were changed for it."""

    block_id: uuid.UUID | None
    changed: list[str] = field(default_factory=list)


def of(deployment: Deployment) -> set[uuid.UUID]:
    """The blocks that a deployment refers to by a role."""
    held = (deployment.storage_block_id, deployment.infrastructure_block_id, deployment.results_block_id)
    return {item for item in held if item is not None}


def choose(
    session: Session,
    asked: str | Mapping[str, Any] | None,
    present: uuid.UUID | None,
    place: str,
    interface: str,
    actor: Actor,
    now: datetime,
) -> Chosen:
    """The block that a document asks for.

    Args:
        asked: ``type/name`` or an id; or ``{"type", "data"}``: a block of the deployment's own, which is made, or
            changed where ``present`` is one of that type. A secret that comes masked is kept then.
        present: The block that it has now in this role.
        place: What the document calls it, for errors.
        interface: What the block has to be.

    Raises:
        InvalidInput: There is no such block, it is of another kind, or its values do not fit.
    """
    if asked is None:
        return Chosen(None)
    if isinstance(asked, str):
        return Chosen(_fitting(_found(session, asked, place), str(asked), place, interface).id)
    try:
        block, changed = _own(session, asked, present, actor, now)
    except NotFound as error:
        raise InvalidInput(f"{place}: {error}", {f"{place}.type": [str(error)]}) from None
    except InvalidInput as error:
        raise InvalidInput(
            f"{place}: {error}", {f"{place}.{key}": text for key, text in error.errors.items()}
        ) from None
    return Chosen(_fitting(block, str(asked["type"]), place, interface).id, changed)


def drop(session: Session, ids: Iterable[uuid.UUID], actor: Actor, now: datetime) -> None:
    """Delete those of the blocks that are nameless and used by nothing any more."""
    for identifier in sorted(ids):
        block = session.get(Block, identifier)
        if block is not None and block.name is None and not block_usage.usage(session, identifier, now).direct():
            block_removal.delete(session, identifier, actor, now)


def _own(
    session: Session, asked: Mapping[str, Any], present: uuid.UUID | None, actor: Actor, now: datetime
) -> tuple[Block, list[str]]:
    block = session.get(Block, present) if present is not None else None
    mine = block is not None and block.name is None and block.block_type.slug == asked["type"]
    if block is None or not mine or len(block_usage.usage(session, block.id, now).direct()) > 1:
        made = blocks.create(session, str(asked["type"]), asked["data"], name=None, actor=actor, now=now)
        return made, []
    before, stamp = dict(block.data), block.updated
    updated = blocks.update(session, block.id, asked["data"], actor=actor, now=now)
    if updated.updated == stamp:
        return updated, []
    changed = [item["field"] for item in differences(before, updated.data, {}, {})]
    return updated, changed or ["secrets"]


def _found(session: Session, ref: str, place: str) -> Block:
    try:
        return blocks.get(session, ref)
    except NotFound:
        problem = f"There is no block {ref}: save it first, or correct the name."
        raise InvalidInput(f"{place}: {problem}", {place: [problem]}) from None


def _fitting(block: Block, ref: str, place: str, interface: str) -> Block:
    if interface not in block.block_type.interfaces:
        kinds = ", ".join(block.block_type.interfaces) or "plain values"
        problem = f"Block {ref} is no {interface}; it is {kinds}."
        raise InvalidInput(f"{place}: {problem}", {place: [problem]})
    return block
