"""The desk: what one watches, in plain sentences."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from orchestrator.server.db.models import Expectation
from orchestrator.server.services.configuring import block_lookup, blocks
from orchestrator.server.services.configuring.blocks import BlockFilter
from orchestrator.server.services.deploying import deployments
from orchestrator.server.services.watching import desk
from orchestrator.server.services.watching.desk_words import DeskRow

from ..looks import Look

#: Expectations and notifiers to choose from.
CHOICES = 200
LOOKS = {
    "failing": Look("failed", "circle-x", "Failing"),
    "late": Look("late", "alert-triangle", "Late"),
    "held": Look("late", "hand-stop", "Held"),
    "running": Look("running", "player-play", "Running"),
    "due": Look("pending", "clock", "Due"),
    "fresh": Look("completed", "circle-check", "Fresh"),
    "quiet": Look("off", "circle-dashed", "Quiet"),
}


@dataclass(frozen=True)
class Choices:
    """What may be put on the desk, and who may tell."""

    deployments: list[tuple[uuid.UUID, str]]
    expectations: list[tuple[uuid.UUID, str]]
    notifiers: list[str]


def rows(session: Session, key_id: uuid.UUID, now: datetime) -> list[DeskRow]:
    """All that is on it, the worst first."""
    return desk.listing(session, key_id, now)


def choices(session: Session) -> Choices:
    """What the forms of the page offer."""
    known = select(Expectation.id, Expectation.name).order_by(Expectation.name).limit(CHOICES)
    told = blocks.listing(session, BlockFilter(interface="notifier"), CHOICES).items
    return Choices(
        deployments.full_names(session),
        [(row.id, row.name) for row in session.execute(known)],
        sorted(block_lookup.label(item) for item in told if item.name),
    )
