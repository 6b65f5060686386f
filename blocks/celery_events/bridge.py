"""The live bridge: everything that a Celery application publishes is told on at once, for as long as the bridge runs.

Celery publishes events and stores none: what it says while nobody listens is gone. After a broken connection the bridge
therefore says for how long it heard nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from orchestrator.errors import Unavailable
from orchestrator.interfaces import Observed, Resource

from ..celery_app import CeleryApp
from ..redis_servers import opened, place_of
from .stream import Look, events_in

#: Seconds to the next try after a connection broke: the first, doubling to the longest.
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 15.0
#: Seconds between two looks for workers that have gone silent, and two checks of a silent connection.
LOOK_EVERY, CHECK_EVERY = 1.0, 15.0
#: Heartbeats of a new worker upon each of which it is asked for its events.
ASKS = 3


class Bridge:
    """Tells on what an application publishes.

    Args:
        app: The application.
        emit: Takes the events.
        say: Takes lines for whoever runs the bridge.
        heartbeat_s: Seconds between two ``celery.worker.heartbeat`` of a worker; its own are many more. 0: none.
        silent_s: Seconds without a sign of life after which a worker is told to be offline.
    """

    def __init__(
        self,
        app: CeleryApp,
        emit: Callable[[Observed], None],
        say: Callable[[str], None],
        *,
        heartbeat_s: float = 30.0,
        silent_s: float = 60.0,
    ) -> None:
        self._app, self._say = app, say
        self._emit, self._look = emit, Look(app, {}, emit)
        self._heartbeat_s, self._silent_s = heartbeat_s, silent_s
        #: Worker -> when it was last heard, and when that was last told, by our own clock.
        self._heard: dict[str, float] = {}
        self._told: dict[str, float] = {}
        self._asked: dict[str, int] = {}
        self._lost: float | None = None

    @property
    def told(self) -> int:
        """Events of tasks and workers that were told on."""
        return self._look.told

    def run(self, stopped: Callable[[], bool], pause: Callable[[float], object] = time.sleep) -> None:
        """Tell on until ``stopped``; the broker may go and come back meanwhile.

        Raises:
            AccessDenied, InvalidInput: The broker refuses us: waiting does not help.
        """
        wait = FIRST_PAUSE
        while not stopped():
            try:
                with opened(self._app.broker_url) as client:
                    client.ping()
                    self._connected()
                    wait = FIRST_PAUSE
                    self._listen(client, stopped)
            except Unavailable as error:
                if self._lost is None:
                    self._lost = time.time()
                self._say(f"{error}; the next try is in {wait:g} s")
                pause(wait)
                wait = min(2 * wait, LONGEST_PAUSE)

    def _connected(self) -> None:
        self._say(f"listening to {place_of(self._app.broker_url.get_secret_value())}")
        if self._lost is None:
            return
        seconds, since = time.time() - self._lost, self._lost
        self._lost = None
        now = time.monotonic()
        self._heard = dict.fromkeys(self._heard, now)  # who was silent is not known
        app = Resource(self._app.resource_id(), "celery.app", place_of(self._app.broker_url.get_secret_value()))
        payload = {"seconds": round(seconds, 1), "since": since}
        self._emit(Observed("celery.stream.interrupted", app, None, payload))

    def _listen(self, client: Any, stopped: Callable[[], bool]) -> None:
        with self._app.listener(client) as listener:
            if self._app.enable_events:
                self._app.ask_for_events()
            looked = checked = time.monotonic()
            while not stopped():
                message = listener.get_message(timeout=LOOK_EVERY)
                now = time.monotonic()
                if message:
                    for event in events_in(message["data"]):
                        self._take(event, now)
                if now - looked >= LOOK_EVERY:
                    looked = now
                    self._miss(now)
                if now - checked >= CHECK_EVERY:
                    checked = now
                    client.ping()  # a connection that nothing comes by may be none: this one would break, too

    def _take(self, event: dict[str, Any], now: float) -> None:
        kind, worker = str(event.get("type")), str(event.get("hostname"))
        self._look.take(event)
        if kind == "worker-offline":
            self._heard.pop(worker, None)
            self._asked.pop(worker, None)
            self._told.pop(worker, None)
        elif kind.startswith("worker-"):
            self._heard[worker] = now
            if kind == "worker-heartbeat":
                self._ask(worker)
            if self._heartbeat_s and now - self._told.get(worker, -self._heartbeat_s) >= self._heartbeat_s:
                self._told[worker] = now
                self._look.beat(worker, event)

    def _ask(self, worker: str) -> None:
        """Ask a worker that is new for its events: some times, for the first may come before it listens."""
        asked = self._asked.get(worker, 0)
        if self._app.enable_events and asked < ASKS:
            self._asked[worker] = asked + 1
            self._app.ask_for_events()

    def _miss(self, now: float) -> None:
        """Tell of workers that have gone without a word."""
        for worker in [name for name, heard in self._heard.items() if now - heard > self._silent_s]:
            del self._heard[worker]
            self._asked.pop(worker, None)
            self._told.pop(worker, None)
            self._look.silent(worker)
