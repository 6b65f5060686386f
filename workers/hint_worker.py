"""A Celery worker inside a process of ours: consumes Redis lists with a pool of threads, restarts, stops on request."""

from __future__ import annotations

import logging
import os
import threading
import warnings

from celery import Celery
from celery.exceptions import CPendingDeprecationWarning
from celery.worker import WorkController, state

from .broker import QUIET

log = logging.getLogger("orchestrator.worker")


class HintWorker:
    """Runs a Celery worker in a thread of its own. One per process: Celery keeps a worker's state in globals.

    Args:
        app: The application; its configuration names the queues.
        concurrency: Threads of the pool: how many messages are handled at a time.
        name: What the node calls itself.
    """

    def __init__(self, app: Celery, concurrency: int, name: str) -> None:
        self._app = app
        self._concurrency = concurrency
        self._name = name
        self._controller: WorkController | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="hints", daemon=True)

    def start(self) -> None:
        """Begin to consume; with Redis away, the worker goes on trying to connect."""
        state.should_stop = state.should_terminate = None
        self._thread.start()

    @property
    def connected(self) -> bool:
        """Whether it has a connection and consumes."""
        consumer = getattr(self._controller, "consumer", None)
        return bool(
            self._thread.is_alive()
            and consumer is not None
            and consumer.connection is not None
            and consumer.task_consumer is not None
        )

    def stop_consuming(self) -> None:
        """Take no further message (within about a second); what is being handled goes on."""
        self._stopping.set()
        state.should_stop = 0

    def stop(self, timeout: float) -> bool:
        """Stop, and wait for what is being handled; returns whether all ended within ``timeout`` seconds."""
        self.stop_consuming()
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        pause = 1.0
        while not self._stopping.is_set():
            try:
                self._serve()
            except Exception:
                log.exception("the worker of hints failed")
            if self._stopping.wait(pause):
                return
            pause = min(pause * 2, 30.0)

    def _serve(self) -> None:
        # The pool's threads look tasks up in the default application.
        self._app.set_default()
        self._controller = WorkController(
            app=self._app,
            pool_cls="threads",
            concurrency=self._concurrency,
            hostname=f"{self._name}@{os.getpid()}",
            loglevel="WARNING",
            **QUIET,
        )
        # Said at every lost connection; what it offers concerns late acknowledgement only, which is not used.
        warnings.filterwarnings("ignore", category=CPendingDeprecationWarning)
        self._controller.start()
