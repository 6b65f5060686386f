"""What some actions are about, looked up at once for all of them; and what is to be told of them, written at once."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from ...db.json_text import json_text
from ...db.models import Action, Deployment, Firing, Flow, Trigger
from ..recording import events
from ..recording.announcements import resource
from ..recording.events import EventRecord
from ..statements import execute

_NOTE = """
UPDATE action a SET state = x.state, attempts = x.attempts, next_try = x.next_try, error = x.error,
    rendered = x.rendered, result = x.result, ended = x.ended
FROM json_to_recordset(%(rows)s::json) AS x(id uuid, state text, attempts int, next_try timestamptz, error text,
    rendered jsonb, result jsonb, ended timestamptz)
WHERE a.id = x.id"""
_NOTED = ("id", "state", "attempts", "next_try", "error", "rendered", "result", "ended")


@dataclass
class Scene:
    """Firings and triggers of actions, by id."""

    firings: dict[uuid.UUID, Firing] = field(default_factory=dict)
    triggers: dict[uuid.UUID, Trigger] = field(default_factory=dict)
    #: The deployments that own triggers, as events name them; by the ids of the triggers.
    owners: dict[uuid.UUID, dict[str, str]] = field(default_factory=dict)
    #: Events that are to be written.
    told: list[EventRecord] = field(default_factory=list)

    def of(self, row: Action) -> tuple[Firing, Trigger | None]:
        """What an action is done for."""
        firing = self.firings[row.firing_id]
        return firing, self.triggers.get(firing.trigger_id) if firing.trigger_id is not None else None

    def write(self, session: Session, now: datetime) -> None:
        """Write the events."""
        events.record(session, self.told, now)
        self.told = []

    def _take(self, firing: Firing, trigger: Trigger | None, deployment: str | None, flow: str | None) -> None:
        self.firings[firing.id] = firing
        if trigger is None:
            return
        self.triggers[trigger.id] = trigger
        if trigger.deployment_id is not None and deployment is not None:
            label = resource("deployment", trigger.deployment_id, f"{flow}/{deployment}", "deployment")
            self.owners[trigger.id] = label


def due(session: Session, now: datetime, batch: int) -> tuple[list[Action], Scene]:
    """The next actions that touch nothing but this database, locked, with what they are about.

    They belong to no session: what is changed in them, :func:`note` writes.
    """
    query = (
        _with_cause(select(Action, *_CAUSE).join(Firing, Firing.id == Action.firing_id))
        .where(Action.state == "waiting", Action.next_try <= now, Action.target == "")
        .order_by(Action.next_try, Action.id)
        .limit(batch)
        .with_for_update(of=Action, skip_locked=True)
    )
    scene, rows = Scene(), []
    for row, *cause in session.execute(query):
        session.expunge(row)
        rows.append(row)
        scene._take(*cause)
    return rows, scene


def of(session: Session, rows: Iterable[Action]) -> Scene:
    """What actions are about."""
    scene, ids = Scene(), {row.firing_id for row in rows}
    if ids:
        for cause in session.execute(_with_cause(select(*_CAUSE)).where(Firing.id.in_(ids))):
            scene._take(*cause)
    return scene


def note(session: Session, rows: Sequence[Action]) -> None:
    """Write what became of actions that :func:`due` gave."""
    if rows:
        found = [{name: getattr(row, name) for name in _NOTED} for row in rows]
        execute(session, _NOTE, {"rows": json_text(found)})


_CAUSE: tuple[Any, ...] = (Firing, Trigger, Deployment.name, Flow.name)


def _with_cause(query: Any) -> Any:
    return (
        query.outerjoin(Trigger, Trigger.id == Firing.trigger_id)
        .outerjoin(Deployment, Deployment.id == Trigger.deployment_id)
        .outerjoin(Flow, Flow.id == Deployment.flow_id)
    )
