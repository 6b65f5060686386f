"""What was put and not yet taken by the sender: a queue, the numbering of each producer, and marks of who waits."""

from __future__ import annotations

import threading
import uuid
from collections import deque
from collections.abc import Callable

from ..ids import uuid7
from .journal import Journal
from .spool import Batch

BATCH_ITEMS = 500
BATCH_BYTES = 1024 * 1024


class Mark:
    """Stands in the queue for a caller who waits for all before it."""

    __slots__ = ("arrived", "passed", "retire")

    def __init__(self, retire: uuid.UUID | None = None) -> None:
        self.passed = threading.Event()
        self.arrived = False
        self.retire = retire

    def resolve(self, arrived: bool) -> None:
        """Tell the caller."""
        self.arrived = arrived
        self.passed.set()


class _Stream:
    """One producer's numbering."""

    __slots__ = ("name", "next")

    def __init__(self, name: uuid.UUID) -> None:
        self.name = str(name)
        self.next = 1


class Outbox:
    """A queue of encoded items. Anybody may put; one thread at a time takes.

    Args:
        batch_items: Most items that are taken at once.
    """

    def __init__(self, batch_items: int) -> None:
        self._batch_items = batch_items
        #: Producers and items, or marks.
        self.queue: deque[tuple[uuid.UUID | None, bytes | Mark]] = deque()
        #: Names this process as a producer.
        self.own = uuid7()
        self._streams: dict[uuid.UUID | None, _Stream] = {}
        #: Keeps the order in the queue and in the journal the same.
        self._order = threading.RLock()
        self._putting = False
        self.journal: Journal | None = None
        #: Bytes of the items in the queue.
        self.size = 0
        #: Marks that were passed and whose callers have not been told.
        self.marks: list[Mark] = []

    def __len__(self) -> int:
        return len(self.queue)

    def put(self, producer: uuid.UUID | None, data: bytes) -> bool:
        """Append an item; False when it belongs into the journal and that has no room."""
        with self._order:
            if self._putting or producer is not None or self.journal is None:
                return self._put_plain(producer, data)
            self._putting = True
            try:
                kept = self.journal.add(data)
                self.queue.append((producer, data))
                self.size += len(data)
            except BaseException:  # a signal's, between the two
                self.journal.spoil()
                raise
            finally:
                self._putting = False
            return kept

    def _put_plain(self, producer: uuid.UUID | None, data: bytes) -> bool:
        if self.journal is not None and producer is None:  # by a signal handler, in the midst of another put
            self.journal.spoil()
            self.journal.count()
        self.queue.append((producer, data))
        self.size += len(data)
        return True

    def mark(self, mark: Mark) -> None:
        """Append a mark."""
        self.queue.append((None, mark))

    def has_marks(self) -> bool:
        """Whether somebody waits for something in the queue."""
        return any(isinstance(data, Mark) for _, data in list(self.queue))

    def take(
        self,
        room: Callable[[bytes], bool] = lambda data: True,
        drop: Callable[[uuid.UUID | None, bytes], None] = lambda producer, data: None,
    ) -> list[Batch]:
        """Number and take what lies in the queue, up to one batch or the next mark.

        Args:
            room: Whether there is room for an item; one that there is none for is dropped.
            drop: Told of those.
        """
        rows: dict[_Stream, list[bytes]] = {}
        count = size = gone = 0
        while self.queue and count < self._batch_items and size < BATCH_BYTES:
            producer, data = self.queue.popleft()
            if isinstance(data, Mark):
                self._streams.pop(data.retire, None) if data.retire else self.marks.append(data)
                break
            if not room(data):
                gone += len(data)
                self._forget(producer)
                drop(producer, data)
                continue
            if (stream := self._streams.get(producer)) is None:
                stream = self._streams[producer] = _Stream(producer or self.own)
            rows.setdefault(stream, []).append(data)
            count, size = count + 1, size + len(data)
        with self._order:
            self.size -= size + gone
        batches = []
        for stream, items in rows.items():
            batches.append(Batch(stream.name, stream.next, items))
            stream.next += len(items)
        return batches

    def settle(self, batches: list[Batch]) -> None:
        """These are delivered, or on disk: the journal need not keep them."""
        if self.journal is not None:
            own = str(self.own)
            if count := sum(len(batch.items) for batch in batches if batch.producer == own):
                with self._order:
                    self.journal.settle(count)

    def shut(self) -> None:
        """Write nothing into the journal any more: it is about to be closed."""
        with self._order:
            self.journal = None

    def _forget(self, producer: uuid.UUID | None) -> None:
        """An item goes without a number: the numbers in the journal would not be right any more."""
        if self.journal is not None and producer is None:
            with self._order:
                self.journal.settle(len(self.journal))
                self.journal.close()
                self.journal = None
