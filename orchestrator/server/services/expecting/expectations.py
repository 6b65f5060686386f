"""Expectations: made, changed, switched on and off, muted."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete as sql_delete
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from ....clock import to_text
from ....documents.records import Actor
from ....errors import Conflict, InvalidInput, NotFound
from ....expectations import DUE, Spec, of_owner, read, sentence, without_owner
from ....expectations.documents import FIELDS
from ....ids import uuid7
from ...db.models import Deployment, Expectation, ExpectationOccurrence
from ..acting import action_kinds
from ..deploying import calendar_days
from ..paging import Page, check_limit, decode, page
from ..reacting import desk_triggers
from ..recording.announcements import announce, resource

#: Most expectations of one deployment.
OWNED_MOST = 100
#: What of a document changes who is told and how, and not what is expected.
_MANNER = ("description", "owner", "severity", "active", "then", "on_resolve")

_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 15))")


@dataclass(frozen=True)
class ExpectationFilter:
    """Which expectations a list shows; what is None does not restrict."""

    #: Part of the name, in any case.
    name: str | None = None
    owner: str | None = None
    severity: str | None = None
    active: bool | None = None
    deployment_id: uuid.UUID | None = None


def check(session: Session, document: Mapping[str, Any]) -> Spec:
    """Read a document, and look up what it names.

    Raises:
        InvalidInput: Names the field and the fix.
    """
    spec = read(document)
    try:
        calendar_days.days(session, spec.calendar)
    except NotFound:
        place = "every.calendar" if "every" in document else "calendar"
        problem = f"There is no calendar {spec.calendar}: make it first, or correct the name."
        raise InvalidInput(f"{place}: {problem}", {place: [problem]}) from None
    for field in ("then", "on_resolve"):
        action_kinds.check(document.get(field) or [], field, session)
    return spec


def create(
    session: Session,
    document: Mapping[str, Any],
    actor: Actor,
    now: datetime,
    deployment_id: uuid.UUID | None = None,
) -> Expectation:
    """Make an expectation; what happens from now on counts.

    Raises:
        InvalidInput: The document is wrong; see :func:`check`.
        Conflict: There is one of that name.
    """
    spec = check(session, document)
    session.execute(_LOCK, {"name": f"{deployment_id or ''}/{spec.name}"})
    if _named(session, spec.name, deployment_id) is not None:
        raise Conflict(f"there is an expectation {spec.name} already: `PATCH` changes it")
    row = Expectation(id=uuid7(now), deployment_id=deployment_id, created=now, since=now)
    _fill(row, spec, document, now)
    session.add(row)
    session.flush()
    _announce(session, "created", row, actor, now, sentence=sentence(spec), after=row.document)
    return row


def get(session: Session, ref: str | uuid.UUID) -> Expectation:
    """An expectation by id, or by its name where it is free. Raises NotFound."""
    found = session.get(Expectation, ref) if isinstance(ref, uuid.UUID) else _named(session, ref, None)
    if found is None:
        raise NotFound(f"there is no expectation {ref}: `orchestrator expectation ls` lists them")
    return found


def listing(
    session: Session, wanted: ExpectationFilter | None = None, limit: int = 50, cursor: str | None = None
) -> Page[Expectation]:
    """A page of expectations, by name."""
    wanted = wanted or ExpectationFilter()
    query = select(Expectation)
    if wanted.name is not None:
        query = query.where(Expectation.name.icontains(wanted.name, autoescape=True))
    for name in ("owner", "severity", "active", "deployment_id"):
        value = getattr(wanted, name)
        if value is not None:
            query = query.where(getattr(Expectation, name) == value)
    if cursor:
        name, last = decode(cursor, str, uuid.UUID)
        query = query.where((Expectation.name > name) | ((Expectation.name == name) & (Expectation.id > last)))
    rows = session.scalars(query.order_by(Expectation.name, Expectation.id).limit(check_limit(limit) + 1)).all()
    return page(rows, limit, lambda row: (row.name, row.id))


def of_deployment(session: Session, deployment_id: uuid.UUID, name: str, most: int = 20) -> list[Expectation]:
    """What is expected of a deployment, ``flow/name``: what it owns, and what is about its runs."""
    about = Expectation.document["run"]["deployment"].astext == name
    query = select(Expectation).where((Expectation.deployment_id == deployment_id) | about)
    return list(session.scalars(query.order_by(Expectation.name).limit(most)))


def change(
    session: Session, ref: str | uuid.UUID, values: Mapping[str, Any], actor: Actor, now: datetime
) -> Expectation:
    """Set fields of its document; None takes one out. Where that changes what is expected, what was due is forgotten
    and expected anew from now on; the same again changes nothing.

    Raises:
        NotFound, InvalidInput: As :func:`get` and :func:`check`.
        Conflict: It is a deployment's, or there is another of that name.
    """
    row = get(session, ref)
    if row.deployment_id is not None:
        raise Conflict("it belongs to a deployment: change that one's document and apply it")
    document = {key: value for key, value in {**row.document, **values}.items() if value is not None}
    return _change(session, row, document, actor, now)


def switch(session: Session, ref: str | uuid.UUID, active: bool, actor: Actor, now: datetime) -> Expectation:
    """Turn it on or off; off, nothing is expected. Raises NotFound."""
    row = get(session, ref)
    if row.active != active:
        _fill(row, read({**row.document, "active": active}), {**row.document, "active": active}, now)
        _expect_anew(session, row, now)
        session.flush()
        _announce(session, "enabled" if active else "disabled", row, actor, now)
    return row


def mute(session: Session, ref: str | uuid.UUID, until: datetime | None, actor: Actor, now: datetime) -> Expectation:
    """Note misses, but do nothing, until an instant; None: no more. Raises NotFound."""
    row = get(session, ref)
    row.muted_until, row.updated = until, now
    session.flush()
    _announce(session, "muted", row, actor, now, until=None if until is None else to_text(until))
    return row


def delete(session: Session, ref: str | uuid.UUID, actor: Actor, now: datetime) -> None:
    """Delete it with its occurrences. Raises NotFound, and Conflict where it is a deployment's."""
    row = get(session, ref)
    if row.deployment_id is not None:
        raise Conflict("it belongs to a deployment: take it out of that one's document and apply it")
    _remove(session, row, actor, now)


def replace_owned(
    session: Session,
    deployment: Deployment,
    documents: Sequence[Mapping[str, Any]] | None,
    actor: Actor,
    now: datetime,
) -> list[str]:
    """Give a deployment, which is in the database, these expectations and no others; returns what changed, a line each.
    None: they stay as they are. A ``run`` that says not whose is about the deployment's own.

    Raises:
        InvalidInput: A document is wrong, or two have one name.
    """
    if documents is None:
        return []
    wanted = _wanted(session, [of_owner(document, _full_name(deployment)) for document in documents])
    present = {row.name: row for row in _owned(session, deployment.id)}
    lines = []
    for name in sorted(present.keys() - wanted.keys()):
        _remove(session, present[name], actor, now)
        lines.append(f"expectation {name}: removed")
    for name, document in wanted.items():
        if name not in present:
            create(session, document, actor, now, deployment.id)
            lines.append(f"expectation {name}: added")
        elif present[name].document != document:
            _change(session, present[name], document, actor, now)
            lines.append(f"expectation {name}: changed")
    return lines


def owned_documents(session: Session, deployment: Deployment) -> list[dict[str, Any]]:
    """The documents of a deployment's own expectations, by name, as its file holds them."""
    found = [without_owner(row.document, _full_name(deployment)) for row in _owned(session, deployment.id)]
    return [{name: document[name] for name in FIELDS if name in document} for document in found]


def label(row: Expectation) -> dict[str, str]:
    """How events name it."""
    return {**resource("expectation", row.id, row.name), "expectation.severity": row.severity}


def _remove(session: Session, row: Expectation, actor: Actor, now: datetime) -> None:
    desk_triggers.delete_of_expectation(session, row.id, actor, now)
    session.delete(row)
    session.flush()
    _announce(session, "deleted", row, actor, now)


def _full_name(deployment: Deployment) -> str:
    return f"{deployment.flow.name}/{deployment.name}"


def _owned(session: Session, deployment_id: uuid.UUID) -> list[Expectation]:
    query = select(Expectation).where(Expectation.deployment_id == deployment_id)
    return list(session.scalars(query.order_by(Expectation.name)))


def _wanted(session: Session, documents: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Checked documents by name."""
    if len(documents) > OWNED_MOST:
        problem = f"{len(documents)} of them: at most {OWNED_MOST}"
        raise InvalidInput(f"expectations: {problem}", {"expectations": [problem]})
    found: dict[str, dict[str, Any]] = {}
    for index, document in enumerate(documents):
        place = f"expectations.{index}"
        try:
            spec = check(session, document)
        except InvalidInput as error:
            errors = {f"{place}.{key}": problems for key, problems in error.errors.items()}
            raise InvalidInput(f"{place}.{error}", errors) from None
        if spec.name in found:
            raise InvalidInput(f"{place}.name: {spec.name} stands there twice", {f"{place}.name": ["Stands twice."]})
        found[spec.name] = {key: value for key, value in document.items() if value is not None}
    return found


def _change(
    session: Session, row: Expectation, document: Mapping[str, Any], actor: Actor, now: datetime
) -> Expectation:
    spec = check(session, document)
    before = dict(row.document)
    changed = sorted(key for key in {*before, *document} if before.get(key) != document.get(key))
    if not changed:
        return row
    if spec.name != row.name:
        session.execute(_LOCK, {"name": f"{row.deployment_id or ''}/{spec.name}"})
        if _named(session, spec.name, row.deployment_id) is not None:
            raise Conflict(f"there is an expectation {spec.name} already: choose another name")
    was_active = row.active
    _fill(row, spec, document, now)
    if row.active != was_active or not {*changed} <= {*_MANNER, "name"}:
        _expect_anew(session, row, now)
    session.flush()
    _announce(session, "updated", row, actor, now, before=before, after=row.document, sentence=sentence(spec))
    return row


def _fill(row: Expectation, spec: Spec, document: Mapping[str, Any], now: datetime) -> None:
    row.name, row.document, row.updated = spec.name, dict(document), now
    row.severity, row.owner, row.active = spec.severity, spec.owner, spec.active


def _expect_anew(session: Session, row: Expectation, now: datetime) -> None:
    due = (ExpectationOccurrence.expectation_id == row.id, ExpectationOccurrence.status == DUE)
    session.execute(sql_delete(ExpectationOccurrence).where(*due))
    row.since, row.materialised_to, row.refill = now, None, None


def _named(session: Session, name: str, deployment_id: uuid.UUID | None) -> Expectation | None:
    owner = Expectation.deployment_id
    query = select(Expectation).where(Expectation.name == name)
    return session.scalar(query.where(owner.is_(None) if deployment_id is None else owner == deployment_id))


def _announce(session: Session, verb: str, row: Expectation, actor: Actor, now: datetime, **payload: Any) -> None:
    related = []
    if row.deployment_id is not None:
        related.append({"resource.id": f"orchestrator.deployment.{row.deployment_id}", "resource.role": "deployment"})
    announce(session, f"expectation.{verb}", label(row), actor, now, related=related, **payload)
