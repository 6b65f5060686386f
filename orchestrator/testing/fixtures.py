"""Fixtures for pytest; a project names them in its ``conftest.py``::

    pytest_plugins = ["orchestrator.testing.fixtures"]

``orchestrator_recording`` and ``orchestrator_clock`` last for one test; ``orchestrator_server`` is one server for the
whole session, started when the first test asks for it.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .clocks import FakeClock, fake_clock
from .harness import Harness, orchestrator_test_harness
from .recording import Recording, recorded


@pytest.fixture
def orchestrator_recording() -> Iterator[Recording]:
    """What flows of the test report, in memory: see :func:`orchestrator.testing.recorded`."""
    with recorded() as recording:
        yield recording


@pytest.fixture
def orchestrator_clock() -> Iterator[FakeClock]:
    """A clock on which waits take no time: see :func:`orchestrator.testing.fake_clock`."""
    with fake_clock() as clock:
        yield clock


@pytest.fixture(scope="session")
def orchestrator_server() -> Iterator[Harness]:
    """A server for the session: see :func:`orchestrator.testing.orchestrator_test_harness`."""
    with orchestrator_test_harness() as harness:
        yield harness
