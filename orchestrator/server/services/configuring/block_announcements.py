"""What is told of blocks, as events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from ....documents.records import Actor
from ...db.models import Block
from ..recording.announcements import announce, resource
from .block_lookup import label


def changes(fields: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Changes as events tell them: of secrets that they changed alone."""
    plain = [item for item in fields if not item["secret"]]
    sides = {side: {item["field"]: item[side] for item in plain} for side in ("before", "after")}
    return {"fields": [item["field"] for item in fields], **sides}


def announce_block(session: Session, verb: str, block: Block, actor: Actor, now: datetime, **payload: Any) -> None:
    about = resource("block", block.id, label(block))
    related = [resource("block-type", block.block_type_id or block.block_type.id, block.block_type.slug, "block-type")]
    announce(session, f"block.{verb}", about, actor, now, related, **payload)
