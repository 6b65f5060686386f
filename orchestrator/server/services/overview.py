"""The numbers of the home page: what is happening right now, what is late, what is stuck."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from ...ids import uuid7_floor
from ...states import StateType
from ..db.models import Event
from . import agents, events
from .runs import RunFilter, RunRow, listing
from .statements import fetch

S = StateType

#: Most rows that the lists of the home page hold.
ROWS = 10


@dataclass(frozen=True)
class Bucket:
    """Runs created in a span of time that begins at ``start``, by their present state."""

    start: datetime
    counts: dict[StateType, int]


@dataclass(frozen=True)
class QueueLoad:
    """A work queue with what lies in it."""

    name: str
    paused: bool
    concurrency_limit: int | None
    #: Due and not claimed.
    waiting: int
    #: Occupying a slot.
    running: int
    #: Agents that serve it and are ONLINE.
    agents: int


@dataclass(frozen=True)
class Overview:
    """All that the home page shows."""

    buckets: list[Bucket]
    #: Over the whole span, by present state.
    totals: dict[StateType, int]
    #: Of the span or older: everything that has not ended, by state (SCHEDULED: only what is due).
    open: dict[StateType, int]
    late: list[RunRow]
    #: Asked to stop, and not gone yet.
    stuck: list[RunRow]
    failed: list[RunRow]
    running: list[RunRow]
    #: By status.
    agents: dict[str, int]
    queues: list[QueueLoad]
    events: list[Event]
    #: Events in the last minute.
    events_per_minute: int


_BUCKETS = """
SELECT floor(extract(epoch FROM (created - %(since)s)) / %(width)s)::int AS bucket, state_type, count(*)
FROM flow_run WHERE id >= %(low)s AND created >= %(since)s AND created < %(until)s
    AND (%(tag)s::text IS NULL OR tags @> ARRAY[%(tag)s::text])
GROUP BY 1, 2"""

_OPEN = """
SELECT state_type, count(*) FROM flow_run WHERE state_type IN ('PENDING', 'RUNNING', 'CANCELLING') GROUP BY 1
UNION ALL SELECT 'SCHEDULED', count(*) FROM flow_run WHERE state_type = 'SCHEDULED' AND due <= %(now)s
UNION ALL SELECT 'PAUSED', count(*) FROM flow_run WHERE state_type = 'PAUSED'"""

_QUEUES = """
SELECT q.name, q.paused, q.concurrency_limit,
    (SELECT count(*) FROM flow_run r WHERE r.work_queue_id = q.id AND r.state_type = 'SCHEDULED' AND r.due <= %(now)s)
        AS waiting,
    (SELECT count(*) FROM flow_run r WHERE r.work_queue_id = q.id
        AND r.state_type IN ('PENDING', 'RUNNING', 'CANCELLING')) AS running
FROM work_queue q ORDER BY q.name LIMIT 200"""


def home(
    session: Session, now: datetime, span: timedelta = timedelta(days=1), buckets: int = 48, tag: str | None = None
) -> Overview:
    """Gather the home page.

    Args:
        span: How far back the chart reaches.
        buckets: Into how many parts it is cut.
        tag: Only runs that carry it, in chart and lists of runs.
    """
    chart = runs_over_time(session, now, span, buckets, tag)
    rows = agents.listing(session, now)
    totals: Counter[StateType] = Counter()
    for bucket in chart:
        totals.update(bucket.counts)
    return Overview(
        buckets=chart,
        totals=dict(totals),
        open={S(kind): count for kind, count in fetch(session, _OPEN, {"now": now})},
        late=_runs(session, tag, state_types=[S.SCHEDULED], state_names=["Late"]),
        stuck=_runs(session, tag, state_types=[S.CANCELLING]),
        failed=_runs(session, tag, state_types=[S.FAILED, S.CRASHED], created_after=now - span),
        running=_runs(session, tag, state_types=[S.RUNNING, S.PENDING]),
        agents=dict(Counter(row.status for row in rows)),
        queues=queue_loads(session, now, rows),
        events=events.listing(session, limit=20).items,
        events_per_minute=_events_since(session, now - timedelta(minutes=1)),
    )


def runs_over_time(
    session: Session, now: datetime, span: timedelta, buckets: int, tag: str | None = None
) -> list[Bucket]:
    """Runs created in the last ``span``, cut into ``buckets`` parts, each with its runs by present state."""
    since, width = now - span, span / buckets
    parameters = {
        "since": since, "until": now, "width": width.total_seconds(), "low": uuid7_floor(since - timedelta(days=1)),
        "tag": tag,
    }  # fmt: skip
    counts: list[dict[StateType, int]] = [{} for _ in range(buckets)]
    for index, kind, count in fetch(session, _BUCKETS, parameters):
        counts[min(index, buckets - 1)][S(kind)] = count
    return [Bucket(since + index * width, found) for index, found in enumerate(counts)]


def queue_loads(session: Session, now: datetime, rows: list[agents.AgentRow] | None = None) -> list[QueueLoad]:
    """Every queue with what waits and runs in it, by name."""
    rows = agents.listing(session, now) if rows is None else rows
    served = Counter(name for row in rows if row.status == agents.ONLINE for name in row.agent.queues)
    return [
        QueueLoad(row.name, row.paused, row.concurrency_limit, row.waiting, row.running, served[row.name])
        for row in fetch(session, _QUEUES, {"now": now})
    ]


def _runs(session: Session, tag: str | None, **facts: object) -> list[RunRow]:
    wanted = RunFilter(tags=[tag] if tag else [], **facts)  # type: ignore[arg-type]
    return listing(session, wanted, limit=ROWS).items


def _events_since(session: Session, since: datetime) -> int:
    return session.scalar(select(func.count(Event.id)).where(Event.id >= uuid7_floor(since))) or 0
