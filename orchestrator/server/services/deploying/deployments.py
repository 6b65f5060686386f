"""Deployments: applied from a document, addressed ``flow/deployment``."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, select, text, tuple_, update
from sqlalchemy import delete as sql_delete
from sqlalchemy.orm import Session, lazyload, selectinload

from ....documents.records import Actor
from ....errors import Conflict, InvalidInput, NotFound
from ....ids import uuid7
from ....states import WAITING
from ...db.models import Deployment, Flow, FlowRun, Schedule, WorkQueue
from ..expecting import expectations
from ..internal import FLOW_ID, FLOW_NAME
from ..json_schemas import check_schema, parameter_problems
from ..mapping import deployment_resources
from ..paging import Page, check_limit, decode, page
from ..reacting import desk_triggers, triggers
from ..recording.announcements import announce, resource
from ..running import deployment_templates, runs, work_queues
from . import deployment_blocks, deployment_changes, deployment_notifications, flows, outdated, schedules
from .overrides import check_overrides

#: Runs that one call of :func:`forget_runs` takes from a deployment.
BATCH = 2_000
#: Runs that one call of :func:`cancel_waiting` cancels: each is a change of state, with its history and its event.
CANCELS = 200
#: The parts of a document that name a block, and what it has to be.
_ROLES = {"storage": "file-system", "infrastructure": "infrastructure", "results": "file-system"}
_CHANGEABLE = ("description", "tags", "parameters", "work_queue", "paused", "concurrency_limit", "collision", "labels")


@dataclass(frozen=True)
class Applied:
    """What applying a document did; ``changes`` is a line each, empty when all was so already."""

    deployment: Deployment
    created: bool
    changes: list[str]


@dataclass(frozen=True)
class DeploymentFilter:
    """Which deployments a list shows; what is None does not restrict."""

    #: Name of the flow.
    flow: str | None = None
    #: Part of the name, in any case.
    name: str | None = None
    tag: str | None = None
    work_queue: str | None = None


def apply(
    session: Session, document: Mapping[str, Any], actor: Actor, now: datetime, *, force: bool = False
) -> Applied:
    """Create the deployment that ``document`` describes, or make the present one like it.

    A key that is left out means its default, save ``schedules``, ``triggers`` and ``expectations``: they stay then, and
    ``[]`` removes them.

    Args:
        force: Apply it although schedules that stay, triggers, chains or saved forms have parameters that its signature
            does not take: such schedules are stopped, all are told as changes.

    Raises:
        InvalidInput: A block is unknown, parameters do not fit the parameter schema, a schedule cannot be understood or
            names no calendar; ``errors`` name the field. Nothing is changed then.
    """
    flow_name, name = document["flow"], document["name"]
    if flow_name == FLOW_NAME:
        raise InvalidInput(
            f"flow: {FLOW_NAME} is the server's own: take another name", {"flow": ["Take another name."]}
        )
    # Two who apply the same deployment at once: one after the other.
    lock = text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 1))")
    session.execute(lock, {"name": f"{flow_name}/{name}"})
    flow = flows.ensure(session, flow_name, now)
    present = session.scalar(_by_name(flow_name, name).with_for_update(of=Deployment, key_share=True))
    values = _values(session, document, actor, now)
    lines = _choose_blocks(session, document, values, present, actor, now)
    told = deployment_notifications.read(session, document.get("notifications") or ())
    declared = deployment_resources.read(session, document)
    wanted = schedules.read(document["schedules"]) if document.get("schedules") is not None else None
    if wanted is not None and len(wanted) > schedules.MOST:
        raise InvalidInput(f"{len(wanted)} schedules: at most {schedules.MOST}", {"schedules": ["Too many."]})
    _check_parameters(values, wanted or ())
    schedules.check_calendars(session, wanted or ())
    if present is None:
        made = Deployment(id=uuid7(now), flow_id=flow.id, name=name, created=now, updated=now, **values)
        session.add(made)
        session.flush()
        schedules.replace(session, made, wanted or [], now)
        deployment_notifications.replace(session, made, told, actor, now)
        triggers.replace_owned(session, made, document.get("triggers"), actor, now)
        expectations.replace_owned(session, made, document.get("expectations"), actor, now)
        deployment_resources.replace(session, made, declared, now)
        deployment_templates.note(session, made)
        times = [f"{item.slug}: {schedules.describe(item.plan.rule)}" for item in wanted or ()]
        _announce(session, "created", made, actor, now, after=deployment_changes.shown(session, made), schedules=times)
        return Applied(made, True, ["created"])
    lines += deployment_notifications.replace(session, present, told, actor, now)
    lines += triggers.replace_owned(session, present, document.get("triggers"), actor, now)
    lines += expectations.replace_owned(session, present, document.get("expectations"), actor, now)
    lines += deployment_resources.replace(session, present, declared, now)
    lines += _outdated(session, present, values["parameter_schema"], wanted is None, force, now)
    return _update(session, present, values, wanted, lines, actor, now)


def get(session: Session, ref: str | uuid.UUID) -> Deployment:
    """A deployment by id, ``flow/name``, or its bare name where only one has it.

    Raises:
        NotFound: There is no such deployment.
        Conflict: Several flows have a deployment of that name; the message lists them.
    """
    return _find(session, ref, select(Deployment))


def for_run(session: Session, ref: str | uuid.UUID) -> Deployment:
    """As :func:`get`, without its schedules: all that starting a run needs, in one query."""
    return _find(session, ref, select(Deployment).options(lazyload(Deployment.schedules)))


def listing(
    session: Session, wanted: DeploymentFilter | None = None, limit: int = 50, cursor: str | None = None
) -> Page[Deployment]:
    """A page of deployments, by flow and name."""
    wanted = wanted or DeploymentFilter()
    query = select(Deployment).join(Flow, Flow.id == Deployment.flow_id)
    query = query.options(selectinload(Deployment.notifications), selectinload(Deployment.declared))
    query = query.where(Flow.name == wanted.flow) if wanted.flow is not None else query.where(Flow.id != FLOW_ID)
    if wanted.name is not None:
        query = query.where(Deployment.name.icontains(wanted.name, autoescape=True))
    if wanted.tag is not None:
        query = query.where(Deployment.tags.contains([wanted.tag]))
    if wanted.work_queue is not None:
        query = query.join(WorkQueue, WorkQueue.id == Deployment.work_queue_id).where(
            WorkQueue.name == wanted.work_queue
        )
    if cursor:
        query = query.where(tuple_(Flow.name, Deployment.name) > tuple_(*decode(cursor, str, str)))
    rows = session.scalars(query.order_by(Flow.name, Deployment.name).limit(check_limit(limit) + 1)).all()
    return page(rows, limit, lambda row: (row.flow.name, row.name))


def change(
    session: Session, ref: str | uuid.UUID, values: Mapping[str, Any], actor: Actor, now: datetime
) -> Deployment:
    """Set ``description``, ``tags``, ``parameters``, ``work_queue`` (its name), ``paused``, ``concurrency_limit``,
    ``collision`` or ``labels``.

    Raises:
        NotFound, Conflict: As :func:`get`.
        InvalidInput: The parameters do not fit.
    """
    deployment = _locked(session, ref)
    new = {name: values[name] for name in _CHANGEABLE if name in values}
    if "parameters" in new:
        _refuse(parameter_problems(deployment.parameter_schema, new["parameters"]), "parameters")
    if "work_queue" in new:
        new["work_queue_id"] = work_queues.ensure(session, new.pop("work_queue"), now, actor).id
    if "labels" in new:
        new["labels"] = sorted(set(new["labels"]))
    before = deployment_changes.shown(session, deployment)
    lines, after = _set(session, deployment, new, before, now)
    if "parameters" in new:
        deployment_templates.note(session, deployment)
    if lines:
        verb = {"paused": "paused", "resumed": "resumed"}.get(lines[0] if len(lines) == 1 else "", "updated")
        _announce(session, verb, deployment, actor, now, changes=lines, before=before, after=after)
    return deployment


def pause(session: Session, ref: str | uuid.UUID, actor: Actor, now: datetime) -> Deployment:
    """Let no schedule start it; runs that schedules made ahead are deleted. Raises as :func:`get`."""
    return change(session, ref, {"paused": True}, actor, now)


def resume(session: Session, ref: str | uuid.UUID, actor: Actor, now: datetime) -> Deployment:
    """Undo :func:`pause`. Raises as :func:`get`."""
    return change(session, ref, {"paused": False}, actor, now)


def delete(session: Session, ref: str | uuid.UUID, actor: Actor, now: datetime) -> None:
    """Delete a deployment, its schedules and the runs they made ahead. Runs that wait for another reason are
    cancelled; the others stay, without a deployment. Raises as :func:`get`.

    With very many runs call :func:`forget_runs` and :func:`cancel_waiting` before, so that no transaction takes long.
    """
    deployment = _locked(session, ref)
    schedules.drop_ahead(session, [item.id for item in deployment.schedules], None)
    # From here on no run of it can be made; those that are being made are waited for.
    session.execute(select(Deployment.id).where(Deployment.id == deployment.id).with_for_update())
    cancel_waiting(session, deployment.id, actor, now, None)
    (about, related), before = _labels(deployment), deployment_changes.shown(session, deployment)
    desk_triggers.delete_of_deployment(session, deployment.id, actor, now)
    session.execute(sql_delete(Schedule).where(Schedule.deployment_id == deployment.id))
    session.execute(sql_delete(Deployment).where(Deployment.id == deployment.id))
    deployment_blocks.drop(session, deployment_blocks.of(deployment), actor, now)
    announce(session, "deployment.deleted", about, actor, now, related, before=before)


def forget_runs(session: Session, deployment_id: uuid.UUID, limit: int = BATCH) -> int:
    """Take some of the ended runs from a deployment that is about to be deleted; returns how many it took."""
    ended = (
        select(FlowRun.id)
        .where(FlowRun.deployment_id == deployment_id, FlowRun.ended.is_not(None))
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    ids = session.scalars(ended).all()
    session.execute(update(FlowRun).where(FlowRun.id.in_(ids)).values(deployment_id=None, schedule_id=None))
    return len(ids)


def cancel_waiting(
    session: Session, deployment_id: uuid.UUID, actor: Actor, now: datetime, limit: int | None = CANCELS
) -> int:
    """Cancel some of the waiting runs (None: all) of a deployment that is about to be deleted; returns how many."""
    waiting = select(FlowRun.id).where(
        FlowRun.deployment_id == deployment_id, FlowRun.state_type.in_([kind.value for kind in WAITING])
    )
    ids = session.scalars(waiting.order_by(FlowRun.id).limit(limit)).all()
    for run_id in ids:
        runs.cancel(session, run_id, actor, now)
    return len(ids)


def full_names(session: Session, limit: int = 200) -> list[tuple[uuid.UUID, str]]:
    """Ids and full names (``flow/deployment``) of deployments, by name: what a choice in a form offers."""
    query = (
        select(Deployment.id, Flow.name, Deployment.name)
        .join(Flow, Flow.id == Deployment.flow_id)
        .where(Flow.id != FLOW_ID)
        .order_by(Flow.name, Deployment.name)
        .limit(limit)
    )
    return [(key, f"{flow}/{name}") for key, flow, name in session.execute(query)]


def _find(session: Session, ref: str | uuid.UUID, query: Select[Any]) -> Deployment:
    if isinstance(ref, uuid.UUID):
        query = query.where(Deployment.id == ref)
    elif "/" in ref:
        flow, _, name = ref.partition("/")
        query = query.join(Flow, Flow.id == Deployment.flow_id).where(Flow.name == flow, Deployment.name == name)
    else:
        query = query.where(Deployment.name == ref)
    found: Sequence[Deployment] = session.scalars(query.limit(10)).all()
    if not found:
        raise NotFound(f"there is no deployment {ref}")
    if len(found) > 1:
        candidates = ", ".join(sorted(f"{item.flow.name}/{item.name}" for item in found))
        raise Conflict(f"several deployments are named {ref}: {candidates}; say which")
    return found[0]


def _locked(session: Session, ref: str | uuid.UUID) -> Deployment:
    found = get(session, ref)
    locked = select(Deployment).where(Deployment.id == found.id).with_for_update(of=Deployment, key_share=True)
    again = session.scalar(locked.execution_options(populate_existing=True))
    if again is None:
        raise NotFound(f"there is no deployment {ref}")
    return again


def _by_name(flow: str, name: str) -> Select[Any]:
    return (
        select(Deployment).join(Flow, Flow.id == Deployment.flow_id).where(Flow.name == flow, Deployment.name == name)
    )


def _values(session: Session, document: Mapping[str, Any], actor: Actor, now: datetime) -> dict[str, Any]:
    storage, infrastructure = document.get("storage") or {}, document.get("infrastructure") or {}
    results = document.get("results") or {}
    schema = document.get("parameter_schema") or {}
    check_schema(schema, "parameter_schema")
    return {
        "description": document.get("description") or "",
        "version": document.get("version") or "",
        "tags": list(dict.fromkeys(document.get("tags") or ())),
        "entrypoint": document["entrypoint"],
        "storage_path": storage.get("path") or "",
        "snapshot": storage.get("snapshot"),
        "infrastructure_overrides": dict(infrastructure.get("overrides") or {}),
        "results_path": results.get("path") or "",
        "work_queue_id": work_queues.ensure(session, document.get("work_queue") or "default", now, actor).id,
        "crash_retries": document.get("crash_retries") or 0,
        "concurrency_limit": document.get("concurrency_limit"),
        "collision": document.get("collision") or "enqueue",
        "labels": sorted(set(document.get("labels") or ())),
        "parameters": dict(document.get("parameters") or {}),
        "parameter_schema": schema,
        "not_ready": None,
    }


def _choose_blocks(
    session: Session,
    document: Mapping[str, Any],
    values: dict[str, Any],
    present: Deployment | None,
    actor: Actor,
    now: datetime,
) -> list[str]:
    """Add the ids of the blocks that a document asks for to ``values``; returns what changed within its own blocks."""
    lines = []
    for role, interface in _ROLES.items():
        asked = (document.get(role) or {}).get("block")
        own = getattr(present, f"{role}_block_id") if present is not None else None
        chosen = deployment_blocks.choose(session, asked, own, f"{role}.block", interface, actor, now)
        values[f"{role}_block_id"] = chosen.block_id
        lines += [f"{role} block: {', '.join(chosen.changed)} changed"] if chosen.changed else []
    check_overrides(session, values["infrastructure_block_id"], values["infrastructure_overrides"])
    return lines


def _check_parameters(values: Mapping[str, Any], wanted: Sequence[schedules.Wanted]) -> None:
    _refuse(parameter_problems(values["parameter_schema"], values["parameters"]), "parameters")
    schedules.check_parameters(values["parameter_schema"], wanted)


def _outdated(
    session: Session, present: Deployment, schema: Mapping[str, Any], schedules_stay: bool, force: bool, now: datetime
) -> list[str]:
    """Refuse a signature that others do not fit; or stop those that start by themselves, and tell of all."""
    if schema == present.parameter_schema:
        return []
    found = outdated.find(session, present, schema, with_schedules=schedules_stay)
    if not force:
        outdated.refuse(found)
    for item in found:
        if item.schedule is not None:
            schedules.stop(session, item.schedule, item.text, now)
    return [item.text for item in found]


def _refuse(found: Mapping[str, list[str]], field: str) -> None:
    if found:
        name, messages = next(iter(found.items()))
        errors = {f"{field}.{name}": texts for name, texts in found.items()}
        raise InvalidInput(f"{field}.{name}: {messages[0]}", errors)


def _update(
    session: Session,
    deployment: Deployment,
    values: dict[str, Any],
    wanted: Sequence[schedules.Wanted] | None,
    lines: list[str],
    actor: Actor,
    now: datetime,
) -> Applied:
    before, used = deployment_changes.shown(session, deployment), deployment_blocks.of(deployment)
    own, after = _set(session, deployment, values, before, now)
    lines = own + lines
    deployment_blocks.drop(session, used - deployment_blocks.of(deployment), actor, now)
    if wanted is not None:
        lines += schedules.replace(session, deployment, wanted, now)
    deployment_templates.note(session, deployment)
    if lines:
        deployment.updated = now
        session.flush()
        _announce(session, "updated", deployment, actor, now, changes=lines, before=before, after=after)
    return Applied(deployment, False, lines)


def _set(
    session: Session, deployment: Deployment, values: Mapping[str, Any], before: dict[str, Any], now: datetime
) -> tuple[list[str], dict[str, Any]]:
    """Set columns; tell what changed, and how it is shown now. Runs made ahead hold parameters, tags and queue: they
    are made anew.
    """
    changed = {name for name, value in values.items() if getattr(deployment, name) != value}
    for name in changed:
        setattr(deployment, name, values[name])
    if not changed:
        return [], before
    deployment.updated = now
    session.flush()
    session.refresh(deployment)
    if changed & {"parameters", "tags", "work_queue_id", "paused"}:
        schedules.drop_ahead(session, [item.id for item in deployment.schedules], now)
    after = deployment_changes.shown(session, deployment)
    return deployment_changes.differences(before, after), after


def _labels(deployment: Deployment) -> tuple[dict[str, str], list[dict[str, str]]]:
    name = f"{deployment.flow.name}/{deployment.name}"
    return resource("deployment", deployment.id, name), [
        resource("flow", deployment.flow_id, deployment.flow.name, "flow")
    ]


def _announce(session: Session, verb: str, deployment: Deployment, actor: Actor, now: datetime, **payload: Any) -> None:
    about, related = _labels(deployment)
    announce(session, f"deployment.{verb}", about, actor, now, related, **payload)
