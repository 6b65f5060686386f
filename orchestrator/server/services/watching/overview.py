"""The whole stack at a glance: what runs, what waits too long, what failed, what comes next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Integer, and_, case, cast, func, or_, select, union_all
from sqlalchemy.orm import Session

from ....states import ACTIVE, TERMINAL, StateType
from ...db.models import FlowQuestion, FlowRun
from ...db.models.flow_question import PENDING
from ..internal import FLOW_ID
from ..running import runs
from ..running.runs import RunRow

#: A run that is claimed or asked to stop should move on within this time; one that does not is stuck.
STUCK_AFTER = timedelta(minutes=5)

_BAD = (StateType.FAILED.value, StateType.CRASHED.value)
_ENDED = tuple(kind.value for kind in TERMINAL)
_BUSY = tuple(kind.value for kind in ACTIVE)
#: Errands are not counted.
_SHOWN = FlowRun.flow_id != FLOW_ID


@dataclass(frozen=True)
class Counts:
    """How many runs are where, now and since an instant."""

    running: int
    #: Claimed, or asked to stop.
    between: int
    #: Scheduled, their time has come, and nobody took them yet.
    waiting: int
    #: Of these, those the server calls late.
    late: int
    completed: int
    failed: int
    crashed: int
    cancelled: int


@dataclass(frozen=True)
class Bucket:
    """Runs of one state in one stretch of time, ``index`` counted from the first stretch."""

    index: int
    state_type: str
    runs: int


def counts(session: Session, since: datetime, now: datetime) -> Counts:
    """Count runs by what they do now, and the ended ones since ``since``."""
    busy = dict(_pairs(session, FlowRun.state_type.in_(_BUSY)))
    ended = dict(_pairs(session, FlowRun.ended >= since))
    due = and_(FlowRun.state_type == StateType.SCHEDULED.value, FlowRun.due <= now)
    late = func.count(case((FlowRun.state_name == "Late", 1)))
    waiting, tardy = session.execute(select(func.count(), late).where(due, _SHOWN)).one()
    return Counts(
        running=busy.get("RUNNING", 0),
        between=busy.get("PENDING", 0) + busy.get("CANCELLING", 0),
        waiting=waiting,
        late=tardy,
        completed=ended.get("COMPLETED", 0),
        failed=ended.get("FAILED", 0),
        crashed=ended.get("CRASHED", 0),
        cancelled=ended.get("CANCELLED", 0),
    )


def over_time(session: Session, start: datetime, end: datetime, step: timedelta, now: datetime) -> list[Bucket]:
    """Runs by state along the time axis: ended ones where they ended, busy ones now, scheduled ones where they are due.

    Args:
        start: Where the first stretch begins; stretches are ``step`` long and end before ``end``.
    """
    scheduled = FlowRun.state_type == StateType.SCHEDULED.value
    parts = (
        _buckets(FlowRun.ended, start, step, and_(FlowRun.ended >= start, FlowRun.state_type.in_(_ENDED))),
        _buckets(func.greatest(FlowRun.due, now), start, step, and_(scheduled, FlowRun.due < end)),
        _buckets(cast(now, FlowRun.due.type), start, step, FlowRun.state_type.in_((*_BUSY, StateType.PAUSED.value))),
    )
    rows = session.execute(union_all(*parts)).all()
    return [Bucket(index, state, count) for index, state, count in rows]


def attention(session: Session, since: datetime, now: datetime, limit: int = 8) -> list[RunRow]:
    """Runs that somebody should look at, worst first: stuck and late ones, then those that failed or crashed since."""
    stuck = and_(FlowRun.state_type.in_(("PENDING", "CANCELLING")), FlowRun.state_at < now - STUCK_AFTER)
    late = and_(FlowRun.state_type == StateType.SCHEDULED.value, FlowRun.state_name == "Late", FlowRun.due <= now)
    waiting = _rows(session, or_(stuck, late), FlowRun.due.asc(), limit)
    broken = _rows(session, and_(FlowRun.state_type.in_(_BAD), FlowRun.ended >= since), FlowRun.ended.desc(), limit)
    return waiting[: limit - min(len(broken), limit // 2)] + broken[: limit - min(len(waiting), limit // 2)]


def asking(session: Session, limit: int = 8) -> list[RunRow]:
    """Runs that wait for somebody's answer, those first that do so longest."""
    asked = select(FlowQuestion.id).where(
        FlowQuestion.flow_run_id == FlowRun.id, FlowQuestion.attempt == FlowRun.attempt, FlowQuestion.state == PENDING
    )
    waits = and_(FlowRun.state_type == StateType.PAUSED.value, asked.exists())
    return _rows(session, waits, FlowRun.state_at.asc(), limit)


def running(session: Session, limit: int = 8) -> list[RunRow]:
    """What is executing, longest first."""
    return _rows(session, FlowRun.state_type == StateType.RUNNING.value, FlowRun.started.asc(), limit)


def coming(session: Session, now: datetime, limit: int = 6) -> list[RunRow]:
    """The runs that are due next, soonest first."""
    next_up = and_(FlowRun.state_type == StateType.SCHEDULED.value, FlowRun.due > now)
    return _rows(session, next_up, FlowRun.due.asc(), limit)


def _pairs(session: Session, condition: ColumnElement[bool]) -> Sequence[tuple[str, int]]:
    query = select(FlowRun.state_type, func.count()).where(condition, _SHOWN).group_by(FlowRun.state_type)
    return [(state, count) for state, count in session.execute(query)]


def _buckets(at: Any, start: datetime, step: timedelta, condition: ColumnElement[bool]) -> Any:
    index = cast(func.floor(func.extract("epoch", at - start) / step.total_seconds()), Integer).label("bucket")
    return select(index, FlowRun.state_type, func.count()).where(condition, _SHOWN).group_by(index, FlowRun.state_type)


def _rows(session: Session, condition: ColumnElement[bool], order: Any, limit: int) -> list[RunRow]:
    query = runs.select_rows().where(condition, _SHOWN).order_by(order).limit(limit)
    return [RunRow(*row) for row in session.execute(query)]
