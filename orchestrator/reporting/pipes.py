"""Reports on their way out of a child that an agent supervises: frames in a pipe."""

from __future__ import annotations

import os
import struct
import threading
from collections.abc import Mapping
from typing import Any

from ..masking import here as masks
from ..serializers import dumps

_LENGTH = struct.Struct(">I")


class PipeSink:
    """Sends items over a pipe, as frames of a big-endian length of four bytes and JSON.

    A child that an agent supervises uses it: what was put has left the process, whatever becomes of the process then.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._lock = threading.Lock()

    def put(self, item: Mapping[str, Any]) -> None:
        """Write one frame, masked; waits only while the pipe is full."""
        data = encode(masks.item(item))
        frame = memoryview(_LENGTH.pack(len(data)) + data)
        with self._lock:
            try:
                while frame:
                    frame = frame[os.write(self._fd, frame) :]
            except BrokenPipeError:  # the agent is gone, and takes this process with it
                pass

    def flush(self, timeout: float) -> bool:
        """Nothing is ever held back here."""
        return True


def frames(buffer: bytearray) -> list[bytes]:
    """Take all complete frames of a :class:`PipeSink` off the head of ``buffer``; the JSON of each."""
    found, start = [], 0
    while len(buffer) - start >= _LENGTH.size:
        (length,) = _LENGTH.unpack_from(buffer, start)
        end = start + _LENGTH.size + length
        if end > len(buffer):
            break
        found.append(bytes(buffer[start + _LENGTH.size : end]))
        start = end
    del buffer[:start]
    return found


def encode(item: Mapping[str, Any]) -> bytes:
    """An item as JSON; what JSON has no form for becomes its ``repr``, so that nothing is lost over it."""
    try:
        return dumps(item, default=repr)
    except (TypeError, ValueError):  # broken surrogates, integers over 64 bits, circles
        return dumps(_plain(item), default=repr)


def _plain(value: Any, depth: int = 0) -> Any:
    if depth > 50:
        return "..."
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, int) and not isinstance(value, bool) and not -(2**63) <= value < 2**64:
        return str(value)
    if isinstance(value, Mapping):
        return {str(_plain(key, depth + 1)): _plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(item, depth + 1) for item in value]
    return value
