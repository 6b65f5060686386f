"""Requests that wait for slots of limits: one thread a process looks after all of them together."""

from __future__ import annotations

import logging
import os
import threading
import uuid

from sqlalchemy.exc import SQLAlchemyError

from ..clock import now
from .db import session as database
from .services.configuring import slots

#: Seconds between two looks while somebody waits, and after Postgres did not answer.
LOOK_S, REST_S = 0.2, 2.0

_log = logging.getLogger(__name__)


class _Room:
    """Those who wait in this process, and the thread that looks for them; it ends when nobody waits."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self._lock = threading.Lock()
        self._waiting: dict[uuid.UUID, threading.Event] = {}
        self._look_now = threading.Event()
        self._thread: threading.Thread | None = None

    def wait(self, request_id: uuid.UUID, timeout: float) -> None:
        with self._lock:
            woken = self._waiting[request_id] = threading.Event()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="slot-waiters", daemon=True)
                self._thread.start()
        woken.wait(timeout)
        with self._lock:
            if self._waiting.get(request_id) is woken:
                del self._waiting[request_id]

    def wake(self) -> None:
        if self._waiting:
            self._look_now.set()

    def _run(self) -> None:
        while True:
            with self._lock:
                waiting = dict(self._waiting)
                if not waiting:
                    self._thread = None
                    return
            pause = LOOK_S
            try:
                for request_id in _look(list(waiting)):
                    waiting[request_id].set()
            except SQLAlchemyError as error:
                _log.warning("slot waiters: Postgres does not answer (%s)", error)
                pause = REST_S
            self._look_now.wait(pause)
            self._look_now.clear()


def _look(ids: list[uuid.UUID]) -> set[uuid.UUID]:
    """Hand out what is free; gives the requests that need not wait any longer."""
    with database.reading() as session:
        limits = slots.linked(session, ids)
        is_time = bool(limits) and slots.is_time(session, limits, now())
    if is_time:
        database.retried(lambda session: slots.hand_out(session, limits, now()))
    with database.reading() as session:
        return slots.settled(session, ids)


_room = _Room()


def wait(request_id: uuid.UUID, timeout: float) -> None:
    """Wait until a request has its slots, or lost its place, for at most ``timeout`` seconds: ask again then."""
    _current().wait(request_id, timeout)


def wake() -> None:
    """Have those who wait in this process looked after at once: something was given back here."""
    _current().wake()


def _current() -> _Room:
    global _room
    if _room.pid != os.getpid():
        _room = _Room()
    return _room
