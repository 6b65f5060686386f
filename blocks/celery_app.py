"""A Celery application, watched from outside by what it tells on its broker; nothing of it is changed.

Facts used (Celery 4 and 5 with kombu's Redis transport): a queue is a list named like it, with ``\\x06\\x16<priority>``
behind the name for other priorities than 0; ``_kombu.binding.<exchange>`` are sets of bindings; events are published,
not stored, on the channels ``/<db>.celeryev/<routing key>``. Workers send heartbeats by default, events of tasks when
started with ``-E`` or told to (``enable_events``).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

from kombu import Connection
from kombu.exceptions import OperationalError
from kombu.pidbox import Mailbox
from pydantic import Field

from orchestrator.block import Block
from orchestrator.errors import Unavailable
from orchestrator.interfaces import Discoverable, Observed, Related, Resource

from .celery_events import REMEMBERED, Look, events_in, scalar
from .redis_servers import RedisAddress, database_of, explained, opened, place_of

_SEPARATOR = "\x06\x16"
_PRIORITIES = range(10)
_KEYS_LOOKED_AT = 100_000


class CeleryApp(Block, Discoverable):
    """A Celery application: its queues, workers and the events of its tasks, read from its Redis broker."""

    _name: ClassVar[str] = "Celery app"
    _slug: ClassVar[str] = "celery-app"
    _logo: ClassVar[str] = "tabler:salad"
    _docs_url: ClassVar[str] = "https://docs.celeryq.dev/en/stable/userguide/monitoring.html"
    _code_example: ClassVar[str] = """
        from orchestrator.blocks.celery_app import CeleryApp

        CeleryApp(broker_url="redis://:password@broker.example.com:6379/0").save("shop")
        [resource.name for resource in CeleryApp.load("shop").discover()]
        """

    broker_url: RedisAddress = Field(description="Address of the application's broker, a Redis: redis://host:6379/0.")
    queues: list[str] = Field(
        default_factory=list,
        max_length=1000,
        description="Names of its queues; empty: those that workers are bound to.",
    )
    listen_s: float = Field(
        20, ge=1, le=900, description="Seconds that a look listens to events; what happens between looks is not heard."
    )
    heartbeat_s: float = Field(
        5,
        ge=1,
        le=60,
        description="Seconds to wait for heartbeats; workers send one every 2 seconds, unless told else.",
    )
    enable_events: bool = Field(
        False,
        description="Ask the workers, by Celery's remote control, to send events of tasks; else start them with -E.",
    )
    key_prefix: str = Field("", description="The application's global_keyprefix, where it has one.")
    max_events: int = Field(10_000, ge=100, le=1_000_000, description="Events that one look tells at most.")

    def test(self) -> str:
        """Connect, and listen for heartbeats."""
        with opened(self.broker_url) as client:
            queues = self._queue_names(client)
            workers = self._workers(client)
        names = ", ".join(sorted(workers)) or "no worker"
        heard = f"{names} was heard within {self.heartbeat_s:g} s"
        return f"The broker answers; {heard}; queues: {', '.join(queues) or 'none'}."

    def discover(self) -> Iterator[Resource]:
        """The application, its queues with their depth, and the workers whose heartbeats are heard."""
        with opened(self.broker_url) as client:
            names = self._queue_names(client)
            depths = {name: self._depth(client, name) for name in names}
            unacknowledged: Any = client.hlen(self.key_prefix + "unacked")
            workers = self._workers(client)
        labels = {"workers": len(workers), "queues": len(names), "unacknowledged": unacknowledged}
        name = place_of(self.broker_url.get_secret_value())
        yield Resource(self.resource_id(), "celery.app", name, labels, volatile=frozenset({"unacknowledged"}))
        part = (Related(self.resource_id(), "part-of"),)
        for queue, depth in depths.items():
            facts: dict[str, str | int | float | bool | None] = {"depth": depth}
            yield Resource(self.resource_id(f"queue/{queue}"), "celery.queue", queue, facts, part, frozenset({"depth"}))
        for worker in sorted(workers):
            yield self.worker(worker, workers[worker])

    def observe(self, cursor: Any, emit: Callable[[Observed], None]) -> Any:
        """Listen to the application's events for ``listen_s``, and tell those of tasks and workers.

        Workers that were heard at the last look and are not heard at this one are told as ``celery.worker.offline``.
        The first look only takes note of who is there and which tasks are under way.
        """
        last = cursor if isinstance(cursor, dict) else {}
        look = Look(self, dict(last.get("tasks", {})), emit if cursor is not None else _nobody)
        with opened(self.broker_url) as client:
            if self.enable_events:
                self.ask_for_events()
            for event in self._stream(client, max(self.listen_s, self.heartbeat_s)):
                look.take(event)
                if look.told >= self.max_events:  # who was not heard until now may be there all the same
                    look.workers = {**last.get("workers", {}), **look.workers}
                    break
            else:
                look.compare(last.get("workers", {}))
        return {"tasks": dict([*look.tasks.items()][-REMEMBERED:]), "workers": look.workers}

    def resource_id(self, part: str = "") -> str:
        """The id of the application, or of a part of it such as ``worker/NAME``."""
        url = self.broker_url.get_secret_value()
        app = f"celery://{place_of(url)}/{database_of(url)}" + (f"/{self.key_prefix}" if self.key_prefix else "")
        return f"{app}/{part}" if part else app

    def worker(self, name: str, heartbeat: dict[str, Any]) -> Resource:
        """A worker, by what it last said of itself."""
        labels = {
            "software": f"{heartbeat.get('sw_ident', '')} {heartbeat.get('sw_ver', '')}".strip() or None,
            "system": scalar(heartbeat.get("sw_sys")),
            "active": scalar(heartbeat.get("active")),
            "processed": scalar(heartbeat.get("processed")),
            "pid": scalar(heartbeat.get("pid")),
        }
        part = (Related(self.resource_id(), "part-of"),)
        volatile = frozenset({"active", "processed"})
        known = labels if heartbeat else {}
        return Resource(self.resource_id(f"worker/{name}"), "celery.worker", name, known, part, volatile)

    def _queue_names(self, client: Any) -> list[str]:
        """The queues that are named, or those that are bound to exchanges other than Celery's own."""
        if self.queues:
            return list(self.queues)
        start = f"{self.key_prefix}_kombu.binding."
        found: set[str] = set()
        for looked, key in enumerate(client.scan_iter(match=f"{_literal(start)}*", count=1000)):
            exchange = str(key)[len(start) :]
            if looked >= _KEYS_LOOKED_AT:
                break
            if exchange.endswith(".pidbox") or exchange in ("celeryev", "celery.pidbox") or client.type(key) != "set":
                continue
            members: Any = client.smembers(key)
            found |= {str(member).rpartition(_SEPARATOR)[2] for member in members}
        return sorted(found - {""})

    def _depth(self, client: Any, queue: str) -> int:
        names = [queue, *(f"{queue}{_SEPARATOR}{priority}" for priority in _PRIORITIES if priority)]
        with client.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.llen(self.key_prefix + name)
            return sum(int(length) for length in pipe.execute())

    def _workers(self, client: Any) -> dict[str, dict[str, Any]]:
        """The last heartbeat of each worker that is heard."""
        workers: dict[str, dict[str, Any]] = {}
        for event in self._stream(client, self.heartbeat_s):
            if event.get("type") in ("worker-heartbeat", "worker-online"):
                workers[str(event.get("hostname"))] = event
            elif event.get("type") == "worker-offline":
                workers.pop(str(event.get("hostname")), None)
        return workers

    def _stream(self, client: Any, seconds: float) -> Iterator[dict[str, Any]]:
        """What is published for so many seconds. It is heard beside all others: no message is taken from anyone."""
        deadline = time.monotonic() + seconds
        with self.listener(client) as listener:
            while (left := deadline - time.monotonic()) > 0:
                message = listener.get_message(timeout=min(left, 1.0))
                if message:
                    yield from events_in(message["data"])

    @contextmanager
    def listener(self, client: Any) -> Iterator[Any]:
        """A subscription to all that the application publishes, for the ``with``."""
        topic = f"{self.key_prefix}/{database_of(self.broker_url.get_secret_value())}.celeryev"
        with client.pubsub(ignore_subscribe_messages=True) as listener:
            listener.psubscribe(f"{_literal(topic)}/*")
            listener.subscribe(topic)  # applications with fanout_patterns off
            yield listener

    def ask_for_events(self) -> None:
        """Have the workers that are there send events of their tasks. Raises Unavailable."""
        url = self.broker_url.get_secret_value()
        options = {"socket_connect_timeout": 10, "socket_timeout": 10, "max_retries": 1}
        if self.key_prefix:
            options["global_keyprefix"] = self.key_prefix  # type: ignore[assignment]
        try:
            with explained(url), Connection(url, connect_timeout=10, transport_options=options) as connection:
                Mailbox("celery", type="fanout", connection=connection).abcast("enable_events")
        except (OperationalError, TimeoutError, RuntimeError) as error:
            raise Unavailable(f"the workers cannot be asked for events: {type(error).__name__}") from None


def _nobody(_event: Observed) -> None:
    """Takes what is only taken note of."""


def _literal(text: str) -> str:
    """A text as a pattern of Redis that matches only itself."""
    return "".join(f"\\{char}" if char in "*?[]^\\" else char for char in text)
