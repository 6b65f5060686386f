"""Where submitted tasks run. A runner begins futures; what beginning means is the engine's."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable
from typing import Any, Protocol

from ..errors import InvalidInput
from ..futures import TaskFuture, pool_thread


class TaskRunner(Protocol):
    """Begins futures, some at once."""

    def submit(self, future: TaskFuture[Any]) -> None:
        """Begin a future when there is room. Returns at once."""

    def carried(self, fn: Callable[..., Any], timeout: float | None, name: str) -> Callable[..., Any] | None:
        """What stands in for the function of the task ``name`` where its code runs elsewhere, ``timeout`` seconds at
        most; None: the function itself is called. Raises InvalidInput where it cannot run there.
        """

    def close(self) -> None:
        """Take nothing more; what was submitted is still begun."""

    def fresh(self) -> TaskRunner:
        """Another one with the same options: each flow run has its own."""


class ThreadRunner:
    """Runs tasks in threads of this process.

    Threads are started as they are needed, and a thread that waits for a task which nobody has begun runs it itself:
    tasks that submit tasks and wait for them cannot lock the pool.

    Args:
        max_workers: Most threads; by default four more than processors, 32 at most.
    """

    def __init__(self, max_workers: int | None = None) -> None:
        if max_workers is not None and (isinstance(max_workers, bool) or max_workers < 1):
            raise InvalidInput(f"max_workers is {max_workers!r}: it has to be 1 or more")
        self.max_workers = max_workers or min(32, (os.cpu_count() or 1) + 4)
        self._queue: queue.SimpleQueue[TaskFuture[Any] | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._idle = threading.Semaphore(0)
        self._lock = threading.Lock()

    def carried(self, fn: Callable[..., Any], timeout: float | None, name: str) -> Callable[..., Any] | None:
        """Nothing: its code runs here."""
        return None

    def submit(self, future: TaskFuture[Any]) -> None:
        """Begin a future in one of the threads."""
        self._queue.put(future)
        if not self._idle.acquire(blocking=False) and len(self._threads) < self.max_workers:
            self._grow()

    def close(self) -> None:
        """Let the threads end once the queue is empty."""
        with self._lock:
            threads, self._threads = self._threads, []
        for _ in threads:
            self._queue.put(None)

    def fresh(self) -> ThreadRunner:
        """Another one with as many threads."""
        return ThreadRunner(self.max_workers)

    def _grow(self) -> None:
        with self._lock:
            if len(self._threads) < self.max_workers:
                name = f"task-runner-{len(self._threads)}"
                thread = threading.Thread(target=self._work, name=name, daemon=True)
                self._threads.append(thread)
                thread.start()

    def _work(self) -> None:
        pool_thread.busy = True
        while True:
            try:
                future = self._queue.get_nowait()
            except queue.Empty:
                self._idle.release()
                future = self._queue.get()
            if future is None:
                return
            future.begin()
            del future
