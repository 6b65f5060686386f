"""Discovery on a real database: when looks begin, what they may send, what becomes of it, and how failures show."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select, update

from orchestrator.clock import now
from orchestrator.documents.records import State
from orchestrator.errors import NotFound
from orchestrator.kinds import block_kinds
from orchestrator.server.db import session as db
from orchestrator.server.db.models import Agent, Discovery, Event
from orchestrator.server.loops import discovery as loop
from orchestrator.server.services.configuring import blocks
from orchestrator.server.services.configuring.block_types import register
from orchestrator.server.services.deploying import block_removal
from orchestrator.server.services.identity import tokens
from orchestrator.server.services.mapping import discovery, resources
from orchestrator.server.services.mapping.resources import ResourceFilter
from orchestrator.server.services.running import agents, claims, runs
from orchestrator.states import StateType
from tests.api import ClientAs
from tests.server_rows import ANN

START = now()


@pytest.fixture
def block_id(app: object) -> uuid.UUID:
    with db.transaction() as session:
        return save(session, "lake")


@pytest.fixture
def agent_id(app: object) -> uuid.UUID:
    with db.transaction() as session:
        return add_agent(session).id


def add_agent(session: Any) -> Agent:
    return agents.register(
        session, name="agent-1", hostname="host", pid=1, version="1", transport="redis", queues=["default"], slots=10,
        now=START,
    )  # fmt: skip


def save(session: Any, name: str, slug: str = "local-file-system", **data: Any) -> uuid.UUID:
    register(session, block_kinds.find(slug).type_facts(), ANN, START)
    return blocks.create(session, slug, data or {"basepath": "/srv"}, name=name, actor=ANN, now=START).id


def step(at: datetime) -> int:
    with db.transaction() as session:
        return loop.step(session, at)


def row(block_id: uuid.UUID) -> Discovery:
    with db.reading() as session:
        found = session.get(Discovery, block_id)
        assert found is not None
        return found


class Look:
    """What the process of a look sends."""

    def __init__(self, client: FlaskClient, block_id: uuid.UUID, agent_id: uuid.UUID) -> None:
        with db.transaction() as session:
            session.execute(update(Agent).where(Agent.id == agent_id).values(last_heartbeat=now()))
            job = claims.claim(session, agent_id, ["default"], now=now(), issue_token=tokens.issue)
        assert job is not None
        self.job, self.client, self.block_id = job, client, block_id
        self.headers = {"Authorization": f"Bearer {job.token}"}

    def call(self, method: str, path: str, body: Any = None) -> Any:
        url = f"/api/v1/blocks/{self.block_id}/discovery/{path}"
        answer = self.client.open(url, method=method, json=body, headers=self.headers)
        assert answer.status_code < 300, answer.json
        return answer.json

    def see(self, *items: dict[str, Any]) -> Any:
        return self.call("POST", "resources", {"resources": list(items)})

    def observe(self, *items: dict[str, Any]) -> Any:
        return self.call("POST", "events", {"events": list(items)})

    def finish(self, cursor: Any = None, is_complete: bool = True, found: int = 0) -> Any:
        body = {"cursor": cursor, "found": found, "is_complete": is_complete}
        done = self.call("PUT", "look", body)
        self.end(StateType.COMPLETED)
        return done

    def end(self, kind: StateType, message: str = "") -> None:
        with db.transaction() as session:
            running = State(StateType.RUNNING)
            runs.move(session, self.job.id, running, attempt=1, actor=ANN, now=now())
            runs.move(session, self.job.id, State(kind, message=message), attempt=1, actor=ANN, now=now())


def table(name: str, kind: str = "sql.table", **labels: Any) -> dict[str, Any]:
    related = [{"id": "postgres://host/db", "role": "part-of"}]
    return {"id": f"postgres://host/db/{name}", "kind": kind, "name": name, "labels": labels, "related": related,
            "volatile": ["rows"]}  # fmt: skip


def happened(key: str, occurred: str | None = None) -> dict[str, Any]:
    return {"event": "s3.object.created", "resource": table("x"), "occurred": occurred, "key": key}


def told(name: str) -> list[Event]:
    with db.reading() as session:
        return list(session.scalars(select(Event).where(Event.event == name).order_by(Event.id)))


def next_look(client: FlaskClient, block_id: uuid.UUID, agent_id: uuid.UUID) -> Look:
    """The next look, whose time has come."""
    step(now())
    with db.transaction() as session:
        session.execute(update(Discovery).values(next_due=now() - timedelta(seconds=1)))
        session.execute(update(Agent).values(last_heartbeat=now()))
    step(now())
    return Look(client, block_id, agent_id)


class TestWhenLooksBegin:
    def test_a_saved_block_is_looked_through_once_an_agent_is_there(self, block_id: uuid.UUID) -> None:
        step(START)
        assert row(block_id).flow_run_id is None
        with db.reading() as session:
            reason = discovery.get(session, block_id, START).waiting_reason
        assert reason is not None
        assert reason.code == "no-agent-on-queue"
        with db.transaction() as session:
            add_agent(session)
        step(START)
        begun = row(block_id)
        assert begun.flow_run_id is not None
        assert timedelta(seconds=270) <= begun.next_due - START <= timedelta(seconds=330)
        step(START + timedelta(seconds=20))
        assert row(block_id).flow_run_id == begun.flow_run_id, "never two at a time"

    def test_a_few_at_a_time(self, agent_id: uuid.UUID) -> None:
        with db.transaction() as session:
            for number in range(6):
                save(session, f"lake-{number}")
        step(START)
        with db.reading() as session:
            busy = session.scalars(select(Discovery).where(Discovery.flow_run_id.is_not(None))).all()
        assert len(busy) == discovery.IN_ONE_QUEUE

    def test_other_kinds_and_nameless_ones_are_left_alone(self, agent_id: uuid.UUID) -> None:
        with db.transaction() as session:
            save(session, "config", "json", value={})
            register(session, block_kinds.find("local-file-system").type_facts(), ANN, START)
            blocks.create(session, "local-file-system", {"basepath": "/"}, name=None, actor=ANN, now=START)
        step(START)
        with db.reading() as session:
            assert session.scalars(select(Discovery)).all() == []

    def test_it_is_turned_off_and_changed_over_rest(
        self, client_as: ClientAs, block_id: uuid.UUID, agent_id: uuid.UUID
    ) -> None:
        client, path = client_as("editor"), "/api/v1/blocks/local-file-system/lake/discovery"
        assert client.get(path).json["active"] is True
        changed = client.patch(path, json={"active": False, "interval_s": 60, "work_queue": "slow"}).json
        assert (changed["active"], changed["interval_s"], changed["work_queue"]) == (False, 60, "slow")
        step(START)
        assert row(block_id).flow_run_id is None
        assert client.patch(path, json={"interval_s": 1}).status_code == 422
        run = client.post("/api/v1/blocks/local-file-system/lake/discover").json["run"]
        assert client.post(f"/api/v1/blocks/{block_id}/discover").json["run"] == run
        assert client_as("viewer").patch(path, json={"active": True}).status_code == 403


class TestWhatALookSends:
    def test_what_appears_changes_and_vanishes(
        self, client_as: ClientAs, block_id: uuid.UUID, agent_id: uuid.UUID
    ) -> None:
        client, viewer = client_as(""), client_as("viewer")
        look = next_look(client, block_id, agent_id)
        assert look.call("GET", "look") == {"cursor": None, "is_first": True}
        assert look.see(table("a", rows=1, owner="ann"), table("b")) == {"appeared": 2}
        look.finish({"at": 1}, found=2)
        assert [event.resource["resource.name"] for event in told("resource.appeared")] == ["a", "b"]
        roles = {item["resource.role"]: item["resource.id"] for item in told("resource.appeared")[0].related}
        assert roles == {"source": f"orchestrator.block.{block_id}", "part-of": "postgres://host/db"}

        look = next_look(client, block_id, agent_id)
        assert look.call("GET", "look") == {"cursor": {"at": 1}, "is_first": False}
        assert look.see(table("a", rows=2, owner="ann")) == {"appeared": 0}
        assert told("resource.changed") == [], "the number of rows is no news"
        look.see(table("a", rows=2, owner="bob"))
        assert told("resource.changed")[0].payload["changes"] == {"owner": ["ann", "bob"]}
        assert look.finish() == {"vanished": 1}
        assert [event.resource["resource.name"] for event in told("resource.vanished")] == ["b"]

        items = viewer.get("/api/v1/resources?kind=sql.*&source=local-file-system/lake").json["items"]
        assert [(item["name"], item["labels"]["rows"], item["source"]) for item in items] == [
            ("a", 2, "local-file-system/lake")
        ]
        gone = viewer.get("/api/v1/resources?vanished=true").json["items"]
        assert [item["id"] for item in gone] == ["postgres://host/db/b"]
        assert viewer.get("/api/v1/resources/postgres://host/db/a").json["name"] == "a"
        assert viewer.get("/api/v1/resources/postgres%3A%2F%2Fhost%2Fdb%2Fa").json["name"] == "a"
        links = viewer.get("/api/v1/relations?resource=postgres://host/db").json["items"]
        assert [(link["source"], link["role"]) for link in links] == [("postgres://host/db/a", "part-of")]

        look = next_look(client, block_id, agent_id)
        assert look.see(table("b")) == {"appeared": 1}
        assert look.finish(is_complete=False) == {"vanished": 0}, "a part of what is there lets nothing vanish"

    def test_an_event_of_one_key_is_recorded_once(
        self, client_as: ClientAs, block_id: uuid.UUID, agent_id: uuid.UUID
    ) -> None:
        client = client_as("")
        look = next_look(client, block_id, agent_id)
        look.observe(happened("a"), happened("b", "2001-01-01T00:00:00Z"), happened("c", now().isoformat()))
        kept = told("s3.object.created")
        look.observe(happened("a"), happened("b", "2001-01-01T00:00:00Z"))
        look.end(StateType.FAILED, "the bucket is away")
        look = next_look(client, block_id, agent_id)
        look.observe(happened("a"), happened("b", "2001-01-01T00:00:00Z"))
        assert [event.id for event in told("s3.object.created")] == [event.id for event in kept]
        assert {event.occurred.year for event in kept} == {2001, now().year}
        look.observe(happened("a2"), happened(""), happened(""))
        assert len(told("s3.object.created")) == 6

    def test_only_the_look_under_way_may_send(
        self, client_as: ClientAs, block_id: uuid.UUID, agent_id: uuid.UUID
    ) -> None:
        client = client_as("")
        look = next_look(client, block_id, agent_id)
        with db.transaction() as session:
            other = save(session, "other")
        elsewhere = client.post(
            f"/api/v1/blocks/{other}/discovery/resources", json={"resources": [table("a")]}, headers=look.headers
        )
        assert elsewhere.status_code == 409
        loads = {key: client.post(f"/api/v1/blocks/{key}/load", headers=look.headers) for key in (block_id, other)}
        assert (loads[block_id].status_code, loads[other].status_code) == (200, 403)
        body = {"resources": [table("a")]}
        assert client_as("admin").post(f"/api/v1/blocks/{block_id}/discovery/resources", json=body).status_code == 403


class TestFailures:
    def test_a_failed_look_changes_nothing_and_shows(
        self, client_as: ClientAs, block_id: uuid.UUID, agent_id: uuid.UUID
    ) -> None:
        client = client_as("")
        look = next_look(client, block_id, agent_id)
        look.see(table("a"))
        look.finish({"at": 1})
        for failures in (1, 2):
            look = next_look(client, block_id, agent_id)
            look.end(StateType.FAILED, "s3://lake: access denied")
            step(now())
            found = row(block_id)
            assert (found.failures, found.error, found.flow_run_id) == (failures, "s3://lake: access denied", None)
            wait = (found.next_due - now()).total_seconds()
            assert 260 * 2**failures < wait < 340 * 2**failures
        assert len(told("discovery.failed")) == 1, "once a streak"
        assert told("resource.vanished") == []
        with db.reading() as session:
            assert [item.name for item in resources.listing(session).items] == ["a"]
        next_look(client, block_id, agent_id).finish()
        step(now())
        assert (row(block_id).failures, row(block_id).error) == (0, "")
        assert len(told("discovery.recovered")) == 1

    def test_the_time_between_looks_grows_to_an_hour(self) -> None:
        assert discovery.back_off(300, 1) == timedelta(minutes=10)
        assert discovery.back_off(300, 50) == timedelta(hours=1)
        assert discovery.back_off(7200, 3) == timedelta(hours=2)

    def test_what_a_deleted_block_found_vanishes(
        self, client_as: ClientAs, block_id: uuid.UUID, agent_id: uuid.UUID
    ) -> None:
        look = next_look(client_as(""), block_id, agent_id)
        look.see(table("a"))
        look.finish()
        with db.transaction() as session:
            block_removal.delete(session, block_id, ANN, now())
        step(now())
        assert told("resource.vanished")[0].payload["why"] == "the block that found it was deleted"
        with db.reading() as session:
            assert resources.listing(session, ResourceFilter(vanished=True)).items[0].source_block_id is None


def test_an_unknown_resource_is_not_found(app: object) -> None:
    with db.reading() as session, pytest.raises(NotFound, match="s3://nowhere"):
        resources.get(session, "s3://nowhere")
