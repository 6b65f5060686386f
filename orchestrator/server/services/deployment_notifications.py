"""Which notifiers a deployment has told of its runs: the part ``notifications`` of its document."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete
from sqlalchemy.orm import Session

from ...errors import InvalidInput, NotFound
from ..db.models import Block, Deployment, DeploymentNotification
from .block_lookup import get, label

INTERFACE = "notifier"
#: State types that are told where a document names none.
DEFAULT_ON = ("failed", "crashed")
#: Notifiers that one deployment may have.
MOST = 20


@dataclass(frozen=True)
class Wanted:
    """One notifier and the state types, in upper case, that it is told."""

    block: Block
    states: list[str]


def read(session: Session, items: Sequence[Mapping[str, Any]]) -> list[Wanted]:
    """Find the blocks that a document names.

    Args:
        items: ``{"block": type/name or id, "on": state types in lower case}`` each.

    Raises:
        InvalidInput: A block is not there, is no notifier or stands there twice; or there are too many.
    """
    if len(items) > MOST:
        raise InvalidInput(f"notifications: {len(items)} of them: at most {MOST}", {"notifications": ["Too many."]})
    found: dict[uuid.UUID, Wanted] = {}
    for index, item in enumerate(items):
        place = f"notifications.{index}.block"
        block = _notifier(session, item["block"], place)
        if block.id in found:
            raise _wrong(place, f"Block {item['block']} stands there twice: give one entry all states.")
        on = dict.fromkeys(item.get("on") or DEFAULT_ON)
        found[block.id] = Wanted(block, [name.upper() for name in on])
    return [*found.values()]


def replace(session: Session, deployment: Deployment, wanted: Sequence[Wanted]) -> list[str]:
    """Give a deployment, which is in the database, these notifiers; returns what changed, a line."""
    before = [(item.block_id, item.states) for item in deployment.notifications]
    if before == [(item.block.id, item.states) for item in wanted]:
        return []
    was = _text([(label(get(session, item.block_id)), item.states) for item in deployment.notifications])
    session.execute(delete(DeploymentNotification).where(DeploymentNotification.deployment_id == deployment.id))
    session.add_all(
        DeploymentNotification(deployment_id=deployment.id, block_id=item.block.id, position=place, states=item.states)
        for place, item in enumerate(wanted)
    )
    session.flush()
    session.expire(deployment, ["notifications"])
    return [f"notifications: {was} -> {_text([(label(item.block), item.states) for item in wanted])}"]


def forget(session: Session, block_id: uuid.UUID) -> None:
    """Take a block that is about to be deleted out of all deployments' notifications."""
    session.execute(delete(DeploymentNotification).where(DeploymentNotification.block_id == block_id))


def _notifier(session: Session, ref: str, place: str) -> Block:
    try:
        block = get(session, ref)
    except NotFound:
        raise _wrong(place, f"There is no block {ref}: save it first, or correct the name.") from None
    if INTERFACE not in block.block_type.interfaces:
        kinds = ", ".join(block.block_type.interfaces) or "plain values"
        raise _wrong(place, f"Block {ref} is no {INTERFACE}; it is {kinds}.")
    return block


def _wrong(place: str, problem: str) -> InvalidInput:
    return InvalidInput(f"{place}: {problem}", {place: [problem]})


def _text(items: Sequence[tuple[str, Sequence[str]]]) -> str:
    return "; ".join(f"{name} on {', '.join(states).lower()}" for name, states in items) or "(none)"
