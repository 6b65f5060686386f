"""The API over HTTP in the test's own process, for clients in this process and others."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator

import pytest

from orchestrator import reporting
from orchestrator.clock import now
from orchestrator.server.app import create_app
from orchestrator.server.db import session
from orchestrator.server.services.identity import keys

from .listening import Listener


class Api:
    """The API in a thread; it can be taken down and brought back on the same port."""

    def __init__(self) -> None:
        self.app = create_app()
        # its thread would outlive the test and tell the next database that an API is up
        self.app.config["BACKGROUND"] = False
        self.port = 0
        self.start()

    def start(self) -> None:
        self._server = Listener(self.app, self.port)
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@pytest.fixture
def api(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    monkeypatch.setenv("ORCHESTRATOR_DATABASE_URL", database_url)
    monkeypatch.setenv("ORCHESTRATOR_SECRET_KEY", "a secret for tests, long enough for everyone")
    running = Api()
    with session.transaction() as database:
        _, key = keys.create(database, "test", "editor", now())
    monkeypatch.setenv("ORCHESTRATOR_API_URL", running.url)
    monkeypatch.setenv("ORCHESTRATOR_API_KEY", key)
    yield running
    reporting.finish(5)
    running.stop()
