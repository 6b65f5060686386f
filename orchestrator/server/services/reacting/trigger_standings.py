"""How a trigger stands: switched off, doing nothing for a while, with an open firing, or waiting."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ColumnExpressionArgument, exists, func

from ...db.models import Firing, Trigger

STANDINGS = ("off", "muted", "firing", "armed")


def standing(trigger: Trigger, is_open: bool, now: datetime) -> str:
    """One of :data:`STANDINGS`; ``is_open`` tells whether one of its firings is."""
    if not trigger.active:
        return "off"
    if trigger.muted_until is not None and trigger.muted_until > now:
        return "muted"
    return "firing" if is_open else "armed"


def conditions(standing: str, now: datetime) -> list[ColumnExpressionArgument[bool]]:
    """What the rows of triggers that stand so have in common."""
    if standing == "off":
        return [~Trigger.active]
    is_muted = func.coalesce(Trigger.muted_until > now, False)
    if standing == "muted":
        return [Trigger.active, is_muted]
    is_open = exists().where(Firing.trigger_id == Trigger.id, Firing.state == "open")
    return [Trigger.active, ~is_muted, is_open if standing == "firing" else ~is_open]
