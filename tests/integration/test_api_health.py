"""Readiness, judged by progress, and what each API process does beside answering."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from flask import Flask
from sqlalchemy import make_url, text

from orchestrator.clock import now
from orchestrator.server import config
from orchestrator.server.api import background
from orchestrator.server.db import session as database
from orchestrator.server.db.session import reading, transaction
from orchestrator.server.loops import LOOPS
from orchestrator.server.services import ticks
from orchestrator.server.services.identity import keys
from orchestrator.server.services.watching import health

from ..api import ClientAs


def ready(app: Flask) -> tuple[int, dict[str, Any]]:
    answer = app.test_client().get("/health/ready")
    return answer.status_code, answer.json["parts"]


def tick_all(late: timedelta = timedelta(0), error: str | None = None) -> None:
    with transaction() as session:
        for loop in [*LOOPS, ticks.API]:
            ticks.record(session, loop, now() - late, error=error)


def test_ready_when_every_loop_goes_round(app: Flask) -> None:
    assert ready(app)[0] == 503
    tick_all()
    status, parts = ready(app)
    assert status == 200
    assert all(loop["ok"] for loop in parts["loops"].values())
    assert parts["database"]["ok"]


def test_not_ready_when_a_loop_stands_still_or_fails(app: Flask) -> None:
    tick_all(late=timedelta(days=1))
    status, parts = ready(app)
    assert status == 503
    assert "stands still" in parts["loops"]["dispatch"]["message"]
    tick_all(error="it broke")
    assert "it broke" in ready(app)[1]["loops"]["dispatch"]["message"]


def test_not_ready_while_migrations_are_missing(app: Flask) -> None:
    tick_all()
    with transaction() as session:
        session.execute(text("UPDATE alembic_version SET version_num = 'older'"))
    status, parts = ready(app)
    assert (status, parts["database"]["ok"]) == (503, False)
    assert "database upgrade" in parts["database"]["message"]


def test_not_ready_without_the_database(app: Flask, services: tuple[str, str], database_url: str) -> None:
    name = make_url(database_url).database
    database.dispose()
    with psycopg.connect(services[0], autocommit=True) as link:
        link.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        try:
            status, parts = ready(app)
        finally:
            link.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    assert (status, parts["database"]["ok"]) == (503, False)
    assert parts["database"]["message"].startswith("does not answer")


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_redis_that_is_away_or_frozen_is_told_soon(app: Flask, redis_url: str, silent_port: int) -> None:
    tick_all()
    config.use(replace(config.current(), redis_url=redis_url))
    assert ready(app)[0] == 200
    for url in (f"redis://127.0.0.1:{silent_port}/0", "redis://127.0.0.1:1/0"):
        config.use(replace(config.current(), redis_url=url))
        status, parts = ready(app)
        assert (status, parts["redis"]["ok"]) == (503, False)
        assert parts["redis"]["message"].startswith("does not answer")


def test_a_look_that_hangs_is_not_joined_by_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "PATIENCE_S", 0.05)
    release, looks = threading.Event(), []

    def _frozen() -> health.Part:
        looks.append(1)
        release.wait(20)
        return health.Part(True)

    assert not health._patiently(_frozen).ok
    assert not health._patiently(_frozen).ok
    assert len(looks) == 1
    release.set()


def test_each_process_tells_that_it_is_up(app: Flask, client_as: ClientAs) -> None:
    client_as("viewer").get("/api/v1/flows")
    background.step(flush=True)
    with reading() as session:
        assert ticks.ages(session, now())[ticks.API].age_s < 60
        assert [key.last_used is not None for key in keys.listing(session)] == [True]


def test_a_database_that_is_away_is_waited_for(
    app: Flask, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    database.configure("postgresql://nobody@127.0.0.1:1/none")
    with caplog.at_level(logging.WARNING):
        background.step(flush=True)
    assert "cannot tell that it is up" in caplog.text


def test_the_thread_starts_once_a_process(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    rounds: list[bool] = []
    done = threading.Event()

    def go_round() -> None:
        rounds.append(True)
        done.set()

    monkeypatch.setattr(background, "_owner", None)
    monkeypatch.setattr(background, "_go_round", go_round)
    app.config["BACKGROUND"] = True
    for _ in range(3):
        app.test_client().get("/health/live")
    assert done.wait(20)
    assert rounds == [True]
