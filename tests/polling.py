"""What tests wait for, and the little things that tests of processes share."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


def until(
    condition: Callable[[], T | None], what: str = "what is expected", timeout: float = 30, log: Path | None = None
) -> T:
    """Poll ``condition`` until it gives something true; fails with ``what``, and the log, after ``timeout`` seconds."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        said = log.read_text() if log else ""
        assert time.monotonic() < deadline, f"waited {timeout} s in vain for {what}\n{said}"
        time.sleep(0.02)


def free_port() -> int:
    """A TCP port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def one_line(text: str) -> str:
    """The only line of what a command told a person: no traceback, and nothing beside it."""
    lines = [line for line in text.splitlines() if line.strip()]
    assert len(lines) == 1, text
    return lines[0]
