"""Deleting a block, and taking it out of blocks and deployments that refer to it."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import update as sql_update
from sqlalchemy.orm import Session

from ....documents.records import Actor
from ....errors import Conflict
from ...db.models import Block, Deployment
from ..configuring import block_history, block_references, block_usage
from ..configuring.block_announcements import announce_block, changes
from ..configuring.block_lookup import label, locked
from ..configuring.block_references import REFERENCE
from ..recording.announcements import announce, resource
from . import deployment_notifications

#: Users of a block that a refusal to delete it names in its text, and in its ``errors``.
NAMED, LISTED = 20, 200


def delete(session: Session, ref: str | uuid.UUID, actor: Actor, now: datetime, force: bool = False) -> None:
    """Delete a document.

    Args:
        force: Also one that is used: blocks that hold it hold null then, and deployments that refer to it are not
            ready until they are applied again. None of them is deleted.

    Raises:
        NotFound: There is no such block.
        Conflict: It is used; ``errors`` lists by what.
    """
    block = locked(session, ref)
    users = block_usage.usage(session, block.id, now).direct()
    if users and not force:
        more = f" and {len(users) - NAMED} more" if len(users) > NAMED else ""
        told = f"block {label(block)} is used by {', '.join(users[:NAMED])}{more}"
        raise Conflict(told, {"usage": users[:LISTED]})
    if users:
        _detach(session, block, actor, now)
    announce_block(session, "deleted", block, actor, now, before=block.data, used_by=users[:LISTED])
    session.delete(block)
    session.flush()


def _detach(session: Session, block: Block, actor: Actor, now: datetime) -> None:
    """Take a block out of all that refers to it."""
    for holder, field in block_references.let_go(session, block.id, now):
        gone = {"field": field.partition("/")[0], "secret": False, "before": {REFERENCE: str(block.id)}, "after": None}
        block_history.note(session, holder, "updated", actor, now, [gone])
        announce_block(session, "updated", holder, actor, now, **changes([gone]))
    roles: dict[uuid.UUID, list[str]] = {}
    for item in block_usage.usage(session, block.id, now).deployments:
        roles.setdefault(item["id"], []).append(item["as"])
    block_references.forget_in_templates(session, block.id)
    deployment_notifications.forget(session, block.id, actor, now)
    for identifier, told in roles.items():
        # Runs do not need who is told of them.
        found = [role for role in told if role != "notifications"]
        if not found:
            continue
        deployment = session.get_one(Deployment, identifier)
        reason = f"Its {' and '.join(found)} block {label(block)} was deleted: apply it again with another one."
        columns = {f"{role}_block_id": None for role in found if role != "template"}
        changed = {"not_ready": reason, "updated": now, **columns}
        session.execute(sql_update(Deployment).where(Deployment.id == identifier).values(changed))
        about = resource("deployment", identifier, f"{deployment.flow.name}/{deployment.name}")
        announce(session, "deployment.not-ready", about, actor, now, reason=reason)
