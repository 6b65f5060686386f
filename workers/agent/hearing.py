"""Reading what one process prints and says, in the order in which it did."""

from __future__ import annotations

import os
import selectors
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from . import frames as wire
from .inbox import PULL, Inbox
from .launcher import Child
from .ordering import Marked

#: Seconds that are left to read what an ended process wrote; what still writes then has daemonised.
DRAIN = 0.5
_CHUNK = 1 << 16
#: Chunks read from one stream before the others get their turn.
_TURN = 16


class Hearing:
    """Listens to one process until it has ended.

    Args:
        child: The process.
        inbox: What it says over its control socket.
        output: Takes what it prints: stream, bytes.
        take: Takes a frame of what it says.
    """

    def __init__(
        self, child: Child, inbox: Inbox, output: Callable[[str, bytes], None], take: Callable[[bytes], None]
    ) -> None:
        self._child, self._inbox = child, inbox
        self._output, self._take = output, take
        self._marked = Marked(lambda data: output("stdout", data), self._passed)
        #: Frames that were read and not attended to, and how many log lines were.
        self._frames: deque[bytes] = deque()
        self._logged = 0

    def listen(self, act: Callable[[], None], pause: Callable[[], float | None]) -> None:
        """Return once the process has ended, and what it left to read was read.

        Args:
            act: Called before each wait: does what is due.
            pause: Seconds until something is due; None: nothing is.
        """
        child = self._child
        with selectors.DefaultSelector() as selector:
            for descriptor, read in self._readers():
                selector.register(descriptor, selectors.EVENT_READ, read)
            while not child.ended:
                act()
                # Output before control: what a flow printed before it reported stands before the report.
                ready = sorted(selector.select(pause()), key=lambda item: item[0].fd == child.control.fileno())
                for key, _ in ready:
                    if not key.data():
                        selector.unregister(key.fileobj)
                self._take_all()
            selector.unregister(child.wake)
            _drain(selector)
            self._take_all()

    def close(self) -> None:
        """Nothing more comes."""
        self._marked.close()

    def _readers(self) -> list[tuple[Any, Callable[[], bool]]]:
        child = self._child
        return [
            (child.out, lambda: self._read_output(child.out, "stdout")),
            (child.err, lambda: self._read_output(child.err, "stderr")),
            (child.wake, lambda: bool(os.read(child.wake, 4096))),
            (child.control, lambda: self._inbox.pull(_TURN * _CHUNK)),
        ]

    def _read_output(self, descriptor: int, name: str) -> bool:
        for _ in range(_TURN):
            try:
                data = os.read(descriptor, _CHUNK)
            except BlockingIOError:
                return True
            if not data:
                return False
            self._inbox.pull(PULL)
            if name == "stdout":
                self._marked.take(data)
            else:
                self._output(name, data)
            if len(data) < _CHUNK:
                return True
        return True

    def _take_all(self) -> None:
        self._frames.extend(self._inbox.take())
        if any(map(wire.is_log, self._frames)):
            # what was printed before these lines is in the pipe by now
            self._read_output(self._child.out, "stdout")
        while self._frames:
            self._take_next()

    def _take_next(self) -> None:
        frame = self._frames.popleft()
        self._logged += wire.is_log(frame)
        self._take(frame)

    def _passed(self, number: int) -> None:
        """All output before a log line was taken: now it is its turn, and that of what was said before it."""
        self._frames.extend(self._inbox.take())
        while self._logged < number and self._frames:
            self._take_next()


def _drain(selector: selectors.BaseSelector) -> None:
    """Read what is left, without waiting for processes that hold the pipes open."""
    deadline = time.monotonic() + DRAIN
    while time.monotonic() < deadline and (ready := selector.select(0)):
        for key, _ in ready:
            if not key.data():
                selector.unregister(key.fileobj)
