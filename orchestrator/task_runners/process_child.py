"""What happens in a process of a :class:`~orchestrator.ProcessRunner`, from its first message to its end.

The main thread does the calls, one after another, so that alarms and signals reach user code; a second thread listens
to the flow's process, and ends this one when that is gone.
"""

from __future__ import annotations

import os
import pickle
import queue
import signal
import sys
import threading
import time
from collections.abc import Mapping
from multiprocessing import connection
from types import FrameType
from typing import Any

from ..engine.timeouts import Terminated
from ..reporting.pipes import encode
from .call_worker import Worker
from .carrying import PROTOCOL, Hello, Order
from .process_runner import ASK, GRACE, ORDER, PUT


class Link:
    """This side of the link; any thread may send and ask. It is a sink of reports, too."""

    def __init__(self, link: connection.Connection) -> None:
        self._link = link
        self._process = os.getpid()
        self._sending, self._asking = threading.Lock(), threading.Lock()
        self._answers: queue.SimpleQueue[Any] = queue.SimpleQueue()
        #: Calls to do; None: there will be no more.
        self.orders: queue.SimpleQueue[Order | None] = queue.SimpleQueue()
        #: Whether a call is being done.
        self.is_busy = False

    def hello(self) -> Hello:
        """The first message."""
        found = pickle.loads(self._link.recv_bytes())
        assert isinstance(found, Hello)
        return found

    def send(self, kind: str, content: Any = None) -> None:
        """Send a message; nothing is sent from a fork of this process, which would garble the others."""
        if os.getpid() != self._process:
            return
        data = pickle.dumps((kind, content), PROTOCOL)
        with self._sending:
            try:
                self._link.send_bytes(data)
            except OSError:
                pass  # the flow's process is gone; who listens ends this one

    def ask(self, what: str, value: Any) -> Any:
        """Ask the flow's process something."""
        with self._asking:
            self.send(ASK, (what, value))
            return self._answers.get()

    def put(self, item: Mapping[str, Any]) -> None:
        """Have the flow's process report an item."""
        self.send(PUT, encode(item))

    def flush(self, timeout: float) -> bool:
        """Whether all reports arrived within ``timeout`` seconds."""
        return bool(self.ask("flush", timeout))

    def listen(self) -> None:
        """Take what comes, until the flow's process is gone or wants no more; what is being done then is ended."""
        try:
            while True:
                kind, content = pickle.loads(self._link.recv_bytes())
                (self.orders if kind == ORDER else self._answers).put(content)
        except (EOFError, OSError):
            self.orders.put(None)
        if self.is_busy:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(GRACE)
            os._exit(1)


def main(handle: int) -> None:
    """Work for the flow at the other end of a link, given its handle, and return when it wants no more."""
    if sys.platform == "win32":
        link = Link(connection.PipeConnection(handle))
    else:
        link = Link(connection.Connection(handle))
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    hello = link.hello()
    sys.path[:], sys.argv[:] = hello.path, hello.arguments

    def told(number: int, frame: FrameType | None) -> None:
        if link.is_busy:
            raise Terminated(128 + number)

    # Not ignored: programs that tasks start would ignore it, too. Ctrl-C is for the flow, which ends its processes.
    signal.signal(signal.SIGINT, lambda number, frame: None)
    signal.signal(signal.SIGTERM, told)
    threading.Thread(target=link.listen, name="listener", daemon=True).start()
    Worker(link, hello).work()
