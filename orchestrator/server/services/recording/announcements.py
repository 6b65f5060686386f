"""Events about what people change: the audit trail is made of the same events as everything else."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from ....documents.records import Actor
from ....serializers import dumps
from ...event_catalogue import kind_of
from . import events

#: A longer value is not repeated in an event, in characters of JSON.
VALUE_MAX = 2000


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
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    **payload: Any,
) -> None:
    """Record that ``actor`` did ``event`` (such as ``deployment.updated``, of the catalogue) to what ``about`` names.

    Args:
        before, after: Plain fields, never secrets; where both are given, those alone are told that differ.
    """
    told = {"by": actor.write(), **differing(before, after), **payload}
    events.record(session, [announcement(event, about, now, related, told)], now)


def announcement(
    event: str, about: dict[str, str], now: datetime, related: Sequence[dict[str, str]], payload: dict[str, Any]
) -> events.EventRecord:
    """What :func:`announce` records; ``payload`` says under ``by`` who did it."""
    return events.EventRecord(event, about, list(related), payload, occurred=now, kind=kind_of(event))


def differing(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> dict[str, dict[str, Any]]:
    """``before`` and ``after`` as an event tells them."""
    sides = {"before": before or {}, "after": after or {}}
    if before is not None and after is not None:
        same = {name for name in before if name in after and before[name] == after[name]}
        sides = {side: {name: values[name] for name in values if name not in same} for side, values in sides.items()}
    return {side: {name: _short(value) for name, value in values.items()} for side, values in sides.items() if values}


def _short(value: Any) -> Any:
    size = len(dumps(value).decode())
    return value if size <= VALUE_MAX else f"({size} characters)"
