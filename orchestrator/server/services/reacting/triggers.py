"""Triggers: made from documents, switched on and off, muted; free ones, and those that a deployment's document owns."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, delete, exists, select, text, tuple_, update
from sqlalchemy.orm import Session

from .... import triggers
from ....clock import to_text
from ....documents.records import Actor
from ....errors import Conflict, InvalidInput, NotFound
from ....ids import uuid7
from ....triggers import TriggerSpec, stamp
from ....triggers.conditions import Metric
from ....triggers.documents import starts_itself
from ...db.models import Deployment, Firing, Flow, Trigger, TriggerBucket
from ...db.models.trigger import SHORT_FORM
from ..acting import action_kinds
from ..paging import Page, check_limit, decode, page
from ..recording.announcements import announce, resource
from . import trigger_standings

#: Triggers that one deployment may own.
MOST = 100

_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 8))")


@dataclass(frozen=True)
class TriggerFilter:
    """Which triggers a list shows; what is None does not restrict."""

    #: Part of the name, in any case.
    name: str | None = None
    deployment_id: uuid.UUID | None = None
    owner: str | None = None
    severity: str | None = None
    active: bool | None = None
    #: One of :data:`.trigger_standings.STANDINGS`.
    standing: str | None = None


@dataclass(frozen=True)
class TriggerRow:
    """A trigger, with the full name of the deployment that owns it and how many of its firings are open."""

    trigger: Trigger
    deployment: str | None
    #: One of :data:`.trigger_standings.STANDINGS`.
    standing: str


def check(
    session: Session, document: Mapping[str, Any], owner: Deployment | None = None, *, acts_anew: bool = True
) -> TriggerSpec:
    """Read a document whole, with its actions. Raises InvalidInput with all problems by field.

    Args:
        acts_anew: What its actions name is looked up; else they are as they were, and that may be gone meanwhile.
    """
    spec = triggers.read(document)
    looked_up = session if acts_anew else None
    problems = {
        **action_kinds.problems(spec.then, "then", looked_up),
        **action_kinds.problems(spec.on_resolve, "on_resolve", looked_up),
    }
    if problems:
        first, texts = next(iter(problems.items()))
        raise InvalidInput(f"{first}: {texts[0]}", problems)
    if owner is not None and starts_itself(spec):
        own = {str(owner.id), owner.name, f"{owner.flow.name}/{owner.name}"}
        for place, action in enumerate(spec.then):
            if action["do"] == "run-deployment" and str(action.get("deployment")) in own:
                problem = "Would start itself whenever it starts, for ever: wait for another state of its runs."
                raise InvalidInput(f"then.{place}: {problem}", {f"then.{place}": [problem]})
    return spec


def create(session: Session, document: Mapping[str, Any], actor: Actor, now: datetime) -> Trigger:
    """Make a free trigger.

    Raises:
        InvalidInput: The document is wrong; ``errors`` by field.
        Conflict: There is a free trigger of that name.
    """
    spec = check(session, document)
    session.execute(_LOCK, {"name": spec.name})
    if _free(session, spec.name) is not None:
        raise Conflict(f"there is a trigger {spec.name} already: update it, or take another name")
    return _create(session, spec, None, actor, now)


def put(session: Session, document: Mapping[str, Any], actor: Actor, now: datetime) -> tuple[Trigger, bool]:
    """Make the free trigger of that name be like the document; made when it is missing. Returns it, and whether it is
    new. Raises InvalidInput.
    """
    spec = check(session, document)
    session.execute(_LOCK, {"name": spec.name})
    found = _free(session, spec.name)
    if found is None:
        return _create(session, spec, None, actor, now), True
    _set(session, _by_hand(_locked(session, found.id)), spec, actor, now)
    return found, False


def change(session: Session, ref: str | uuid.UUID, values: Mapping[str, Any], actor: Actor, now: datetime) -> Trigger:
    """Replace some parts of a trigger's document.

    Raises:
        NotFound, Conflict: As :func:`get`; another trigger has the new name.
        InvalidInput: What came of it is wrong.
    """
    found = _by_hand(_locked(session, get(session, ref).id))
    owner = session.get(Deployment, found.deployment_id) if found.deployment_id else None
    acts_anew = bool({"then", "on_resolve"} & set(values))
    spec = check(session, {**document(found), **values}, owner, acts_anew=acts_anew)
    if spec.name != found.name:
        session.execute(_LOCK, {"name": spec.name})
        same = select(Trigger.id).where(
            Trigger.name == spec.name, Trigger.deployment_id.is_not_distinct_from(found.deployment_id)
        )
        if session.scalar(same) is not None:
            raise Conflict(f"there is a trigger {spec.name} already: take another name")
    _set(session, found, spec, actor, now)
    return found


def mute(session: Session, ref: str | uuid.UUID, until: datetime | None, actor: Actor, now: datetime) -> Trigger:
    """Have it do nothing until a time; its firings are noted as suppressed. None: no longer. Raises as :func:`get`."""
    found = _by_hand(_locked(session, get(session, ref).id))
    if found.muted_until != until:
        before = {"muted_until": found.muted_until and to_text(found.muted_until)}
        found.muted_until, found.updated = until, now
        session.flush()
        after = {"muted_until": until and to_text(until)}
        about = resource("trigger", found.id, found.name)
        announce(session, "trigger.muted", about, actor, now, before=before, after=after)
    return found


def delete_(session: Session, ref: str | uuid.UUID, actor: Actor, now: datetime) -> None:
    """Delete a trigger with all it remembers and its firings. Raises as :func:`get`."""
    _delete(session, _by_hand(_locked(session, get(session, ref).id)), actor, now)


def _delete(session: Session, found: Trigger, actor: Actor, now: datetime) -> None:
    before = document(found)
    session.delete(found)
    session.flush()
    announce(session, "trigger.deleted", resource("trigger", found.id, found.name), actor, now, before=before)


def get(session: Session, ref: str | uuid.UUID) -> Trigger:
    """A trigger by id, by name, or ``flow/deployment/name`` of an owned one.

    Raises:
        NotFound: There is none.
        Conflict: Several deployments own one of that name, and none is free.
    """
    if isinstance(ref, uuid.UUID):
        found = session.get(Trigger, ref)
    elif ref.count("/") >= 2:
        flow, deployment, name = ref.split("/", 2)
        query = select(Trigger).join(Deployment, Deployment.id == Trigger.deployment_id)
        query = query.join(Flow, Flow.id == Deployment.flow_id)
        found = session.scalar(query.where(Flow.name == flow, Deployment.name == deployment, Trigger.name == name))
    else:
        found = _free(session, ref) or _only(session, ref)
    if found is None:
        raise NotFound(f"there is no trigger {ref}: `orchestrator trigger ls` lists them")
    return found


def row(session: Session, ref: str | uuid.UUID, now: datetime) -> TriggerRow:
    """A trigger with what goes with it. Raises as :func:`get`."""
    return _rows(session, [get(session, ref)], now)[0]


def listing(
    session: Session, wanted: TriggerFilter, now: datetime, limit: int = 50, cursor: str | None = None
) -> Page[TriggerRow]:
    """A page of triggers, by name."""
    query: Select[Any] = select(Trigger)
    if wanted.name is not None:
        query = query.where(Trigger.name.icontains(wanted.name, autoescape=True))
    for column, value in (
        (Trigger.deployment_id, wanted.deployment_id),
        (Trigger.owner, wanted.owner),
        (Trigger.severity, wanted.severity),
        (Trigger.active, wanted.active),
    ):
        if value is not None:
            query = query.where(column == value)
    if wanted.standing is not None:
        query = query.where(*trigger_standings.conditions(wanted.standing, now))
    if cursor:
        query = query.where(tuple_(Trigger.name, Trigger.id) > tuple_(*decode(cursor, str, uuid.UUID)))
    found = session.scalars(query.order_by(Trigger.name, Trigger.id).limit(check_limit(limit) + 1)).all()
    shown = page(found, limit, lambda item: (item.name, item.id))
    return Page(_rows(session, shown.items, now), shown.next)


def document(trigger: Trigger) -> dict[str, Any]:
    """The document that gives the same trigger."""
    return {
        "name": trigger.name,
        "description": trigger.description,
        "owner": trigger.owner,
        "severity": trigger.severity,
        "active": trigger.active,
        "debounce": trigger.debounce_s,
        "hourly_max": trigger.hourly_max,
        "when": trigger.condition,
        "then": trigger.actions,
        "on_resolve": trigger.resolve_actions,
    }


def replace_owned(
    session: Session,
    deployment: Deployment,
    documents: Sequence[Mapping[str, Any]] | None,
    actor: Actor,
    now: datetime,
    *,
    short_form: bool = False,
) -> list[str]:
    """Give a deployment, which is in the database, these triggers and no others but those that its notifications
    stand for; returns what changed, a line each. None: they stay as they are.

    Args:
        short_form: They are those that stand for its ``notifications``; else these are left as they are.

    Raises:
        InvalidInput: A document is wrong, or two have one name.
    """
    if documents is None:
        return []
    if len(documents) > MOST:
        raise InvalidInput(f"triggers: {len(documents)} of them: at most {MOST}", {"triggers": ["Too many."]})
    wanted: dict[str, TriggerSpec] = {}
    for index, item in enumerate(documents):
        place = f"triggers.{index}"
        try:
            spec = check(session, item, deployment)
        except InvalidInput as error:
            errors = {f"{place}.{key}": problems for key, problems in error.errors.items()}
            raise InvalidInput(f"{place}.{error}", errors) from None
        if spec.name.startswith(SHORT_FORM) is not short_form:
            problem = f"Begins with {SHORT_FORM!r}, as the names of notifications do: take another one."
            raise InvalidInput(f"{place}.name: {problem}", {f"{place}.name": [problem]})
        if spec.name in wanted:
            raise InvalidInput(f"{place}.name: {spec.name} stands there twice", {f"{place}.name": ["Stands twice."]})
        wanted[spec.name] = spec
    present = {
        item.name: item for item in owned(session, deployment.id) if item.name.startswith(SHORT_FORM) is short_form
    }
    lines = []
    for name in sorted(present.keys() - wanted.keys()):
        delete_(session, present[name].id, actor, now)
        lines.append(f"trigger {name}: removed")
    for name, spec in wanted.items():
        if name not in present:
            _create(session, spec, deployment.id, actor, now)
            lines.append(f"trigger {name}: added")
        elif _set(session, _locked(session, present[name].id), spec, actor, now):
            lines.append(f"trigger {name}: changed")
    return lines


def create_compiled(
    session: Session,
    document: Mapping[str, Any],
    place: tuple[uuid.UUID, int, str],
    actor: Actor,
    now: datetime,
    since: datetime,
) -> Trigger:
    """Make the trigger of a step of a chain: its id, version and step. Raises as :func:`create`."""
    spec = check(session, document)
    session.execute(_LOCK, {"name": spec.name})
    if _free(session, spec.name) is not None:
        raise Conflict(f"there is a trigger {spec.name} already, which the chain needs: give that another name")
    made = _create(session, spec, None, actor, now)
    made.since = since
    made.of_chain_id, made.of_chain_version, made.of_chain_step = place
    session.flush()
    return made


def delete_compiled(session: Session, trigger_id: uuid.UUID, actor: Actor, now: datetime) -> None:
    """Delete the trigger of a step of a chain, with the chain."""
    _delete(session, _locked(session, trigger_id), actor, now)


def _by_hand(found: Trigger) -> Trigger:
    """Raises Conflict for the trigger of a chain: what is changed there is the chain."""
    if found.of_chain_id is not None:
        raise Conflict(f"{found.name} belongs to a chain: change the chain, with `orchestrator chain apply`")
    return found


def owned_documents(session: Session, deployment_id: uuid.UUID) -> list[dict[str, Any]]:
    """The documents of a deployment's own triggers, without what is as it is anyway."""
    plain = {"description": "", "owner": "", "severity": "warning", "active": True, "debounce": 0, "hourly_max": 1000,
             "then": [], "on_resolve": []}  # fmt: skip
    return [
        {key: value for key, value in document(item).items() if key not in plain or value != plain[key]}
        for item in owned(session, deployment_id)
        if not item.name.startswith(SHORT_FORM)
    ]


def owned(session: Session, deployment_id: uuid.UUID) -> list[Trigger]:
    """The triggers of a deployment, by name."""
    query = select(Trigger).where(Trigger.deployment_id == deployment_id).order_by(Trigger.name)
    return list(session.scalars(query))


def owners(session: Session, limit: int = 200) -> list[tuple[uuid.UUID, str]]:
    """Deployments that own triggers, as id and ``flow/name``, by name."""
    query = select(Deployment.id, Flow.name, Deployment.name).join(Flow, Flow.id == Deployment.flow_id)
    owns = exists().where(Trigger.deployment_id == Deployment.id)
    found = session.execute(query.where(owns).order_by(Flow.name, Deployment.name).limit(limit))
    return [(key, f"{flow}/{name}") for key, flow, name in found]


def owned_named(session: Session, name: str) -> list[Trigger]:
    """The triggers of a name that deployments own."""
    query = select(Trigger).where(Trigger.name == name, Trigger.deployment_id.is_not(None)).order_by(Trigger.id)
    return list(session.scalars(query))


def _create(
    session: Session, spec: TriggerSpec, deployment_id: uuid.UUID | None, actor: Actor, now: datetime
) -> Trigger:
    made = Trigger(id=uuid7(now), deployment_id=deployment_id, since=now, created=now, updated=now, **_columns(spec))
    session.add(made)
    session.flush()
    _begin(session, made, spec, now)
    announce(session, "trigger.created", resource("trigger", made.id, made.name), actor, now, after=document(made))
    return made


def _set(session: Session, found: Trigger, spec: TriggerSpec, actor: Actor, now: datetime) -> bool:
    """Make a trigger, which is locked, be like a document; tells whether it was not. It begins anew when it is
    switched on, or waits for something else now.
    """
    before, after = document(found), _columns(spec)
    changed = [name for name, value in after.items() if getattr(found, name) != value]
    if not changed:
        return False
    for name in changed:
        setattr(found, name, after[name])
    found.updated = now
    if {"condition", "active"} & set(changed):
        _end(session, found, now)
        found.since = now
        session.flush()
        _begin(session, found, spec, now)
    session.flush()
    told = document(found)
    parts = [key for key in told if before[key] != told[key]]
    announce(
        session, "trigger.updated", resource("trigger", found.id, found.name), actor, now,
        before={key: before[key] for key in parts}, after={key: told[key] for key in parts},
    )  # fmt: skip
    return True


def _columns(spec: TriggerSpec) -> dict[str, Any]:
    return {
        "name": spec.name,
        "description": spec.description,
        "condition": dict(spec.when),
        "actions": [dict(item) for item in spec.then],
        "resolve_actions": [dict(item) for item in spec.on_resolve],
        "severity": spec.severity,
        "owner": spec.owner,
        "active": spec.active,
        "debounce_s": spec.debounce,
        "hourly_max": spec.hourly_max,
    }


def _begin(session: Session, trigger: Trigger, spec: TriggerSpec, now: datetime) -> None:
    """What it remembers at first, where the clock matters before the first event."""
    if not trigger.active or spec.for_each:
        return
    began = triggers.begin(spec, stamp(now))
    due = stamp(now) if isinstance(spec.condition, Metric) else began.deadline
    if due is not None:
        session.add(
            TriggerBucket(
                trigger_id=trigger.id, key="[]", state=began.state, deadline=triggers.instant(due), updated=now
            )
        )


def _end(session: Session, trigger: Trigger, now: datetime) -> None:
    """Forget what it remembers; what is open is over, and nothing is done about that."""
    session.execute(delete(TriggerBucket).where(TriggerBucket.trigger_id == trigger.id))
    session.execute(
        update(Firing)
        .where(Firing.trigger_id == trigger.id, Firing.state == "open")
        .values(state="resolved", resolved=now)
    )


def _free(session: Session, name: str) -> Trigger | None:
    return session.scalar(select(Trigger).where(Trigger.name == name, Trigger.deployment_id.is_(None)))


def _only(session: Session, name: str) -> Trigger | None:
    found = session.scalars(select(Trigger).where(Trigger.name == name).limit(2)).all()
    if len(found) > 1:
        raise Conflict(f"several deployments own a trigger {name}: say which, as FLOW/DEPLOYMENT/{name}")
    return found[0] if found else None


def _locked(session: Session, trigger_id: uuid.UUID) -> Trigger:
    query = select(Trigger).where(Trigger.id == trigger_id).with_for_update()
    found = session.scalar(query.execution_options(populate_existing=True))
    if found is None:
        raise NotFound(f"there is no trigger {trigger_id}")
    return found


def _rows(session: Session, found: Sequence[Trigger], now: datetime) -> list[TriggerRow]:
    owners = {item.deployment_id for item in found if item.deployment_id}
    query = select(Deployment.id, Flow.name, Deployment.name).join(Flow, Flow.id == Deployment.flow_id)
    names = {key: f"{flow}/{name}" for key, flow, name in session.execute(query.where(Deployment.id.in_(owners)))}
    ids = [item.id for item in found]
    is_open = select(Firing.trigger_id).where(Firing.trigger_id.in_(ids), Firing.state == "open").distinct()
    firing = set(session.scalars(is_open))
    return [
        TriggerRow(
            item,
            names.get(item.deployment_id) if item.deployment_id else None,
            trigger_standings.standing(item, item.id in firing, now),
        )
        for item in found
    ]
