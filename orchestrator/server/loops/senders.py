"""Threads that send notifications by our own kinds of block: outside of any transaction, a bounded number of them.

A thread cannot be ended from outside. One that hangs beyond the time-out is left alone: it no longer takes a place, and
its notifier gets no other thread until it comes back. So one that hangs costs one or two threads, and keeps nobody
waiting.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable

from ... import block_kinds
from ...block import Block
from ...clock import now
from ...errors import BlockError, OrchestratorError
from ...interfaces import Notifier
from ...masking import Masks, secrets_in
from ..db import session as database
from ..services import notifications
from ..services.notifications import AT_ONCE, TIME_OUT, Outgoing

#: Messages that are sent at once.
THREADS = 32

log = logging.getLogger(__name__)


class Senders:
    """Sends, and knows who is at it.

    Args:
        time_out: Seconds after which a thread counts as hanging.
    """

    def __init__(self, threads: int = THREADS, time_out: float = TIME_OUT.total_seconds()) -> None:
        self._threads, self._time_out = threads, time_out
        #: By thread: the block, and when it was begun.
        self._busy: dict[int, tuple[uuid.UUID, float]] = {}
        self._lock = threading.Lock()
        self._count = 0

    def room(self) -> tuple[Callable[[uuid.UUID], bool], set[uuid.UUID]]:
        """A function that tells whether there is room for one more message to a block (each yes counts as one), and
        the blocks that hang.
        """
        at = time.monotonic()
        with self._lock:
            busy = list(self._busy.values())
        hanging = {block for block, begun in busy if at - begun > self._time_out}
        present = [block for block, begun in busy if at - begun <= self._time_out]

        def take(block_id: uuid.UUID) -> bool:
            if len(present) >= self._threads or present.count(block_id) >= AT_ONCE:
                return False
            present.append(block_id)
            return True

        return take, hanging

    def send(self, outgoing: Outgoing) -> None:
        """Send a message in a thread of its own."""
        with self._lock:
            self._count += 1
            number = self._count
            self._busy[number] = (outgoing.block_id, time.monotonic())
        name = f"notify-{number}"
        try:
            threading.Thread(target=self._run, args=(number, outgoing), name=name, daemon=True).start()
        except RuntimeError:
            # This computer has no thread left; the try counts as failed when its time is over.
            log.exception("notification %s is not sent", outgoing.id)
            self._forget(number)

    def idle(self) -> bool:
        """Whether nothing is being sent."""
        return not self._busy

    def _run(self, number: int, outgoing: Outgoing) -> None:
        try:
            error = deliver(outgoing)
            database.retried(lambda session: notifications.finish(session, outgoing.id, outgoing.attempt, error, now()))
        except Exception:
            # It counts as failed when its time is over, and is sent again.
            log.exception("what became of notification %s could not be noted", outgoing.id)
        finally:
            self._forget(number)

    def _forget(self, number: int) -> None:
        with self._lock:
            del self._busy[number]


def deliver(outgoing: Outgoing) -> str:
    """Send one message by its block; returns why that failed, without the block's secrets, or nothing."""
    masks = Masks()
    masks.add(secrets_in(outgoing.document))
    try:
        block_kinds.find(outgoing.document["type"])
        block = Block.from_document(outgoing.document)
        if not isinstance(block, Notifier):
            raise BlockError(f"the block is a {type(block).__name__}, which is no notifier")
        block.notify(outgoing.body, outgoing.subject)
    except OrchestratorError as error:
        return masks.text(str(error)) or type(error).__name__
    except Exception as error:  # a kind may raise what it likes
        return masks.text(f"{type(error).__name__}: {error}")
    return ""
