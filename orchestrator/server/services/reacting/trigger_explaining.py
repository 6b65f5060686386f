"""Why a trigger did, or did not, fire for an event."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from .... import triggers as rules
from ....clock import to_text
from ....triggers import Seen, Verdict
from ...db.models import Event, Firing, Trigger
from ..recording import events
from . import triggers


@dataclass(frozen=True)
class Explanation:
    """Whether an event counts for a trigger, what decided that, and the firings that it was the event of."""

    counts: bool
    verdicts: list[Verdict]
    firings: list[uuid.UUID]


def explain(session: Session, ref: str | uuid.UUID, event_id: uuid.UUID) -> Explanation:
    """Hold an event against a trigger. Raises NotFound for either, and Conflict as :func:`.triggers.get`."""
    trigger, event = triggers.get(session, ref), events.get(session, event_id)
    spec = rules.read_condition(trigger.condition)
    seen = Seen.of(event.id, event.event, event.occurred, event.received, event.resource, event.related)
    verdicts = [*_standing(trigger, event), *rules.explain(spec, seen)]
    counts = trigger.active and event.received >= trigger.since
    counts = counts and rules.is_concerned(spec, seen) and rules.key_text(spec, seen) is not None
    found = session.scalars(select(Firing).where(Firing.trigger_id == trigger.id, Firing.event_id == event.id)).all()
    for firing in found:
        done = f"suppressed: {firing.suppressed}" if firing.suppressed else "its actions were asked for"
        verdicts.append(Verdict(not firing.suppressed, f"fired at {to_text(firing.fired)}; {done}"))
    return Explanation(counts, verdicts, [firing.id for firing in found])


def _standing(trigger: Trigger, event: Event) -> list[Verdict]:
    found = [Verdict(trigger.active, "the trigger is switched on" if trigger.active else "the trigger is off")]
    heard = event.received >= trigger.since
    when = f"the event was received at {to_text(event.received)}, the trigger listens since {to_text(trigger.since)}"
    return [*found, Verdict(heard, when)]
