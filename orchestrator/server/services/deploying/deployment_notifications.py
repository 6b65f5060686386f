"""Whom a deployment has told of its runs: the part ``notifications`` of its document, a short form of triggers.

Each notifier is a trigger that the deployment owns, with one action ``notify``; the short form reads and writes those
whose names begin with :data:`PREFIX`, and no others.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from ....documents.records import Actor
from ....errors import InvalidInput, NotFound
from ...db.models import Block, Deployment, Trigger
from ...db.models.trigger import SHORT_FORM as PREFIX
from ..configuring.block_lookup import get, label
from ..reacting import triggers

INTERFACE = "notifier"
#: State types that are told where a document names none.
DEFAULT_ON = ("failed", "crashed")
#: Notifiers that one deployment may have.
MOST = 20
#: No cap that anybody meets: what is asked for is told.
_HOURLY_MAX = 100_000


@dataclass(frozen=True)
class Wanted:
    """One notifier and the state types, in lower case, that it is told."""

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
        found[block.id] = Wanted(block, [*dict.fromkeys(item.get("on") or DEFAULT_ON)])
    return [*found.values()]


def replace(
    session: Session, deployment: Deployment, wanted: Sequence[Wanted], actor: Actor, now: datetime
) -> list[str]:
    """Give a deployment, which is in the database, these notifiers; returns what changed, a line."""
    before = {block_of(item): states_of(item) for item in deployment.notifications}
    after = {label(item.block): item.states for item in wanted}
    documents = [_document(deployment, item) for item in wanted]
    changed = triggers.replace_owned(session, deployment, documents, actor, now, short_form=True)
    session.expire(deployment, ["notifications"])
    if not changed or before == after:
        return changed
    return [f"notifications: {_text(before)} -> {_text(after)}"]


def block_of(trigger: Trigger) -> str:
    """``type/name`` of the notifier of a trigger that stands for a notification."""
    return trigger.name.removeprefix(PREFIX)


def states_of(trigger: Trigger) -> list[str]:
    """The state types, in lower case, that a trigger tells which stands for a notification."""
    return [str(name).removeprefix("flow-run.") for name in trigger.condition.get("expect") or ()]


def forget(session: Session, block_id: uuid.UUID, actor: Actor, now: datetime) -> None:
    """Take a block that is about to be deleted out of all deployments' notifications."""
    name = PREFIX + label(get(session, block_id))
    for trigger in triggers.owned_named(session, name):
        triggers.delete_(session, trigger.id, actor, now)


def _document(deployment: Deployment, wanted: Wanted) -> dict[str, Any]:
    name = label(wanted.block)
    return {
        "name": PREFIX + name,
        "when": {
            "match": {"resource.id": "orchestrator.flow-run.*"},
            "match_related": [
                {"resource.id": f"orchestrator.deployment.{deployment.id}", "resource.role": "deployment"}
            ],
            "expect": [f"flow-run.{state}" for state in wanted.states],
        },
        "then": [{"do": "notify", "block": name}],
        "hourly_max": _HOURLY_MAX,
    }


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


def _text(items: Mapping[str, Sequence[str]]) -> str:
    return "; ".join(f"{name} on {', '.join(states)}" for name, states in items.items()) or "(none)"
