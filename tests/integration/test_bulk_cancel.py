"""Cancelling all runs that fit a filter (pain 63)."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from orchestrator import cli
from orchestrator.clock import now
from orchestrator.documents.records import State
from orchestrator.server import loops
from orchestrator.server.db import session as db
from orchestrator.server.db.models import FlowRun
from orchestrator.server.services.running import claims, runs
from orchestrator.server.services.statements import insert_runs
from orchestrator.states import StateType
from tests.live_api import Api
from tests.server_rows import ANN, add_agent, add_deployment, add_run, token

from ..api import ClientAs

pytestmark = pytest.mark.usefixtures("database_url")
NOW = now()


def make(count: int, name: str = "prod", tags: tuple[str, ...] = ()) -> None:
    with db.transaction() as session:
        deployment = add_deployment(session, name=name)
        insert_runs(session, [runs.new_row(deployment, {}, ANN, NOW, tags=tags) for _ in range(count)])


def states() -> Counter[str]:
    with db.reading() as session:
        return Counter(session.scalars(select(FlowRun.state_type)))


def test_a_thousand_late_runs(client_as: ClientAs) -> None:
    editor: FlaskClient = client_as("editor")
    make(1_000)
    make(3, "other")
    while loops.run("late", NOW + timedelta(minutes=1)):
        pass
    with db.reading() as session:
        deployment = session.scalar(select(FlowRun.deployment_id).order_by(FlowRun.id.desc()).limit(1))
    body = {"state_name": ["Late"], "deployment_id": str(deployment)}
    few = editor.post("/api/v1/flow-runs/cancel", json={**body, "dry_run": True}).json["left"]
    assert few in (3, 1_000)
    assert states() == {"SCHEDULED": 1_003}
    assert editor.post("/api/v1/flow-runs/cancel", json=body).json == {"cancelled": few, "left": 0}
    assert states() == {"SCHEDULED": 1_003 - few, "CANCELLED": few}
    rest = editor.post("/api/v1/flow-runs/cancel", json={"state_name": ["Late"]}).json
    assert rest == {"cancelled": 1_003 - few, "left": 0}
    assert states() == {"CANCELLED": 1_003}


def test_what_goes_on_is_asked_and_what_ended_is_left_alone(client_as: ClientAs) -> None:
    editor: FlaskClient = client_as("editor")
    with db.transaction() as session:
        deployment, agent = add_deployment(session), add_agent(session)
        for _ in range(3):
            add_run(session, deployment, NOW, tags=["mine"])
        jobs = [claims.claim(session, agent.id, ["q"], now=now(), issue_token=token) for _ in range(2)]
        assert jobs[0] is not None
        for kind in (StateType.RUNNING, StateType.COMPLETED):
            runs.move(session, jobs[0].id, State(kind, at=now()), attempt=1, actor=ANN, now=now())
    for expected in (2, 0):
        assert editor.post("/api/v1/flow-runs/cancel", json={"tag": ["mine"]}).json == {
            "cancelled": expected,
            "left": 0,
        }
    assert states() == {"COMPLETED": 1, "CANCELLING": 1, "CANCELLED": 1}


def test_which_has_to_be_said(client_as: ClientAs) -> None:
    make(1)
    for body in ({}, {"dry_run": True}, {"state_type": []}, {"name": ""}):
        assert client_as("editor").post("/api/v1/flow-runs/cancel", json=body).status_code == 422
    assert client_as("viewer").post("/api/v1/flow-runs/cancel", json={"name": "a"}).status_code == 403
    assert states() == {"SCHEDULED": 1}


def test_on_the_command_line(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    make(2, tags=("old",))
    make(1, "other")

    def said(*words: str) -> str:
        assert cli.run(["flow-run", "cancel-all", *words]) == 0
        return capsys.readouterr().err

    assert "2 runs would be cancelled" in said("--tag", "old", "--dry-run")
    assert states() == {"SCHEDULED": 3}
    assert "2 runs were asked to stop" in said("--deployment", "etl/prod", "--yes")
    assert "no run fits that has not ended" in said("--tag", "old")
    assert states() == {"SCHEDULED": 1, "CANCELLED": 2}
    assert cli.run(["flow-run", "cancel-all"]) == 2
    assert "say which runs" in capsys.readouterr().err
