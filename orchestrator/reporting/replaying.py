"""Delivering what processes that are gone have left."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from .delivery import Delivery, joined
from .outbox import BATCH_BYTES, BATCH_ITEMS
from .spool import Spool


def replay(delivery: Delivery, folder: Path, stop: Callable[[], bool] = lambda: False) -> int:
    """Deliver the reports that processes which are gone left in ``folder``; the number of items delivered.

    Raises:
        Away: The API cannot take them; the rest stays.
    """
    delivered = 0
    for orphan in Spool.orphans(folder):
        try:
            while not stop() and (batches := orphan.peek(BATCH_ITEMS, BATCH_BYTES)):
                delivery.deliver(joined(batches))
                orphan.done()
                delivered += sum(len(batch.items) for batch in batches)
        finally:
            orphan.close()
        if stop():
            break
    return delivered
