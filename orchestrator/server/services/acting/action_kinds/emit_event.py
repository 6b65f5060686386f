"""``emit-event``: write an event, which other triggers may wait for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from .....errors import InvalidInput
from .....ids import uuid7
from ...recording import events
from ..action_kind import Asked, Field, Kind


class EmitEvent(Kind):
    """Writes an event."""

    name = "emit-event"
    title = "Emit an event"
    description = "Write an event that other triggers may wait for."
    fields = (
        Field("event", "text", "Its name, such as orders.late.", required=True),
        Field("resource", "json", "What it is about: an id, or labels with resource.id.", required=True),
        Field("related", "json", "A list of labels, each with resource.id and resource.role."),
        Field("payload", "mapping", "Any facts."),
    )
    together = True

    def act(self, session: Session, asked: Asked, now: datetime) -> dict[str, Any]:
        """Write it, as part of the chain."""
        [done] = self.act_all(session, [asked], now)
        if isinstance(done, Exception):
            raise done
        return done

    def act_all(self, session: Session, many: Sequence[Asked], now: datetime) -> list[dict[str, Any] | Exception]:
        """Write them all at once."""
        items = [_item(asked, now) for asked in many]
        taken = events.ingest(session, items, now, source="trigger")
        refused = {one.index: InvalidInput(one.message) for one in taken.refused}
        return [refused.get(index, {"event_id": item["id"]}) for index, item in enumerate(items)]


def _item(asked: Asked, now: datetime) -> dict[str, Any]:
    values = asked.values
    return {
        "id": str(uuid7(now)),
        "event": values["event"],
        "resource": _labels(values["resource"]),
        "related": [*(values.get("related") or []), asked.chain()],
        "payload": values.get("payload") or {},
        "follows": str(asked.event_id) if asked.event_id else None,
    }


def _labels(resource: Any) -> dict[str, str]:
    if isinstance(resource, Mapping):
        return {str(name): value if isinstance(value, str) else str(value) for name, value in resource.items()}
    return {"resource.id": str(resource)}


KIND = EmitEvent()
