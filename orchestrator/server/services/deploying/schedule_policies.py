"""What schedules do beside making runs: make room for the next one, and stop after a failure."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from ....clock import to_text
from ....documents.records import Actor
from ....errors import TransitionRefused
from ..running import catch_up, runs
from ..schedule_statements import DISPLACED, FAILING
from ..statements import fetch
from . import schedules

_SERVER = Actor("server", "", "schedules")


def step(session: Session, now: datetime, most: int) -> int:
    """One round over at most ``most`` runs of each kind; returns how much of the most frequent kind there was."""
    done = (
        catch_up.skip_overlapping(session, now, most),
        cancel_others(session, now, most),
        stop_failing(session, now, most),
    )
    return max(done)


def cancel_others(session: Session, now: datetime, most: int) -> int:
    """Cancel the runs of schedules whose next one is due, where it is to take their place."""
    found = fetch(session, DISPLACED, {"horizon": now, "batch": most})
    for run_id, successor in found:
        try:
            runs.cancel(session, run_id, Actor("schedule", "", f"the schedule, as {successor} is due"), now)
        except TransitionRefused:
            continue  # it ended meanwhile
    return len(found)


def stop_failing(session: Session, now: datetime, most: int) -> int:
    """Switch schedules off of which a run failed, where they say so; their note tells why."""
    found = fetch(session, FAILING, {"horizon": now, "batch": most})
    for schedule_id, name, state, ended in {row.id: row for row in reversed(found)}.values():
        note = f"{schedules.STOPPED}the run {name} ended {state} at {to_text(ended)}."
        schedules.change(session, schedule_id, {"active": False, "note": note}, _SERVER, now)
    return len(found)
