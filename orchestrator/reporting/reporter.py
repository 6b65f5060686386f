"""The one sender of reports in a process."""

from __future__ import annotations

import contextlib
import logging
import random
import threading
import uuid
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .. import settings
from ..client import Client
from ..clock import real_time as time
from ..masking import here as masks
from . import spool
from .delivery import Away, Delivery, joined
from .outbox import BATCH_BYTES, BATCH_ITEMS, Mark, Outbox
from .overflow import Overflow
from .pipes import encode
from .replaying import replay
from .spool import Batch, Spool

log = logging.getLogger("orchestrator.reporting")

#: Seconds that an item may wait for others to travel with.
BATCH_AGE = 0.05
#: More queued items, or bytes of them, go to disk even when the API is there: a slow one shall not fill the memory.
MEMORY_ITEMS = 20_000
MEMORY_BYTES = 32 * 1024 * 1024
#: Beyond so many times that, which only a disk that hangs leads to, each put waits so many seconds; never longer.
CROWD, PUT_WAIT = 8, 0.05
#: Seconds between two times that a thread is started to move what is too much to disk.
RELIEF_EVERY = 0.05
BACK_OFF_MAX = 30.0
#: Seconds between looks for what dead processes left.
ORPHAN_EVERY = 60.0
#: Seconds without progress after which the end of a process leaves the rest on disk, and seconds that it waits at most.
EXIT_TIMEOUT = 5.0
EXIT_MOST = 60.0

reporters: weakref.WeakSet[Reporter] = weakref.WeakSet()
_this_thread = threading.local()


def is_sender() -> bool:
    """Whether the present thread sends reports: what it logs must not become a report."""
    return getattr(_this_thread, "sends", False)


class Reporter:
    """The one sender of reports in a process.

    Args:
        client: The API; None: everything is kept on disk.
        spool_dir: Folder of what cannot be delivered; ``ORCHESTRATOR_HOME/spool`` when not given.
        batch_items: Most items in one call.
        batch_age: Seconds that an item may wait for others to travel with.
        heartbeat: Seconds between two signs of life of the runs that :meth:`keep` names; the setting of that name when
            not given.
        spool_max: Most bytes on disk; the setting of that name when not given. Log lines, events and artifacts may
            fill nine tenths of it, so that states still have room. What does not fit is counted, and the count becomes
            a log line of the run when there is room again.
    """

    def __init__(
        self,
        client: Client | None,
        spool_dir: Path | None = None,
        *,
        batch_items: int = BATCH_ITEMS,
        batch_age: float = BATCH_AGE,
        heartbeat: float | None = None,
        spool_max: int | None = None,
    ) -> None:
        found = settings.load() if None in (spool_dir, spool_max, heartbeat) else settings.Settings()
        root = spool_dir if spool_dir is not None else found.path("spool")
        self._client = client
        self._folder = spool.folder_of(root, client.api_url if client else "")
        self._batch_items, self._batch_age = batch_items, batch_age
        self._spool_max: int = found.spool_max if spool_max is None else spool_max
        self._heartbeat: float = found.heartbeat.total_seconds() if heartbeat is None else heartbeat
        self._fresh()
        reporters.add(self)

    def _fresh(self) -> None:
        self._outbox = Outbox(self._batch_items)
        self._state = threading.RLock()
        self._wake = threading.Event()
        self._idle = self._urgent = self._closed = False
        self._thread: threading.Thread | None = None
        self._relief: threading.Thread | None = None
        self._relief_at = 0.0
        self._relieved = threading.Event()
        self._delivery = Delivery(self._client, self._folder) if self._client else None
        self._spool = Spool(self._folder, self._client.api_url if self._client else "")
        self._overflow = Overflow(self._outbox, self._spool, self._spool_max)
        self._inflight: list[Batch] = []
        #: Runs of this process that no agent watches.
        self._kept: set[str] = set()
        self._beat_at = 0.0
        self._away = self._client is None
        self._failures = self._calls = 0
        self._retry_at = 0.0
        self._orphans_at = 0.0
        self._journals = True

    def start_anew(self) -> None:
        """In a forked child: forget what the parent put and sends."""
        journal = self._outbox.journal
        if journal is not None:
            journal.close()
        self._spool.abandon()
        closed = self._closed
        self._fresh()
        self._closed = closed

    def put(self, item: Mapping[str, Any] | bytes, producer: uuid.UUID | None = None) -> None:
        """Hand an item over: it is masked and encoded now, and sent later.

        It never waits for the API. While the disk hangs as well, and memory is full, it waits ``PUT_WAIT`` seconds at
        most. Items of this process's own are in its journal when it returns, and survive its end.

        Args:
            item: A report; or its JSON, when it was encoded elsewhere.
            producer: Who numbers it; this process, when not given.
        """
        if self._closed:
            return
        data = item if isinstance(item, bytes) else encode(masks.item(item))
        if self._journals and producer is None:
            self._open_journal()
        outbox = self._outbox
        kept = outbox.put(producer, data)
        waiting = len(outbox.queue)
        if self._idle or waiting >= self._batch_items:
            self._wake.set()
        if not kept or waiting >= MEMORY_ITEMS or outbox.size >= MEMORY_BYTES:
            self._relieve()
        if self._thread is None:
            self._start()

    def keep(self, run_id: str) -> None:
        """Say from now on, every heartbeat, that a run of this process goes on, which no agent watches.

        Nothing is said while the API is away: what is late is of no use, and any other report says the same.
        """
        if not self._kept:
            self._beat_at = time.monotonic() + self._heartbeat
        self._kept.add(run_id)

    def let_go(self, run_id: str) -> None:
        """Say so no longer: the run is over."""
        self._kept.discard(run_id)

    def flush(self, timeout: float) -> bool:
        """Send everything now.

        Returns:
            True when the server has all that was put before; False after ``timeout`` seconds, or as soon as the API
            turned out to be away (all is on disk then).
        """
        if self._closed:
            return False
        return self._pass(Mark(), timeout, timeout)

    def retire(self, producer: uuid.UUID) -> None:
        """Forget a producer's numbering; nothing more may come from it."""
        self._outbox.mark(Mark(producer))

    def close(self, timeout: float = EXIT_TIMEOUT) -> bool:
        """Send what can be sent, also of what processes before this one left, and leave the rest on disk.

        Args:
            timeout: Seconds without progress after which it gives up.

        Returns:
            False when some is left.
        """
        if self._closed:
            return True
        if self._thread is None and not len(self._outbox):  # nothing was ever said
            self._closed = True
            return True
        delivered = self._pass(Mark(), timeout, max(timeout, EXIT_MOST) if timeout else 0.0)
        with self._state:
            self._closed = True
            self._overflow.back(self._inflight)
            self._inflight = []
            while len(self._outbox) or self._overflow.held:
                self._overflow.spill()
                if self._overflow.held:  # not even the disk takes it; the journal may hold some
                    break
            if self._spool and not delivered:
                log.warning("some reports wait in %s for `orchestrator report flush` or the next run", self._folder)
            self._outbox.shut()
            self._spool.close()
        self._wake.set()
        if delivered and timeout:
            self._last_look(time.monotonic() + timeout)
        return delivered

    @property
    def folder(self) -> Path:
        """Where undelivered and refused reports lie."""
        return self._folder

    @property
    def waiting(self) -> int:
        """Items that were put and not yet taken by the sender."""
        return len(self._outbox)

    def _open_journal(self) -> None:
        """Before the first item of our own: later ones would not be numbered from 1."""
        with self._state:
            if not self._journals:
                return
            try:
                self._outbox.journal = self._spool.journal(self._outbox.own)
            except OSError as error:
                log.info("there is no journal in %s: %s; what is killed may lose its last reports", self._folder, error)
            self._journals = False

    def _relieve(self) -> None:
        """Have what waits moved to disk beside the sender, which may be waiting for the API."""
        at = time.monotonic()
        if at >= self._relief_at and (self._relief is None or not self._relief.is_alive()):
            self._relief_at = at + RELIEF_EVERY
            self._relieved.clear()
            self._relief = threading.Thread(target=self._unload, name="orchestrator-relief", daemon=True)
            with contextlib.suppress(RuntimeError):  # the interpreter is shutting down
                self._relief.start()
        outbox = self._outbox
        crowded = len(outbox) >= CROWD * MEMORY_ITEMS or outbox.size >= CROWD * MEMORY_BYTES
        if crowded and not is_sender():
            self._relieved.wait(PUT_WAIT)

    def _unload(self) -> None:
        _this_thread.sends = True
        with self._state:
            if not self._closed:
                self._away = True
                # what is in flight may arrive all the same; what is sent twice is stored once
                self._overflow.back(self._inflight)
                self._inflight = []
                self._overflow.spill()
        self._relieved.set()
        self._wake.set()

    def _pass(self, mark: Mark, timeout: float, most: float) -> bool:
        deadline = time.monotonic() + most
        self._outbox.mark(mark)
        self._urgent = True
        self._wake.set()
        if self._start():
            seen = self._calls
            while not mark.passed.wait(min(timeout, max(0.0, deadline - time.monotonic()))):
                if self._calls == seen or time.monotonic() >= deadline:
                    break
                seen = self._calls
        else:  # the interpreter is shutting down and starts no thread: do its work here
            while not mark.passed.is_set() and time.monotonic() < deadline:
                self._step()
        return mark.arrived

    def _start(self) -> bool:
        with self._state:
            if self._thread is not None and self._thread.is_alive():
                return True
            thread = threading.Thread(target=self._run, name="orchestrator-reporter", daemon=True)
            try:
                thread.start()
            except RuntimeError:
                return False
            self._thread = thread
            return True

    def _run(self) -> None:
        _this_thread.sends = True
        while not self._closed:
            self._rest()
            if not self._closed:
                try:
                    self._beat()
                    self._step()
                except Exception:  # the sender outlives what it cannot explain, and says it
                    log.exception("reporting stumbled; it goes on")
                    time.sleep(1)

    def _rest(self) -> None:
        """Sleep until there is something to do; then let a batch gather."""
        outbox = self._outbox
        if not len(outbox) and not (self._away and time.monotonic() >= self._retry_at):
            self._idle = True
            if not len(outbox) and not self._urgent:
                due = self._retry_at if self._away else self._orphans_at
                due = min(due, self._beat_at) if self._kept else due
                self._wake.wait(min(max(0.0, due - time.monotonic()), ORPHAN_EVERY))
            self._idle = False
        self._wake.clear()
        if len(outbox) and not self._urgent and not self._closed and len(outbox) < self._batch_items:
            self._wake.wait(self._batch_age)

    def _beat(self) -> None:
        if self._kept and time.monotonic() >= self._beat_at:
            self._beat_at = time.monotonic() + self._heartbeat
            if not self._away:
                self.put({"kind": "alive", "ids": list(self._kept)})

    def _step(self) -> None:
        with self._state:
            if self._closed:
                return
            batches = [] if self._away else self._outbox.take()
            self._inflight = batches
        if self._away:
            self._step_away()
        elif batches:
            self._step_direct(batches)
        else:
            self._resolve(True)
            self._replay_orphans()

    def _step_direct(self, batches: list[Batch]) -> None:
        try:
            self._deliver(batches)
        except Away as problem:
            with self._state:
                self._overflow.back(self._inflight)
                self._inflight = []
                self._overflow.spill()
            self._put_off(problem)
            return
        with self._state:
            self._outbox.settle(self._inflight)
            self._inflight = []
            if self._away:  # relieved meanwhile: others who wait, wait for what is on disk now
                return
        self._failures = 0
        self._resolve(True)

    def _step_away(self) -> None:
        with self._state:
            if self._closed:
                return
            self._overflow.spill()
            if time.monotonic() < self._retry_at and not self._urgent:
                return
            batches = self._spool.peek(self._batch_items, BATCH_BYTES)
            from_disk = bool(batches)
            batches = joined(batches) or self._overflow.held[:1]
        try:
            self._deliver(batches)
        except Away as problem:
            self._put_off(problem)
            return
        with self._state:
            if self._closed:
                return
            if from_disk:
                self._spool.done()
            else:
                self._outbox.settle(batches)
                self._overflow.held = self._overflow.held[1:]
            self._failures, self._retry_at = 0, 0.0
            if not self._overflow.held and not self._spool.peek(1, 1):
                self._back()

    def _back(self) -> None:
        """All that waited is delivered."""
        self._away = False
        log.info("the API at %s has all reports again", self._client.api_url if self._client else "")
        for producer, notice in self._overflow.notices():
            self.put(notice, producer)
        self._resolve(True)

    def _deliver(self, batches: list[Batch]) -> None:
        if self._delivery is None:
            raise Away("no API is configured")
        self._delivery.deliver(batches)
        self._calls += 1

    def _put_off(self, problem: Away) -> None:
        if not self._away or self._failures == 0:
            log.warning("%s; the run goes on and its reports are kept in %s", problem, self._folder)
        self._away = True
        self._failures += 1
        delay = min(BACK_OFF_MAX, 0.1 * 2 ** min(self._failures, 12))
        self._retry_at = time.monotonic() + (problem.retry_after or random.uniform(0.5, 1.0) * delay)
        self._resolve(False)

    def _resolve(self, arrived: bool) -> None:
        marks, self._outbox.marks = self._outbox.marks, []
        for mark in marks:
            mark.resolve(arrived)
        if self._urgent and not self._outbox.has_marks():
            self._urgent = False

    def _replay_orphans(self) -> None:
        """Deliver what dead processes left for this API, while there is nothing of our own to send."""
        if self._delivery is None or time.monotonic() < self._orphans_at:
            return
        self._orphans_at = time.monotonic() + ORPHAN_EVERY
        try:
            replay(self._delivery, self._folder, lambda: bool(len(self._outbox)) or self._closed)
        except (Away, OSError) as problem:
            log.info("what other processes left waits on: %s", problem)
        else:
            if len(self._outbox) or self._closed:
                self._orphans_at = 0.0

    def _last_look(self, deadline: float) -> None:
        """What others left, such as children of this process that ended without a farewell, is delivered before it ends
        too: it may have been too short for a look so far. First the sender stops.
        """
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(max(0.0, deadline - time.monotonic()))
        if self._client is None:
            return
        with contextlib.suppress(Away, OSError):
            replay(Delivery(self._client, self._folder), self._folder, lambda: time.monotonic() > deadline)
