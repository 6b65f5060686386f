"""Triggers: the list with how often each fires, and one with what it says, remembers and did."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import yaml
from sqlalchemy.orm import Session

from orchestrator.clock import from_text
from orchestrator.errors import InvalidInput, NotFound
from orchestrator.server.db.models import Chain, Trigger
from orchestrator.server.db.models.trigger import SHORT_FORM
from orchestrator.server.services.acting import actions
from orchestrator.server.services.acting.actions import ActionFilter, ActionRow
from orchestrator.server.services.paging import Page
from orchestrator.server.services.reacting import firings, trigger_activity, trigger_explaining, trigger_keys, triggers
from orchestrator.server.services.reacting.firings import STATES, FiringFilter, FiringRow
from orchestrator.server.services.reacting.trigger_activity import Activity
from orchestrator.server.services.reacting.trigger_explaining import Explanation
from orchestrator.server.services.reacting.trigger_keys import KeyRow
from orchestrator.server.services.reacting.trigger_standings import STANDINGS
from orchestrator.server.services.reacting.triggers import TriggerFilter, TriggerRow
from orchestrator.triggers.documents import SEVERITIES

from . import audit
from .actions import blocks_of
from .asking import identifier, one_of, text
from .firings import said
from .trigger_names import named

#: Keys, actions and changes that a trigger's page shows at most.
KEYS, ACTIONS, CHANGES = 20, 10, 8
#: For how long one may mute, beside until a time.
MUTES = {"1h": "1 hour", "4h": "4 hours", "1d": "1 day", "7d": "7 days", "at": "until a time"}
_LENGTHS = {"1h": timedelta(hours=1), "4h": timedelta(hours=4), "1d": timedelta(days=1), "7d": timedelta(days=7)}

#: What a document need not say, as it is so anyway.
_USUAL = {
    "description": "", "owner": "", "severity": "warning", "active": True, "debounce": 0, "hourly_max": 1000,
    "then": [], "on_resolve": [],
}  # fmt: skip
#: Conditions and actions as people write them: the database keeps no order.
_ORDER = (
    "absent", "metric", "of", "operator", "value", "range", "firing_for", "schedule", "any", "all", "sequence",
    "at_least", "after", "expect", "match", "match_related", "for_each", "threshold", "within", "do", "deployment",
    "block", "event", "resource",
)  # fmt: skip


@dataclass(frozen=True)
class Asked:
    """The filters of the list, as the address holds them."""

    text: str = ""
    standing: str = ""
    severity: str = ""
    deployment_id: uuid.UUID | None = None

    @property
    def narrowed(self) -> bool:
        """Whether something is filtered at all."""
        return self != Asked()


@dataclass(frozen=True)
class Listed:
    """A trigger as the list shows it."""

    row: TriggerRow
    sentence: str
    activity: Activity


@dataclass(frozen=True)
class Listing:
    """What the list's page shows."""

    page: Page[TriggerRow]
    items: list[Listed]
    #: Deployments that own triggers, as id and ``flow/name``.
    owners: list[tuple[uuid.UUID, str]]


@dataclass(frozen=True)
class Explained:
    """Whether an event counts for a trigger, or why that cannot be told."""

    asked: str = ""
    problem: str = ""
    answer: Explanation | None = None


@dataclass(frozen=True)
class TriggerPage:
    """All that one trigger's page shows."""

    row: TriggerRow
    sentence: str
    document: str
    activity: Activity
    keys: Page[KeyRow]
    for_each: list[str]
    firings: Page[FiringRow]
    #: The state that the firings are narrowed to.
    state: str
    actions: list[ActionRow]
    blocks: dict[str, uuid.UUID]
    changes: list[audit.Entry]
    explained: Explained
    #: The chain that it stands for a step of.
    chain: str

    @property
    def of_notifications(self) -> bool:
        """Whether it stands for a deployment's ``notifications``."""
        return self.row.trigger.name.startswith(SHORT_FORM) and self.row.trigger.deployment_id is not None


def asked(arguments: Mapping[str, Any]) -> Asked:
    """Read the filters from an address. Raises InvalidInput naming the one that cannot be understood."""
    return Asked(
        text(arguments, "q"),
        one_of(arguments, "standing", STANDINGS),
        one_of(arguments, "severity", SEVERITIES),
        identifier(arguments, "deployment"),
    )


def listing(session: Session, wanted: Asked, now: datetime, cursor: str | None) -> Listing:
    """One page of triggers, by name."""
    only = TriggerFilter(
        name=wanted.text or None,
        standing=wanted.standing or None,
        severity=wanted.severity or None,
        deployment_id=wanted.deployment_id,
    )
    page = triggers.listing(session, only, now, 50, cursor)
    activity = trigger_activity.of(session, [row.trigger.id for row in page.items], now)
    sentences = named(session, [said(row.trigger) for row in page.items])
    items = [Listed(*pair, activity[pair[0].trigger.id]) for pair in zip(page.items, sentences, strict=True)]
    return Listing(page, items, triggers.owners(session))


def load(session: Session, trigger_id: uuid.UUID, arguments: Mapping[str, Any], now: datetime) -> TriggerPage:
    """One trigger; ``state`` narrows its firings, ``event`` asks why it did or did not fire. Raises NotFound."""
    row = triggers.row(session, trigger_id, now)
    trigger, state = row.trigger, one_of(arguments, "state", STATES)
    done = actions.listing(session, ActionFilter(trigger_id=trigger.id), ACTIONS).items
    chain = session.get(Chain, trigger.of_chain_id) if trigger.of_chain_id else None
    only = FiringFilter(trigger_id=trigger.id, state=state or None)
    changed = audit.Asked(resource=f"orchestrator.trigger.{trigger.id}", within="30d")
    return TriggerPage(
        row=row,
        sentence=named(session, [said(trigger)])[0],
        document=written(trigger),
        activity=trigger_activity.of(session, [trigger.id], now)[trigger.id],
        keys=trigger_keys.listing(session, trigger.id, KEYS),
        for_each=_for_each(trigger.condition),
        firings=firings.listing(session, only, 25, arguments.get("cursor")),
        state=state,
        actions=done,
        blocks=blocks_of(session, done),
        changes=audit.listing(session, changed, now, None, CHANGES)[0],
        explained=explained(session, trigger.id, text(arguments, "event")),
        chain="" if chain is None else chain.name,
    )


def explained(session: Session, trigger_id: uuid.UUID, event: str) -> Explained:
    """Hold an event against a trigger; ``event`` is what somebody typed."""
    if not event:
        return Explained()
    try:
        return Explained(event, answer=trigger_explaining.explain(session, trigger_id, uuid.UUID(event)))
    except ValueError:
        return Explained(event, "This is no id of an event: copy it from the event's page.")
    except NotFound:
        return Explained(event, "No event of this id is kept: it may be older than events are kept.")


def written(trigger: Trigger) -> str:
    """The document that gives the same trigger, as YAML, without what is as it is anyway."""
    document = triggers.document(trigger)
    kept = {name: _ordered(value) for name, value in document.items() if value != _USUAL.get(name, ...)}
    return yaml.safe_dump(kept, sort_keys=False, allow_unicode=True, width=60)


def until(form: Mapping[str, str], now: datetime) -> datetime:
    """Until when the form wants a trigger muted. Raises InvalidInput; ``errors`` names the field."""
    wanted = form.get("for", "")
    if wanted in _LENGTHS:
        return now + _LENGTHS[wanted]
    if wanted != "at":
        raise InvalidInput("how long?", {"for": ["Say for how long it is to do nothing."]})
    try:
        at = from_text(form.get("until", ""))
    except ValueError:
        raise InvalidInput("the time cannot be read", {"until": ["Say until when, with date and time."]}) from None
    if at <= now:
        raise InvalidInput("the time has passed", {"until": ["This time has passed: choose one that lies ahead."]})
    return at


def _for_each(condition: Mapping[str, Any]) -> list[str]:
    found = condition.get("for_each") or []
    return [found] if isinstance(found, str) else list(found)


def _ordered(value: Any) -> Any:
    if isinstance(value, Mapping):
        names = sorted(value, key=lambda name: _ORDER.index(name) if name in _ORDER else len(_ORDER))
        return {name: _ordered(value[name]) for name in names}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_ordered(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
