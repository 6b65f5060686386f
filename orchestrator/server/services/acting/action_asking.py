"""From an action in the outbox to what is to be done: its kind, and its document with the templates filled in."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from ....documents.records import Actor
from ...db.models import Action, Firing, Trigger
from . import action_kinds, sandbox
from .action_kind import Asked, Kind
from .action_scene import Scene
from .action_templates import Known


def prepare(session: Session, scene: Scene, row: Action, now: datetime) -> tuple[Kind, Asked]:
    """What an action is to do now.

    Raises:
        InvalidInput: There is no such kind, or a template cannot be filled in; the message names the field.
    """
    kind = action_kinds.get(row.kind)
    firing, trigger = scene.of(row)
    lookup = Known(session, row, firing, trigger, now)
    document = {name: value for name, value in row.spec.items() if name != "do"}
    known = lookup.named(sandbox.names_in(document) | kind.needs(document))
    values = sandbox.render(document, known, row.kind)
    kind.read(values, document, row.kind)
    return kind, Asked(
        action_id=row.id,
        values=values,
        firing_id=firing.id,
        moment=row.moment,
        event_id=firing.event_id,
        involved=lookup.involved(),
        actor=actor_of(firing, trigger),
        trigger_id=firing.trigger_id,
        chain_id=firing.chain_id,
        depth=firing.depth,
        known=known,
    )


def actor_of(firing: Firing, trigger: Trigger | None) -> Actor:
    """Who an action is done by: the trigger, the expectation, or who sends a test message."""
    if isinstance(by := firing.context.get("by"), dict) and firing.trigger_id is None and firing.expectation_id is None:
        return Actor.read(by)
    if trigger is None:
        told = firing.context.get("expectation")
        name = str(told.get("name", "")) if isinstance(told, dict) else ""
        return Actor("expectation", name=name)
    return Actor("trigger", str(trigger.id), trigger.name)
