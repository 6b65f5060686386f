"""Telling that somebody reported an end which a run does not have: of an attempt that is over, as a rule."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy.orm import Session

from ....errors import TransitionRefused
from ....states import TERMINAL, StateType
from ...db.models import FlowRun
from ..recording import events
from ..recording.announcements import announcement, resource


def tell(
    session: Session, run_id: uuid.UUID, attempt: int | None, said: StateType, why: TransitionRefused, now: datetime
) -> None:
    """Record that an end was refused; what is no end needs no telling."""
    run = session.get(FlowRun, run_id)
    if said not in TERMINAL or run is None:
        return
    payload = {
        "attempt": run.attempt, "reported": {"attempt": attempt, "state": said.value}, "code": why.code,
        "message": f"A report of the end {said.value} was refused: {why}",
    }  # fmt: skip
    about = resource("flow-run", run_id, run.name)
    events.record(session, [announcement("flow-run.report-refused", about, now, [], payload)], now)
