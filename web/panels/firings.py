"""Firings: the list, and one with what led to it and what followed."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from orchestrator import expectations
from orchestrator.clock import from_text
from orchestrator.errors import InvalidInput
from orchestrator.server.db.models import Event, Firing, Trigger
from orchestrator.server.db.models.trigger import SHORT_FORM
from orchestrator.server.services.acting import actions
from orchestrator.server.services.acting.actions import ActionFilter, ActionRow
from orchestrator.server.services.paging import Page
from orchestrator.server.services.reacting import firings, triggers
from orchestrator.server.services.reacting.firings import CAUSES, STATES, FiringFilter, FiringRow
from orchestrator.triggers import key_values, sentence
from orchestrator.triggers.documents import SEVERITIES
from orchestrator.triggers.matching import listed

from .actions import blocks_of
from .asking import identifier, one_of, text

#: Events that led to a firing, and firings of one chain, that a page shows at most.
EVENTS_MOST, CHAIN_MOST = 50, 50


@dataclass(frozen=True)
class Asked:
    """The filters of the list, as the address holds them."""

    text: str = ""
    state: str = ""
    of: str = ""
    severity: str = ""
    #: Nobody has said that he looks after it.
    unseen: bool = False
    chain_id: uuid.UUID | None = None

    @property
    def narrowed(self) -> bool:
        """Whether something is filtered at all."""
        return self != Asked()


@dataclass(frozen=True)
class FiringPage:
    """All that one firing's page shows."""

    row: FiringRow
    sentence: str
    #: Those that it was for, oldest first, and how many more were, which are no longer kept.
    events: list[Event]
    gone: int
    actions: list[ActionRow]
    blocks: dict[str, uuid.UUID]
    #: What follows from one cause, in the order in which it came about; this firing among them.
    chain: list[FiringRow]

    @property
    def spread(self) -> int:
        """Seconds from the first to the last event that it was for."""
        window = self.row.firing.context["window"]
        return round((from_text(window["to"]) - from_text(window["from"])).total_seconds())


def asked(arguments: Mapping[str, Any]) -> Asked:
    """Read the filters from an address. Raises InvalidInput naming the one that cannot be understood."""
    return Asked(
        text(arguments, "q"),
        one_of(arguments, "state", STATES),
        one_of(arguments, "of", CAUSES),
        one_of(arguments, "severity", SEVERITIES),
        bool(text(arguments, "unseen")),
        identifier(arguments, "chain"),
    )


def listing(session: Session, wanted: Asked, cursor: str | None) -> Page[FiringRow]:
    """One page of firings, newest first."""
    only = FiringFilter(
        name=wanted.text or None,
        state=wanted.state or None,
        of=wanted.of or None,
        severity=wanted.severity or None,
        acknowledged=False if wanted.unseen else None,
        chain_id=wanted.chain_id,
    )
    return firings.listing(session, only, 50, cursor)


def load(session: Session, firing_id: uuid.UUID) -> FiringPage:
    """One firing with what is around it. Raises NotFound."""
    row = firings.get(session, firing_id)
    ids = _causes(row.firing)
    events = session.scalars(select(Event).where(Event.id.in_(ids[-EVENTS_MOST:])).order_by(Event.id)).all()
    done = actions.listing(session, ActionFilter(firing_id=firing_id), 100).items[::-1]
    chain = firings.listing(session, FiringFilter(chain_id=row.firing.chain_id), CHAIN_MOST).items[::-1]
    return FiringPage(
        row, _sentence(row), list(events), len(ids) - len(events), done, blocks_of(session, done),
        chain if len(chain) > 1 else [],
    )  # fmt: skip


def said(trigger: Trigger) -> str:
    """What a trigger says; empty where its document is of an older grammar."""
    if trigger.deployment_id is not None and trigger.name.startswith(SHORT_FORM):
        states = [name.removeprefix("flow-run.") for name in listed(trigger.condition.get("expect", ()))]
        return f"When a run is {' or '.join(states)}: {trigger.name}."
    try:
        return sentence(triggers.document(trigger))
    except InvalidInput:
        return ""


def keys(firing: Firing) -> dict[str, str]:
    """What a firing is for, of what its trigger or expectation is evaluated for each of."""
    named = firing.context.get("key")
    if isinstance(named, dict):
        return {str(name): str(value) for name, value in named.items()}
    if firing.expectation_id is not None:
        return {"for": firing.key} if firing.key and firing.key != "[]" else {}
    return {str(place): value for place, value in enumerate(key_values(firing.key), 1)}


def _sentence(row: FiringRow) -> str:
    if row.trigger is not None:
        return said(row.trigger)
    return "" if row.expectation is None else expectations.sentence(expectations.read(row.expectation.document))


def _causes(firing: Firing) -> list[uuid.UUID]:
    named = [*firing.context.get("causes", ()), *([str(firing.event_id)] if firing.event_id else [])]
    return [uuid.UUID(item) for item in dict.fromkeys(map(str, named))]
