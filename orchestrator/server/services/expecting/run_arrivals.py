"""What flow runs did, from their own history: for expectations of runs. Events only say which runs to look at."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from ....expectations import Arrival, Runs
from ....states import StateType
from ..internal import FLOW_ID
from ..statements import fetch

#: Runs that are looked at, and states of one: retries make more.
STATES_MOST = 1000

_RUNS = """
SELECT r.id, f.name AS flow, d.name AS deployment, r.deployment_id, r.tags, coalesce(r.slot, r.due) AS scheduled,
    s.types, s.ats
FROM flow_run r JOIN flow f ON f.id = r.flow_id LEFT JOIN deployment d ON d.id = r.deployment_id
CROSS JOIN LATERAL (
    SELECT coalesce(array_agg(h.type ORDER BY h.at, h.id), '{}') AS types,
        coalesce(array_agg(h.at ORDER BY h.at, h.id), '{}') AS ats
    FROM (SELECT id, type, at FROM flow_run_state WHERE flow_run_id = r.id ORDER BY id LIMIT %(most)s) h) s
WHERE r.id = ANY(%(ids)s::uuid[]) AND r.flow_id <> %(internal)s"""
#: Runs that may have taken a state since: those that have not ended, and those that ended since.
_BETWEEN = """
SELECT DISTINCT r.id FROM flow_run r JOIN flow f ON f.id = r.flow_id LEFT JOIN deployment d ON d.id = r.deployment_id
JOIN flow_run_state s ON s.flow_run_id = r.id
WHERE (r.ended IS NULL OR r.ended >= %(start)s) AND r.flow_id <> %(internal)s
    AND (%(deployment)s::text IS NULL OR f.name || '/' || d.name = %(deployment)s)
    AND (%(flow)s::text IS NULL OR f.name = %(flow)s) AND r.tags @> %(tags)s::text[]
    AND s.type = ANY(%(states)s) AND s.at >= %(start)s AND s.at <= %(end)s
ORDER BY r.id DESC LIMIT %(most)s"""


@dataclass(frozen=True)
class RunFacts:
    """A run, and the states that it took, in order."""

    id: uuid.UUID
    flow: str
    #: ``flow/name``; None: it has none.
    deployment: str | None
    deployment_id: uuid.UUID | None
    tags: Collection[str]
    #: When it was to start.
    scheduled: datetime
    states: tuple[tuple[str, datetime], ...]

    def arrivals(self, runs: Runs) -> list[Arrival]:
        """The states that count; one that it took again, after a retry, does so by itself."""
        times = [at for kind, at in self.states if kind in runs.states]
        return [Arrival(at, f"{self.id}#{place + 1}" if place else str(self.id)) for place, at in enumerate(times)]

    def began(self, runs: Runs) -> datetime | None:
        """From when on its time is counted; None: it did not begin."""
        if runs.of == "schedule":
            return self.scheduled
        # Retries start anew, but the run goes on.
        return next((at for kind, at in self.states if kind == StateType.RUNNING.value), None)


def of(session: Session, ids: Collection[uuid.UUID]) -> dict[uuid.UUID, RunFacts]:
    """Runs by id; errands and what is gone are left out."""
    if not ids:
        return {}
    rows = fetch(session, _RUNS, {"ids": list(ids), "internal": FLOW_ID, "most": STATES_MOST})
    return {
        row.id: RunFacts(
            row.id, row.flow, f"{row.flow}/{row.deployment}" if row.deployment else None, row.deployment_id,
            row.tags, row.scheduled, tuple(zip(row.types, row.ats, strict=True)),
        )
        for row in rows
    }  # fmt: skip


def concerns(runs: Runs, facts: RunFacts) -> bool:
    """Whether a run is one of those that are meant."""
    if runs.deployment is not None and facts.deployment != runs.deployment:
        return False
    return (runs.flow is None or facts.flow == runs.flow) and set(runs.tags) <= set(facts.tags)


def between(session: Session, runs: Runs, start: datetime, end: datetime) -> list[Arrival]:
    """What counts in [start, end], oldest first."""
    parameters = {
        "deployment": runs.deployment, "flow": runs.flow, "tags": list(runs.tags), "states": list(runs.states),
        "start": start, "end": end, "internal": FLOW_ID, "most": STATES_MOST,
    }  # fmt: skip
    facts = of(session, [row.id for row in fetch(session, _BETWEEN, parameters)])
    found = [arrival for one in facts.values() for arrival in one.arrivals(runs)]
    return sorted(arrival for arrival in found if start <= arrival.at <= end)
