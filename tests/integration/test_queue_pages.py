"""Pages of queues, agents and deployments: what they tell of limits, order, labels and health."""

from __future__ import annotations

from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import update

from orchestrator.clock import now
from orchestrator.server.db import session as db
from orchestrator.server.db.models import Agent, WorkQueue
from orchestrator.server.services.identity import keys
from orchestrator.server.services.running import agents, work_queues
from orchestrator.settings import Settings
from orchestrator.web.app import create_app
from tests.server_rows import ANN, add_deployment, add_run


@pytest.fixture
def editor(database_url: str) -> FlaskClient:
    app = create_app(Settings(database_url=database_url, secret_key="a key for tests"))
    app.config["BACKGROUND"] = False
    with db.transaction() as session:
        key, _ = keys.create(session, "an editor", "editor", now())
    client = app.test_client()
    with client.session_transaction() as cookie:
        cookie["key"] = str(key.id)
    return client


def add_agent(**more: object) -> Agent:
    facts = {"name": "box", "hostname": "h", "pid": 1, "version": "1", "transport": "http", "slots": 9}
    with db.transaction() as session:
        return agents.register(session, queues=["q"], now=now(), **facts, **more)  # type: ignore[arg-type]


def test_agents_tell_what_they_offer_and_why_they_cannot_pull(editor: FlaskClient) -> None:
    agent = add_agent(labels=["gpu"], prefixes=["team-"], waterfall=True)
    html = editor.get("/agents").text
    assert '<span class="tag">gpu</span>' in html
    assert "team-*" in html
    assert "queues in order" in html
    with db.transaction() as session:
        add_run(session, add_deployment(session), now() - timedelta(minutes=5))
    with db.transaction() as session:
        agents.heartbeat(session, agent.id, [], now(), agents.Pulling(timedelta(seconds=61), 1))
    html = editor.get("/agents").text
    assert "Unhealthy" in html
    told = "No claim of it was answered for 61 s, though work waits in queue q and 1 of its slots is free."
    assert told in html


def test_queues_tell_their_order_and_who_serves_them_by_prefix(editor: FlaskClient) -> None:
    add_agent(prefixes=["team-"])
    with db.transaction() as session:
        work_queues.create(session, "team-a", actor=ANN, now=now(), ageing_s=60, share_by="flow")
    html = editor.get("/queues").text
    assert "priorities rise every 60 s" in html
    assert "shared by flow" in html
    assert html.count(">box<") == 2, "it serves q, and team-a by its prefix"


def test_a_queue_is_drained_and_opened_again(editor: FlaskClient) -> None:
    with db.transaction() as session:
        queue_id = work_queues.create(session, "q", actor=ANN, now=now()).id
    form = {"csrf": _token(editor)}
    assert editor.post(f"/queues/{queue_id}/drain", data=form).status_code < 400
    with db.reading() as session:
        assert work_queues.row(session, queue_id, now()).status == "DRAINED"
    assert "Drained" in editor.get("/queues").text
    assert editor.post(f"/queues/{queue_id}/pause", data=form).status_code < 400
    with db.reading() as session:
        queue = session.get_one(WorkQueue, queue_id)
        assert (queue.paused, queue.draining) == (False, None)


def test_a_deployment_tells_its_limit_and_what_agents_need(editor: FlaskClient) -> None:
    with db.transaction() as session:
        deployment = add_deployment(session, concurrency_limit=2, collision="cancel-new", labels=["gpu"])
    html = editor.get(f"/deployments/{deployment.id}").text
    assert 'at most <span class="num">2</span>; a new one is cancelled' in html
    assert '<span class="tag">gpu</span>' in html
    form = editor.get(f"/deployments/{deployment.id}/edit").text
    assert 'id="limit" type="number" min="0" placeholder="any" value="2"' in form
    assert 'value="cancel-new" selected' in form
    with db.transaction() as session:
        session.execute(update(WorkQueue).values(paused=True))
    assert "Paused" in editor.get("/queues").text


def _token(client: FlaskClient) -> str:
    return client.get("/queues").text.partition('name="csrf" value="')[2].partition('"')[0]
