"""Suggestions: expectations learned from when runs completed and when resources told something."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from ....expectations import read, sentence
from ....expectations.learning import Learned, learn
from ....ids import uuid7_floor
from ....timing.schedules import zone_of
from ...config import current
from ...db.models import Expectation
from ..internal import FLOW_ID
from ..statements import fetch

#: How far back is looked, and at how much: deployments and resources, and happenings of each.
BACK = timedelta(days=28)
SUBJECTS, EACH = 200, 2000

_RUNS = f"""
SELECT f.name || '/' || d.name AS deployment, array_agg(r.ended) AS times
FROM (SELECT d.id, d.name, d.flow_id FROM deployment d JOIN flow f ON f.id = d.flow_id
    WHERE %(only)s::text IS NULL OR f.name || '/' || d.name = %(only)s ORDER BY d.id LIMIT %(subjects)s) d
JOIN flow f ON f.id = d.flow_id
CROSS JOIN LATERAL (
    SELECT ended FROM flow_run WHERE deployment_id = d.id AND state_type = 'COMPLETED' AND ended >= %(since)s
    ORDER BY id DESC LIMIT %(each)s) r
WHERE d.flow_id <> '{FLOW_ID}' GROUP BY 1 ORDER BY 1"""
_EVENTS = """
SELECT t.id AS resource, e.event, array_agg(e.at) AS times
FROM (SELECT id FROM resource WHERE vanished IS NULL AND id NOT LIKE 'orchestrator.%%'
    ORDER BY last_seen DESC LIMIT %(subjects)s) t
CROSS JOIN LATERAL (
    SELECT event, least(occurred, received) AS at FROM event WHERE resource_id = t.id AND id >= %(floor)s
    ORDER BY id DESC LIMIT %(each)s) e
GROUP BY 1, 2 ORDER BY 1, 2"""


@dataclass(frozen=True)
class Suggestion:
    """An expectation that might be made: its document, and what it was learned from."""

    document: dict[str, Any]
    sentence: str
    seen: str
    samples: int
    met: float


def suggest(session: Session, timezone: str, now: datetime, deployment: str | None = None) -> list[Suggestion]:
    """What may be expected that nobody expects yet; the surest first.

    Args:
        timezone: Whose days and hours the pattern is looked for in.
        deployment: ``flow/name``: only its runs.

    Raises:
        ScheduleError: There is no such zone.
    """
    zone = zone_of(timezone)
    since = now - min(BACK, current().run_retention)
    found = []
    known = _known(session)
    for row in fetch(session, _RUNS, {"since": since, "only": deployment, "subjects": SUBJECTS, "each": EACH}):
        what = {"run": {"deployment": row.deployment}}
        if ("run", row.deployment) not in known and (learned := learn(row.times, since, now, zone)):
            found.append(_suggestion(row.deployment, what, learned))
    found += [] if deployment is not None else _of_events(session, known, zone, now)
    return sorted(found, key=lambda one: (-one.met, -one.samples, one.document["name"]))


def _of_events(session: Session, known: set[tuple[str, str]], zone: ZoneInfo, now: datetime) -> Iterator[Suggestion]:
    since = now - min(BACK, current().event_retention)
    wanted = {"floor": uuid7_floor(since), "subjects": SUBJECTS, "each": EACH}
    for row in fetch(session, _EVENTS, wanted):
        what = {"on": {"match": {"resource.id": row.resource}, "expect": [row.event]}}
        times = [at for at in row.times if at >= since]
        if (row.event, row.resource) not in known and (learned := learn(times, since, now, zone)):
            yield _suggestion(f"{row.resource} {row.event}", what, learned)


def _known(session: Session) -> set[tuple[str, str]]:
    """What somebody expects: deployments, and events of resources."""
    found = set()
    for document in session.scalars(select(Expectation.document)):
        run, on = document.get("run") or {}, document.get("on") or {}
        if run.get("deployment"):
            found.add(("run", run["deployment"]))
        for resource in _listed((on.get("match") or {}).get("resource.id")):
            found |= {(event, resource) for event in _listed(on.get("expect"))}
    return found


def _listed(given: Any) -> Iterable[str]:
    return given if isinstance(given, list) else [] if given is None else [given]


def _suggestion(about: str, what: dict[str, Any], learned: Learned) -> Suggestion:
    name = re.sub(r"[^\w.]+", "-", about).strip("-")[:180]
    document = {"name": f"{name}-expected", **what, **learned.when}
    return Suggestion(document, sentence(read(document)), learned.seen, learned.samples, learned.met)
