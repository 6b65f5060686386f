"""``place-hold``: have what touches a resource wait."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from .....clock import duration, from_text
from .. import holds
from ..action_kind import Asked, Field, Kind


class PlaceHold(Kind):
    """Places a hold."""

    name = "place-hold"
    title = "Hold a resource"
    description = "Have deployments that touch a resource wait; release-hold, a time or an event lets them go."
    fields = (
        Field("resource", "text", "Id of the resource, or a pattern of ids.", required=True, pattern=True),
        Field(
            "kind", "choice", "stop (nothing starts), limit (few at once) or delay.", choices=("stop", "limit", "delay")
        ),
        Field("slots", "number", "Of a limit: how many runs go on at once."),
        Field("delay", "duration", "Of a delay: how much later runs start."),
        Field("reason", "text", "What people are told who ask why their run waits."),
        Field("for", "duration", "It is released after this time."),
        Field("until", "instant", "It is released at this time."),
        Field("until_event", "text", "It is released by an event of this name, or pattern of names.", pattern=True),
        Field("until_resource", "text", "... about this resource only.", pattern=True),
    )

    def act(self, session: Session, asked: Asked, now: datetime) -> dict[str, Any]:
        """Place it; the same action finds the hold that it placed before."""
        placed = holds.of_firing(session, asked.firing_id, match := {"resource.id": asked.values["resource"]})
        if placed is None:
            placed = holds.place(session, _wanted(match, asked.values, now), asked.actor, now, asked.firing_id).hold
        return {"hold_id": str(placed.id)}


def _wanted(match: dict[str, Any], values: Any, now: datetime) -> holds.Wanted:
    until = from_text(values["until"]) if "until" in values else None
    about = {"resource.id": values["until_resource"]} if "until_resource" in values else {}
    return holds.Wanted(
        match=match,
        kind=values.get("kind", "stop"),
        reason=values.get("reason", "a trigger asked for it"),
        slots=values.get("slots"),
        delay_s=duration(values["delay"]).total_seconds() if "delay" in values else None,
        until=now + duration(values["for"]) if "for" in values else until,
        until_event={"event": values["until_event"], "match": about} if "until_event" in values else None,
    )


KIND = PlaceHold()
