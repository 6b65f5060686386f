"""Threads that act by our own kinds of block: outside of any transaction, a bounded number of them.

A thread cannot be ended from outside. One that hangs beyond the time-out is left alone: it no longer takes a place, and
its target gets no other thread until it comes back. So one that hangs costs one or two threads, and keeps nobody
waiting.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from ...block import Block
from ...errors import OrchestratorError
from ...kinds import block_kinds
from ...masking import Masks, secrets_in

#: Things that are done at once.
THREADS = 32

log = logging.getLogger(__name__)


class Outgoing(Protocol):
    """One thing to do."""

    @property
    def id(self) -> uuid.UUID:
        """Which it is, for the log."""

    @property
    def target(self) -> str:
        """What it is done upon."""


class Senders:
    """Does things, and knows who is at it.

    Args:
        work: Does one thing, and notes what became of it.
        at_once: Things done at once upon one target.
        time_out: Seconds after which a thread counts as hanging.
    """

    def __init__(self, work: Callable[[Any], None], at_once: int, time_out: float, threads: int = THREADS) -> None:
        self._work, self._at_once, self._time_out, self._threads = work, at_once, time_out, threads
        #: By thread: the target, and when it was begun.
        self._busy: dict[int, tuple[str, float]] = {}
        self._lock = threading.Lock()
        self._count = 0

    def room(self) -> tuple[Callable[[str], bool], set[str]]:
        """A function that tells whether there is room for one more upon a target (each yes counts as one), and the
        targets that hang.
        """
        at = time.monotonic()
        with self._lock:
            busy = list(self._busy.values())
        hanging = {target for target, begun in busy if at - begun > self._time_out}
        present = [target for target, begun in busy if at - begun <= self._time_out]

        def take(target: str) -> bool:
            if len(present) >= self._threads or present.count(target) >= self._at_once:
                return False
            present.append(target)
            return True

        return take, hanging

    def send(self, outgoing: Outgoing) -> None:
        """Do one thing in a thread of its own."""
        with self._lock:
            self._count += 1
            number = self._count
            self._busy[number] = (outgoing.target, time.monotonic())
        name = f"act-{number}"
        try:
            threading.Thread(target=self._run, args=(number, outgoing), name=name, daemon=True).start()
        except RuntimeError:
            # This computer has no thread left; the try counts as failed when its time is over.
            log.exception("%s is not done", outgoing.id)
            self._forget(number)

    def idle(self) -> bool:
        """Whether nothing is being done."""
        return not self._busy

    def _run(self, number: int, outgoing: Outgoing) -> None:
        try:
            self._work(outgoing)
        except Exception:
            # It counts as failed when its time is over, and is done again.
            log.exception("what became of %s could not be noted", outgoing.id)
        finally:
            self._forget(number)

    def _forget(self, number: int) -> None:
        with self._lock:
            del self._busy[number]


def deliver(document: Mapping[str, Any], act: Callable[[Block], Any]) -> tuple[str, Any]:
    """Act by a block; returns why that failed, without the block's secrets, or nothing; and what ``act`` gave."""
    masks = Masks()
    masks.add(secrets_in(document))
    try:
        block_kinds.find(document["type"])
        return "", masks.value(act(Block.from_document(document)))
    except OrchestratorError as error:
        return masks.text(str(error)) or type(error).__name__, None
    except Exception as error:  # a kind may raise what it likes
        return masks.text(f"{type(error).__name__}: {error}"), None
