"""The desk of the tests' admin, with something of everything on it."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from orchestrator.server.db.models import ApiKey, Deployment
from orchestrator.server.services.deploying import saved_forms
from orchestrator.server.services.watching import desk
from orchestrator.server.services.watching.desk import Thing
from tests.server_rows import ANN

from .seed import Seeded


def add(session: Session, now: datetime, seeded: Seeded) -> None:
    """Fill it."""
    key = session.query(ApiKey).filter_by(name="admin of the tests").one().id
    things = [Thing(resource=f"postgres://warehouse.internal/marts.{name}") for name in ("revenue", "punctuality")]
    things += [Thing(deployment=seeded.deployments[name]) for name in ("delays-nightly", "extract", "dbt-build")]
    things += [Thing(expectation=seeded.expected[name]) for name in ("delays-by-nine", "files-of-all-stations")]
    for thing in things:
        desk.add(session, key, thing, now)
    flights = session.get_one(Deployment, seeded.deployments["delays-nightly"])
    saved_forms.put(session, flights, "Berlin", {"airport": "BER"}, ANN, now)
