"""A block that declares max_connections is held by at most so many runs at once."""

from __future__ import annotations

import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from click.testing import CliRunner

from orchestrator.cli import cli
from orchestrator.client import Client
from orchestrator.clock import now
from orchestrator.documents.records import Actor, State
from orchestrator.errors import TransitionRefused, Unavailable
from orchestrator.server.db.session import reading, transaction
from orchestrator.server.services.configuring import blocks, limits
from orchestrator.server.services.configuring.limits import Attempt
from orchestrator.server.services.identity import tokens
from orchestrator.server.services.running import claims, transitions
from orchestrator.states import StateType
from orchestrator.stored.block_store import ApiBlockStore

from ..live_api import Api
from ..polling import until
from ..server_rows import add_agent, add_deployment, add_run

DATABASE = {
    "slug": "pool",
    "import_path": "x:Pool",
    "interfaces": ["database"],
    "schema": {
        "type": "object",
        "properties": {
            "url": {"type": "string", "writeOnly": True},
            "max_connections": {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "null"}]},
            "connections_per_run": {"type": "integer", "minimum": 1},
            "inner": {"type": "object", "x-block": "*"},
        },
    },
}


@pytest.fixture
def client(api: Api) -> Client:
    found = Client.from_settings()
    found.post("block-types", DATABASE)
    found.post("block-types", {**DATABASE, "slug": "plain", "interfaces": []})
    return found


def save(client: Client, name: str, kind: str = "pool", **data: Any) -> str:
    return str(client.post("blocks", {"type": kind, "name": name, "data": {"url": "sqlite://", **data}})["id"])


def running(count: int) -> list[Attempt]:
    """Runs that an agent holds."""
    with transaction() as session:
        deployment = add_deployment(session, name=uuid.uuid4().hex)
        for _ in range(count):
            add_run(session, deployment)
        agent = add_agent(session)
        jobs = [
            claims.claim(session, agent.id, ["q"], now=now(), issue_token=tokens.issue) for _ in range(count)
        ]  # fmt: skip
    return [Attempt(job.id, job.attempt) for job in jobs if job]


def load(ref: str, attempt: Attempt) -> None:
    with transaction() as session:
        blocks.load(session, ref, Actor("run", str(attempt.run_id), "run"), now(), attempt)


def holders() -> dict[str, set[uuid.UUID]]:
    with reading() as session:
        found = limits.listing(session).items
        return {row.limit.name: {holder["flow_run_id"] for holder in row.holders} for row in found}


def end(attempt: Attempt, kind: StateType = StateType.COMPLETED) -> None:
    with transaction() as session:
        state = State(kind, message="over", at=now())
        transitions.apply(session, attempt.run_id, state, attempt=attempt.number, actor=Actor("server"), now=now())


def test_a_limit_is_declared_by_the_block_and_goes_with_it(client: Client) -> None:
    save(client, "main", max_connections=2)
    save(client, "free")
    save(client, "other", "plain", max_connections=2)
    [limit] = client.get("limits")["items"]
    assert (limit["name"], limit["slots"], limit["taken"], limit["holders"]) == ("block/pool/main", 2, 0, [])
    client.put("blocks/pool/main", {"data": {"url": "********", "max_connections": 3}})
    assert client.get("limits")["items"][0]["slots"] == 3
    client.put("blocks/pool/main", {"data": {"url": "********", "max_connections": 9, "connections_per_run": 4}})
    assert client.get("limits")["items"][0]["slots"] == 2
    assert "block/pool/main" in CliRunner().invoke(cli, ["limit", "ls"]).stdout
    client.put("blocks/pool/main", {"data": {"url": "********", "max_connections": None}})
    assert client.get("limits")["items"] == []
    client.put("blocks/pool/main", {"data": {"url": "********", "max_connections": 3}})
    client.delete("blocks/pool/main")
    assert client.get("limits")["items"] == []


def test_slots_are_taken_once_a_run_and_are_free_when_it_ends(client: Client) -> None:
    save(client, "main", max_connections=2)
    first, second, third = running(3)
    for attempt in (first, first, second):
        load("pool/main", attempt)
    with pytest.raises(TransitionRefused, match=r"block/pool/main: 2 of 2 slots are taken, by etl/.* since") as full:
        load("pool/main", third)
    assert full.value.code == "limit-full"
    assert holders() == {"block/pool/main": {first.run_id, second.run_id}}
    end(first)
    assert holders() == {"block/pool/main": {second.run_id}}
    load("pool/main", third)
    assert holders() == {"block/pool/main": {second.run_id, third.run_id}}
    assert [item["count"] for item in client.get("blocks/pool/main/usage")["loads"]] == [4]


def test_a_lost_attempt_holds_nothing(client: Client) -> None:
    save(client, "main", max_connections=1)
    first, second = running(2)
    load("pool/main", first)
    end(first, StateType.CRASHED)
    load("pool/main", second)
    with transaction() as session:  # given to another agent meanwhile: the old attempt is over
        session.connection().exec_driver_sql(
            "UPDATE flow_run SET attempt = attempt + 1 WHERE id = %s", (second.run_id,)
        )
    assert holders() == {"block/pool/main": set()}


def test_a_run_that_waits_for_one_limit_holds_no_slot_of_another(client: Client) -> None:
    inner = save(client, "inner", max_connections=1)
    save(client, "outer", max_connections=1, inner={"$block": inner})
    first, second = running(2)
    load("pool/inner", first)
    with pytest.raises(TransitionRefused, match="block/pool/inner"):
        load("pool/outer", second)
    assert holders() == {"block/pool/inner": {first.run_id}, "block/pool/outer": set()}
    end(first)
    load("pool/outer", second)
    assert holders() == {"block/pool/inner": {second.run_id}, "block/pool/outer": {second.run_id}}


def test_a_limit_is_never_exceeded_by_runs_that_ask_at_once(client: Client) -> None:
    save(client, "main", max_connections=3)

    def taken(attempt: Attempt) -> bool:
        try:
            load("pool/main", attempt)
        except TransitionRefused:
            return False
        return True

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(taken, running(12))) == 3


def test_loading_waits_for_a_slot(client: Client, api: Api) -> None:
    save(client, "main", max_connections=1)
    first, second = running(2)
    load("pool/main", first)
    store = ApiBlockStore(Client(api.url, tokens.issue(second.run_id, second.number)))
    loaded: list[Any] = []
    thread = threading.Thread(target=lambda: loaded.append(store.load("pool/main")))
    thread.start()
    until(lambda: client.get("events?event=block.loaded")["items"], "the first load")
    assert not loaded
    end(first)
    thread.join(20)
    assert loaded[0]["data"]["max_connections"] == 1


def test_waiting_ends_with_the_names_of_the_holders(client: Client, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    save(client, "main", max_connections=1)
    first, second = running(2)
    load("pool/main", first)
    monkeypatch.setenv("ORCHESTRATOR_LIMIT_WAIT", "0.2")
    store = ApiBlockStore(Client(api.url, tokens.issue(second.run_id, second.number)))
    with pytest.raises(Unavailable, match=r"1 of 1 slots are taken, by etl/.*waited 0.2 s"):
        store.load("pool/main")


def test_who_is_no_run_takes_no_slot(client: Client) -> None:
    save(client, "main", max_connections=1)
    for _ in range(3):
        client.post("blocks/pool/main/load")
    assert holders() == {"block/pool/main": set()}
