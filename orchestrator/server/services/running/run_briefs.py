"""The last, next or present few runs of many deployments or agents, in one statement however many there are."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import column, select, text, true, values
from sqlalchemy.dialects.postgresql import UUID
from sqlalchemy.orm import Session

from ....states import StateType
from ...db.models import FlowRun
from ..statements import held


@dataclass(frozen=True)
class RunBrief:
    """As much of a run as a mark in a history bar needs."""

    id: uuid.UUID
    name: str
    state_type: str
    state_name: str
    due: datetime
    started: datetime | None
    ended: datetime | None


def history(session: Session, deployment_ids: Sequence[uuid.UUID], each: int = 12) -> dict[uuid.UUID, list[RunBrief]]:
    """The last ``each`` runs of each deployment that were begun or ended, oldest first."""
    quiet = StateType.SCHEDULED.value
    return _runs_of(
        session, FlowRun.deployment_id, deployment_ids, FlowRun.state_type != quiet, FlowRun.id.desc(), each
    )


def upcoming(session: Session, deployment_ids: Sequence[uuid.UUID], each: int = 1) -> dict[uuid.UUID, list[RunBrief]]:
    """The next ``each`` scheduled runs of each deployment, soonest last."""
    waiting = StateType.SCHEDULED.value
    return _runs_of(
        session, FlowRun.deployment_id, deployment_ids, FlowRun.state_type == waiting, FlowRun.due.asc(), each
    )


def held_by(session: Session, agent_ids: Sequence[uuid.UUID], each: int = 5) -> dict[uuid.UUID, list[RunBrief]]:
    """The runs that agents hold at the moment, at most ``each`` of them."""
    busy = text(held("flow_run"))
    return _runs_of(session, FlowRun.agent_id, agent_ids, busy, FlowRun.id.asc(), each)


def _runs_of(
    session: Session, owner: Any, owner_ids: Sequence[uuid.UUID], condition: Any, order: Any, each: int
) -> dict[uuid.UUID, list[RunBrief]]:
    found: dict[uuid.UUID, list[RunBrief]] = {key: [] for key in owner_ids}
    if not owner_ids:
        return found
    wanted = values(column("id", UUID(as_uuid=True)), name="wanted").data([(key,) for key in owner_ids])
    last = (
        select(
            FlowRun.id,
            FlowRun.name,
            FlowRun.state_type,
            FlowRun.state_name,
            FlowRun.due,
            FlowRun.started,
            FlowRun.ended,
        )
        .where(owner == wanted.c.id, condition)
        .order_by(order)
        .limit(each)
        .lateral("last")
    )
    for key, *brief in session.execute(select(wanted.c.id, last).select_from(wanted.join(last, true()))):
        found[key].insert(0, RunBrief(*brief))
    return found
