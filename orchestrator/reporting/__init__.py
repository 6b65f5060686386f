"""Reports to the server, out of the way of the code that runs: states, logs, events, artifacts.

:meth:`Reporter.put` encodes an item, writes it into a journal in shared memory (:mod:`orchestrator.reporting.journal`)
and appends it to a queue (``outbox``). One daemon thread (``reporter``) takes batches from it, numbers the items per
producer, and keeps one batch in flight until it is acknowledged. While the API is away, or slower than the code,
everything goes to disk (``overflow``, :mod:`orchestrator.reporting.spool`) and is replayed in order, by this process or
a later one (``replaying``). Order and completeness are promised, latency is not.
"""

from __future__ import annotations

from .outbox import BATCH_BYTES, BATCH_ITEMS
from .process import finish, process_reporter
from .replaying import replay
from .reporter import Reporter, is_sender
from .sinks import Sink

__all__ = [
    "BATCH_BYTES",
    "BATCH_ITEMS",
    "Reporter",
    "Sink",
    "finish",
    "is_sender",
    "process_reporter",
    "replay",
]
