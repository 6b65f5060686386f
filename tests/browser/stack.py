"""A stack for looking at: buckets, files, tables, topics and reports around the deployments, and their relations."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from orchestrator.ids import uuid7
from orchestrator.server.db.models import Event, Relation, Resource
from orchestrator.server.services.acting import holds
from orchestrator.server.services.acting.holds import Wanted
from orchestrator.server.services.recording import resource_states
from orchestrator.server.services.recording.resource_states import Told
from tests.server_rows import ANN

_TABLES = "postgres://warehouse.internal/"
#: id, name, kind
_THINGS = (
    ("s3://flights-dev", "flights-dev", "s3.bucket"),
    *((f"s3://flights-dev/raw/{name}.csv", f"raw/{name}.csv", "s3.object") for name in (
        "arrivals", "departures", "airports", "carriers", "weather", "delays-2026", "delays-2025",
    )),
    *((f"{_TABLES}staging.{name}", f"staging.{name}", "sql.table") for name in (
        "arrivals", "departures", "airports", "contacts", "invoices",
    )),
    *((f"{_TABLES}marts.{name}", f"marts.{name}", "sql.table") for name in (
        "punctuality", "revenue", "churn",
    )),
    ("kafka://events/bookings", "bookings", "kafka.topic"),
    ("kafka://events/refunds", "refunds", "kafka.topic"),
    ("bi://punctuality", "Punctuality", "report"),
    ("bi://revenue", "Revenue per route", "report"),
    ("bi://board", "Board pack", "report"),
    ("k8s://prod/loader-7f", "loader-7f", "kubernetes.pod"),
)  # fmt: skip

#: source, role, target; names of deployments stand for these
_RELATED = (
    *((f"s3://flights-dev/raw/{name}.csv", "part-of", "s3://flights-dev") for name in (
        "arrivals", "departures", "airports", "carriers", "weather", "delays-2026", "delays-2025",
    )),
    ("delays-nightly", "reads", "s3://flights-dev/raw/arrivals.csv"),
    ("delays-nightly", "reads", "s3://flights-dev/raw/departures.csv"),
    ("delays-nightly", "reads", "s3://flights-dev/raw/airports.csv"),
    ("delays-nightly", "writes", f"{_TABLES}staging.arrivals"),
    ("delays-nightly", "writes", f"{_TABLES}staging.departures"),
    ("delays-hourly", "reads", "s3://flights-dev/raw/delays-2026.csv"),
    ("delays-hourly", "writes", f"{_TABLES}marts.delays"),
    ("contacts", "reads", "kafka://events/bookings"),
    ("contacts", "writes", f"{_TABLES}staging.contacts"),
    ("extract", "writes", f"{_TABLES}staging.invoices"),
    *(("dbt-build", "reads", f"{_TABLES}staging.{name}") for name in (
        "arrivals", "departures", "contacts", "invoices",
    )),
    *(("dbt-build", "writes", f"{_TABLES}marts.{name}") for name in ("punctuality", "revenue", "churn", "customers")),
    ("bi://punctuality", "reads", f"{_TABLES}marts.punctuality"),
    ("bi://revenue", "reads", f"{_TABLES}marts.revenue"),
    ("bi://board", "reads", f"{_TABLES}marts.revenue"),
    ("bi://board", "reads", f"{_TABLES}marts.churn"),
)  # fmt: skip


def add(session: Session, now: datetime, deployments: Mapping[str, uuid.UUID]) -> None:
    """Fill in resources, relations and some events of them."""
    ago = now - timedelta(hours=3)
    ids = {name: f"orchestrator.deployment.{key}" for name, key in deployments.items()}
    ours = [(ids[name], name, "deployment") for name in deployments]
    known = {key for (key,) in session.query(Resource.id)}
    for identifier, name, kind in (*_THINGS, *ours):
        if identifier not in known:
            session.add(resource(identifier, name, kind, ago, now - timedelta(minutes=4)))
    session.flush()
    for source, role, target in _RELATED:
        ends = ids.get(source, source), ids.get(target, target)
        session.add(Relation(source=ends[0], target=ends[1], role=role, first_seen=ago, last_seen=now))
    for minutes, name, about in (
        (52, "resource.appeared", "s3://flights-dev/raw/delays-2026.csv"),
        (31, "table.loaded", f"{_TABLES}staging.arrivals"),
        (9, "freshness.failed", f"{_TABLES}marts.revenue"),
        (4, "table.loaded", f"{_TABLES}marts.punctuality"),
    ):
        session.add(event(name, about, about.rpartition("/")[2], now - timedelta(minutes=minutes)))
    resource_states.save(session, [
        *(_told(ids[name], now - timedelta(minutes=14), "healthy", "quick run: Completed") for name in (
            "delays-nightly", "delays-hourly", "dbt-build", "extract",
        )),
        _told(ids["contacts"], now - timedelta(minutes=41), "failing", "wary-crane: Failed"),
        *(_told(f"{_TABLES}marts.{name}", now - timedelta(hours=2), "healthy", "freshness.passed") for name in (
            "punctuality", "revenue", "churn",
        )),
        _told(f"{_TABLES}marts.revenue", now - timedelta(minutes=9), "failing", "freshness.failed"),
        _told(f"{_TABLES}staging.contacts", now - timedelta(minutes=30), "warning", "row-count.warned"),
    ])  # fmt: skip
    pod = session.get_one(Resource, "k8s://prod/loader-7f")
    pod.vanished = now - timedelta(minutes=20)
    session.get_one(Resource, f"{_TABLES}marts.revenue").owner = "finance"
    session.flush()
    _hold(session, now)


def _hold(session: Session, now: datetime) -> None:
    """Two that are in force, one that was released."""
    stop = Wanted({"resource.id": f"{_TABLES}staging.invoices"}, "stop", "row counts are off by half", until_event={
        "event": "row-count.passed", "match": {}})  # fmt: skip
    few = Wanted({"resource.kind": "kafka.*"}, "limit", "the brokers are busy", 2, until=now + timedelta(hours=3))
    moved = Wanted({"resource.id": "s3://flights-dev"}, "stop", "the bucket is being moved")
    for wanted, ago in ((moved, 300), (few, 40), (stop, 12)):
        row = holds.place(session, wanted, ANN, now - timedelta(minutes=ago))
        if wanted is moved:
            holds.release(session, row.hold.id, ANN, now - timedelta(minutes=250), "moved")


def _told(identifier: str, since: datetime, state: str, cause: str) -> Told:
    return Told(identifier, since, state, cause)


def resource(identifier: str, name: str, kind: str, since: datetime, seen: datetime) -> Resource:
    """A resource of a system that is only watched."""
    labels = {"team": "flights", "tier": "gold"} if "marts" in identifier else {}
    return Resource(
        id=identifier, kind=kind, name=name, labels=labels, own_labels={}, first_seen=since, last_seen=seen,
        changed=since,
    )  # fmt: skip


def event(name: str, about: str, called: str, at: datetime, *related: dict[str, str]) -> Event:
    """An event of such a resource."""
    return Event(
        id=uuid7(at), event=name, occurred=at, received=at, resource_id=about, related=list(related), source="key",
        resource={"resource.id": about, "resource.name": called}, payload={"rows": 4821, "took_s": 12.4},
    )  # fmt: skip
