"""Cached results with the runs that computed them."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from orchestrator.server.db.models import CachedResult, FlowRun
from orchestrator.server.services.paging import Page
from orchestrator.server.services.running import cached_results

#: Rows of a page.
ROWS = 50


@dataclass(frozen=True)
class CachedResultsPage:
    """What the page shows."""

    page: Page[CachedResult]
    #: Names of the runs that computed them, by id; those that are gone are not there.
    runs: dict[uuid.UUID, str]


def load(session: Session, task: str, cursor: str | None, now: datetime) -> CachedResultsPage:
    """Read a page; ``task`` is a part of the tasks' names, or empty."""
    found = cached_results.listing(session, now, task or None, ROWS, cursor)
    ids = {item.flow_run_id for item in found.items if item.flow_run_id is not None}
    rows = session.execute(select(FlowRun.id, FlowRun.name).where(FlowRun.id.in_(ids))).all()
    return CachedResultsPage(found, {row.id: row.name for row in rows})
