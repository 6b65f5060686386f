"""The agent's slots: claiming runs into them and executing what was claimed."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from orchestrator.documents.records import Job
from orchestrator.errors import NotFound, OrchestratorError
from orchestrator.ids import uuid7
from orchestrator.reporting import Reporter

from . import hook_calls
from .api import AgentApi, Pulling
from .confirming import confirm_start
from .identity import Identity, Outage
from .roster import Roster
from .supervision import Supervision
from .surroundings import Surroundings
from .verdict import Ask

log = logging.getLogger("orchestrator.agent")

#: Seconds for which a hint at a run that was claimed without it is dropped unasked, once. After a long queue was worked
#: off, its hints are left: one claim each would find nothing. Another agent may have taken the hint; then one at the
#: run's next attempt is dropped in its place, and the server sends it again after some seconds.
STALE = 30.0
#: The use of the API that is out when claims fail which are made all the time, whatever becomes of heartbeats.
CLAIMS = "claims"
#: Snapshots that a claim names as cached.
CACHED_NAMED = 200


class Desk:
    """Claims and executes, never more than ``limit`` runs at a time, whatever brought the news of them.

    Args:
        api: The calls.
        identity: The agent.
        roster: Where running attempts are entered.
        reporter: Takes the reports of all runs.
        around: What supervisions are given.
        queues: Work queues to claim from.
        limit: The number of slots.
        cache: Folder of cached snapshots.
        outage: Told of how the API does.
        prefixes: It claims from the queues whose names begin like one of these, too.
    """

    def __init__(
        self,
        api: AgentApi,
        identity: Identity,
        roster: Roster,
        reporter: Reporter,
        around: Surroundings,
        queues: list[str],
        limit: int,
        cache: Path,
        outage: Outage,
        prefixes: Sequence[str] = (),
    ) -> None:
        self._api, self._identity, self._roster, self._reporter = api, identity, roster, reporter
        self._around = around
        self._queues, self._prefixes = queues, prefixes
        self._cache = cache
        self._outage = outage
        self.limit = limit
        self._slots = threading.Semaphore(limit)
        self.stopping = threading.Event()
        self._taken: OrderedDict[str, float] = OrderedDict()
        self._lock = threading.Lock()
        self._occupied = 0
        self._looking = threading.Lock()
        #: Monotonic time of the last claim that the server answered.
        self.claimed_at = time.monotonic()

    def on_hint(self, run_id: str) -> None:
        """A message hints at a run: claim, and execute until there is nothing more to claim."""
        if self.stopping.is_set() or self._is_stale(run_id):
            return
        with self._slots:
            self._work_off(run_id)

    def take_slot(self, timeout: float) -> bool:
        """Occupy a slot, to claim into it later; give it back by :meth:`free_slot` or :meth:`start`."""
        return self._slots.acquire(timeout=timeout)

    def free_slot(self) -> None:
        """Give a slot back."""
        self._slots.release()

    def start(self, job: Job) -> None:
        """Execute a job in a thread of its own and in the slot that the caller occupies."""
        with self._lock:
            self._occupied += 1
        threading.Thread(target=self._work_from, args=(job, time.monotonic()), name=f"run-{job.name}").start()

    def look(self) -> None:
        """Work waits, and nothing has hinted at it: claim, in a thread of its own; one at a time does so."""
        if not self.stopping.is_set() and self._looking.acquire(blocking=False):
            threading.Thread(target=self._look, name="look", daemon=True).start()

    @property
    def is_idle(self) -> bool:
        """Whether no job that was given to :meth:`start` is being executed."""
        return not self._occupied

    @property
    def pulling(self) -> Pulling:
        """How claiming goes; one that stops has no slots for anything new."""
        free = 0 if self.stopping.is_set() else max(self.limit - self._roster.running, 0)
        return Pulling(max(time.monotonic() - self.claimed_at, 0.0), free)

    @property
    def is_full(self) -> bool:
        """Whether every slot is occupied."""
        if self._slots.acquire(blocking=False):
            self._slots.release()
            return False
        return True

    def claim(self, preferred: str | None = None, wait_s: float = 0.0) -> Job | None:
        """Ask for the most urgent run. Raises what the call raises; an agent that was forgotten registers anew."""
        agent_id = self._identity.id
        cached = cached_snapshots(self._cache)
        try:
            job = self._api.claim(agent_id, self._queues, preferred, cached, wait_s, self._prefixes)
        except NotFound:
            if not self.stopping.is_set():  # else it is because we said goodbye
                self._identity.renew(agent_id)
            return None
        self._outage.ends()
        self._outage.ends(CLAIMS)
        self.claimed_at = time.monotonic()
        return job

    def hand_back(self, job: Job) -> None:
        """A job came after all claiming had stopped: let another agent have it."""
        try:
            self._api.give_back(job.id, job.attempt)
        except OrchestratorError as error:
            # Its lease runs out, and the server says what becomes of it.
            log.warning("the run %s could not be handed back: %s", job.id, error)

    def confirm(self, job: Job, wanted: Callable[[], bool]) -> Ask:
        """Ask whether the job's code may start; what to do with the run, :attr:`Ask.NOTHING` to let it go on."""
        return confirm_start(self._api, self._outage, job, wanted)

    def _work_from(self, job: Job, at: float) -> None:
        try:
            self._execute(job, at)
            self._work_off(None)
        finally:
            with self._lock:
                self._occupied -= 1
            self._slots.release()

    def _look(self) -> None:
        try:
            if not self.take_slot(timeout=0):
                return
            try:
                job = self.claim()
            except OrchestratorError as error:
                self._outage.begins(error)
                job = None
            if job is None:
                self.free_slot()
            else:
                self.start(job)
        finally:
            self._looking.release()

    def _work_off(self, hinted: str | None) -> None:
        """Claim and execute until the server has nothing more for us; the caller occupies a slot.

        What the last end frees in a limited queue the server hints at once it knows of that end.
        """
        preferred = hinted
        while not self.stopping.is_set():
            try:
                job = self.claim(preferred)
            except OrchestratorError as error:
                # Claiming goes on with the next hint; the server sends one when it is back.
                self._outage.begins(error)
                return
            if job is None:
                return
            preferred = None
            self._remember(str(job.id), hinted)
            self._execute(job, time.monotonic())

    def _execute(self, job: Job, at: float) -> None:
        if self.stopping.is_set():
            self.hand_back(job)
            return
        producer = uuid7()
        put: Callable[[dict[str, Any] | bytes], None] = partial(_put, self._reporter, producer)
        supervision = Supervision(job, put, self._around, at, call_hooks=hook_calls.call)
        held = (job.id, job.attempt)
        self._roster.add(held, supervision)
        state = None
        log.info("run %s (%s) begins, attempt %d", job.name, job.id, job.attempt)
        try:
            state = supervision.run()
        finally:
            self._roster.end(held, producer, state is not None)
        log.info("run %s (%s) ended: %s", job.name, job.id, state.name if state else "not ours any more")

    def _remember(self, run_id: str, hinted: str | None) -> None:
        if run_id == hinted:
            return
        with self._lock:
            self._taken[run_id] = time.monotonic()
            while self._taken and next(iter(self._taken.values())) < time.monotonic() - STALE:
                self._taken.popitem(last=False)

    def _is_stale(self, run_id: str) -> bool:
        """Whether the run was claimed a moment ago without this hint."""
        with self._lock:
            return time.monotonic() - self._taken.pop(run_id, float("-inf")) < STALE


def cached_snapshots(cache: Path) -> list[str]:
    """Names of the snapshots that lie in the cache."""
    try:
        return [path.name for path in cache.iterdir() if not path.name.startswith(".") and path.is_dir()][:CACHED_NAMED]
    except OSError:
        return []


def _put(reporter: Reporter, producer: uuid.UUID, item: dict[str, Any] | bytes) -> None:
    reporter.put(item, producer)
