"""A server for the fault tests, apart from the acceptance one: its Redis is emptied and its agents are killed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ..agents import System, system
from ..stack import Stack, running_stack


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """A server with short leases, so that faults are noticed in seconds."""
    extra = {
        "ORCHESTRATOR_HEARTBEAT": "1s",
        "ORCHESTRATOR_LEASE": "4s",
        "ORCHESTRATOR_SWEEP": "1s",
        "ORCHESTRATOR_STOP_GRACE": "3s",
    }
    with running_stack(extra=extra) as running:
        yield running


@pytest.fixture
def served(tmp_path: Path, database_url: str, redis_url: str) -> Iterator[System]:
    """A server and a client, apart from all others."""
    with system(
        tmp_path,
        database_url,
        redis_url,
        ORCHESTRATOR_STOP_GRACE="2s",
        ORCHESTRATOR_HEARTBEAT="1s",
        ORCHESTRATOR_LEASE="3s",
        ORCHESTRATOR_SWEEP="1s",
    ) as found:
        yield found
