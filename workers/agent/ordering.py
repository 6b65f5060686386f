"""Keeping what a process logs and what it prints in one order, though they come by two ways.

Log lines come as frames over the control socket, prints as bytes through a pipe. Behind each frame of a log line the
process writes a mark into the pipe, if that is still its standard output: what stands before the mark was written
before the line. The supervisor takes the marks out again.
"""

from __future__ import annotations

import contextlib
import os
import re
import threading
from collections.abc import Callable, Mapping
from typing import Any

from orchestrator.reporting.pipes import PipeSink

_MARK = re.compile(rb"\x1eO(\d{1,12})\x1e")
#: What may be the beginning of a mark, at the end of what was read.
_BEGUN = re.compile(rb"\x1e(O\d{0,12})?\Z")


class OrderedSink(PipeSink):
    """A sink that marks in a stream how far it had come when a line was logged.

    Args:
        fd: The control socket.
        stream: The process's standard output, as it is now.
    """

    def __init__(self, fd: int, stream: int = 1) -> None:
        super().__init__(fd)
        self._stream = stream
        self._file = _file(stream)
        self._count = 0
        self._marking = threading.RLock()

    def put(self, item: Mapping[str, Any]) -> None:
        """Write one frame, and behind that of a log line a mark."""
        if item.get("kind") != "log":
            super().put(item)
            return
        with self._marking:
            super().put(item)
            self._count += 1
            if self._file is not None and _file(self._stream) == self._file:
                with contextlib.suppress(OSError):
                    os.write(self._stream, b"\x1eO%d\x1e" % self._count)


class Marked:
    """Takes marks out of a stream.

    Args:
        feed: Takes the bytes between them.
        passed: Called with the number of each mark, once all before it was fed.
    """

    def __init__(self, feed: Callable[[bytes], None], passed: Callable[[int], None]) -> None:
        self._feed, self._passed = feed, passed
        self._begun = b""

    def take(self, data: bytes) -> None:
        """Bytes as they were read."""
        data = self._begun + data
        at = 0
        if b"\x1e" in data:
            for mark in _MARK.finditer(data):
                if mark.start() > at:
                    self._feed(data[at : mark.start()])
                self._passed(int(mark[1]))
                at = mark.end()
            begun = _BEGUN.search(data, at)
            end = begun.start() if begun else len(data)
        else:
            end = len(data)
        self._begun = data[end:]
        if end > at:
            self._feed(data[at:end])

    def close(self) -> None:
        """The stream is over: what only began like a mark was none."""
        if self._begun:
            self._feed(self._begun)
            self._begun = b""


def _file(descriptor: int) -> tuple[int, int] | None:
    try:
        found = os.fstat(descriptor)
    except OSError:
        return None
    return found.st_dev, found.st_ino
