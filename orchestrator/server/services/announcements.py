"""Events about what people change: the audit trail is made of the same events as everything else."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from ...records import Actor
from . import events


def resource(kind: str, identifier: uuid.UUID, name: str | None, role: str | None = None) -> dict[str, str]:
    """The labels by which an event names one of our own things; ``role`` when it is a related one."""
    labels = {"resource.id": f"orchestrator.{kind}.{identifier}", "resource.name": name or str(identifier)}
    return {**labels, "resource.role": role} if role else labels


def announce(
    session: Session,
    event: str,
    about: dict[str, str],
    actor: Actor,
    now: datetime,
    related: Sequence[dict[str, str]] = (),
    **payload: Any,
) -> None:
    """Record that ``actor`` did ``event`` (such as ``deployment.updated``) to what ``about`` names."""
    told = {"by": actor.write(), **payload}
    events.record(session, [events.EventRecord(event, about, list(related), told, occurred=now)], now)
