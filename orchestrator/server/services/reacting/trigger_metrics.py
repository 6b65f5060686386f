"""Numbers that metric triggers compare: of runs, and of events."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from ....ids import uuid7_floor
from ....triggers import Seen
from ....triggers.conditions import Metric
from ....triggers.documents import RUN_METRICS
from ....triggers.matching import is_exact, meets, positive
from ..internal import FLOW_ID
from ..statements import TERMINAL_TYPES, fetch

#: Events that one measurement looks at: the newest of its range.
EVENTS_MAX = 20_000

_FIGURES = {
    "success_rate": "avg((r.state_type = 'COMPLETED')::int)",
    "failure_count": "count(*) FILTER (WHERE r.state_type IN ('FAILED', 'CRASHED'))",
    "run_count": "count(*)",
    "duration_p50": "percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM r.ended - r.started))",
    "duration_p95": "percentile_cont(0.95) WITHIN GROUP (ORDER BY extract(epoch FROM r.ended - r.started))",
    "duration_max": "max(extract(epoch FROM r.ended - r.started))",
    "lateness_p95": "percentile_cont(0.95) WITHIN GROUP (ORDER BY extract(epoch FROM r.started - r.due))",
}
#: Runs that were cancelled neither succeeded nor failed.
_RUNS = f"""
SELECT {{figure}} AS value FROM flow_run r JOIN flow f ON f.id = r.flow_id
LEFT JOIN deployment d ON d.id = r.deployment_id
WHERE r.ended > %(after)s AND r.ended <= %(now)s AND r.state_type IN ({TERMINAL_TYPES})
    AND r.state_type <> 'CANCELLED' AND f.id <> '{FLOW_ID}'
    AND (%(flow)s::text IS NULL OR f.name = %(flow)s) AND (%(deployment)s::text IS NULL OR d.name = %(deployment)s)
    AND (%(tags)s::text[] IS NULL OR r.tags @> %(tags)s)"""
_EVENTS = """
SELECT id, event, occurred, received, resource, related, payload FROM event
WHERE id > %(floor)s AND occurred > %(after)s AND occurred <= %(now)s
    AND (%(names)s::text[] IS NULL OR event = ANY(%(names)s))
ORDER BY id DESC LIMIT %(limit)s"""
#: Ids carry another clock than events do.
_AROUND = timedelta(minutes=5)


def measure(session: Session, condition: Metric, now: datetime) -> float | None:
    """What a metric is now; None where there is nothing to measure."""
    after = now - timedelta(microseconds=condition.range)
    if condition.name in RUN_METRICS:
        return _of_runs(session, condition, after, now)
    return _of_events(session, condition, after, now)


def _of_runs(session: Session, condition: Metric, after: datetime, now: datetime) -> float | None:
    flow, deployment = condition.of.get("flow"), condition.of.get("deployment")
    if deployment is not None and "/" in deployment:
        flow, _, deployment = deployment.partition("/")
    values = {"after": after, "now": now, "flow": flow, "deployment": deployment, "tags": condition.of.get("tags")}
    found = fetch(session, _RUNS.format(figure=_FIGURES[condition.name]), values)[0].value
    return None if found is None else float(found)


def _of_events(session: Session, condition: Metric, after: datetime, now: datetime) -> float | None:
    wanted = positive(condition.expect)
    names = wanted if wanted and all(map(is_exact, wanted)) else None
    values = {"floor": uuid7_floor(after - _AROUND), "after": after, "now": now, "names": names, "limit": EVENTS_MAX}
    found = []
    for row in fetch(session, _EVENTS, values):
        event = Seen.of(row.id, row.event, row.occurred, row.received, row.resource, row.related, row.payload)
        if meets(condition.expect, event.name) and condition.filter.lets(event):
            found.append(event)
    if condition.name == "event_count":
        return float(len(found))
    if condition.name == "event_rate":
        return len(found) / (condition.range / 60e6)
    return _of_payloads(condition.name, found)


def _of_payloads(name: str, events: list[Seen]) -> float | None:
    """``payload.PATH.FIGURE`` of events; those whose payload has no number there do not count."""
    *path, figure = name.split(".")[1:]
    numbers = [
        (event.at, float(value))
        for event in events
        if isinstance(value := _reach(event.payload, path), (int, float)) and not isinstance(value, bool)
    ]
    if not numbers:
        return None
    values = [value for _, value in numbers]
    if figure == "last":
        return max(numbers, key=lambda item: item[0])[1]
    return {"avg": sum(values) / len(values), "min": min(values), "max": max(values)}[figure]


def _reach(value: Any, path: list[str]) -> Any:
    for key in path:
        if not isinstance(value, Mapping):
            return None
        value = value.get(key)
    return value
