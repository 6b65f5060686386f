"""How an agent learns of work: hints from Redis, or calls that the API holds until there is some."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from typing import Any, Protocol

import redis

from orchestrator.errors import InvalidInput, OrchestratorError

from ..broker import RUN_TASK, SOCKETS, agent_queue, make_app, run_queue
from ..hint_worker import HintWorker
from .api import AgentApi, back_off
from .desk import CLAIMS, Desk
from .heart import Heart
from .identity import Identity, Outage
from .roster import Roster

log = logging.getLogger("orchestrator.agent")

#: Seconds that the API is asked to hold a call. Short, as a stopping agent waits for the last one.
HOLD = 5.0
#: Least seconds from one held call to the next: while a run is being taken down, they are answered at once.
LEAST = 0.3
#: Seconds between two looks at Redis.
LOOK = 2.0
#: Looks with hints waiting, slots free and nothing claimed after which hints are taken for stuck.
STUCK = 5


class Transport(Protocol):
    """Brings news of work to a desk."""

    def start(self) -> None:
        """Begin."""

    def stop(self) -> None:
        """Bring no more news; runs that began go on. Returns when no claim is under way."""


class LongPoll:
    """Claims by calls that the API holds until there is work; a second one, held while runs go on, waits for cancels.

    It may be started and stopped again and again.
    """

    def __init__(self, api: AgentApi, identity: Identity, desk: Desk, heart: Heart, roster: Roster, outage: Outage):
        self._api, self._identity, self._desk, self._heart, self._roster = api, identity, desk, heart, roster
        self._outage = outage
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    @property
    def active(self) -> bool:
        """Whether it is started."""
        return bool(self._threads)

    def start(self) -> None:
        """Begin to claim."""
        self._stopping = threading.Event()
        for target in (self._claim, self._wait_for_cancels):
            thread = threading.Thread(target=target, args=(self._stopping,), name=target.__name__, daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self) -> None:
        """Claim no more. Waits for the call under way."""
        self._stopping.set()
        claiming, self._threads = self._threads[:1], []
        for thread in claiming:
            thread.join(HOLD + 5.0)
        self._outage.ends(CLAIMS)  # nobody asks any more

    def _claim(self, stopping: threading.Event) -> None:
        pauses, hold = back_off(), HOLD
        while not stopping.is_set():
            if not self._desk.take_slot(timeout=0.5):
                continue
            began = time.monotonic()
            try:
                job = self._desk.claim(wait_s=hold)
            except OrchestratorError as error:
                self._desk.free_slot()
                self._outage.begins(error, CLAIMS)
                stopping.wait(next(pauses))
                hold = 0.0  # a server that holds as many calls as it can may still answer at once
                continue
            pauses, hold = back_off(), HOLD
            if job is not None:
                self._desk.start(job)
                continue
            self._desk.free_slot()
            if self._roster.running:
                self._heart.beat_now()  # an early answer without work may mean a cancel
            stopping.wait(max(0.0, LEAST - (time.monotonic() - began)))

    def _wait_for_cancels(self, stopping: threading.Event) -> None:
        pauses = back_off()
        while not stopping.wait(0.1):
            if not self._roster.running:
                continue
            began = time.monotonic()
            try:
                self._api.claim(self._identity.id, [], wait_s=HOLD)
            except InvalidInput:
                return  # a server that holds no call without queues: cancels come with the heartbeat
            except OrchestratorError:
                stopping.wait(next(pauses))
                continue
            pauses = back_off()
            self._heart.beat_now()
            stopping.wait(max(0.0, LEAST - (time.monotonic() - began)))


class Hints:
    """Takes hints from Redis by a Celery worker; falls back on long-polling while Redis is away.

    Args:
        broker_url: The Redis.
        queues: Work queues.
        fallback: What claims meanwhile.
    """

    def __init__(
        self, broker_url: str, queues: list[str], identity: Identity, desk: Desk, heart: Heart, fallback: LongPoll
    ) -> None:
        self._queues = [run_queue(queue) for queue in queues]
        self._identity, self._desk, self._heart, self._fallback = identity, desk, heart, fallback
        self._outage = Outage("Redis", "asking the API for work instead")
        app = make_app(broker_url, self._queues)
        app.task(desk.on_hint, name=RUN_TASK, ignore_result=True, shared=False)
        self._worker = HintWorker(app, desk.limit, f"agent-{identity.id}")
        self._redis = redis.Redis.from_url(broker_url, **SOCKETS)
        self._stopping = threading.Event()
        self._waiting = 0
        self._threads = [
            threading.Thread(target=target, name=name, daemon=True)
            for target, name in ((self._listen, "own-hints"), (self._look_after, "look-after-redis"))
        ]

    def start(self) -> None:
        """Begin to take hints; without Redis, begin to long-poll."""
        if (reason := self._trouble()) is not None:
            self._fall_back(reason)
        self._worker.start()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Take no more hints."""
        self._stopping.set()
        self._worker.stop_consuming()
        with contextlib.suppress(redis.RedisError):
            self._redis.lpush(agent_queue(self._identity.id), "stop")  # or it waits its second out
        for thread in self._threads:
            thread.join(SOCKETS["socket_timeout"] + LOOK)
        if self._fallback.active:
            self._fallback.stop()
        try:
            self._redis.delete(agent_queue(self._identity.id))
            self._redis.close()
        except redis.RedisError:
            pass

    def _listen(self) -> None:
        """Take what is for this agent alone: whatever it says, a heartbeat at once is the answer."""
        pauses = back_off()
        while not self._stopping.is_set():
            try:
                message: Any = self._redis.brpop([agent_queue(self._identity.id)], timeout=1)
                pauses = back_off()
            except redis.RedisError:
                self._stopping.wait(next(pauses))
                continue
            if message is not None:
                self._heart.beat_now()

    def _look_after(self) -> None:
        troubled = 0
        while not self._stopping.wait(LOOK):
            reason = self._trouble() or self._stuck()
            if reason is None and not self._worker.connected:
                reason = "the worker of hints is not connected"
            troubled = 0 if reason is None else troubled + 1
            if reason is not None and troubled > 1 and not self._fallback.active:
                self._fall_back(reason)
            elif reason is None and self._fallback.active:
                self._outage.ends()
                self._fallback.stop()

    def _fall_back(self, reason: str) -> None:
        self._outage.begins(reason)
        self._fallback.start()

    def _trouble(self) -> str | None:
        """Why Redis cannot be used; None when it can."""
        try:
            self._redis.ping()
        except redis.RedisError as error:
            return str(error) or type(error).__name__
        return None

    def _stuck(self) -> str | None:
        """Whether hints wait although there are free slots: a consumer that lost its connection without noticing."""
        try:
            waiting = sum(int(self._redis.llen(queue)) for queue in self._queues)
        except redis.RedisError as error:
            return str(error)
        idle = time.monotonic() - self._desk.claimed_at > LOOK and not self._desk.is_full
        self._waiting = self._waiting + 1 if waiting and idle else 0
        return f"{waiting} hints wait untaken" if self._waiting >= STUCK else None
