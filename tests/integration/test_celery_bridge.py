"""``orchestrator celery watch``: a real Celery application, which knows nothing of us, on a real Redis."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis
from celery import Celery

from orchestrator.blocks.celery_app import CeleryApp
from orchestrator.blocks.celery_events.bridge import Bridge
from orchestrator.client import Client
from orchestrator.embedded.wheels import REDIS, program
from orchestrator.errors import InvalidInput, Unavailable
from orchestrator.interfaces import Observed

from ..live_api import Api
from ..polling import free_port, until

SHOP = """
import os
from celery import Celery

app = Celery("shop", broker=os.environ["SHOP_BROKER"])
app.conf.task_default_queue = os.environ["SHOP_QUEUE"]


@app.task
def sell(item):
    if item == "tea":
        raise ValueError(f"no stock of {item}")
"""


@contextmanager
def running(command: list[str], log: Path, **more: Any) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("ab") as file:
        process = subprocess.Popen([sys.executable, "-m", *command], stdout=file, stderr=file, **more)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@contextmanager
def worker(broker: str, queue: str, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    (folder / "shop.py").write_text(SHOP)
    command = ["celery", "-A", "shop", "worker", "-P", "solo", "-n", f"{queue}@here"]
    environment = {**os.environ, "SHOP_BROKER": broker, "SHOP_QUEUE": queue}
    with running(command, folder / "worker.log", cwd=folder, env=environment) as process:
        yield process


def bridge(broker: str, log: Path, *options: str) -> Any:
    given = ("--broker", broker, "--enable-events", "--heartbeat", "1", "--silent-after", "8", *options)
    return running(["orchestrator", "celery", "watch", *given], log)


def told(event: str, queue: str) -> list[dict[str, Any]]:
    found = Client.from_settings().pages("events", {"event": event, "limit": 200})
    return [one for one in found if queue in str(one)]


def test_tasks_and_workers_are_told_on_as_they_happen(api: Api, redis_url: str, tmp_path: Path) -> None:
    broker, queue = f"{redis_url.rpartition('/')[0]}/15", f"shop-{uuid.uuid4().hex[:8]}"
    log = tmp_path / "bridge.log"
    with bridge(broker, log) as watching, worker(broker, queue, tmp_path) as working:
        alive = until(lambda: told("celery.worker.heartbeat", queue), "a heartbeat", 60, log)[0]
        app = alive["resource"]["resource.id"].partition("/worker/")[0]
        assert (alive["kind"], alive["resource"]["resource.id"]) == ("heartbeat", f"{app}/worker/{queue}@here")

        with Celery("client", broker=broker) as client:
            client.conf.task_send_sent_event = True

            def sold() -> bool:
                client.send_task("shop.sell", ["coffee"], queue=queue)
                client.send_task("shop.sell", ["tea"], queue=queue)
                return bool(told("celery.task.succeeded", queue) and told("celery.task.failed", queue))

            until(sold, "a sale", 60, log)
        failed = told("celery.task.failed", queue)[0]
        assert failed["resource"]["resource.id"] == f"{app}/task/shop.sell"
        assert "no stock of tea" in failed["payload"]["exception"]
        related = {(one["resource.role"], one["resource.id"]) for one in failed["related"]}
        assert related == {("part-of", app), ("worker", f"{app}/worker/{queue}@here")}
        sent = until(lambda: told("celery.task.sent", queue), "what was sent", 60, log)[0]
        assert ("queue", f"{app}/queue/{queue}") in {
            (one["resource.role"], one["resource.id"]) for one in sent["related"]
        }
        working.kill()
        gone = until(lambda: told("celery.worker.offline", queue), "its end", 60, log)[0]
        assert gone["payload"]["worker"] == f"{queue}@here"
        watching.send_signal(signal.SIGTERM)
        assert watching.wait(60) == 0
        assert "events were told on" in log.read_text()


@contextmanager
def server(port: int, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A Redis of the test's own, to be taken down."""
    process = subprocess.Popen(
        [str(program(REDIS, folder, None)[0]), "--port", str(port), "--save", "", "--dir", str(folder)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def heartbeat(url: str, name: str) -> bool:
    """Publish what a worker does; whether anybody listened."""
    body = json.dumps({"type": "worker-heartbeat", "hostname": name, "timestamp": time.time()})
    with contextlib.suppress(redis.ConnectionError), redis.Redis.from_url(url) as client:
        return bool(client.publish("/0.celeryev/worker.heartbeat", json.dumps({"body": body})))
    return False


def test_the_broker_may_go_and_come_back(tmp_path: Path) -> None:
    port, seen, lines = free_port(), list[Observed](), list[str]()
    url, stop = f"redis://127.0.0.1:{port}/0", threading.Event()
    watching = Bridge(CeleryApp(broker_url=url), seen.append, lines.append, heartbeat_s=0.01, silent_s=600)
    thread = threading.Thread(target=watching.run, args=(stop.is_set, lambda _: stop.wait(0.1)))
    thread.start()
    try:
        until(lambda: any("cannot be used" in line for line in lines), "a failed try")
        with server(port, tmp_path):
            until(lambda: heartbeat(url, "w") and seen, "a heartbeat", 60)
        tries = len(lines)
        until(lambda: len(lines) > tries, "the loss", 60)
        with server(port, tmp_path):
            until(lambda: heartbeat(url, "v") and any("v" in one.resource.name for one in seen), "a heartbeat", 60)
    finally:
        stop.set()
        thread.join()
    assert [one.event for one in seen if one.event == "celery.stream.interrupted"] == ["celery.stream.interrupted"] * 2
    assert all(one.payload["seconds"] >= 0 for one in seen if one.event == "celery.stream.interrupted")
    assert not any(one.event == "celery.worker.offline" for one in seen)


def test_a_broker_that_refuses_us_is_not_asked_again(redis_url: str) -> None:
    app = CeleryApp(broker_url=f"{redis_url.rpartition('/')[0]}/999")
    with pytest.raises((InvalidInput, Unavailable)):
        Bridge(app, pytest.fail, print).run(lambda: False, pytest.fail)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ((), "either --broker or --block"),
        (("--broker", "redis://h", "--block", "celery-app/x"), "either --broker or --block"),
        (("--broker", "amqp://h"), "write the address of a Redis server"),
        (("--broker", "redis://h"), "no API is configured"),
    ],
)
def test_wrong_use_is_refused_in_a_line(options: tuple[str, ...], reason: str) -> None:
    command = [sys.executable, "-m", "orchestrator", "celery", "watch", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert reason in done.stderr
    assert len(done.stderr.splitlines()) == 1
