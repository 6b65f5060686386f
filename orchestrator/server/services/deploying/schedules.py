"""Schedules of deployments. The loop makes runs of them; here they are changed, and what they made ahead goes along."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from ....documents.records import Actor
from ....errors import Conflict, InvalidInput, NotFound, ScheduleError
from ....ids import uuid7
from ....timing import plans
from ....timing.calendars import Calendar
from ....timing.plans import Plan
from ....timing.schedules import ScheduleSpec
from ...db.models import Deployment, Schedule
from ..json_schemas import parameter_problems
from ..paging import Page, check_limit, decode_id, page
from ..recording.announcements import announce, resource
from ..running import deployment_templates, runs
from . import calendar_days

#: Most schedules of a deployment.
MOST = 100
#: How the note begins of a schedule that the server stopped; it goes when the schedule is started again.
STOPPED = "Stopped: "
_OWN = ("slug", "active", "parameters")


@dataclass(frozen=True)
class Wanted:
    """A schedule as it was asked for."""

    slug: str
    plan: Plan
    active: bool
    parameters: dict[str, Any]


def read(documents: Sequence[Mapping[str, Any]], taken: Iterable[str] = ()) -> list[Wanted]:
    """Check schedules that belong together, and name those without a slug by their kind: ``cron``, ``cron-2``.

    Raises:
        ScheduleError: One cannot be understood, or two have one slug; ``errors`` hold ``schedules.<n>.<field>``.
    """
    used = {str(item["slug"]) for item in documents if item.get("slug")} | set(taken)
    found: list[Wanted] = []
    for index, item in enumerate(documents):
        try:
            plan = plans.read({key: value for key, value in item.items() if key not in _OWN})
        except ScheduleError as error:
            inner = {f"schedules.{index}.{name}": texts for name, texts in error.errors.items()}
            raise ScheduleError(f"schedules.{index}.{error}", inner) from None
        slug = item.get("slug") or _free_slug(kind_of(plan.rule), used)
        if slug in {other.slug for other in found}:
            raise ScheduleError(
                f"schedules.{index}.slug: {slug} is given twice", {f"schedules.{index}.slug": ["Is given twice."]}
            )
        used.add(slug)
        found.append(Wanted(slug, plan, item.get("active", True), dict(item.get("parameters") or {})))
    return found


def replace(session: Session, deployment: Deployment, wanted: Sequence[Wanted], now: datetime) -> list[str]:
    """Make ``wanted`` the schedules of a deployment, matched by slug; returns what changed, a line each.

    Runs that a changed, stopped or removed schedule made ahead are deleted.
    """
    present = {item.slug: item for item in _locked(session, deployment.id)}
    changes: list[str] = []
    for item in wanted:
        row = present.pop(item.slug, None)
        if row is None:
            _add(session, deployment.id, item, now)
            changes.append(f"schedule {item.slug}: added ({describe(item.plan.rule)})")
        else:
            changes += _become(session, row, item, now)
    for row in present.values():
        _remove(session, row)
        changes.append(f"schedule {row.slug}: removed")
    session.flush()
    session.expire(deployment, ["schedules"])
    return changes


def create(
    session: Session, deployment: Deployment, document: Mapping[str, Any], actor: Actor, now: datetime
) -> Schedule:
    """Add one schedule. Raises ScheduleError, InvalidInput; Conflict when its slug is taken."""
    present = {item.slug for item in _locked(session, deployment.id)}
    if len(present) >= MOST:
        raise Conflict(f"{deployment.flow.name}/{deployment.name} has {MOST} schedules, which is the most")
    if document.get("slug") in present:
        raise Conflict(f"{deployment.flow.name}/{deployment.name} has a schedule {document['slug']} already")
    item = _read_one(document, present)
    check_parameters(deployment.parameter_schema, [item])
    check_calendars(session, [item])
    row = _add(session, deployment.id, item, now)
    session.flush()
    session.expire(deployment, ["schedules"])
    deployment_templates.note(session, deployment)
    _announce(session, "created", row, deployment, actor, now, after=document_of(row))
    return row


def change(
    session: Session, schedule_id: uuid.UUID, values: Mapping[str, Any], actor: Actor, now: datetime
) -> Schedule:
    """Change what ``values`` names; giving another kind (cron, interval, rrule) takes the place of the present one.

    Raises:
        NotFound: There is no such schedule.
        ScheduleError, InvalidInput: The outcome would be no schedule, or its parameters do not fit.
        Conflict: The slug is taken.
    """
    row = get(session, schedule_id)
    deployment = session.get_one(Deployment, row.deployment_id)
    others = {item.slug for item in _locked(session, deployment.id) if item.id != row.id}
    if values.get("slug") in others:
        raise Conflict(f"{deployment.flow.name}/{deployment.name} has a schedule {values['slug']} already")
    before = document_of(row)
    document = dict(before)
    if any(values.get(kind) is not None for kind in ("cron", "interval", "rrule")):
        document.update(cron=None, interval=None, rrule=None)
    if values.get("active") and not row.active and row.note.startswith(STOPPED):
        values = {"note": "", **values}
    item = _read_one({**document, **values}, others)
    check_parameters(deployment.parameter_schema, [item])
    check_calendars(session, [item])
    changes = _become(session, row, item, now)
    if row.slug != item.slug:
        changes.append(f"schedule {row.slug}: renamed to {item.slug}")
        row.slug = item.slug
    session.flush()
    deployment_templates.note(session, deployment)
    if changes:
        after = document_of(row)
        _announce(session, "updated", row, deployment, actor, now, changes=changes, before=before, after=after)
    return row


def stop(session: Session, row: Schedule, why: str, now: datetime) -> None:
    """Let a schedule make no more runs, and note why; those it made ahead are deleted."""
    present = wanted_of(row)
    noted = dataclasses.replace(present.plan, note=f"{STOPPED}{why}"[: plans.NOTE_MAX])
    _become(session, row, dataclasses.replace(present, plan=noted, active=False), now)


def delete(session: Session, schedule_id: uuid.UUID, actor: Actor, now: datetime) -> None:
    """Delete a schedule with the runs it made ahead. Raises NotFound."""
    row = get(session, schedule_id)
    deployment = session.get_one(Deployment, row.deployment_id)
    _locked(session, deployment.id)
    before = document_of(row)
    _remove(session, row)
    session.flush()
    session.expire(deployment, ["schedules"])
    deployment_templates.note(session, deployment)
    _announce(session, "deleted", row, deployment, actor, now, before=before)


def get(session: Session, schedule_id: uuid.UUID) -> Schedule:
    """One schedule. Raises NotFound."""
    found = session.get(Schedule, schedule_id)
    if found is None:
        raise NotFound(f"there is no schedule {schedule_id}")
    return found


def listing(
    session: Session, deployment_id: uuid.UUID | None = None, limit: int = 50, cursor: str | None = None
) -> Page[Schedule]:
    """A page of schedules, oldest first."""
    query = select(Schedule)
    if deployment_id is not None:
        query = query.where(Schedule.deployment_id == deployment_id)
    if cursor:
        query = query.where(Schedule.id > decode_id(cursor))
    rows = session.scalars(query.order_by(Schedule.id).limit(check_limit(limit) + 1)).all()
    return page(rows, limit, lambda schedule: (schedule.id,))


def upcoming(session: Session, schedule: Schedule, now: datetime, limit: int = 3) -> list[datetime]:
    """When the schedule fires next; nothing while it is not active."""
    if not schedule.active:
        return []
    return plans.slots(plan_of(schedule), days_of(session, schedule), now, limit)


def slots_between(session: Session, schedule: Schedule, after: datetime, until: datetime, limit: int) -> list[datetime]:
    """The slots of a schedule after one instant and up to another, whether it is active or not."""
    return plans.slots(plan_of(schedule), days_of(session, schedule), after, limit, until)


def preview(session: Session, document: Mapping[str, Any], after: datetime, limit: int) -> list[datetime]:
    """When a schedule would fire that is not there yet. Raises ScheduleError, InvalidInput."""
    wanted = Wanted("preview", plans.read(document), True, {})
    check_calendars(session, [wanted])
    return plans.slots(wanted.plan, calendar_days.days(session, wanted.plan.calendar), after, limit)


def days_of(session: Session, schedule: Schedule) -> Calendar:
    """The days that a schedule fires on; none where its calendar is gone."""
    try:
        return calendar_days.days(session, schedule.calendar)
    except NotFound:
        return Calendar(frozenset())


def drop_ahead(session: Session, schedule_ids: Sequence[uuid.UUID], now: datetime | None) -> int:
    """Delete the runs that schedules made ahead and that nothing began: those after ``now``, or (None) all.

    The loop makes them anew, of what the schedules are by then. Their rows are locked before: what the loop is making
    just now is waited for, and deleted as well.
    """
    if not schedule_ids:
        return 0
    session.execute(select(Schedule.id).where(Schedule.id.in_(schedule_ids)).order_by(Schedule.slug).with_for_update())
    dropped = runs.drop_scheduled(session, schedule_ids, now)
    session.execute(update(Schedule).where(Schedule.id.in_(schedule_ids)).values(materialised_to=now))
    return dropped


def check_parameters(schema: Mapping[str, Any], wanted: Iterable[Wanted]) -> None:
    """Raise InvalidInput when the parameters of schedules do not fit a parameter schema."""
    found = {
        f"schedules.{item.slug}.parameters.{name}": texts
        for item in wanted
        for name, texts in parameter_problems(schema, item.parameters).items()
    }
    if found:
        name, texts = next(iter(found.items()))
        raise InvalidInput(f"{name}: {texts[0]}", found)


def check_calendars(session: Session, wanted: Iterable[Wanted]) -> None:
    """Raise InvalidInput when a schedule names a calendar that is not there."""
    for item in wanted:
        try:
            calendar_days.days(session, item.plan.calendar)
        except NotFound as error:
            place = f"schedules.{item.slug}.calendar"
            raise InvalidInput(f"{place}: {error}", {place: ["There is no such calendar."]}) from None


def plan_of(schedule: Schedule) -> Plan:
    """When the schedule fires, and how it is gone by."""
    interval = None if schedule.interval_s is None else timedelta(seconds=schedule.interval_s)
    rule = ScheduleSpec(schedule.cron, schedule.day_or, interval, schedule.anchor, schedule.rrule, schedule.timezone)
    return Plan(
        rule,
        start=schedule.starts,
        end=schedule.ends,
        calendar=schedule.calendar,
        skip_dates=tuple(schedule.skip_dates),
        jitter=timedelta(seconds=schedule.jitter_s),
        catch_up=plans.CatchUp(schedule.catch_up),
        window=None if schedule.catch_up_s is None else timedelta(seconds=schedule.catch_up_s),
        overlap=plans.Overlap(schedule.overlap),
        pause_on_failure=schedule.pause_on_failure,
        note=schedule.note,
    )


def wanted_of(schedule: Schedule) -> Wanted:
    """A schedule's present form."""
    return Wanted(schedule.slug, plan_of(schedule), schedule.active, schedule.parameters)


def document_of(schedule: Schedule) -> dict[str, Any]:
    """A schedule in the form in which it is asked for."""
    return {
        "slug": schedule.slug,
        **plan_of(schedule).write(),
        "active": schedule.active,
        "parameters": schedule.parameters,
    }


def kind_of(spec: ScheduleSpec) -> str:
    """``cron``, ``interval`` or ``rrule``."""
    return "cron" if spec.cron is not None else "interval" if spec.interval is not None else "rrule"


def describe(spec: ScheduleSpec) -> str:
    """A schedule in a few words."""
    value = f"every {spec.interval}" if spec.interval is not None else f"{kind_of(spec)} {spec.cron or spec.rrule}"
    day = "" if spec.day_or or spec.cron is None else ", days joined by AND"
    anchor = "" if spec.anchor is None else f", from {spec.anchor:%Y-%m-%dT%H:%M:%SZ}"
    return f"{value}, {spec.timezone}{day}{anchor}"


def _read_one(document: Mapping[str, Any], taken: Iterable[str]) -> Wanted:
    try:
        return read([document], taken)[0]
    except ScheduleError as error:
        fields = {name.removeprefix("schedules.0."): texts for name, texts in error.errors.items()}
        raise ScheduleError(str(error).removeprefix("schedules.0."), fields) from None


def _locked(session: Session, deployment_id: uuid.UUID) -> list[Schedule]:
    query = select(Schedule).where(Schedule.deployment_id == deployment_id).order_by(Schedule.slug)
    return list(session.scalars(query.with_for_update().execution_options(populate_existing=True)))


def _columns(item: Wanted) -> dict[str, Any]:
    plan, rule = item.plan, item.plan.rule
    return {
        "cron": rule.cron,
        "day_or": rule.day_or,
        "interval_s": None if rule.interval is None else rule.interval.total_seconds(),
        "anchor": rule.anchor,
        "rrule": rule.rrule,
        "timezone": rule.timezone,
        "starts": plan.start,
        "ends": plan.end,
        "calendar": plan.calendar,
        "skip_dates": list(plan.skip_dates),
        "jitter_s": plan.jitter.total_seconds(),
        "catch_up": plan.catch_up.value,
        "catch_up_s": None if plan.window is None else plan.window.total_seconds(),
        "overlap": plan.overlap.value,
        "pause_on_failure": plan.pause_on_failure,
        "note": plan.note,
        "active": item.active,
        "parameters": item.parameters,
    }


def _add(session: Session, deployment_id: uuid.UUID, item: Wanted, now: datetime) -> Schedule:
    # From now on: a slot that passes before the loop comes round is one that was missed.
    row = Schedule(
        id=uuid7(now), deployment_id=deployment_id, slug=item.slug, created=now, materialised_to=now, **_columns(item)
    )
    session.add(row)
    return row


def _become(session: Session, row: Schedule, item: Wanted, now: datetime) -> list[str]:
    before = wanted_of(row)
    changes = [f"schedule {row.slug}: {line}" for line in _differences(before, item)]
    if changes:
        for name, value in _columns(item).items():
            setattr(row, name, value)
        if item.active and not before.active:
            row.started = now
        session.flush()
        if _fires(before) != _fires(item):
            drop_ahead(session, [row.id], now)
            row.materialised_to = now
    return changes


def _fires(item: Wanted) -> tuple[Any, ...]:
    """All that the runs made ahead hang on."""
    plan = item.plan
    bounds = (plan.start, plan.end, plan.calendar, plan.skip_dates, plan.jitter)
    return (plan.rule, bounds, item.active, item.parameters)


def _differences(old: Wanted, new: Wanted) -> list[str]:
    lines = []
    if old.plan.rule != new.plan.rule:
        lines.append(f"{describe(old.plan.rule)} -> {describe(new.plan.rule)}")
    before, after = old.plan.write(), new.plan.write()
    lines += [
        f"{name} {_shown(before[name])} -> {_shown(after[name])}"
        for name in plans.FIELDS
        if before[name] != after[name]
    ]
    if old.active != new.active:
        lines.append("started" if new.active else "stopped")
    if old.parameters != new.parameters:
        lines.append(f"parameters {old.parameters} -> {new.parameters}")
    return lines


def _shown(value: Any) -> str:
    return "none" if value in (None, "", []) else ", ".join(value) if isinstance(value, list) else str(value)


def _remove(session: Session, row: Schedule) -> None:
    drop_ahead(session, [row.id], None)
    session.delete(row)


def _announce(
    session: Session,
    verb: str,
    row: Schedule,
    deployment: Deployment,
    actor: Actor,
    now: datetime,
    **payload: Any,
) -> None:
    name = f"{deployment.flow.name}/{deployment.name}"
    about = resource("schedule", row.id, f"{name}/{row.slug}")
    related = [resource("deployment", deployment.id, name, "deployment")]
    announce(session, f"schedule.{verb}", about, actor, now, related, **payload)


def _free_slug(kind: str, used: set[str]) -> str:
    number, slug = 1, kind
    while slug in used:
        number += 1
        slug = f"{kind}-{number}"
    return slug
