"""When things will be fresh: learned from runs and events, over REST, on the command line and on the desk."""

from __future__ import annotations

import json
import uuid
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient

from orchestrator.clock import from_text, now, to_text
from orchestrator.documents.records import Actor
from orchestrator.ids import uuid7
from orchestrator.server import loops
from orchestrator.server.db.models import Deployment, FlowRun, Schedule
from orchestrator.server.db.session import reading, transaction
from orchestrator.server.services.acting import holds
from orchestrator.server.services.acting.holds import Wanted
from orchestrator.server.services.mapping import eta
from orchestrator.server.services.mapping.eta_rules import Eta
from orchestrator.server.services.recording import events

from ..api import ClientAs
from ..server_rows import ANN

#: When the test begins: the server asks the clock, too.
NOW = now()
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
RAW, ORDERS, REPORT = "s3://lake/raw", "db://house/orders_daily", "bi://report"


@pytest.fixture(autouse=True)
def begun() -> None:
    global NOW
    NOW = now().replace(microsecond=0)


@pytest.fixture
def editor(client_as: ClientAs) -> FlaskClient:
    client = client_as("editor")
    for flow, reads, writes in (("load", [RAW], [ORDERS]), ("report", [ORDERS], [REPORT])):
        document = {"flow": flow, "name": "d", "entrypoint": "a.py:f", "reads": reads, "writes": writes}
        assert client.post("/api/v1/deployments", json=document).status_code == 201
    return client


def ran(
    flow: str, start: datetime, minutes: float | None, *, due: datetime | None = None, state: str = "COMPLETED"
) -> uuid.UUID:
    """A run of a deployment; ``due`` by its schedule, None: it was asked for as it started."""
    with transaction() as session:
        deployment = session.query(Deployment).filter(Deployment.flow.has(name=flow)).one()
        schedule = None
        if due is not None:
            schedule = session.query(Schedule).filter_by(deployment_id=deployment.id).first()
            if schedule is None:
                schedule = Schedule(
                    deployment_id=deployment.id, slug="s", interval_s=86400.0, timezone="UTC", active=False
                )
                session.add(schedule)
                session.flush()
        waits = state == "SCHEDULED"
        run = FlowRun(
            id=uuid7(start), flow_id=deployment.flow_id, deployment_id=deployment.id, name="r", state_type=state,
            state_name=state.title(), state_at=start, parameters={}, tags=[], work_queue_id=deployment.work_queue_id,
            schedule_id=schedule.id if schedule else None, slot=due, due=due or start,
            started=None if waits else start, ended=None if minutes is None else start + minutes * MINUTE,
            created_by=Actor("schedule", "1", "s").write(), created=start,
        )  # fmt: skip
        session.add(run)
        session.flush()
        return run.id


def history(days: int = 6, before: timedelta = timedelta(0)) -> None:
    """Each day the load takes half an hour from its slot on, and the report follows it within a minute."""
    for day in range(1, days + 1):
        slot = NOW - day * DAY - before
        ran("load", slot, 30, due=slot)
        ran("report", slot + 31 * MINUTE, 6)


def asked(thing: str) -> Eta:
    with reading() as session:
        return eta.of(session, [thing], NOW)[thing]


def get(client: FlaskClient, path: str, code: int = 200, **query: Any) -> Any:
    answer = client.get(f"/api/v1/{path}", query_string=query)
    assert answer.status_code == code, answer.json
    return answer.json


def test_a_table_is_late_because_its_load_started_late_and_so_is_the_report_of_it(editor: FlaskClient) -> None:
    history()
    ran("load", NOW - 5 * MINUTE, None, due=NOW - 25 * MINUTE, state="RUNNING")
    found = asked(ORDERS)
    assert (found.expected, found.usual, found.late_s) == (NOW + 25 * MINUTE, NOW + 5 * MINUTE, 20 * 60.0)
    assert found.because == "load/d started 20 min late"
    report = asked(REPORT)
    assert (report.expected, report.late_s, report.samples) == (NOW + 32 * MINUTE, 20 * 60.0, 5)
    assert report.because == found.because
    assert [leg.name for leg in report.legs] == ["load/d", "report/d"]
    told = get(editor, f"resources/{quote(REPORT, safe='')}/eta", timezone="Europe/Berlin")
    assert told["late_s"] == 1200
    assert told["sentence"].startswith("expected ")
    assert told["sentence"].endswith("late by 20 min because load/d started 20 min late")
    assert [leg["name"] for leg in told["legs"]] == ["load/d", "report/d"]


def test_what_is_scheduled_comes_then_and_what_failed_is_said(editor: FlaskClient) -> None:
    history()
    ran("load", NOW - MINUTE, 0.5, due=NOW - MINUTE, state="FAILED")
    tomorrow = NOW + DAY
    ran("load", tomorrow, None, due=tomorrow, state="SCHEDULED")
    found = asked(ORDERS)
    assert (found.expected, found.late_s, found.failed) == (tomorrow + 30 * MINUTE, 0.0, ("load/d",))
    assert asked(REPORT).expected == tomorrow + 37 * MINUTE


def test_too_little_history_nothing_that_writes_and_what_is_stopped_say_so(editor: FlaskClient) -> None:
    assert asked(ORDERS).unknown == "not enough history: load/d was never completed"
    history(2)
    ran("load", NOW, None, due=NOW + MINUTE, state="SCHEDULED")
    assert asked(ORDERS).unknown == "not enough history: load/d was completed 2 times only"
    assert asked(RAW).unknown == f"not enough history: {RAW} never changed"
    assert get(editor, f"resources/{quote(ORDERS, safe='')}/eta")["sentence"].startswith("not known when: not enough")
    get(editor, "resources/nowhere/eta", 404)
    get(editor, f"resources/{quote(ORDERS, safe='')}/eta", 422, timezone="Berlin")
    with reading() as session:
        load = session.query(Deployment).filter(Deployment.flow.has(name="load")).one().id
    with transaction() as session:
        holds.place(session, Wanted({"resource.id": f"orchestrator.deployment.{load}"}, "stop", "disk"), ANN, now())
    assert asked(ORDERS).unknown == "load/d is held: disk"
    assert editor.patch(f"/api/v1/deployments/{load}", json={"paused": True}).status_code == 200
    assert asked(ORDERS).unknown == "load/d is paused"


def test_a_run_says_when_it_is_done(editor: FlaskClient) -> None:
    history()
    run = ran("load", NOW - 5 * MINUTE, None, due=NOW - 5 * MINUTE, state="RUNNING")
    found = get(editor, f"flow-runs/{run}/eta")
    assert from_text(found["expected"]) == NOW + 25 * MINUTE
    over = ran("load", NOW - 50 * MINUTE, 30, due=NOW - 50 * MINUTE)
    assert get(editor, f"flow-runs/{over}/eta")["why_not"] == "it has ended"
    get(editor, f"flow-runs/{uuid.uuid4()}/eta", 404)


def told(name: str, resource: str, at: datetime, **more: Any) -> None:
    item = {"id": str(uuid7(at)), "event": name, "occurred": to_text(at), "resource": {"resource.id": resource}, **more}
    with transaction() as session:
        assert not events.ingest(session, [item], now()).refused


def test_what_just_changes_comes_at_its_gaps_and_what_follows_it_after_that(editor: FlaskClient) -> None:
    for hours in range(8):
        at = NOW - timedelta(hours=hours, minutes=50)
        told("file.landed", RAW, at)
        ran("load", at + 2 * MINUTE, 10)
    found = asked(RAW)
    assert abs(found.expected - (NOW + 10 * MINUTE)) < MINUTE  # type: ignore[operator]
    assert abs(asked(ORDERS).expected - (NOW + 22 * MINUTE)) < MINUTE  # type: ignore[operator]
    assert [leg.name for leg in asked(ORDERS).legs] == [RAW, "load/d"]


def test_jobs_of_others_are_known_by_their_events(editor: FlaskClient) -> None:
    job, table = "job:airflow/etl", "db://house/stock"
    related = [{"resource.id": table, "resource.role": "output"}]
    for days in range(7, 0, -1):
        told("lineage.run.started", job, NOW - days * DAY)
        told("lineage.run.completed", job, NOW - days * DAY + 20 * MINUTE, related=related)
    told("lineage.run.started", job, NOW - 5 * MINUTE)
    assert abs(asked(table).expected - (NOW + 15 * MINUTE)) < MINUTE  # type: ignore[operator]
    told("lineage.run.completed", job, NOW - MINUTE, related=related)
    assert abs(asked(table).expected - (NOW + DAY)) < 30 * MINUTE  # type: ignore[operator]


def test_a_trigger_is_followed_as_it_was(editor: FlaskClient) -> None:
    """The deployments read nothing of each other: the runs say by what they were started."""
    document = {"flow": "mail", "name": "d", "entrypoint": "a.py:f"}
    mail = editor.post("/api/v1/deployments", json=document).json["deployment"]["id"]
    related = {"resource.role": "deployment", "resource.id": f"orchestrator.deployment.{mail}"}
    with reading() as session:
        load = session.query(Deployment).filter(Deployment.flow.has(name="load")).one().id
    related["resource.id"] = f"orchestrator.deployment.{load}"
    rule = {
        "name": "chain", "when": {"match_related": [related], "expect": ["flow-run.completed"]},
        "then": [{"do": "run-deployment", "deployment": "mail/d"}],
    }  # fmt: skip
    trigger = editor.post("/api/v1/triggers", json=rule).json["id"]
    history()
    with transaction() as session:
        for run in session.query(FlowRun).filter(FlowRun.deployment_id == load).all():
            fired(session, trigger, related, mail, run.ended)
    ran("load", NOW - 5 * MINUTE, None, due=NOW - 5 * MINUTE, state="RUNNING")
    found = asked(f"orchestrator.deployment.{mail}")
    assert found.expected == NOW + 28 * MINUTE
    assert [leg.name for leg in found.legs] == ["load/d", "mail/d"]


def fired(session: Any, trigger: str, related: dict[str, str], deployment: str, at: datetime) -> None:
    """A trigger fired for an event, and its action started a run that took two minutes."""
    firing, action, run = uuid7(at), uuid7(at), uuid7(at)
    values = {"firing": firing, "trigger": trigger, "action": action, "run": run, "at": at, "deployment": deployment}
    event = {"resource": {"resource.id": "orchestrator.flow-run.x"}, "related": [related]}
    execute = session.connection().exec_driver_sql
    execute(
        "INSERT INTO firing (id, trigger_id, occasion, occurred, context, chain_id)"
        " VALUES (%(firing)s, %(trigger)s, %(firing)s::text, %(at)s, %(context)s, %(firing)s)",
        {**values, "context": json.dumps({"event": event})},
    )
    execute(
        "INSERT INTO action (id, firing_id, moment, position, kind, spec, state)"
        " VALUES (%(action)s, %(firing)s, 'fire', 0, 'run-deployment', '{}', 'done')",
        values,
    )
    execute(
        "INSERT INTO flow_run (id, flow_id, deployment_id, name, state_type, state_name, parameters, tags,"
        " work_queue_id, idempotency_key, due, started, ended, created_by, created)"
        " SELECT %(run)s, flow_id, id, 'r', 'COMPLETED', 'Completed', '{}', '{}', work_queue_id,"
        " 'action ' || %(action)s || ' ' || id, %(at)s, %(at)s::timestamptz + interval '1 minute',"
        " %(at)s::timestamptz + interval '3 minutes', '{}', %(at)s FROM deployment WHERE id = %(deployment)s",
        values,
    )


def test_the_desk_and_the_expectation_say_it_too(editor: FlaskClient) -> None:
    history()
    ran("load", NOW - 5 * MINUTE, None, due=NOW - 25 * MINUTE, state="RUNNING")
    at = NOW + 10 * MINUTE
    document = {
        "name": "orders-ready", "run": {"deployment": "load/d"},
        "every": {"cron": f"{at.minute} {at.hour} * * *"}, "by": "5m",
    }  # fmt: skip
    made = editor.post("/api/v1/expectations", json=document)
    assert made.status_code == 201, made.json
    loops.run("expectations", now())
    for thing in ({"resource": ORDERS}, {"deployment": "load/d"}, {"expectation": "orders-ready"}):
        assert editor.post("/api/v1/desk", json=thing).status_code == 201
    said = {item["name"]: item["sentence"] for item in get(editor, "desk")["items"]}
    assert "expected about " in said[ORDERS]
    assert said[ORDERS].endswith("late by 20 min because load/d started 20 min late")
    assert ", done about " in said["load/d"]
    assert said["orders-ready"].endswith(", which is too late")
    rows = get(editor, "expectations/orders-ready/occurrences", limit=200)["items"]
    assert [from_text(row["eta"]) for row in rows if row["eta"]] == [NOW + 25 * MINUTE]
    assert [row["risk"] for row in rows if row["eta"]] == ["likely"]
