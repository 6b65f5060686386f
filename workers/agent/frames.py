"""What an agent and a run's process say to each other over their socket: JSON objects behind a length.

From the child come reports (items as ``POST reports`` takes them) and, told apart by ``kind``:

=============  ======================================  =====================================================
``confirm``    ``{}``                                  user code is about to start: may it? Answered by ``go``
``timeout``    ``{"seconds": float}``                  the flow's time-out starts to count now
``end``        ``{"state": {...}, "result": any,       how the flow ended, and whether its hooks are called after this
               "hooks": bool}``
``masks``      ``{"values": [...]}``                   texts that are masked from now on in what it writes
``hooks``      ``{"names": [...]}``                    hooks of the flow for its end
``take-hooks`` ``{}``                                  it ended by itself: may its hooks be called? Answered by
                                                       ``hooks-taken``
=============  ======================================  =====================================================

To the child go ``job`` (first, once), ``go`` (an empty object) and ``hooks-taken`` (``{"call": bool}``). The
frames are those of :class:`orchestrator.reporting.pipes.PipeSink`.
"""

from __future__ import annotations

import struct
from typing import Any

from orchestrator.serializers import dumps, loads

HEAD = struct.Struct(">I")

CONFIRM = "confirm"
TIMEOUT = "timeout"
END = "end"
MASKS = "masks"
HOOKS = "hooks"
TAKE_HOOKS = "take-hooks"
HOOKS_TAKEN = "hooks-taken"
JOB = "job"
GO = "go"

#: How frames begin that are handed on as they are, without a look inside.
_PLAIN = tuple(f'{{"kind":"{kind}"'.encode() for kind in ("log", "task-run", "event", "artifact", "flow-run"))
_LOG = b'{"kind":"log"'
_MASKS = f'{{"kind":"{MASKS}"'.encode()


def encode(frame: dict[str, Any]) -> bytes:
    """A frame as bytes."""
    body = dumps(frame)
    return HEAD.pack(len(body)) + body


def is_plain_report(frame: bytes) -> bool:
    """Whether a frame is a report that the supervisor has no interest in."""
    return frame.startswith(_PLAIN)


def is_log(frame: bytes) -> bool:
    """Whether a frame is a log line."""
    return frame.startswith(_LOG)


def is_masks(frame: bytes) -> bool:
    """Whether a frame holds values that are to be masked."""
    return frame.startswith(_MASKS)


def decode(frame: bytes) -> dict[str, Any]:
    """What a frame holds. Raises ValueError when it is no object with a kind."""
    data = loads(frame)
    if not isinstance(data, dict) or not isinstance(data.get("kind"), str):
        raise ValueError("a frame without a kind")
    return data
