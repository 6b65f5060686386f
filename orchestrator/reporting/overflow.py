"""What cannot be sent now: on disk, or in memory where not even the disk takes it."""

from __future__ import annotations

import logging
import sys
import uuid
from collections import Counter
from collections.abc import Callable
from typing import Any

from ..clock import now, to_text
from ..serializers import loads
from .outbox import Outbox
from .spool import Batch, Spool

log = logging.getLogger("orchestrator.reporting")

#: Batches that are written to disk at once.
SPILL_BATCHES = 16
#: Most bytes that are held in memory when the disk takes nothing.
HELD_BYTES = 64 * 1024 * 1024
#: Share of the room that log lines, events and artifacts may fill, so that states still find some.
BULK_SHARE = 0.9

_BULK = frozenset({"log", "event", "artifact"})


class Overflow:
    """Moves items from an outbox to a spool; counts what has no room. Not for use by two threads at once.

    Args:
        outbox: Where they come from.
        spool: Where they go.
        most: Most bytes on disk.
    """

    def __init__(self, outbox: Outbox, spool: Spool, most: int) -> None:
        self._outbox, self._spool, self._most = outbox, spool, most
        #: Batches that not even the disk took.
        self.held: list[Batch] = []
        self._dropped: Counter[tuple[uuid.UUID | None, str, int]] = Counter()
        self._disk_failed = False

    def back(self, batches: list[Batch]) -> None:
        """Batches that could not be delivered stand before all others again."""
        self.held = batches + self.held

    def spill(self) -> None:
        """Move what waits in memory now to disk; what is put meanwhile waits for the next time."""
        left = len(self._outbox)
        while left > 0 or self.held:
            left -= max(1, self._hold(SPILL_BATCHES))
            try:
                self._spool.append(self.held)
            except OSError as error:
                if not self._disk_failed:
                    log.warning("reports cannot be kept in %s: %s; they wait in memory", self._spool.parent, error)
                self._disk_failed = True
                self._hold(sys.maxsize)
                return
            self._outbox.settle(self.held)
            self.held, self._disk_failed = [], False

    def notices(self) -> list[tuple[uuid.UUID | None, dict[str, Any]]]:
        """A log line for each run that lost something, once."""
        why = self._full()
        found = [(key[0], _notice(key[1], key[2], count, why)) for key, count in self._dropped.items()]
        self._dropped.clear()
        return found

    def _full(self) -> str:
        if self._disk_failed:
            return f"the disk took nothing, and no more than {HELD_BYTES} bytes are held in memory"
        return f"the spool in {self._spool.parent} is full (ORCHESTRATOR_SPOOL_MAX is {self._most} bytes)"

    def _hold(self, most: int) -> int:
        """Take items until there are so many batches of them; how many were taken."""
        room, count = self._room(), 0
        while len(self._outbox) and len(self.held) < most:
            taken = self._outbox.take(room, self._drop)
            count += sum(len(batch.items) for batch in taken)
            self.held += taken
        return count

    def _room(self) -> Callable[[bytes], bool]:
        """Tells of one item after another whether there is room for it, and counts those that there is room for."""
        most = min(self._most, HELD_BYTES + self._spool.size) if self._disk_failed else self._most
        used = self._spool.size + sum(len(item) for batch in self.held for item in batch.items)

        def has_room(data: bytes) -> bool:
            nonlocal used
            after = used + len(data)
            fits = after <= most * BULK_SHARE
            if not fits and after <= most:
                fits = loads(data).get("kind") not in _BULK
            used = after if fits else used
            return fits

        return has_room

    def _drop(self, producer: uuid.UUID | None, data: bytes) -> None:
        item = loads(data)
        if not self._dropped:
            log.warning("%s: reports are dropped and counted", self._full())
        flow_run_id = str(item.get("flow_run_id") or (item.get("id") if item.get("kind") != "task-run" else ""))
        self._dropped[(producer, flow_run_id, int(item.get("attempt") or item.get("flow_attempt") or 1))] += 1


def _notice(flow_run_id: str, attempt: int, count: int, why: str) -> dict[str, Any]:
    return {
        "kind": "log",
        "flow_run_id": flow_run_id,
        "attempt": attempt,
        "level": logging.WARNING,
        "logger": log.name,
        "message": f"{count} reports of this run were dropped while the API was away: {why}",
        "at": to_text(now()),
    }
