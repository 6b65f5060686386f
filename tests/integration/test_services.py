"""Beat ticks, the services process steps; and steps without ticks when there is no beat, or no Redis."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis
from celery import beat

from orchestrator.clock import now
from orchestrator.server.db.session import reading
from orchestrator.server.loops import LOOPS
from orchestrator.server.services import ticks
from orchestrator.workers import ticks as stepping
from orchestrator.workers.app import app as beating
from orchestrator.workers.beat import LEEWAY, WAITING_MAX, Ticks, entries
from orchestrator.workers.broker import SERVICES_QUEUE, make_app
from tests.polling import until

ROOT = Path(__file__).parents[2]


@contextmanager
def program(database_url: str, redis_url: str, log: Path, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
        "ORCHESTRATOR_DATABASE_URL": database_url,
        "ORCHESTRATOR_REDIS_URL": redis_url,
        "ORCHESTRATOR_SECRET_KEY": "a secret of the tests",
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *words], env=environment, cwd=log.parent, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            assert process.wait(30) == 0, log.read_text()
        finally:
            process.kill()


def stepped() -> set[str]:
    """Loops that have been stepped."""
    with reading() as session:
        return set(ticks.ages(session, now()))


@pytest.mark.parametrize("health", ["alive", "dead"])
def test_loops_are_stepped_without_ticks(database_url: str, redis_url: str, tmp_path: Path, health: str) -> None:
    """Pain 12: no beat at all; and no Redis either."""
    address = redis_url if health == "alive" else "redis://127.0.0.1:1/0"
    quick = {min(LOOPS, key=lambda name: LOOPS[name].INTERVAL)}
    log = tmp_path / "services.log"
    with program(database_url, address, log, "orchestrator.workers.services"):
        until(lambda: quick <= stepped(), f"the steps of {quick}", 40)
        until(lambda: "Stepping without" in log.read_text(), "steps without ticks", 40)


def test_beat_sends_ticks_that_expire(database_url: str, redis_url: str, tmp_path: Path) -> None:
    words = ["celery", "-A", "orchestrator.workers.app", "beat", "--pidfile="]
    with redis.Redis.from_url(redis_url) as client:
        client.delete(SERVICES_QUEUE)
        with program(database_url, redis_url, tmp_path / "beat.log", *words):
            _, message = until(lambda: client.blpop([SERVICES_QUEUE], timeout=1), "a tick", 40)
        client.delete(SERVICES_QUEUE)
    headers = json.loads(message)["headers"]
    assert headers["task"] == "orchestrator.tick"
    assert headers["expires"]


def test_beat_stops_ticking_when_nobody_takes_them(database_url: str, redis_url: str, tmp_path: Path) -> None:
    """Pain 43: with the services away, and beat up for days, the list would fill Redis; then no hint gets through."""
    log = tmp_path / "beat.log"
    words = ["celery", "-A", "orchestrator.workers.app", "beat", "--pidfile="]
    with redis.Redis.from_url(redis_url) as client:
        client.delete(SERVICES_QUEUE)
        client.lpush(SERVICES_QUEUE, *["{}"] * (WAITING_MAX - 1))
        with program(database_url, redis_url, log, *words):
            until(lambda: "no ticks are sent: nobody takes them" in log.read_text(), "the notice", 40)
            assert client.llen(SERVICES_QUEUE) == WAITING_MAX
            client.delete(SERVICES_QUEUE)
            until(lambda: client.llen(SERVICES_QUEUE), "ticks again", 40)
            until(lambda: "ticks are sent again" in log.read_text(), "the notice that it is over", 40)
        client.delete(SERVICES_QUEUE)


def test_a_tick_that_redis_does_not_take_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    app = make_app("redis://127.0.0.1:1/0")
    scheduler = Ticks(app=app, lazy=True)
    entry = scheduler.Entry(name="late", task="orchestrator.tick", schedule=1.0, app=app)
    for _ in range(3):
        scheduler.apply_entry(entry)
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith("no ticks are sent: ")


def test_ticks_that_are_due_together_are_one_message() -> None:
    sent: list[tuple[list[str], float]] = []

    class Noting(Ticks):
        def apply_entry(self, entry: beat.ScheduleEntry, producer: object = None) -> None:
            sent.append((list(entry.args), entry.options["expires"]))

    scheduler = Noting(app=beating, lazy=True)
    scheduler.setup_schedule()
    assert scheduler.tick() > 0
    ((names, expires),) = sent
    assert set(names) == set(LOOPS), "at first all of them"
    assert names[0] == min(LOOPS, key=lambda name: LOOPS[name].INTERVAL), "the quick ones do not wait for the slow ones"
    assert expires == max(loop.INTERVAL for loop in LOOPS.values()).total_seconds()
    assert 0 < scheduler.tick() <= min(loop.INTERVAL for loop in LOOPS.values()).total_seconds()
    assert len(sent) == 1, "nothing is due yet"
    scheduler._due = dict.fromkeys(LOOPS, time.monotonic() + 3600)
    scheduler._due |= {"dispatch": time.monotonic() - 1, "late": time.monotonic() + LEEWAY / 2}
    scheduler.tick()
    assert sent[1:] == [(["dispatch", "late"], 5.0)], "what is due in a moment goes along"


def test_a_message_steps_each_of_its_loops(monkeypatch: pytest.MonkeyPatch) -> None:
    stepped_now: list[str] = []
    monkeypatch.setattr(stepping.steps, "tick", stepped_now.append)
    stepping.tick("dispatch", "late")
    assert stepped_now == ["dispatch", "late"]


def test_every_loop_has_a_tick_that_does_not_outlive_its_interval() -> None:
    found = entries()
    assert set(found) == set(LOOPS)
    for name, entry in found.items():
        assert entry["args"] == (name,)
        assert entry["options"]["expires"] == LOOPS[name].INTERVAL.total_seconds()
        assert entry["options"]["queue"] == "orchestrator.services"
