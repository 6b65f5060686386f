"""Finding block documents, and what they are called."""

from __future__ import annotations

import uuid
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from ....errors import NotFound
from ...db.models import Block, BlockType


def get(session: Session, ref: str | uuid.UUID) -> Block:
    """A document by id or ``type/name`` (``type/id`` of an anonymous one); its ``data`` are masked. Raises NotFound."""
    found: Block | None = session.scalar(wanted(ref))
    if found is None:
        raise NotFound(f"there is no block {ref}")
    return found


def locked(session: Session, ref: str | uuid.UUID) -> Block:
    """As :func:`get`, as it is once nobody else changes it, and held until the transaction ends."""
    block = get(session, ref)
    session.execute(select(Block.id).where(Block.id == block.id).with_for_update())
    session.refresh(block)
    return block


def select_blocks() -> Select[Any]:
    """Blocks, joined with their types."""
    return select(Block).join(BlockType, BlockType.id == Block.block_type_id)


def label(block: Block) -> str:
    """``type/name``, or ``type/id`` of an anonymous one."""
    return f"{block.block_type.slug}/{block.name or block.id}"


def wanted(ref: str | uuid.UUID) -> Select[Any]:
    """The query for a document, by id or ``type/name``."""
    identifier = ref if isinstance(ref, uuid.UUID) else _id(ref)
    if identifier is not None:
        return select_blocks().where(Block.id == identifier)
    slug, _, name = str(ref).partition("/")
    query = select_blocks().where(BlockType.slug == slug)
    anonymous = _id(name)
    if anonymous is not None:
        return query.where((Block.name == name) | (Block.name.is_(None) & (Block.id == anonymous)))
    return query.where(Block.name == name)


def _id(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None
