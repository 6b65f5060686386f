"""Backfills: runs for slots of a schedule that lie behind, a few at a time."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from ....clock import to_text
from ....documents.backfills import Reprocess
from ....documents.records import Actor
from ....errors import InvalidInput, NotFound, ParameterError
from ....ids import uuid7
from ....states import TERMINAL, StateType
from ....timing.slot_texts import filled
from ... import hints
from ...db.models import Backfill, Deployment, Schedule
from ...db.session import after_commit, transaction
from .. import parameters as parameter_rules
from ..backfill_statements import COUNTS, LAST_OF_SLOTS
from ..paging import Page, check_limit, decode_id, page
from ..recording.announcements import announce, resource
from ..running import bulk_cancel, deployment_templates, runs
from ..running.run_filters import RunFilter
from ..statements import fetch, insert_runs
from . import schedules

#: Most runs of one backfill.
MOST = 5_000
#: What its runs are tagged with.
TAG = "backfill"
_ENDED = frozenset(kind.value for kind in TERMINAL)
_TICK = timedelta(microseconds=1)


@dataclass(frozen=True)
class Wanted:
    """A backfill as it is asked for.

    Attributes:
        start: The first slot that may be filled; a date is that day's beginning in the schedule's time zone.
        end: The last one; a date is that day's end; None: all up to now.
        schedule: Slug of the schedule; None: the only one of the deployment.
        parameters: Laid over those of deployment and schedule; ``{{ slot }}`` and ``{{ slot:%Y-%m-%d }}`` stand for the
            time of the slot.
        max_active: Most of its runs that go on at once.
        backwards: The latest slot first.
        reprocess: Which slots that have runs get another one.
    """

    start: date | datetime
    end: date | datetime | None = None
    schedule: str | None = None
    parameters: Mapping[str, Any] | None = None
    max_active: int = 1
    backwards: bool = False
    reprocess: Reprocess = Reprocess.NONE


@dataclass(frozen=True)
class Planned:
    """What a backfill would do: a run for each slot, in the order in which they begin, with its parameters."""

    schedule: Schedule
    range: tuple[datetime, datetime]
    slots: list[datetime]
    parameters: list[dict[str, Any]]
    #: Slots that are left out, as they have runs.
    skipped: int


@dataclass(frozen=True)
class BackfillRow:
    """A backfill with its numbers: how many of its runs are in each type of state."""

    backfill: Backfill
    counts: dict[str, int]

    @property
    def total(self) -> int:
        """All its runs that are kept."""
        return sum(self.counts.values())

    @property
    def ended(self) -> int:
        """Those that are over."""
        return sum(number for kind, number in self.counts.items() if kind in _ENDED)

    @property
    def status(self) -> str:
        """``RUNNING``; ``DONE``: all its runs are over; ``CANCELLED``: somebody cancelled it."""
        if self.backfill.cancelled is not None:
            return "CANCELLED"
        return "DONE" if self.ended == self.total else "RUNNING"


def chosen(slots: Sequence[datetime], last: Mapping[datetime, str], reprocess: Reprocess) -> list[datetime]:
    """Those slots that get a run.

    Args:
        slots: All in the range.
        last: Type of the state of the last run of each slot that has any.
        reprocess: Which of those get another one.
    """
    again: dict[Reprocess, frozenset[str]] = {
        Reprocess.NONE: frozenset(),
        Reprocess.FAILED: _ENDED - {StateType.COMPLETED.value},
        Reprocess.COMPLETED: _ENDED,
    }
    return [slot for slot in slots if slot not in last or last[slot] in again[reprocess]]


def plan(session: Session, deployment: Deployment, wanted: Wanted, now: datetime) -> Planned:
    """What a backfill would do; nothing is written.

    Raises:
        NotFound: The deployment has no such schedule.
        InvalidInput: The range holds no slot or too many, or lies in the future; a parameter holds a template.
        ParameterError: The parameters do not fit.
    """
    schedule = _schedule(deployment, wanted.schedule)
    start, end = _range(schedule, wanted, now)
    if end > now:
        raise _wrong("end", f"{to_text(end)} lies in the future, where the schedule makes runs itself: end at now")
    if end < start:
        raise _wrong("end", f"{to_text(end)} lies before the start, {to_text(start)}: swap them")
    found = schedules.slots_between(session, schedule, start - _TICK, end, MOST + 1)
    if len(found) > MOST:
        raise _wrong("start", f"more than {MOST} slots lie in the range: make several backfills of it")
    if not found:
        raise _wrong("start", f"schedule {schedule.slug} has no slot in the range: `schedule preview` shows its times")
    span = {"schedule": schedule.id, "start": start, "end": end}
    last = {row.slot: row.state_type for row in fetch(session, LAST_OF_SLOTS, span)}
    slots = chosen(found, last, wanted.reprocess)
    if wanted.backwards:
        slots.reverse()
    parameters = _parameters(deployment, schedule, wanted, slots)
    return Planned(schedule, (start, end), slots, parameters, len(found) - len(slots))


def create(session: Session, deployment: Deployment, wanted: Wanted, actor: Actor, now: datetime) -> Backfill:
    """Make a backfill with all its runs, which begin in the order of their slots. Raises as :func:`plan`; InvalidInput
    also where every slot in the range has a run.
    """
    schedule = _schedule(deployment, wanted.schedule)
    # Two backfills of one schedule at once: the second sees the runs of the first.
    session.execute(select(Schedule.id).where(Schedule.id == schedule.id).with_for_update())
    planned = plan(session, deployment, wanted, now)
    if not planned.slots:
        told = f"all {planned.skipped} slots in the range have runs: see reprocess"
        raise _wrong("start", told)
    row = Backfill(
        id=uuid7(now), deployment_id=deployment.id, schedule_id=schedule.id, schedule=schedule.slug,
        starts=planned.range[0], ends=planned.range[1], parameters=dict(wanted.parameters or {}),
        max_active=wanted.max_active, backwards=wanted.backwards, reprocess=wanted.reprocess.value,
        skipped=planned.skipped, created=now, created_by=actor.write(),
    )  # fmt: skip
    session.add(row)
    session.flush()
    _make_runs(session, deployment, row, planned, actor, now)
    _announce(session, "created", row, deployment, actor, now, after={**_plain(row), "runs": len(planned.slots)})
    return row


def get(session: Session, backfill_id: uuid.UUID) -> BackfillRow:
    """One backfill. Raises NotFound."""
    return _with_counts(session, [_found(session, backfill_id)])[0]


def listing(
    session: Session, deployment_id: uuid.UUID | None = None, limit: int = 50, cursor: str | None = None
) -> Page[BackfillRow]:
    """A page of backfills, newest first."""
    query = select(Backfill)
    if deployment_id is not None:
        query = query.where(Backfill.deployment_id == deployment_id)
    if cursor:
        query = query.where(Backfill.id < decode_id(cursor))
    rows = session.scalars(query.order_by(Backfill.id.desc()).limit(check_limit(limit) + 1)).all()
    found = page(rows, limit, lambda row: (row.id,))
    return Page(_with_counts(session, found.items), found.next)


def cancel(session: Session, backfill_id: uuid.UUID, actor: Actor, now: datetime) -> None:
    """Let no more of its runs begin; :func:`cancel_whole` ends those that there are, too. Raises NotFound."""
    row = _found(session, backfill_id)
    session.refresh(row, with_for_update=True)
    if row.cancelled is None:
        row.cancelled = now
        session.flush()
        deployment = session.get_one(Deployment, row.deployment_id)
        _announce(session, "cancelled", row, deployment, actor, now)


def cancel_whole(backfill_id: uuid.UUID, actor: Actor, now: datetime) -> None:
    """Cancel a backfill with all its runs that have not ended, in transactions that are short. Raises NotFound."""
    with transaction() as session:
        cancel(session, backfill_id, actor, now)
    bulk_cancel.cancel_all(RunFilter(backfill_id=backfill_id), actor, now, MOST)


def _schedule(deployment: Deployment, slug: str | None) -> Schedule:
    slugs = {item.slug: item for item in deployment.schedules}
    name = f"{deployment.flow.name}/{deployment.name}"
    if slug is None:
        if len(slugs) != 1:
            which = f"has the schedules {', '.join(slugs)}: say which" if slugs else "has no schedule, so no slots"
            raise _wrong("schedule", f"{name} {which}")
        return next(iter(slugs.values()))
    if slug not in slugs:
        raise NotFound(f"{name} has no schedule {slug}; it has {', '.join(slugs) or 'none'}")
    return slugs[slug]


def _range(schedule: Schedule, wanted: Wanted, now: datetime) -> tuple[datetime, datetime]:
    start, end, zone = wanted.start, wanted.end, ZoneInfo(schedule.timezone)
    if not isinstance(start, datetime):
        start = datetime.combine(start, time(), zone)
    if end is not None and not isinstance(end, datetime):
        midnight = datetime.combine(end + timedelta(days=1), time(), zone).astimezone(timezone.utc)
        end = min(midnight - _TICK, now) if end <= now.astimezone(zone).date() else midnight
    return start.astimezone(timezone.utc), (end or now).astimezone(timezone.utc)


def _parameters(
    deployment: Deployment, schedule: Schedule, wanted: Wanted, slots: Sequence[datetime]
) -> list[dict[str, Any]]:
    zone = ZoneInfo(schedule.timezone)
    found = []
    for slot in slots:
        own = filled(dict(wanted.parameters or {}), slot.astimezone(zone))
        deployment_templates.refuse_foreign(deployment, own)
        merged = {**deployment.parameters, **schedule.parameters, **own}
        try:
            parameter_rules.check(deployment.parameter_schema, merged)
        except ParameterError as error:
            raise ParameterError(f"for the slot {to_text(slot)}: {error}", error.errors) from None
        found.append(merged)
    return found


def _make_runs(
    session: Session, deployment: Deployment, row: Backfill, planned: Planned, actor: Actor, now: datetime
) -> None:
    rows = []
    for index, (slot, parameters) in enumerate(zip(planned.slots, planned.parameters, strict=True)):
        made = runs.new_row(deployment, parameters, actor, now, tags=(TAG,), due=now)
        # Of those that have a place, the claim takes the lowest id first.
        made.update(id=uuid7(now + index * _TICK), slot=slot, backfill_id=row.id)
        if index < row.max_active:
            made.update(hinted=now, hints=1)
            after_commit(session, hints.run_queued, deployment.work_queue.name, made["id"])
        rows.append(made)
    insert_runs(session, rows)


def _found(session: Session, backfill_id: uuid.UUID) -> Backfill:
    found = session.get(Backfill, backfill_id)
    if found is None:
        raise NotFound(f"there is no backfill {backfill_id}")
    return found


def _with_counts(session: Session, rows: Sequence[Backfill]) -> list[BackfillRow]:
    counts: dict[uuid.UUID, dict[str, int]] = {row.id: {} for row in rows}
    for found in fetch(session, COUNTS, {"ids": [row.id for row in rows]}):
        counts[found.backfill_id][found.state_type] = found.runs
    return [BackfillRow(row, counts[row.id]) for row in rows]


def _plain(row: Backfill) -> dict[str, Any]:
    return {
        "schedule": row.schedule, "start": to_text(row.starts), "end": to_text(row.ends), "parameters": row.parameters,
        "max_active": row.max_active, "backwards": row.backwards, "reprocess": row.reprocess,
    }  # fmt: skip


def _announce(
    session: Session, verb: str, row: Backfill, deployment: Deployment, actor: Actor, now: datetime, **payload: Any
) -> None:
    name = f"{deployment.flow.name}/{deployment.name}"
    about = resource("backfill", row.id, f"{name}/{row.schedule} {to_text(row.starts)} to {to_text(row.ends)}")
    related = [resource("deployment", deployment.id, name, "deployment")]
    announce(session, f"backfill.{verb}", about, actor, now, related, **payload)


def _wrong(field: str, problem: str) -> InvalidInput:
    return InvalidInput(f"{field}: {problem}", {field: [problem]})
