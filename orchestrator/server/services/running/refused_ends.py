"""Telling that somebody reported an end which a run does not have: of an attempt that is over, as a rule."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from ....errors import TransitionRefused
from ....states import TERMINAL, StateType
from ...db.models import Event, FlowRun
from ..recording import events
from ..recording.announcements import announcement, resource

EVENT = "flow-run.report-refused"


def tell(
    session: Session, run_id: uuid.UUID, attempt: int | None, said: StateType, why: TransitionRefused, now: datetime
) -> None:
    """Record, once for each attempt, that an end was refused; what is no end needs no telling."""
    run = session.get(FlowRun, run_id)
    if said not in TERMINAL or run is None:
        return
    about = resource("flow-run", run_id, run.name)
    reported = Event.payload["reported"]["attempt"].as_integer() == attempt
    same = Event.resource_id == about["resource.id"], Event.event == EVENT, reported
    if session.scalar(select(Event.id).where(*same).limit(1)) is not None:
        return
    payload = {
        "attempt": run.attempt, "reported": {"attempt": attempt, "state": said.value}, "code": why.code,
        "message": f"A report of the end {said.value} was refused: {why}",
    }  # fmt: skip
    events.record(session, [announcement(EVENT, about, now, [], payload)], now)
