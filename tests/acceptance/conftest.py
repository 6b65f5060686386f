"""One server for all acceptance tests; each test brings its own queues and agents."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .. import cataloguing
from ..stack import Stack, running_stack

#: Pods of the stand-in of Kubernetes are processes of this computer, and call the API by a name that is no loopback's.
EXTRA = {
    "ORCHESTRATOR_STOP_GRACE": "5s",
    "ORCHESTRATOR_ALLOWED_HOSTS": "127.1",
    "ORCHESTRATOR_CRASH_RETRY_DELAY": "1s",
    "ORCHESTRATOR_RETRY_HOLD": "1s",
}


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """A server with embedded services and no agent. The events that it wrote are held against their catalogue."""
    with running_stack(extra=EXTRA) as running:
        yield running
        assert cataloguing.surprises_among(running.client.pages("events", {"limit": 200})) == []
