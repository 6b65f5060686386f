"""Fixtures of the unit tests."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from orchestrator import reporting, settings

from .reports_server import ReportsServer


@pytest.fixture
def reports(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., list[dict[str, Any]]]]:
    """A configured API; calling the fixture waits for all reports and gives those of one kind."""
    with ReportsServer() as server:
        monkeypatch.setenv("ORCHESTRATOR_API_URL", server.url)

        def arrived(kind: str = "", **wanted: Any) -> list[dict[str, Any]]:
            assert reporting.process_reporter(settings.load()).flush(20)
            found = [item for item in server.items if kind in ("", item["kind"])]
            return [item for item in found if all(item.get(name) == value for name, value in wanted.items())]

        yield arrived
        if os.environ.get("ORCHESTRATOR_API_URL") == server.url:
            reporting.finish(5)
        reporting.finish(0)
