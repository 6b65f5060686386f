"""Backfills: the form that makes one, what it would do, and how far one is."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from orchestrator.documents.backfills import Reprocess, bound
from orchestrator.errors import InvalidInput, NotFound
from orchestrator.serializers import loads
from orchestrator.server.db.models import Deployment, FlowRun
from orchestrator.server.services.deploying import backfills, deployments
from orchestrator.server.services.deploying.backfills import BackfillRow, Planned, Wanted
from orchestrator.server.services.paging import Page
from orchestrator.server.services.running import runs
from orchestrator.server.services.running.run_filters import RunFilter
from orchestrator.server.services.running.runs import RunRow

#: Slots that the form shows, and backfills that the page of a deployment does.
SLOTS, RECENT = 12, 5
#: What is done with slots that have runs, in words.
REPROCESS = {
    Reprocess.NONE: "Leave them out",
    Reprocess.FAILED: "Run those again that did not complete",
    Reprocess.COMPLETED: "Run them all again",
}


@dataclass(frozen=True)
class BackfillPage:
    """What the page of one backfill shows."""

    row: BackfillRow
    deployment: Deployment
    name: str
    runs: Page[RunRow]
    #: The slots that come next.
    next: list[datetime]

    @property
    def share(self) -> int:
        """How much of it is over, in per cent."""
        return round(100 * self.row.ended / self.row.total) if self.row.total else 100


def recent(session: Session, deployment_id: uuid.UUID) -> list[BackfillRow]:
    """The last ones of a deployment."""
    return backfills.listing(session, deployment_id, RECENT).items


def load(session: Session, backfill_id: uuid.UUID, cursor: str | None) -> BackfillPage:
    """Read one. Raises NotFound."""
    row = backfills.get(session, backfill_id)
    deployment = deployments.get(session, row.backfill.deployment_id)
    found = runs.listing(session, RunFilter(backfill_id=backfill_id), 50, cursor)
    waiting = select(FlowRun.slot).where(FlowRun.backfill_id == backfill_id, FlowRun.state_type == "SCHEDULED")
    order = FlowRun.slot.desc() if row.backfill.backwards else FlowRun.slot
    coming = [slot for slot in session.scalars(waiting.order_by(order).limit(3)) if slot is not None]
    return BackfillPage(row, deployment, f"{deployment.flow.name}/{deployment.name}", found, coming)


def preview(session: Session, deployment: Deployment, form: Mapping[str, str], now: datetime) -> Planned | str:
    """What the backfill of a form would do; or why there is none, in words."""
    if not form.get("start", "").strip():
        return ""
    try:
        return backfills.plan(session, deployment, read(form), now)
    except (InvalidInput, NotFound) as error:
        return str(error)


def read(form: Mapping[str, str]) -> Wanted:
    """Read the form. Raises InvalidInput, whose ``errors`` name the fields."""
    most = form.get("max_active", "").strip() or "1"
    if not most.isdecimal() or not 0 < int(most) <= 1_000:
        raise _wrong("max_active", "Give a number from 1 to 1000.")
    start = _bound(form, "start")
    if start is None:
        raise _wrong("start", "Say where it begins.")
    return Wanted(
        start=start,
        end=_bound(form, "end"),
        schedule=form.get("schedule") or None,
        parameters=_parameters(form.get("parameters", "")),
        max_active=int(most),
        backwards="backwards" in form,
        reprocess=_reprocess(form.get("reprocess") or "none"),
    )


def _reprocess(text: str) -> Reprocess:
    try:
        return Reprocess(text)
    except ValueError:
        raise _wrong("reprocess", "Choose one from the list.") from None


def _bound(form: Mapping[str, str], name: str) -> date | datetime | None:
    text = form.get(name, "").strip()
    try:
        return bound(text) if text else None
    except ValueError:
        raise _wrong(name, f"{text!r} is no time: write 2026-01-31, or 2026-01-31T06:00:00Z.") from None


def _parameters(text: str) -> dict[str, Any]:
    try:
        found = loads(text) if text.strip() else {}
    except ValueError as error:
        raise _wrong("parameters", f"This is no JSON: {error}") from None
    if not isinstance(found, dict):
        raise _wrong("parameters", 'Give an object, such as {"day": "{{ slot:%Y-%m-%d }}"}.')
    return found


def _wrong(field: str, problem: str) -> InvalidInput:
    return InvalidInput(f"{field}: {problem}", {field: [problem]})
