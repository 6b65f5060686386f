"""Reports to the server, out of the way of the code that runs: states, logs, events, artifacts.

:meth:`Reporter.put` only encodes an item and appends it to a queue. One daemon thread takes batches from it, numbers
the items per producer, and keeps one batch in flight until it is acknowledged. While the API is away everything goes to
disk (:mod:`.spool`) and is replayed in order when it is back, by this process or by a later one. Order and completeness
are promised, latency is not.
"""

from __future__ import annotations

import atexit
import logging
import os
import random
import sys
import threading
import uuid
import weakref
from collections import Counter, deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from . import settings, spool
from .client import Client
from .clock import now, to_text
from .clock import real_time as time
from .delivery import Away, Delivery, joined
from .ids import uuid7
from .masking import here as masks
from .pipes import encode
from .serializers import loads
from .spool import Batch, Spool

log = logging.getLogger("orchestrator.reporting")

BATCH_ITEMS = 500
BATCH_BYTES = 1024 * 1024
#: Seconds that an item may wait for others to travel with.
BATCH_AGE = 0.05
#: More queued items than this go to disk even when the API is there, so that a slow one does not fill the memory.
MEMORY_ITEMS = 20_000
#: Batches that are written to disk at once.
SPILL_BATCHES = 16
BACK_OFF_MAX = 30.0
#: Seconds between looks for what dead processes left.
ORPHAN_EVERY = 60.0
#: Seconds without progress after which the end of a process leaves the rest on disk, and seconds that it waits at most.
EXIT_TIMEOUT = 5.0
EXIT_MOST = 60.0

_BULK = frozenset({"log", "event", "artifact"})


class Sink(Protocol):
    """Takes items on their way to the server; see *Reports* in the documentation of the API for their shapes."""

    def put(self, item: Mapping[str, Any]) -> None:
        """Hand an item over; returns at once."""

    def flush(self, timeout: float) -> bool:
        """Wait until all that was put before has arrived; False when it has not after ``timeout`` seconds."""


class _Stream:
    """One producer's numbering."""

    __slots__ = ("name", "next")

    def __init__(self, name: uuid.UUID) -> None:
        self.name = str(name)
        self.next = 1


class _Mark:
    """Stands in the queue for a caller who waits for all before it."""

    __slots__ = ("arrived", "passed", "retire")

    def __init__(self, retire: uuid.UUID | None = None) -> None:
        self.passed = threading.Event()
        self.arrived = False
        self.retire = retire

    def resolve(self, arrived: bool) -> None:
        self.arrived = arrived
        self.passed.set()


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
        _reporters.add(self)

    def _fresh(self) -> None:
        self._queue: deque[tuple[uuid.UUID | None, bytes | _Mark]] = deque()
        self._own = uuid7()
        self._streams: dict[uuid.UUID | None, _Stream] = {}
        self._state = threading.RLock()
        self._wake = threading.Event()
        self._idle = self._urgent = self._closed = False
        self._thread: threading.Thread | None = None
        self._delivery = Delivery(self._client, self._folder) if self._client else None
        self._spool = Spool(self._folder, self._client.api_url if self._client else "")
        self._inflight: list[Batch] = []
        #: Runs of this process that no agent watches.
        self._kept: set[str] = set()
        self._beat_at = 0.0
        #: Batches that not even the disk took.
        self._held: list[Batch] = []
        self._marks: list[_Mark] = []
        self._away = self._client is None
        self._failures = self._calls = 0
        self._retry_at = 0.0
        self._orphans_at = 0.0
        self._dropped: Counter[tuple[uuid.UUID | None, str, int]] = Counter()
        self._disk_failed = False

    def put(self, item: Mapping[str, Any] | bytes, producer: uuid.UUID | None = None) -> None:
        """Hand an item over: it is masked and encoded now, and sent later.

        Args:
            item: A report; or its JSON, when it was encoded elsewhere.
            producer: Who numbers it; this process, when not given.
        """
        if self._closed:
            return
        queue = self._queue
        queue.append((producer, item if isinstance(item, bytes) else encode(masks.item(item))))
        if self._idle or len(queue) >= self._batch_items:
            self._wake.set()
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
        return self._pass(_Mark(), timeout, timeout)

    def retire(self, producer: uuid.UUID) -> None:
        """Forget a producer's numbering; nothing more may come from it."""
        self._queue.append((None, _Mark(producer)))

    def close(self, timeout: float = EXIT_TIMEOUT) -> bool:
        """Send what can be sent and leave the rest on disk.

        Args:
            timeout: Seconds without progress after which it gives up.

        Returns:
            False when some is left.
        """
        if self._closed:
            return True
        delivered = self._pass(_Mark(), timeout, max(timeout, EXIT_MOST) if timeout else 0.0)
        with self._state:
            self._closed = True
            self._held = self._inflight + self._held
            self._inflight = []
            self._spill()
            if self._spool and not delivered:
                log.warning("some reports wait in %s for `orchestrator report flush` or the next run", self._folder)
            self._spool.close()
        self._wake.set()
        return delivered

    @property
    def folder(self) -> Path:
        """Where undelivered and refused reports lie."""
        return self._folder

    @property
    def waiting(self) -> int:
        """Items that were put and not yet taken by the sender."""
        return len(self._queue)

    def _pass(self, mark: _Mark, timeout: float, most: float) -> bool:
        deadline = time.monotonic() + most
        self._queue.append((None, mark))
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
        if not self._queue and not (self._away and time.monotonic() >= self._retry_at):
            self._idle = True
            if not self._queue and not self._urgent:
                due = self._retry_at if self._away else self._orphans_at
                due = min(due, self._beat_at) if self._kept else due
                self._wake.wait(min(max(0.0, due - time.monotonic()), ORPHAN_EVERY))
            self._idle = False
        self._wake.clear()
        if self._queue and not self._urgent and not self._closed and len(self._queue) < self._batch_items:
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
            if len(self._queue) > MEMORY_ITEMS:
                self._away = True
            batches = [] if self._away else self._take()
            self._inflight = batches
        if self._away:
            self._step_away()
        elif batches:
            self._step_direct(batches)
        else:
            self._arrived()
            self._replay_orphans()

    def _step_direct(self, batches: list[Batch]) -> None:
        try:
            self._deliver(batches)
        except Away as problem:
            with self._state:
                self._held, self._inflight = self._inflight + self._held, []
                self._spill()
            self._put_off(problem)
            return
        with self._state:
            self._inflight = []
        self._failures = 0
        self._arrived()

    def _step_away(self) -> None:
        with self._state:
            if self._closed:
                return
            self._spill()
            if time.monotonic() < self._retry_at and not self._urgent:
                return
            batches = self._spool.peek(self._batch_items, BATCH_BYTES)
            from_disk = bool(batches)
            batches = joined(batches) or self._held[:1]
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
                self._held = self._held[1:]
            self._failures, self._retry_at = 0, 0.0
            if not self._held and not self._spool.peek(1, 1):
                self._back()

    def _back(self) -> None:
        """All that waited is delivered."""
        self._away = False
        log.info("the API at %s is back and has all reports", self._client.api_url if self._client else "")
        for (producer, flow_run_id, attempt), count in self._dropped.items():
            self.put(_notice(flow_run_id, attempt, count, self._spool_max), producer)
        self._dropped.clear()
        self._arrived()

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

    def _arrived(self) -> None:
        self._resolve(True)

    def _resolve(self, arrived: bool) -> None:
        marks, self._marks = self._marks, []
        for mark in marks:
            mark.resolve(arrived)
        if self._urgent and not any(isinstance(data, _Mark) for _, data in list(self._queue)):
            self._urgent = False

    def _take(self, room: Callable[[bytes], bool] | None = None) -> list[Batch]:
        """Number and take what lies in the queue, up to one batch or the next mark."""
        rows: dict[_Stream, list[bytes]] = {}
        count = size = 0
        while self._queue and count < self._batch_items and size < BATCH_BYTES:
            producer, data = self._queue.popleft()
            if isinstance(data, _Mark):
                self._streams.pop(data.retire, None) if data.retire else self._marks.append(data)
                break
            if room is not None and not room(data):
                self._drop(producer, data)
                continue
            if (stream := self._streams.get(producer)) is None:
                stream = self._streams[producer] = _Stream(producer or self._own)
            rows.setdefault(stream, []).append(data)
            count, size = count + 1, size + len(data)
        batches = []
        for stream, items in rows.items():
            batches.append(Batch(stream.name, stream.next, items))
            stream.next += len(items)
        return batches

    def _spill(self) -> None:
        """Move everything that waits in memory to disk."""
        while self._queue or self._held:
            self._hold(SPILL_BATCHES)
            try:
                self._spool.append(self._held)
            except OSError as error:
                if not self._disk_failed:
                    log.warning("reports cannot be kept in %s: %s; they wait in memory", self._folder, error)
                self._disk_failed = True
                self._hold(sys.maxsize)
                return
            else:
                self._held, self._disk_failed = [], False

    def _hold(self, most: int) -> None:
        room = self._room()
        while self._queue and len(self._held) < most:
            self._held += self._take(room)

    def _room(self) -> Callable[[bytes], bool]:
        """Tells of one item after another whether the spool has room for it, and counts those it has room for."""
        used = self._spool.size + sum(len(item) for batch in self._held for item in batch.items)

        def has_room(data: bytes) -> bool:
            nonlocal used
            after = used + len(data)
            fits = after <= self._spool_max * 0.9
            if not fits and after <= self._spool_max:
                fits = loads(data).get("kind") not in _BULK
            used = after if fits else used
            return fits

        return has_room

    def _drop(self, producer: uuid.UUID | None, data: bytes) -> None:
        item = loads(data)
        if not self._dropped:
            log.warning("the spool in %s is full (spool_max): reports are dropped and counted", self._folder)
        flow_run_id = str(item.get("flow_run_id") or (item.get("id") if item.get("kind") != "task-run" else ""))
        self._dropped[(producer, flow_run_id, int(item.get("attempt") or item.get("flow_attempt") or 1))] += 1

    def _replay_orphans(self) -> None:
        """Deliver what dead processes left for this API, while there is nothing of our own to send."""
        if self._delivery is None or time.monotonic() < self._orphans_at:
            return
        self._orphans_at = time.monotonic() + ORPHAN_EVERY
        try:
            replay(self._delivery, self._folder, lambda: bool(self._queue) or self._closed)
        except (Away, OSError) as problem:
            log.info("what other processes left waits on: %s", problem)
        else:
            if self._queue:
                self._orphans_at = 0.0


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


def process_reporter(found: settings.Settings) -> Reporter:
    """The reporter of this process for the configured API; it is closed when the process ends."""
    key = (found.api_url, found.api_key, found.home)
    with _default_lock:
        current = _default.get(key)
        if current is None:
            for old in _default.values():
                old.close(1.0)
            _default.clear()
            current = _default[key] = Reporter(
                Client(found.api_url, found.api_key), found.path("spool"), spool_max=found.spool_max
            )
        return current


def is_sender() -> bool:
    """Whether the present thread sends reports: what it logs must not become a report."""
    return getattr(_this_thread, "sends", False)


def _notice(flow_run_id: str, attempt: int, count: int, most: int) -> dict[str, Any]:
    return {
        "kind": "log",
        "flow_run_id": flow_run_id,
        "attempt": attempt,
        "level": logging.WARNING,
        "logger": log.name,
        "message": f"{count} reports of this run were dropped while the API was away: the spool was full "
        f"(ORCHESTRATOR_SPOOL_MAX is {most} bytes)",
        "at": to_text(now()),
    }


_reporters: weakref.WeakSet[Reporter] = weakref.WeakSet()
_this_thread = threading.local()
_default: dict[Any, Reporter] = {}
_default_lock = threading.Lock()


def close_all() -> None:
    """Send what can be sent and leave the rest on disk: the process ends."""
    for reporter in list(_default.values()):
        reporter.close(EXIT_TIMEOUT)


def _after_fork() -> None:
    """In a forked child: its parent sends what the parent put; the child has a name and a thread of its own."""
    global _default_lock
    _default_lock = threading.Lock()
    for reporter in list(_reporters):
        reporter._spool.abandon()
        closed = reporter._closed
        reporter._fresh()
        reporter._closed = closed


atexit.register(close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
