"""When resources will be fresh, deployments and runs done: learned from what was, told as of now."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime

from sqlalchemy.orm import Session

from ....errors import NotFound
from ....states import TERMINAL, StateType
from ...db.models import FlowRun, Resource
from ..statements import fetch
from . import eta_history
from .eta_history import DEPLOYMENT, Known
from .eta_rules import Eta, Forecast, Run

_IS_KNOWN = """
SELECT EXISTS (SELECT 1 FROM deployment_resource WHERE resource_id = %(id)s)
    OR EXISTS (SELECT 1 FROM event WHERE resource_id = %(id)s) AS found"""


def of(session: Session, ids: Iterable[str], now: datetime) -> dict[str, Eta]:
    """When each of some resources, deployments among them, will be fresh: by ``orchestrator.deployment.<id>`` that is
    when its next run will be completed.
    """
    wanted = list(ids)
    known = eta_history.gather(session, wanted, now) if wanted else Known()
    forecast = Forecast(known.steps, now)
    return {key: _told(known, forecast, key) for key in wanted}


def of_resource(session: Session, identifier: str, now: datetime) -> Eta:
    """When one resource will be fresh. Raises NotFound for what neither a resource nor an event is known of."""
    if session.get(Resource, identifier) is None and not fetch(session, _IS_KNOWN, {"id": identifier})[0].found:
        raise NotFound(f"there is no resource {identifier}, and no event of it is kept")
    return of(session, [identifier], now)[identifier]


def of_run(session: Session, run_id: uuid.UUID, now: datetime) -> Eta:
    """When a run will be completed.

    Raises:
        NotFound: There is no such run.
    """
    run = session.get(FlowRun, run_id)
    if run is None:
        raise NotFound(f"there is no flow run {run_id}")
    if run.state_type in TERMINAL:
        return Eta(unknown="it has ended")
    if run.deployment_id is None:
        return Eta(unknown="it has no deployment whose history could tell")
    if run.state_type not in (StateType.SCHEDULED, StateType.PENDING, StateType.RUNNING):
        return Eta(unknown=f"it is {run.state_name.lower()}")
    key = f"{DEPLOYMENT}{run.deployment_id}"
    known = eta_history.gather(session, [key], now)
    if key not in known.steps:
        return Eta(unknown="it has no deployment whose history could tell")
    waits = run.state_type == StateType.SCHEDULED
    current = Run(run.due, None if waits else run.started, None, run.slot is not None and run.slot == run.due)
    steps = {**known.steps, key: replace(known.steps[key], current=current)}
    return Forecast(steps, now).of(key)


def _told(known: Known, forecast: Forecast, key: str) -> Eta:
    steps = [step for step in known.writers.get(key, ()) if step in known.steps]
    if not steps:
        return Eta(unknown="nothing is known to write it")
    return forecast.soonest(steps)


def as_json(eta: Eta, sentence: str) -> Mapping[str, object]:
    """As REST gives it."""
    return {
        "expected": eta.expected, "early": eta.early, "late": eta.late, "usual": eta.usual, "late_s": round(eta.late_s),
        "because": eta.because, "samples": eta.samples, "why_not": eta.unknown, "failed": list(eta.failed),
        "legs": [{"id": leg.id, "name": leg.name, "at": leg.at} for leg in eta.legs], "sentence": sentence,
    }  # fmt: skip
