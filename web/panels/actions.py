"""Actions: what firings asked for, in words, and what became of each."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from orchestrator.server.db.models import Action
from orchestrator.server.services.acting import action_kinds, actions
from orchestrator.server.services.acting.actions import STATES, ActionFilter, ActionRow
from orchestrator.server.services.configuring import block_lookup
from orchestrator.server.services.paging import Page

from .asking import identifier, one_of

#: Fields of an action's document that say what it acts upon, the most telling first.
_ABOUT = ("deployment", "block", "event", "work_queue", "schedule", "trigger", "limit", "resource", "url", "run", "to")


@dataclass(frozen=True)
class Asked:
    """The filters of the list, as the address holds them."""

    state: str = ""
    kind: str = ""
    trigger_id: uuid.UUID | None = None
    expectation_id: uuid.UUID | None = None

    @property
    def narrowed(self) -> bool:
        """Whether something is filtered at all."""
        return self != Asked()


@dataclass(frozen=True)
class ActionsPage:
    """One page of the list."""

    rows: Page[ActionRow]
    #: Ids of the blocks that do them, by target.
    blocks: dict[str, uuid.UUID]
    #: Of one trigger or expectation: what it is called.
    cause: str


def asked(arguments: Mapping[str, Any]) -> Asked:
    """Read the filters from an address. Raises InvalidInput naming the one that cannot be understood."""
    return Asked(
        one_of(arguments, "state", STATES),
        one_of(arguments, "kind", list(action_kinds.installed())),
        identifier(arguments, "trigger"),
        identifier(arguments, "expectation"),
    )


def kinds() -> dict[str, str]:
    """Titles of all kinds of action, by name."""
    return {kind.name: kind.title for kind in action_kinds.installed().values()}


def listing(session: Session, wanted: Asked, cursor: str | None) -> ActionsPage:
    """One page of actions, newest first."""
    only = ActionFilter(
        state=wanted.state or None,
        kind=wanted.kind or None,
        trigger_id=wanted.trigger_id,
        expectation_id=wanted.expectation_id,
    )
    rows = actions.listing(session, only, 50, cursor)
    one = wanted.trigger_id is not None or wanted.expectation_id is not None
    cause = rows.items[0].cause_name if one and rows.items else ""
    return ActionsPage(rows, blocks_of(session, rows.items), cause)


def blocks_of(session: Session, rows: Iterable[ActionRow]) -> dict[str, uuid.UUID]:
    """The ids of blocks that actions are done by, by target; a target that is no block, or no longer, has none."""
    targets = {row.action.target for row in rows if row.action.target}
    found = {target: session.scalar(block_lookup.wanted(target)) for target in targets}
    return {target: block.id for target, block in found.items() if block is not None}


def words(document: Mapping[str, Any]) -> str:
    """What an action's document asks for, in a few words: ``Run deployment etl/prod``."""
    verb = str(document.get("do", "")).replace("-", " ").capitalize()
    return f"{verb} {about(document)}".strip()


def words_of(action: Action) -> str:
    """What an action asked for, its templates filled in once it was tried."""
    return words({**(action.rendered or action.spec), "do": action.kind})


def about(document: Mapping[str, Any]) -> str:
    """What it acts upon, as it is written; empty where it is inferred from the event."""
    return next((str(document[name]) for name in _ABOUT if isinstance(document.get(name), str)), "")
