"""Actions: what firings ask for, as an outbox; here it is filled, looked at, and what was given up is asked for anew.

:mod:`.action_outbox` has them done.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from ....documents.records import Actor
from ....errors import Conflict, NotFound
from ....ids import uuid7
from ... import hints
from ...db.json_text import json_text
from ...db.models import Action, Event, Expectation, Firing, Trigger
from ...db.session import after_commit
from ..paging import Page, check_limit, decode_id, page
from ..recording.announcements import announce, resource
from ..statements import fetch
from . import action_kinds

#: One statement however many there are: it is not compiled anew for each number.
_WRITE = """
INSERT INTO action (id, firing_id, moment, position, kind, spec, target, next_try, created)
SELECT * FROM json_to_recordset(%(rows)s::json) AS x(
    id uuid, firing_id uuid, moment text, position int, kind text, spec jsonb, target text, next_try timestamptz,
    created timestamptz)
ON CONFLICT DO NOTHING RETURNING id"""

STATES = ("waiting", "running", "done", "given-up", "skipped")


@dataclass(frozen=True)
class ActionFilter:
    """Which actions a list shows; what is None does not restrict."""

    state: str | None = None
    kind: str | None = None
    firing_id: uuid.UUID | None = None
    trigger_id: uuid.UUID | None = None
    expectation_id: uuid.UUID | None = None
    #: Owner of the trigger.
    deployment_id: uuid.UUID | None = None
    #: The run that the event was about.
    flow_run_id: uuid.UUID | None = None
    target: str | None = None


@dataclass(frozen=True)
class ActionRow:
    """An action with the firing that asked for it and the names that go with it."""

    action: Action
    firing: Firing
    #: What the firing is of.
    trigger_name: str | None
    expectation_name: str | None

    @property
    def cause_name(self) -> str:
        """What the trigger or expectation is called."""
        return self.trigger_name or self.expectation_name or ""


def queue(
    session: Session, firing: Firing, moment: str, documents: Sequence[dict[str, Any]], now: datetime
) -> list[uuid.UUID]:
    """As :func:`queue_all`, for one firing."""
    return queue_all(session, [(firing.id, documents)], moment, now)


def queue_all(
    session: Session, wanted: Sequence[tuple[uuid.UUID, Sequence[dict[str, Any]]]], moment: str, now: datetime
) -> list[uuid.UUID]:
    """Ask for actions, in the transaction that writes the firings; what was asked for before is not asked for again.

    Args:
        wanted: Ids of firings, in the database already, each with documents of actions, checked when they were saved.
        moment: ``fire`` or ``resolve``.

    Returns:
        Ids of the actions that are new.
    """
    installed = action_kinds.installed()
    values = [
        {
            "id": uuid7(),
            "firing_id": firing_id,
            "moment": moment,
            "position": position,
            "kind": document["do"],
            "spec": document,
            "target": installed[document["do"]].target(document) if document["do"] in installed else "",
            "next_try": now,
            "created": now,
        }
        for firing_id, documents in wanted
        for position, document in enumerate(documents)
    ]
    if not values:
        return []
    after_commit(session, hints.wake, "actions")
    return [row.id for row in fetch(session, _WRITE, {"rows": json_text(values)})]


def get(session: Session, action_id: uuid.UUID) -> ActionRow:
    """One action. Raises NotFound."""
    found = session.execute(_rows().where(Action.id == action_id)).first()
    if found is None:
        raise NotFound(f"there is no action {action_id}")
    return ActionRow(*found)


def listing(
    session: Session, wanted: ActionFilter | None = None, limit: int = 50, cursor: str | None = None
) -> Page[ActionRow]:
    """A page of actions, newest first."""
    wanted = wanted or ActionFilter()
    query = _rows()
    for column, value in (
        (Action.state, wanted.state),
        (Action.kind, wanted.kind),
        (Action.firing_id, wanted.firing_id),
        (Firing.trigger_id, wanted.trigger_id),
        (Firing.expectation_id, wanted.expectation_id),
        (Trigger.deployment_id, wanted.deployment_id),
        (Action.target, wanted.target),
    ):
        if value is not None:
            query = query.where(column == value)
    if wanted.flow_run_id is not None:
        about = Event.resource_id == f"orchestrator.flow-run.{wanted.flow_run_id}"
        query = query.where(Firing.event_id.in_(select(Event.id).where(about)))
    if cursor:
        query = query.where(Action.id < decode_id(cursor))
    found = session.execute(query.order_by(Action.id.desc()).limit(check_limit(limit) + 1)).all()
    return page([ActionRow(*row) for row in found], limit, lambda row: (row.action.id,))


def redo(session: Session, action_id: uuid.UUID, actor: Actor, now: datetime) -> ActionRow:
    """Have an action that was given up done after all, with as many tries as a new one; its templates are filled in
    anew.

    Raises:
        NotFound: There is no such action.
        Conflict: It was not given up.
    """
    row = session.scalar(select(Action).where(Action.id == action_id).with_for_update())
    if row is None:
        raise NotFound(f"there is no action {action_id}")
    if row.state != "given-up":
        raise Conflict(f"the action is {row.state}: only one that was given up can be done again")
    row.state, row.attempts, row.next_try, row.ended = "waiting", 0, now, None
    row.rendered, row.errand_id = None, None
    session.flush()
    announce(session, "action.redone", resource("action", row.id, row.kind), actor, now)
    return get(session, action_id)


def _rows() -> Any:
    return (
        select(Action, Firing, Trigger.name, Expectation.name)
        .join(Firing, Firing.id == Action.firing_id)
        .outerjoin(Trigger, Trigger.id == Firing.trigger_id)
        .outerjoin(Expectation, Expectation.id == Firing.expectation_id)
    )
