"""What a run's process says over its control socket, in order; except that what is to be masked is known at once."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable

from orchestrator.reporting.pipes import frames

from . import frames as wire

log = logging.getLogger("orchestrator.agent")

_CHUNK = 1 << 16
#: Bytes that are taken in one pull: more than a socket holds, so that what was said before now is among them.
PULL = 1 << 23


class Inbox:
    """Frames of one control socket, which does not block.

    Output and control are two ways: of a value that is printed just after it was said to be secret, the print may be
    read first. So whoever reads output calls :meth:`pull` before passing it on.

    Args:
        link: Our end.
        hide: Takes values that are to be masked.
    """

    def __init__(self, link: socket.socket, hide: Callable[[list[str]], None]) -> None:
        self._link = link
        self._hide = hide
        self._buffer = bytearray()
        self._waiting: list[bytes] = []

    def pull(self, most: int = PULL) -> bool:
        """Take in what was said up to now; False when the process will say no more."""
        taken = 0
        while taken < most:
            try:
                data = self._link.recv(_CHUNK)
            except BlockingIOError:
                return True
            except OSError:
                return False
            if not data:
                return False
            taken += len(data)
            self._buffer += data
            for frame in frames(self._buffer):
                if wire.is_masks(frame):
                    self._take_masks(frame)
                else:
                    self._waiting.append(frame)
        return True

    def take(self) -> list[bytes]:
        """The frames that were pulled since the last time."""
        found, self._waiting = self._waiting, []
        return found

    def _take_masks(self, frame: bytes) -> None:
        try:
            self._hide([str(value) for value in wire.decode(frame)["values"]])
        except (ValueError, KeyError, TypeError) as error:
            log.warning("a run sent masks that are none: %s", error)
