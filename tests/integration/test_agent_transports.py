"""A whole agent against an API over HTTP: claims, hints, outages, stopping. The flows are those of a fake engine."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis
from celery import Celery

from orchestrator import settings
from orchestrator.errors import AccessDenied
from orchestrator.workers.agent.agent import Agent, Options
from orchestrator.workers.agent.launcher import ForkLauncher
from tests.fakes.api import FakeApi, serve


@pytest.fixture
def api() -> Iterator[FakeApi]:
    with serve(FakeApi()) as api:
        yield api


@pytest.fixture
def queue(redis_url: str) -> Iterator[str]:
    """A work queue of this test's own."""
    name = f"test-{time.monotonic_ns()}"
    yield name
    with redis.Redis.from_url(redis_url) as client:
        client.delete(f"orchestrator.run.{name}")


def hint(redis_url: str, queue: str, run_id: object) -> None:
    """As the server does it."""
    app = Celery(broker=redis_url, set_as_current=False)
    with app.connection_for_write() as connection:
        message = app.amqp.as_task_v2("id", "orchestrator.run", [str(run_id)], ignore_result=True)
        app.amqp.Producer(connection, auto_declare=False).publish(
            message.body,
            exchange="",
            routing_key=f"orchestrator.run.{queue}",
            serializer="json",
            headers=message.headers,
            **message.properties,
        )


@contextmanager
def running(api: FakeApi, queue: str, **options: Any) -> Iterator[Agent]:
    """An agent at work in this process."""
    found = settings.load({"ORCHESTRATOR_API_URL": api.url, "ORCHESTRATOR_API_KEY": "key", **_home()})
    agent = Agent(Options([queue], **{"limit": 2, **options}), found, ForkLauncher("tests.fakes.child:main"))
    thread = threading.Thread(target=agent.run)
    thread.start()
    try:
        yield agent
    finally:
        agent.stopping.set()
        agent.hurry.set()
        thread.join(40)
        assert not thread.is_alive()


def _home() -> dict[str, str]:
    return {"ORCHESTRATOR_HOME": str(settings.load().home)}


def test_long_polling_executes_and_reports(api: FakeApi, queue: str) -> None:
    with running(api, queue, transport="http"):
        runs = [api.queue("returns", {"value": number})[0] for number in range(5)]
        for run in runs:
            assert api.end_of(run)["type"] == "COMPLETED"
    assert len(api.stopped) == 1
    (agent,) = api.agents.values()
    assert agent["queues"] == [queue]
    assert agent["slots"] == 2


def test_a_hint_brings_runs_and_one_hint_is_enough_for_all(api: FakeApi, queue: str, redis_url: str) -> None:
    api.broker_url = redis_url
    with running(api, queue, limit=3):
        api.wait(lambda: api.agents)
        runs = [api.queue("returns")[0] for _ in range(10)]
        hint(redis_url, queue, runs[0])
        for run in runs:
            assert api.end_of(run)["type"] == "COMPLETED"


def test_a_hint_without_work_is_dropped(api: FakeApi, queue: str, redis_url: str) -> None:
    """Pain 2: delivered again, executed once."""
    api.broker_url = redis_url
    with running(api, queue):
        run, _ = api.queue("returns")
        for _ in range(20):
            hint(redis_url, queue, run)
        api.end_of(run)
        with redis.Redis.from_url(redis_url) as client:
            api.wait(lambda: client.llen(f"orchestrator.run.{queue}") == 0)
    assert len([item for item in api.items if item["kind"] == "flow-run-state"]) == 1


def test_cancel_by_the_agents_own_list(api: FakeApi, queue: str, redis_url: str, tmp_path: Path) -> None:
    """The heartbeat that carries the cancel comes at once, though every slot is taken."""
    api.broker_url = redis_url
    api.heartbeat_s = 3600.0
    pids = tmp_path / "pids"
    with running(api, queue, limit=1):
        run, attempt = api.queue("sleeps", {"pids": str(pids)})
        hint(redis_url, queue, run)
        api.wait(pids.exists)
        api.cancel.append({"run_id": str(run), "attempt": attempt})
        with redis.Redis.from_url(redis_url) as client:
            client.lpush(f"orchestrator.agent.{next(iter(api.agents))}", "{}")
        assert api.end_of(run)["type"] == "CANCELLED"


def test_cancel_by_long_poll(api: FakeApi, queue: str, tmp_path: Path) -> None:
    api.heartbeat_s = 3600.0
    pids = tmp_path / "pids"
    with running(api, queue, limit=1, transport="http"):
        run, attempt = api.queue("sleeps", {"pids": str(pids)})
        api.wait(pids.exists)
        api.cancel.append({"run_id": str(run), "attempt": attempt})
        assert api.end_of(run)["type"] == "CANCELLED"


@pytest.mark.parametrize("code", ["cancel-asked", "stale-attempt"])
def test_a_refused_start(api: FakeApi, queue: str, tmp_path: Path, code: str) -> None:
    """Cancelled in the last moment: its end is told. Superseded: it is not ours to tell."""
    api.refusals.append((409, code))
    pids = tmp_path / "pids"
    with running(api, queue, transport="http"):
        first, _ = api.queue("sleeps", {"pids": str(pids)})
        api.wait(lambda: not api.refusals)
        second, _ = api.queue("returns")
        assert api.end_of(second)["type"] == "COMPLETED"
        if code == "cancel-asked":
            assert api.end_of(first)["type"] == "CANCELLED"
    assert [i["id"] for i in api.items if i["kind"] == "flow-run-state"].count(str(first)) == (code == "cancel-asked")
    assert not pids.exists()


def test_an_api_outage_is_waited_for(api: FakeApi, queue: str, tmp_path: Path) -> None:
    """Pain 9: at the start, while idle, and while a run is going on."""
    api.down = True
    with running(api, queue, transport="http") as agent:
        time.sleep(0.1)
        api.down = False
        run, _ = api.queue("late", {"pids": str(tmp_path / "pids")})
        api.wait((tmp_path / "pids").exists)
        api.down = True
        other, attempt = api.queue("returns")
        time.sleep(0.1)
        api.down = False
        assert api.end_of(other)["type"] == "COMPLETED"
        api.cancel.append({"run_id": str(run), "attempt": attempt})
        assert api.end_of(run)["type"] == "COMPLETED"
        assert not agent.stopping.is_set()


def test_an_agent_that_was_forgotten_registers_anew(api: FakeApi, queue: str) -> None:
    with running(api, queue, transport="http"):
        api.wait(lambda: api.claims)
        api.agents.clear()
        run, _ = api.queue("returns")
        assert api.end_of(run)["type"] == "COMPLETED"
        assert len(api.agents) == 1


def test_without_redis_the_api_is_asked(api: FakeApi, queue: str) -> None:
    api.broker_url = "redis://127.0.0.1:1/0"
    with running(api, queue):
        run, _ = api.queue("returns")
        assert api.end_of(run)["type"] == "COMPLETED"


def test_a_run_is_held_until_its_end_is_known(api: FakeApi, queue: str) -> None:
    api.heartbeat_s = 0.02
    with running(api, queue, transport="http"):
        api.reports_down = True
        run, attempt = api.queue("returns")
        held = [{"run_id": str(run), "attempt": attempt}]
        api.wait(lambda: api.refused_reports and api.beats[-1] == held)
        api.reports_down = False
        assert api.end_of(run)["type"] == "COMPLETED"
        api.wait(lambda: api.beats[-1] == [])


def test_stopping_lets_runs_end(api: FakeApi, queue: str, tmp_path: Path) -> None:
    """Pain 22: claims stop at once, what runs may end, the rest is told."""
    api.stop_grace_s = 1.0
    with running(api, queue, transport="http") as agent:
        run, _ = api.queue("sleeps", {"pids": str(tmp_path / "pids")})
        api.wait((tmp_path / "pids").exists)
        agent.stopping.set()
        state = api.end_of(run)
        assert state["type"] == "CRASHED"
        assert "was stopped" in state["message"]
        later, _ = api.queue("returns")
        api.wait(lambda: api.stopped)
    assert not [i for i in api.items if i["kind"] == "flow-run-state" and i["id"] == str(later)]


def test_a_wrong_key_ends_the_start(api: FakeApi, queue: str) -> None:
    api.key = "another"
    found = settings.load({"ORCHESTRATOR_API_URL": api.url, "ORCHESTRATOR_API_KEY": "key", **_home()})
    agent = Agent(Options([queue]), found, ForkLauncher("tests.fakes.child:main"))
    with pytest.raises(AccessDenied):
        agent.run()


def test_infrastructure_of_an_unknown_kind(api: FakeApi, queue: str) -> None:
    block = "0190163d-8694-739b-aea5-966c26f8ad90"
    api.blocks[block] = {"id": block, "type": "my-own", "name": "x", "data": {}}
    with running(api, queue, transport="http"):
        run, _ = api.queue("returns", infrastructure={"block_id": block, "overrides": {}, "updated": None})
        state = api.end_of(run)
    assert state["type"] == "CRASHED"
    assert "my-own" in state["message"]
