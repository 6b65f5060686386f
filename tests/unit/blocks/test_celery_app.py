"""A real Celery application, which knows nothing of us, is watched through its broker."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis
from celery import Celery
from pydantic import ValidationError

from orchestrator.blocks.celery_app import CeleryApp
from orchestrator.errors import Unavailable
from orchestrator.interfaces import Observed, Resource

from ...polling import free_port, until

SHOP = """
import os
from celery import Celery

app = Celery("shop", broker=os.environ["SHOP_BROKER"])
app.conf.task_default_queue = os.environ["SHOP_QUEUE"]
if os.environ["SHOP_PREFIX"]:
    app.conf.broker_transport_options = {"global_keyprefix": os.environ["SHOP_PREFIX"]}


@app.task
def sell(item, canary=None):
    return item


@app.task
def fail(item, canary=None):
    raise ValueError(f"no stock of {item}")


@app.task(bind=True, max_retries=1)
def again(self):
    raise self.retry(countdown=0)
"""


@dataclass
class Shop:
    """The running application, and a client that sends its tasks."""

    block: CeleryApp
    client: Celery
    queue: str
    worker: str
    process: subprocess.Popen[bytes]
    broker: redis.Redis
    prefix: str

    def send(self, task: str, *arguments: Any, **options: Any) -> None:
        self.client.send_task(f"shop.{task}", arguments, **options)

    def look(self, cursor: Any) -> tuple[list[Observed], Any]:
        events: list[Observed] = []
        return events, self.block.observe(cursor, events.append)

    def first_look(self) -> Any:
        """The cursor of a look that heard the worker; it tells nothing."""

        def look() -> Any:
            events, cursor = self.look(None)
            assert events == []
            return cursor if self.worker in cursor["workers"] else None

        return until(look, "the worker's heartbeat")


@pytest.fixture
def shop(request: pytest.FixtureRequest, redis_url: str, tmp_path: Path) -> Iterator[Shop]:
    url = f"{redis_url.rpartition('/')[0]}/15"
    queue, prefix = f"shop-{uuid.uuid4().hex[:8]}", getattr(request, "param", "")
    (tmp_path / "shop.py").write_text(SHOP)
    environment = {**os.environ, "SHOP_BROKER": url, "SHOP_QUEUE": queue, "SHOP_PREFIX": prefix}
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", "shop", "worker", "-P", "solo", "-n", f"{queue}@here"],
            cwd=tmp_path, env=environment, stdout=log, stderr=log,
        )  # fmt: skip
    client = Celery("client", broker=url)
    client.conf.task_default_queue = queue
    client.conf.broker_transport_options = {"global_keyprefix": prefix} if prefix else {}
    block = CeleryApp(broker_url=url, listen_s=2.5, heartbeat_s=2.5, key_prefix=prefix, enable_events=True)
    broker = redis.Redis.from_url(url)
    found = Shop(block, client, queue, f"{queue}@here", process, broker, prefix)
    try:
        until(lambda: found.worker in block.test(), "the worker's heartbeat", 60, tmp_path / "log")
        yield found
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        client.close()
        for key in broker.scan_iter(match=f"*{queue}*"):
            broker.delete(key)
        broker.close()


def kinds(events: list[Observed]) -> set[str]:
    return {event.event for event in events}


@pytest.mark.parametrize("shop", ["", "shop:"], indirect=True)
def test_queues_workers_and_events_of_tasks_are_seen_from_outside(shop: Shop) -> None:
    def discovered() -> dict[str, Resource] | None:
        found = {resource.id: resource for resource in shop.block.discover()}
        return found if any(shop.worker in name for name in found) else None

    found = until(discovered, "the worker's heartbeat")
    app = next(resource for resource in found.values() if resource.kind == "celery.app")
    worker = found[f"{app.id}/worker/{shop.worker}"]
    assert worker.kind == "celery.worker"
    assert str(worker.labels["software"]).startswith("py-celery")
    assert worker.related[0].id == app.id
    assert found[f"{app.id}/queue/{shop.queue}"].labels == {"depth": 0}

    cursor = shop.first_look()
    seen: list[Observed] = []
    wanted = {f"celery.task.{state}" for state in ("received", "started", "succeeded", "failed", "retried")}

    def look() -> bool:
        nonlocal cursor
        thread = threading.Timer(0.3, lambda: [shop.send("sell", "x", "canary-argument"), shop.send("fail", "tea")])
        again = threading.Timer(0.3, lambda: shop.send("again"))
        for timer in (thread, again):
            timer.start()
        events, cursor = shop.look(cursor)
        for timer in (thread, again):
            timer.join()
        seen.extend(events)
        return wanted <= kinds(seen)

    until(look, "events of all states", 60)
    failed = next(event for event in seen if event.event == "celery.task.failed" and "tea" in str(event.payload))
    assert "no stock of tea" in failed.payload["exception"]
    assert failed.payload["worker"] == shop.worker
    assert failed.resource.id == f"{app.id}/task/shop.fail"
    assert failed.resource.kind == "celery.task"
    assert failed.occurred is not None
    assert failed.occurred.tzinfo is not None
    assert len({event.key for event in seen}) == len(seen)
    assert "canary-argument" not in str(seen)


def test_a_worker_that_goes_is_told_and_nothing_is_taken_from_a_queue(shop: Shop) -> None:
    cursor = shop.first_look()
    waiting = f"{shop.queue}-idle"
    shop.send("sell", "x", queue=waiting)
    shop.send("sell", "y", queue=waiting, priority=9)
    named = shop.block.model_copy(update={"queues": [waiting]})
    before = {key: shop.broker.dump(key) for key in shop.broker.scan_iter(match=f"*{waiting}*")}
    assert [one.labels["depth"] for one in named.discover() if one.kind == "celery.queue"] == [2]
    shop.process.send_signal(signal.SIGKILL)
    shop.process.wait()
    events, cursor = shop.look(cursor)
    gone = [event for event in events if event.event == "celery.worker.offline"]
    assert [event.payload["worker"] for event in gone] == [shop.worker]
    assert shop.worker not in cursor["workers"]
    events, _ = shop.look(cursor)
    assert "celery.worker.offline" not in kinds(events)
    assert {key: shop.broker.dump(key) for key in shop.broker.scan_iter(match=f"*{waiting}*")} == before


def test_messages_that_are_none_are_passed_over(redis_url: str) -> None:
    url = f"{redis_url.rpartition('/')[0]}/14"
    block = CeleryApp(broker_url=url, listen_s=1, heartbeat_s=1)
    with redis.Redis.from_url(url) as client:

        def talk() -> None:
            until(lambda: dict(client.pubsub_numsub("/14.celeryev"))[b"/14.celeryev"], "a listener")
            for text in ("", "x", "[]", '{"body": 1}', '{"body": "e30="}', '{"body": "[1, {}]", "properties": {}}'):
                client.publish("/14.celeryev/task.failed", text)

        talker = threading.Thread(target=talk)
        talker.start()
        events: list[Observed] = []
        cursor = block.observe({"workers": {}, "tasks": {}}, events.append)
        talker.join()
    assert events == []
    assert cursor == {"tasks": {}, "workers": {}}


def test_only_so_many_events_are_told_at_a_look(redis_url: str) -> None:
    url = f"{redis_url.rpartition('/')[0]}/13"
    block = CeleryApp(broker_url=url, listen_s=60, heartbeat_s=1, max_events=100)
    done = threading.Event()
    with redis.Redis.from_url(url) as client:

        def talk() -> None:
            text = '{"body": "{\\"type\\": \\"task-failed\\", \\"uuid\\": \\"1\\", \\"hostname\\": \\"w\\"}"}'
            while not done.is_set():
                client.publish("/13.celeryev", text)

        talker = threading.Thread(target=talk)
        talker.start()
        events: list[Observed] = []
        cursor = block.observe({"workers": {"w": 1.0}, "tasks": {"1": "shop.sell"}}, events.append)
        done.set()
        talker.join()
    assert len(events) == 100
    assert events[0].resource.name == "shop.sell"
    assert cursor["workers"] == {"w": 1.0}


def test_a_broker_that_is_away_is_unavailable_and_its_password_is_not_shown() -> None:
    block = CeleryApp(broker_url=f"redis://:canary-password@127.0.0.1:{free_port()}/0")
    with pytest.raises(Unavailable, match="127") as caught:
        block.test()
    assert "canary" not in str(caught.value) + repr(block)


@pytest.mark.parametrize("url", ["amqp://guest@host", "redis://", "redis://host/x", "redis://host:port/1", "host"])
def test_only_brokers_that_can_be_read_are_taken(url: str) -> None:
    with pytest.raises(ValidationError, match="address of a Redis server"):
        CeleryApp(broker_url=url)
