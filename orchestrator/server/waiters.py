"""Long-polls: requests that wait for work. One thread a process asks Postgres for all of them together."""

from __future__ import annotations

import logging
import os
import threading
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy.exc import SQLAlchemyError

from ..clock import now
from .config import current
from .db import session as database
from .services.statements import CLAIMABLE, fetch

#: Seconds between two looks while somebody waits.
LOOK_S = 0.2
#: ... and after Postgres did not answer.
REST_S = 2.0

_log = logging.getLogger(__name__)


@dataclass(eq=False)
class _Waiter:
    queues: frozenset[str]
    agent_id: uuid.UUID | None
    since: datetime
    woken: threading.Event = field(default_factory=threading.Event)
    found_work: bool = False


_QUEUES_SQL = f"""
SELECT q.name FROM work_queue q WHERE q.name = ANY(%(queues)s) AND EXISTS (
    SELECT 1 FROM flow_run r JOIN deployment d ON d.id = r.deployment_id
    WHERE r.work_queue_id = q.id AND {CLAIMABLE})"""
_NEWS_SQL = """
SELECT agent_id, max(cancel_asked) FROM flow_run
WHERE agent_id = ANY(%(agents)s) AND state_type = 'CANCELLING' AND cancel_asked IS NOT NULL GROUP BY agent_id
UNION ALL SELECT id, stopped FROM agent WHERE id = ANY(%(agents)s) AND stopped IS NOT NULL"""


class _Room:
    """Those who wait in this process, and the thread that looks for them; it ends when nobody waits."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self._lock = threading.Lock()
        self._waiters: set[_Waiter] = set()
        self._look_now = threading.Event()
        self._thread: threading.Thread | None = None

    def wait(self, waiter: _Waiter, timeout: float) -> bool:
        with self._lock:
            self._waiters.add(waiter)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="waiters", daemon=True)
                self._thread.start()
        self._look_now.set()
        waiter.woken.wait(timeout)
        with self._lock:
            self._waiters.discard(waiter)
        return waiter.found_work

    def wake(self) -> None:
        if self._waiters:
            self._look_now.set()

    def _run(self) -> None:
        while True:
            with self._lock:
                waiters = list(self._waiters)
                if not waiters:
                    self._thread = None
                    return
            pause = LOOK_S
            try:
                self._look(waiters)
            except SQLAlchemyError as error:
                _log.warning("waiters: Postgres does not answer (%s)", error)
                pause = REST_S
            self._look_now.wait(pause)
            self._look_now.clear()

    def _look(self, waiters: Sequence[_Waiter]) -> None:
        queues = sorted({name for waiter in waiters for name in waiter.queues})
        agents = [waiter.agent_id for waiter in waiters if waiter.agent_id is not None]
        with database.reading() as session:
            horizon = now() + current().dispatch_ahead
            ready = {name for (name,) in fetch(session, _QUEUES_SQL, {"queues": queues, "horizon": horizon})}
            rows = fetch(session, _NEWS_SQL, {"agents": agents}) if agents else []
        for waiter in waiters:
            waiter.found_work = bool(waiter.queues & ready)
            if waiter.found_work or any(agent == waiter.agent_id and at >= waiter.since for agent, at in rows):
                waiter.woken.set()


_room = _Room()


def wait_for_work(queues: Sequence[str], timeout: float, agent_id: uuid.UUID | None = None) -> bool:
    """Wait until a run can be claimed from one of the queues.

    Args:
        timeout: Seconds.
        agent_id: Return early (False) as well when a cancel is asked of a run that this agent holds, so that it
            sends a heartbeat at once; and when the agent says good-bye.

    Returns:
        Whether there is work. Another may take it first: claim, and wait again for what is left of the time.
    """
    room = _current()
    deadline = time.monotonic() + timeout
    return room.wait(_Waiter(frozenset(queues), agent_id, now()), max(deadline - time.monotonic(), 0.0))


def wake() -> None:
    """Have those who wait in this process looked after at once: a run was created here."""
    _current().wake()


def _current() -> _Room:
    global _room
    if _room.pid != os.getpid():
        _room = _Room()
    return _room
