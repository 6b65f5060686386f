"""A server for the fault tests, apart from the acceptance one: its Redis is emptied and its agents are killed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

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
