"""The Celery application that carries hints: what a message may be, and how a bad Redis is borne.

A message names work and nothing else; Postgres decides. So a message is acknowledged as it is received, results are
not kept, nothing is delayed in Redis, and losing every message costs seconds (architecture, laws 1 and 4).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

# Kombu loads it at the first connection; two threads that do so at once may find half a module.
import kombu.transport.redis  # noqa: F401
from celery import Celery
from kombu import Exchange, Queue

from orchestrator.errors import SettingsError

#: Where the loops' ticks go.
SERVICES_QUEUE = "orchestrator.services"
RUN_TASK = "orchestrator.run"
TICK_TASK = "orchestrator.tick"

#: Options of every Redis connection: a dead or frozen server is noticed within seconds.
SOCKETS: dict[str, Any] = {
    "socket_timeout": 5.0,
    "socket_connect_timeout": 5.0,
    "socket_keepalive": True,
    "health_check_interval": 10,
}

#: What is left out of a worker: all of it is talk between workers, which know nothing of each other here.
QUIET = {"without_gossip": True, "without_mingle": True, "without_heartbeat": True}


def run_queue(work_queue: str) -> str:
    """The Redis list that hints at runs of a work queue."""
    return f"orchestrator.run.{work_queue}"


def agent_queue(agent_id: object) -> str:
    """The Redis list that wakes one agent up."""
    return f"orchestrator.agent.{agent_id}"


def redis_url(app: Celery) -> str:
    """The address of the application's Redis, as clients other than Celery read it."""
    return str(app.conf.broker_url).replace("redis+socket://", "unix://", 1)


def make_app(broker_url: str, queues: Iterable[str] = (SERVICES_QUEUE,), include: Iterable[str] = ()) -> Celery:
    """A Celery application on the Redis at ``broker_url``; connects to nothing yet.

    Args:
        broker_url: ``redis://``, ``rediss://`` or ``unix://`` address; empty: the local Redis on its usual port.
        queues: The Redis lists that its workers consume.
        include: Modules with tasks and schedules, imported when a worker or beat starts.

    Raises:
        SettingsError: The address is no Redis.
    """
    if broker_url and not broker_url.startswith(("redis://", "rediss://", "unix://", "redis+socket://")):
        raise SettingsError("ORCHESTRATOR_REDIS_URL is no Redis address: redis://host:6379/0")
    if broker_url.startswith("unix://"):
        broker_url = "redis+socket://" + broker_url.removeprefix("unix://")
    app = Celery("orchestrator", broker=broker_url or "redis://127.0.0.1:6379/0", include=list(include))
    # The nameless exchange needs no bindings: a message goes straight to the list, and Redis keeps no other key.
    direct = Exchange("", type="direct")
    app.conf.update(
        accept_content=["json"],
        task_serializer="json",
        result_serializer="json",
        task_ignore_result=True,
        task_acks_late=False,
        task_queues=[Queue(name, exchange=direct, routing_key=name) for name in queues],
        task_default_queue=SERVICES_QUEUE,
        task_default_exchange="",
        task_default_routing_key=SERVICES_QUEUE,
        task_create_missing_queues=True,
        task_publish_retry=False,
        worker_disable_prefetch=True,
        worker_prefetch_multiplier=1,
        worker_enable_remote_control=False,
        worker_send_task_events=False,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        broker_heartbeat=0,
        broker_connection_timeout=5,
        broker_connection_retry=True,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options=dict(SOCKETS),
        enable_utc=True,
        timezone="UTC",
    )
    return app
