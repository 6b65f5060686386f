"""What happens in a worker of Dask for a :class:`~orchestrator.DaskRunner`: one call of a task."""

from __future__ import annotations

import os
import pickle
import sys
import threading
from collections import Counter
from collections.abc import Mapping
from typing import Any

from ..reporting.pipes import encode
from .call_worker import Worker
from .carrying import END, PROTOCOL, Ended, Hello, Order

_numbers: Counter[str] = Counter()
_counting = threading.Lock()


class _Way:
    """The way to the flow's process: reports go as events of the scheduler, which come in order."""

    def __init__(self, order: Order, topic: str) -> None:
        from distributed import get_worker

        self.orders = _One(order)
        self.is_busy = False
        self.ended: Ended | None = None
        self._topic, self._worker, self._process = topic, get_worker(), os.getpid()

    def put(self, item: Mapping[str, Any]) -> None:
        """Have the flow's process report an item."""
        if os.getpid() == self._process:  # a fork of this process would garble the connection
            self._worker.log_event(self._topic, bytes(encode(item)))

    def flush(self, timeout: float) -> bool:
        """Nothing is held back."""
        return True

    def send(self, kind: str, content: Any = None) -> None:
        """Take note of the end."""
        if kind == END:
            self.ended = content

    def ask(self, what: str, value: Any) -> Any:
        """Number the task runs that tasks begin: each process counts by itself."""
        if what != "number":
            return self.flush(value)
        with _counting:
            _numbers[value] += 1
            return _numbers[value] - 1


class _One:
    """A queue of one call."""

    def __init__(self, order: Order) -> None:
        self._left = [order]

    def get(self) -> Order | None:
        """The call, once."""
        return self._left.pop() if self._left else None


def execute(data: bytes, topic: str) -> bytes:
    """Do a call.

    Args:
        data: A pickle of what is told of the flow run (a pickle of :class:`Hello`), and the order.
        topic: Of the events that reports are.

    Returns:
        A pickle of :class:`Ended`.
    """
    told, order = pickle.loads(data)
    hello: Hello = pickle.loads(told)
    sys.path += [entry for entry in hello.path if entry not in sys.path]
    way = _Way(order, topic)
    Worker(way, hello, {"supervised": False}).work()
    return pickle.dumps(way.ended, PROTOCOL)
