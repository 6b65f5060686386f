"""What firings ask to be done, written down."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from ...ids import uuid7
from ..db.models import Action


def queue_all(
    session: Session, wanted: Sequence[tuple[uuid.UUID, Sequence[dict[str, Any]]]], moment: str, now: datetime
) -> None:
    """Write the actions of several firings, given by id, in the transaction that writes the firings."""
    rows = [
        {
            "id": uuid7(),
            "firing_id": firing_id,
            "moment": moment,
            "position": position,
            "kind": document["do"],
            "spec": document,
            "next_try": now,
            "created": now,
        }
        for firing_id, documents in wanted
        for position, document in enumerate(documents)
    ]
    if rows:
        session.execute(insert(Action).values(rows).on_conflict_do_nothing())
