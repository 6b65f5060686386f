"""Cancelling all runs that fit a filter, some at a time, so that no transaction takes long."""

from __future__ import annotations

import contextlib
from datetime import datetime
from typing import Any

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from ....documents.records import Actor
from ....errors import TransitionRefused
from ....states import SUSPENDING, TERMINAL, StateType
from ...db.models import FlowRun
from ...db.session import transaction
from . import runs
from .run_filters import RunFilter, narrowed

#: Runs that one call of :func:`cancel_some` cancels: each is a change of state, with its history and its event.
BATCH = 200


def count(session: Session, wanted: RunFilter, most: int) -> int:
    """How many runs of a filter cancelling would do something to; counted up to ``most``."""
    some = _fitting(wanted).limit(most).subquery()
    return session.scalar(select(func.count()).select_from(some)) or 0


def cancel_some(session: Session, wanted: RunFilter, actor: Actor, now: datetime, limit: int = BATCH) -> int:
    """Ask some runs of a filter to stop, the oldest first; returns how many there were to ask."""
    ids = session.scalars(_fitting(wanted).order_by(FlowRun.id).limit(limit)).all()
    for run_id in ids:
        with contextlib.suppress(TransitionRefused):  # it has just ended
            runs.cancel(session, run_id, actor, now)
    return len(ids)


def cancel_all(wanted: RunFilter, actor: Actor, now: datetime, most: int) -> int:
    """Ask up to ``most`` runs of a filter to stop, in transactions that are short; returns how many it asked."""
    asked, done = 0, BATCH
    while done == BATCH and asked < most:
        with transaction() as session:
            done = cancel_some(session, wanted, actor, now, min(BATCH, most - asked))
        asked += done
    return asked


def _fitting(wanted: RunFilter) -> Any:
    """Runs that go on or wait, and have not been asked already."""
    return narrowed(select(FlowRun.id), wanted).where(
        FlowRun.state_type.not_in([kind.value for kind in TERMINAL]),
        or_(FlowRun.state_type != StateType.CANCELLING.value, FlowRun.state_name == SUSPENDING),
    )
