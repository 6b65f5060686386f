"""Limits with those who hold and wait, variables, and the history of artifacts."""

from __future__ import annotations

import base64
import uuid
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from orchestrator.documents.records import Actor
from orchestrator.ids import uuid7
from orchestrator.server.db.models import Artifact, FlowRun
from orchestrator.server.services.configuring import limits, slots, variables
from orchestrator.server.services.configuring.slots import Request
from orchestrator.server.services.running import cached_results

from . import seed

ACTOR = Actor("api-key", name="admin of the tests")
#: One point, as a PNG.
POINT = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def add(session: Session, now: datetime, seeded: seed.Seeded) -> None:
    """Fill the rooms of limits, variables, cached results and artifacts."""
    live = session.scalars(select(FlowRun).where(FlowRun.id == seeded.runs["live"])).one()
    limits.create(session, "warehouse", 2, ACTOR, now)
    limits.create(session, "tag:reports", 4, ACTOR, now, active=False)
    limits.create(session, "airport-api", 10, ACTOR, now, slot_decay_per_second=0.5)
    for number, (run, name) in enumerate([(live, ""), (None, "notebook:4711"), (None, "laptop:12")]):
        request = Request(
            uuid7(now), ["warehouse"], 1, 86_400.0, holder=name or f"flights/{live.name}",
            flow_run_id=run.id if run is not None else None, root_run_id=run.id if run is not None else None,
        )  # fmt: skip
        slots.ask(session, request, timedelta(hours=1), now - timedelta(seconds=60 - number))
    slots.ask(session, Request(uuid7(now), ["airport-api"], 4, 60.0, rate=True), timedelta(0), now)
    variables.create(session, "region", "eu-central", ["reports"], ACTOR, now)
    variables.create(session, "thresholds", {"late": 15, "very_late": [60, 120]}, [], ACTOR, now)
    _cached_results(session, now, live.id)
    _artifacts(session, now, live.id)


def _cached_results(session: Session, now: datetime, run_id: uuid.UUID) -> None:
    here, elsewhere = {"value": {"BER": 12, "MUC": 9}}, {"file": {"block": "s3/dev", "path": "k", "size": 4096}}
    for number, (task, value) in enumerate([("prices.of_day", here), ("fetch", elsewhere)]):
        facts = cached_results.Facts(
            key=f"inputs-{number}", task_key=task, result=value, expires_in_s=None if number else 86_400.0,
            flow_run_id=None if number else run_id, task_run_id=None,
        )  # fmt: skip
        cached_results.put(session, uuid7(now), facts, None, now - timedelta(minutes=number))


def _artifacts(session: Session, now: datetime, run_id: uuid.UUID) -> None:
    point = f"data:image/png;base64,{base64.b64encode(POINT).decode()}"
    told = [
        ("late-flights", "markdown", "# Late <script>alert(1)</script>\n\nEleven flights, an hour ago."),
        ("late-flights", "markdown", "# Late flights\n\nFour flights."),
        ("punctuality", "image", {"url": point}),
        ("elsewhere", "image", {"url": "https://example.org/chart.png"}),
        ("import", "progress", 42.5),
    ]
    for number, (key, kind, data) in enumerate(told):
        at = now - timedelta(hours=1) + timedelta(minutes=number)
        note = "Rows that were read" if kind == "progress" else ""
        facts = {"key": key, "type": kind, "data": data, "flow_run_id": run_id, "description": note}
        session.add(Artifact(id=uuid7(at), created=at, **facts))
    session.flush()
