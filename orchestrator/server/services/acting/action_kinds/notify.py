"""``notify``: tell people, by any block that is a notifier."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from .....clock import from_text
from .....states import StateType
from ....config import current
from ....db.models import Deployment, Flow, FlowRun, FlowRunState
from .. import notification_texts
from ..action_kind import Asked, Field, Kind, Nothing
from ..notification_texts import Told


class Notify(Kind):
    """Sends a message. Without texts of its own it tells of the run, or of the firing."""

    name = "notify"
    title = "Notify"
    description = "Send a message by a notifier: a chat, a mail, a pager."
    outgoing = True
    fields = (
        Field("block", "block", "The notifier, as type/name.", required=True, interface="notifier", fixed=True),
        Field("subject", "prose", "The line above the text; left out: what happened, in a line."),
        Field("body", "prose", "The text, as Markdown; left out: what happened."),
    )

    def needs(self, document: Mapping[str, Any]) -> set[str]:
        """What the texts that are left out are made of."""
        return set() if {"subject", "body"} <= set(document) else {"event", "trigger", "firing", "expectation"}

    def content(self, session: Session, asked: Asked, now: datetime) -> dict[str, Any]:
        """Subject and body."""
        given = {name: asked.values[name] for name in ("subject", "body") if name in asked.values}
        if len(given) == 2:
            return given
        told = _about_a_run(session, asked.known.get("event"))
        if told is None:
            return {**_of_the_firing(asked), **given}
        subject, body = notification_texts.subject(told), notification_texts.body(told, current())
        return {"subject": subject, "body": body, **given}


def _about_a_run(session: Session, event: Mapping[str, Any] | None) -> Told | None:
    """The state of a run that the event tells of, as it stands in the run's history: events of others cannot make it
    up. Raises Nothing where it does not stand there.
    """
    name = str((event or {}).get("event", ""))
    family, _, kind = name.partition(".")
    if event is None or family != "flow-run" or kind.upper() not in StateType.__members__:
        return None
    identifier = str(event["resource"].get("resource.id", "")).removeprefix("orchestrator.flow-run.")
    query = (
        select(Flow.name, Deployment.name, FlowRun.name, FlowRun.id, FlowRunState)
        .select_from(FlowRun)
        .join(Flow, Flow.id == FlowRun.flow_id)
        .outerjoin(Deployment, Deployment.id == FlowRun.deployment_id)
        .join(FlowRunState, FlowRunState.flow_run_id == FlowRun.id)
        .where(FlowRunState.type == kind.upper(), FlowRunState.at == from_text(str(event["occurred"])))
        .order_by(FlowRunState.id.desc())
        .limit(1)
    )
    try:
        found = session.execute(query.where(FlowRun.id == uuid.UUID(identifier))).first()
    except ValueError:
        found = None
    if found is None:
        raise Nothing(f"no run was {kind} then: its history does not know of it")
    flow, deployment, run, run_id, state = found
    return Told(flow, deployment or "", run, run_id, state.name, state.message, state.at, state.attempt)


def _of_the_firing(asked: Asked) -> dict[str, str]:
    firing, event = asked.known["firing"], asked.known.get("event")
    is_over = asked.moment == "resolve"
    if expected := asked.known.get("expectation"):
        # The firing's own words are those of the miss, whatever became of it since.
        reason = (expected.get("occurrence") or {}).get("reason") if is_over else None
        return notification_texts.of_expectation(expected, str(reason or firing["reason"]))
    cause = asked.known.get("trigger") or {}
    return notification_texts.of_firing(
        name=str(cause.get("name") or "a trigger"),
        severity=str(cause.get("severity") or ""),
        description=str(cause.get("description") or ""),
        url=str(cause.get("url") or ""),
        is_over=is_over,
        reason=str(firing["reason"]),
        at=str(firing["occurred"]),
        resource=str(event["resource"].get("resource.id", "")) if event else "",
    )


KIND = Notify()
