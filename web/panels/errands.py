"""What agents are sent for by the pages of blocks and deployments: how such an errand stands, in words."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from orchestrator.server.services.running import errands, work_queues
from orchestrator.states import StateType

#: What each errand is called while it lasts, when it went well, and when it did not.
_WORDS = {
    "test": ("Testing", "It works.", "It does not work."),
    "browse": ("Opening the folder", "Here it is.", "The folder could not be opened."),
    "inspect": ("Looking for flows", "Looked at the code.", "The code could not be looked at."),
    "discover": ("Looking", "Looked through it.", "It could not be looked through."),
}
_BAD = {StateType.FAILED, StateType.CRASHED}


@dataclass(frozen=True)
class ErrandPart:
    """How one errand stands."""

    run: uuid.UUID
    is_done: bool
    state_type: str
    #: The verdict, or what goes on.
    title: str
    text: str
    #: What it found, once it is done.
    value: Any = None


def load(session: Session, run_id: uuid.UUID, now: datetime) -> ErrandPart:
    """Read one errand. Raises NotFound."""
    found = errands.result(session, run_id, now)
    during, good, bad = _WORDS.get(found.verb, ("At work", "Done.", "That did not work."))
    state = StateType(found.state_type)
    if state is StateType.COMPLETED:
        return ErrandPart(run_id, True, state.value, good, _said(found.value) or found.message, found.value)
    if found.is_done:
        title = bad if state in _BAD else "It was cancelled."
        return ErrandPart(run_id, True, state.value, title, found.message or "Its log may tell more.")
    if state is StateType.SCHEDULED and found.waiting_reason is not None:
        return ErrandPart(run_id, False, state.value, "Waiting for an agent", found.waiting_reason.message)
    text = "An agent takes it up." if state in (StateType.SCHEDULED, StateType.PENDING) else "An agent is at it."
    return ErrandPart(run_id, False, state.value, f"{during}…", text)


def queues(session: Session, now: datetime) -> list[str]:
    """Work queues to send an agent through, the default one first."""
    names = [row.queue.name for row in work_queues.listing(session, now).items]
    return [errands.DEFAULT_QUEUE, *(name for name in sorted(names) if name != errands.DEFAULT_QUEUE)]


def _said(value: Any) -> str:
    """The result of an errand, where it is a sentence or a few counts."""
    if isinstance(value, dict):
        plain = {key: item for key, item in value.items() if not isinstance(item, (dict, list)) and item != ""}
        return ", ".join(f"{key.replace('_', ' ')}: {item}" for key, item in plain.items())
    return value if isinstance(value, str) else ""
