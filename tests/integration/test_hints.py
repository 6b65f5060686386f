"""Hints: quick when Redis is there, harmless when it is not."""

from __future__ import annotations

import json
import multiprocessing
import socket
import uuid
from collections.abc import Iterator

import pytest
import redis
from celery import Celery

from orchestrator.server import hints


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    hints.configure(redis_url)
    yield redis.Redis.from_url(redis_url)
    hints.configure(None)


@pytest.fixture
def queue(client: redis.Redis) -> Iterator[str]:
    name = f"q-{uuid.uuid4().hex[:8]}"
    yield name
    client.delete(hints.run_list(name))


def test_a_hint_is_a_celery_message_that_a_worker_can_read(queue: str, client: redis.Redis, redis_url: str) -> None:
    run_id = uuid.uuid4()
    hints.run_queued(queue, run_id)
    assert hints.flush(10)
    raw = json.loads(client.lindex(hints.run_list(queue), 0))  # type: ignore[arg-type]
    assert raw["headers"]["task"] == "orchestrator.run"
    assert raw["content-type"] == "application/json"
    with Celery(broker=redis_url, set_as_current=False).connection_for_read() as connection:
        message = connection.default_channel.basic_get(hints.run_list(queue), no_ack=True)
        assert message is not None
        assert message.decode()[0] == [str(run_id)]


def test_a_cancel_goes_to_the_agents_own_list(client: redis.Redis) -> None:
    agent_id = uuid.uuid4()
    hints.cancel_asked(agent_id)
    assert hints.flush(10)
    assert client.llen(f"orchestrator.agent.{agent_id}") == 1
    assert 0 < client.ttl(f"orchestrator.agent.{agent_id}") <= hints.CANCEL_KEPT_S, "the agent may be gone for good"
    client.delete(f"orchestrator.agent.{agent_id}")


def test_a_queue_that_nobody_serves_does_not_fill_redis(
    queue: str, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pain 43: runs that were created and cancelled leave their hints behind; the newest are kept, for a day."""
    monkeypatch.setattr(hints, "WAITING_MAX", 3)
    runs = [uuid.uuid4() for _ in range(5)]
    for run_id in runs:
        hints.run_queued(queue, run_id)
    assert hints.flush(10)
    assert hints.waiting([queue]) == {queue: 3}
    newest: str = client.lindex(hints.run_list(queue), 0).decode()  # type: ignore[union-attr, assignment]
    assert str(runs[-1]) in json.loads(newest)["headers"]["argsrepr"]
    assert 0 < client.ttl(hints.run_list(queue)) <= hints.WORK_KEPT_S


def test_no_key_but_the_lists_is_left_in_redis(queue: str, client: redis.Redis) -> None:
    before = set(client.keys("*"))  # type: ignore[arg-type]
    hints.run_queued(queue, uuid.uuid4())
    assert hints.flush(10)
    assert set(client.keys("*")) - before == {hints.run_list(queue).encode()}  # type: ignore[arg-type]


def test_hints_go_on_after_redis_was_emptied(queue: str, client: redis.Redis) -> None:
    hints.run_queued(queue, uuid.uuid4())
    assert hints.flush(10)
    client.delete(*client.keys("*kombu*") or ["none"], hints.run_list(queue))  # type: ignore[misc]
    hints.run_queued(queue, uuid.uuid4())
    assert hints.flush(10)
    assert hints.waiting([queue]) == {queue: 1}


def test_without_redis_nothing_is_sent_and_nothing_fails() -> None:
    hints.configure(None)
    hints.run_queued("q", uuid.uuid4())
    assert hints.flush(0)
    assert hints.waiting(["q"]) is None


def test_a_redis_that_refuses_is_left_alone_for_a_while() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound, not listening: connections are refused
        hints.configure(f"redis://127.0.0.1:{closed.getsockname()[1]}/0")
        for _ in range(200):
            hints.run_queued("q", uuid.uuid4())
        assert hints.flush(10)
        assert hints.waiting(["q"]) is None
    hints.configure(None)


def test_a_redis_that_answers_nothing_holds_nobody_up() -> None:
    with socket.socket() as frozen:
        frozen.bind(("127.0.0.1", 0))
        frozen.listen(8)
        hints.configure(f"redis://127.0.0.1:{frozen.getsockname()[1]}/0")
        for _ in range(hints.BACKLOG + 10):  # more than the backlog holds
            hints.run_queued("q", uuid.uuid4())
        hints.configure(None)


def _send(queue: str, run_id: uuid.UUID) -> None:
    hints.run_queued(queue, run_id)
    assert hints.flush(10)


def test_a_fork_has_a_publisher_of_its_own(queue: str, client: redis.Redis) -> None:
    hints.run_queued(queue, uuid.uuid4())
    assert hints.flush(10)
    child = multiprocessing.get_context("fork").Process(target=_send, args=(queue, uuid.uuid4()))
    child.start()
    child.join(20)
    assert child.exitcode == 0
    assert client.llen(hints.run_list(queue)) == 2
