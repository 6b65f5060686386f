"""Hints to agents: Celery messages that say "look, there is work". They are never needed, only quick: the truth is in
Postgres, and the dispatch loop hints again what nobody came for.

Sending never blocks and never raises: a background thread publishes, its queue is bounded, and while Redis does not
answer, hints are dropped without a try for a while that doubles.
"""

from __future__ import annotations

import logging
import os
import queue
import threading
import time
import uuid
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

import redis
from celery import Celery

RUN, HEARTBEAT, TICK = "orchestrator.run", "orchestrator.heartbeat", "orchestrator.tick"
#: The Redis list of the services.
SERVICES = "orchestrator.services"
#: Seconds that anything with Redis may take.
TIMEOUT_S = 1.0
#: Hints that may wait to be sent.
BACKLOG = 10_000
#: Hints that may wait in the list of a work queue that nobody serves; dispatch hints again at what fell out of it.
WAITING_MAX = 10_000
#: Seconds that hints wait to be taken: at work, and at a cancel (the next heartbeat brings that one as well). What an
#: agent that was killed, or a work queue that was deleted, leaves in Redis is gone after that.
WORK_KEPT_S, CANCEL_KEPT_S = 24 * 3600, 120
#: Seconds without a try after a failure: the first, and the most.
REST_S, REST_MAX_S = 0.5, 15.0

#: Seconds after which a wake is of no use: the loop has gone round by itself. And between two of one process: where
#: things happen all the time, a step for each would take more of the computer than the things themselves.
WAKE_KEPT_S, WAKES_APART_S = 1.0, 0.02

#: In place of a hint: only asks Redis whether it is there.
_ASK: tuple[str, list[str], str] = ("", [], "")

_log = logging.getLogger(__name__)
_lock = threading.Lock()
_url: str | None = None
_publisher: _Publisher | None = None
_taker: Callable[[str], bool] | None = None


def run_list(queue_name: str) -> str:
    """Name of the Redis list of a work queue."""
    return f"orchestrator.run.{queue_name}"


def agent_list(agent_id: uuid.UUID) -> str:
    """Name of the Redis list of one agent."""
    return f"orchestrator.agent.{agent_id}"


def configure(redis_url: str | None) -> None:
    """Say which Redis carries hints; None: none are sent (agents long-poll over HTTP)."""
    global _url, _publisher
    with _lock:
        if _publisher is not None and _publisher.pid == os.getpid():
            _publisher.stop()
        _url, _publisher = redis_url or None, None


def run_queued(queue_name: str, run_id: uuid.UUID) -> None:
    """Hint that a run can be claimed from a queue."""
    _put(RUN, [str(run_id)], run_list(queue_name))


def cancel_asked(agent_id: uuid.UUID) -> None:
    """Hint an agent to send a heartbeat at once: a cancel waits in its answer."""
    _put(HEARTBEAT, [], agent_list(agent_id))


def take_wakes(taker: Callable[[str], bool] | None) -> None:
    """Have ``taker`` be asked first whether it sees to a wake itself, in this process: then none is sent."""
    global _taker
    _taker = taker


def wake(loop: str) -> None:
    """Hint the services to step a loop now. Of many wakes at once, a few are sent, the last of them after the last."""
    if _taker is None or not _taker(loop):
        wake_again(loop)


def wake_again(loop: str) -> None:
    """As :func:`wake`, for a loop that could not do all yet: it steps again a little later, not at once."""
    publisher = _current()
    if publisher is not None:
        publisher.wake(loop)


def waiting(queue_names: Iterable[str]) -> dict[str, int] | None:
    """How many hints lie in the lists of some queues; None when Redis does not tell, or there is none."""
    publisher = _current()
    return None if publisher is None else publisher.waiting(sorted(queue_names))


def is_down() -> bool:
    """Whether Redis did not answer when it was last asked; it is asked anew meanwhile. False without a Redis."""
    publisher = _current()
    if publisher is None:
        return False
    publisher.put(_ASK)
    return publisher.is_down


def flush(timeout: float) -> bool:
    """Wait until all hints given so far were sent or dropped; tells whether that came to be, in ``timeout`` seconds."""
    publisher = _current()
    return publisher is None or publisher.flush(timeout)


def _put(task: str, arguments: list[str], list_name: str) -> None:
    publisher = _current()
    if publisher is not None:
        publisher.put((task, arguments, list_name))


def _current() -> _Publisher | None:
    """The publisher of this process: a fork makes its own."""
    global _publisher
    if _url is None:
        return None
    found = _publisher
    if found is None or found.pid != os.getpid():
        with _lock:
            if _publisher is None or _publisher.pid != os.getpid():
                _publisher = _Publisher(_url) if _url is not None else None
            found = _publisher
    return found


class _Publisher:
    """One thread that publishes, and the queue before it."""

    def __init__(self, url: str) -> None:
        self.pid = os.getpid()
        self._queue: queue.Queue[tuple[str, list[str], str] | None] = queue.Queue(BACKLOG)
        self._rest_s, self._try_again = REST_S, 0.0
        self.is_down = False
        times = {"socket_timeout": TIMEOUT_S, "socket_connect_timeout": TIMEOUT_S}
        self._app = Celery("orchestrator", broker=url, set_as_current=False)
        self._app.conf.broker_transport_options = {**times, "retry_on_timeout": False, "max_retries": 0}
        self._redis = redis.Redis.from_url(url, **times)
        self._producer: Any = None
        self._woken: set[str] = set()
        self._wakes = threading.Condition()
        self._stopped = False
        threading.Thread(target=self._run, name="hints", daemon=True).start()
        threading.Thread(target=self._pass_wakes_on, name="wakes", daemon=True).start()

    def wake(self, loop: str) -> None:
        with self._wakes:
            self._woken.add(loop)
            self._wakes.notify()

    def put(self, item: tuple[str, list[str], str]) -> None:
        with suppress(queue.Full):  # dispatch hints again
            self._queue.put_nowait(item)

    def stop(self) -> None:
        with self._wakes:
            self._stopped = True
            self._wakes.notify()
        with suppress(queue.Full):
            self._queue.put_nowait(None)

    def flush(self, timeout: float) -> bool:
        deadline = time.monotonic() + timeout
        with self._queue.all_tasks_done:
            while self._queue.unfinished_tasks:
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                self._queue.all_tasks_done.wait(left)
        return True

    def waiting(self, queue_names: list[str]) -> dict[str, int] | None:
        if time.monotonic() < self._try_again:
            return None
        try:
            pipe = self._redis.pipeline(transaction=False)
            for name in queue_names:
                pipe.llen(run_list(name))
            return dict(zip(queue_names, pipe.execute(), strict=True))
        except redis.RedisError as error:
            self._failed(error)
            return None

    def _run(self) -> None:
        while (item := self._queue.get()) is not None:
            try:
                if time.monotonic() >= self._try_again:
                    if item is _ASK:
                        self._redis.ping()
                    else:
                        self._publish(*item)
                    self._rest_s, self.is_down = REST_S, False
            except Exception as error:  # whatever it is: a hint must never end this thread
                self._failed(error)
            finally:
                self._queue.task_done()
        self._queue.task_done()
        self._close()

    def _pass_wakes_on(self) -> None:
        while True:
            with self._wakes:
                self._wakes.wait_for(lambda: self._woken or self._stopped)
                if self._stopped:
                    return
                loops, self._woken = sorted(self._woken), set()
            for loop in loops:
                self.put((TICK, [loop], SERVICES))
            time.sleep(WAKES_APART_S)

    def _publish(self, task: str, arguments: list[str], list_name: str) -> None:
        if self._producer is None:
            connection = self._app.connection_for_write()
            self._producer = self._app.amqp.Producer(connection, auto_declare=False)
        expires = WAKE_KEPT_S if task == TICK else None
        message = self._app.amqp.as_task_v2(str(uuid.uuid4()), task, arguments, ignore_result=True, expires=expires)
        # The default exchange routes by the list's name alone: no binding is stored that a FLUSHALL could take away.
        self._producer.publish(
            message.body,
            exchange="",
            routing_key=list_name,
            serializer="json",
            delivery_mode=2,
            headers=message.headers,
            retry=False,
            **message.properties,
        )
        if task == TICK:
            return  # beat puts ticks into that list all the time: it is kept short by those who serve it
        pipe = self._redis.pipeline(transaction=False)
        pipe.expire(list_name, WORK_KEPT_S if task == RUN else CANCEL_KEPT_S)
        pipe.ltrim(list_name, 0, WAITING_MAX - 1)  # new ones come in at the head
        pipe.execute()

    def _failed(self, error: Exception) -> None:
        self._close()
        self.is_down = True
        self._try_again = time.monotonic() + self._rest_s
        self._rest_s = min(self._rest_s * 2, REST_MAX_S)
        _log.warning("hints: Redis does not take them (%s); agents find their runs a little later", error)

    def _close(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            with suppress(Exception):
                producer.connection.close()
