"""Testing flows: :func:`recorded` without any server, :func:`orchestrator_test_harness` with a real one,
:func:`fake_clock` for waits that cost no time. Fixtures for pytest: :mod:`orchestrator.testing.fixtures`.
"""

from __future__ import annotations

from .clocks import FakeClock, fake_clock
from .harness import Harness, orchestrator_test_harness
from .recording import (
    RecordedArtifact,
    RecordedEvent,
    RecordedFlowRun,
    RecordedLog,
    RecordedTaskRun,
    Recording,
    recorded,
)

__all__ = [
    "FakeClock",
    "Harness",
    "RecordedArtifact",
    "RecordedEvent",
    "RecordedFlowRun",
    "RecordedLog",
    "RecordedTaskRun",
    "Recording",
    "fake_clock",
    "orchestrator_test_harness",
    "recorded",
]
