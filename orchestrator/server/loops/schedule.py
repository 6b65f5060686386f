"""Makes the rows of runs that schedules will start, ahead of time: what is expected can be seen, and missed.

Each active schedule has at least :data:`RUNS_AHEAD` runs and reaches at least :data:`TIME_AHEAD` ahead, with at most
:data:`RUNS_MOST` runs and :data:`TIME_MOST`. UNIQUE(schedule, slot) keeps a slot from being made twice. Of slots that
passed while nobody made rows, those are run that the schedule catches up.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from ...documents.records import Actor
from ...errors import ScheduleError
from ...timing import plans
from ...timing.calendars import Calendar
from ...timing.plans import CatchUp, Plan
from ..db.models import Backfill, Deployment, FlowRun, Schedule
from ..services.deploying.schedules import days_of, plan_of
from ..services.running.runs import new_row
from ..services.statements import fetch, insert_runs

INTERVAL = timedelta(seconds=5)
#: Schedules in one step.
BATCH = 100

RUNS_AHEAD, RUNS_MOST = 3, 100
TIME_AHEAD, TIME_MOST = timedelta(hours=1), timedelta(days=100)
#: Made beyond :data:`TIME_AHEAD`, so that a schedule is not looked at again for a while.
SLACK = timedelta(minutes=15)
#: How far back missed slots are looked for, the nearest first: the latest is wanted, and there may be very many.
LOOK_BACK = (timedelta(minutes=1), timedelta(hours=1), timedelta(days=1), timedelta(days=366))
_LOOK_MOST = 5000

_log = logging.getLogger(__name__)

_WANTING = """
SELECT s.id FROM schedule s JOIN deployment d ON d.id = s.deployment_id
CROSS JOIN LATERAL (SELECT count(*) AS ahead FROM flow_run r WHERE r.schedule_id = s.id AND r.slot > %(now)s) AS made
WHERE s.active AND NOT d.paused AND d.not_ready IS NULL AND made.ahead < %(most)s AND (
    s.materialised_to IS NULL OR s.materialised_to < %(near)s
    OR made.ahead < %(least)s AND s.materialised_to < %(far)s)
ORDER BY s.materialised_to NULLS FIRST, s.id LIMIT %(batch)s FOR UPDATE OF s SKIP LOCKED"""


def step(session: Session, now: datetime) -> int:
    """Top up the schedules that run low; returns how many were looked at."""
    parameters = {
        "now": now, "near": now + TIME_AHEAD, "far": now + TIME_MOST - timedelta(days=1), "least": RUNS_AHEAD,
        "most": RUNS_MOST, "batch": BATCH,
    }  # fmt: skip
    ids = [row.id for row in fetch(session, _WANTING, parameters)]
    made = _ahead(session, ids, now)
    query = select(Schedule, Deployment).join(Deployment, Deployment.id == Schedule.deployment_id)
    rows: list[dict[str, Any]] = []
    # Asked again, now that the schedules are locked: a deployment may have been paused just before.
    query = query.where(Schedule.id.in_(ids), ~Deployment.paused, Deployment.not_ready.is_(None))
    for schedule, deployment in session.execute(query).unique():
        rows += _rows(session, schedule, deployment, made.get(schedule.id, 0), now)
    insert_runs(session, rows)
    return len(ids)


def slots(
    plan: Plan, days: Calendar, made_to: datetime | None, ahead: int, now: datetime
) -> tuple[list[datetime], datetime]:
    """The slots to make now, and the instant up to which all are made then.

    Args:
        plan: The schedule.
        days: The days of its calendar.
        made_to: Up to where they are made; None: the schedule is new, so nothing was missed.
        ahead: How many future ones there are.
    """
    missed = _missed(plan, days, made_to, now)
    if len(missed) >= RUNS_MOST:
        return missed, missed[-1]
    start = max(made_to or now, now)
    room = RUNS_MOST - ahead
    if room <= 0:
        return missed, start
    coming = plans.slots(plan, days, start, room, now + TIME_MOST)
    near = now + TIME_AHEAD + SLACK
    wanted = [slot for index, slot in enumerate(coming) if slot <= near or ahead + index < RUNS_AHEAD]
    if len(wanted) < len(coming):
        reached = wanted[-1] if wanted else start
    else:
        reached = coming[-1] if len(coming) == room else now + TIME_MOST
    return missed + wanted, reached


def _missed(plan: Plan, days: Calendar, made_to: datetime | None, now: datetime) -> list[datetime]:
    """The slots that passed without being made and are caught up: as a rule the latest alone; at most
    :data:`RUNS_MOST`, the others come with the next step."""
    if made_to is None or made_to >= now or plan.catch_up is CatchUp.NONE:
        return []
    since = plans.missed_since(plan, made_to, now)
    if plan.catch_up is not CatchUp.LATEST:
        return plans.slots(plan, days, since, RUNS_MOST, now)
    for back in LOOK_BACK:
        start = max(since, now - back)
        passed = plans.slots(plan, days, start, _LOOK_MOST, now)
        if passed or start == since:
            return passed[-1:]
    return []


def _rows(
    session: Session, schedule: Schedule, deployment: Deployment, ahead: int, now: datetime
) -> list[dict[str, Any]]:
    wanted: list[datetime] = []
    try:
        plan = plan_of(schedule)
        wanted, reached = slots(plan, days_of(session, schedule), schedule.materialised_to, ahead, now)
    except ScheduleError as error:
        _log.error("schedule %s of deployment %s makes no runs: %s", schedule.slug, deployment.name, error)
        reached = now + TIME_AHEAD
    schedule.materialised_to = reached
    actor = Actor("schedule", str(schedule.id), schedule.slug)
    parameters = {**deployment.parameters, **schedule.parameters}
    rows = []
    for slot in _left_to_run(session, schedule, wanted, now):
        row = new_row(deployment, parameters, actor, now, due=plans.due(plan, str(schedule.id), slot))
        row.update(schedule_id=schedule.id, slot=slot)
        rows.append(row)
    return rows


def _left_to_run(session: Session, schedule: Schedule, wanted: list[datetime], now: datetime) -> list[datetime]:
    """Those that no backfill has made a run for, while nobody made rows."""
    passed = [slot for slot in wanted if slot <= now]
    if not passed:
        return wanted
    query = select(FlowRun.slot).join(Backfill, Backfill.id == FlowRun.backfill_id)
    made = set(session.scalars(query.where(Backfill.schedule_id == schedule.id, FlowRun.slot.in_(passed))))
    return [slot for slot in wanted if slot not in made]


def _ahead(session: Session, ids: Sequence[uuid.UUID], now: datetime) -> dict[uuid.UUID | None, int]:
    query = select(FlowRun.schedule_id, func.count(FlowRun.id)).where(FlowRun.schedule_id.in_(ids), FlowRun.slot > now)
    return {row[0]: row[1] for row in session.execute(query.group_by(FlowRun.schedule_id))}
