"""What is asked of Linux for a process that shares its memory with forks of it, or is one."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15
_M_ARENA_MAX = -8


def end_with_parent(parent: int) -> None:
    """Be killed when the thread that made this process ends; end now if its process, ``parent``, has ended already."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:
        os._exit(70)


def set_title(words: str, over_environment: bool = False) -> None:
    """Have ``ps`` and ``top`` show this process as ``orchestrator: <words>``, as far as there is room.

    The command line and the environment that a process began with lie in its own memory, one behind the other, at
    addresses that the kernel tells. A fork has those of the process that it was made from.

    Args:
        over_environment: Whether that environment is overwritten too: it has been taken out of use, and what it holds
            is none of this process's business.
    """
    with contextlib.suppress(OSError, ValueError, IndexError):
        title = f"orchestrator: {words}".encode()
        ctypes.CDLL(None).prctl(_PR_SET_NAME, title.replace(b"orchestrator: ", b"orc:")[:15] + b"\0", 0, 0, 0)
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        start, end, environment, last = (int(field) for field in fields[45:49])
        if over_environment and end == environment:
            end = last
        if 0 < start < end:
            ctypes.memmove(start, title[: end - start - 1].ljust(end - start, b"\0"), end - start)


def keep_memory_together() -> None:
    """Have threads share two heaps, in place of one each that is never given back, and give back what is free now.

    Nothing where the C library is another than glibc.
    """
    library = ctypes.CDLL(None)
    for function, arguments in (("mallopt", (_M_ARENA_MAX, 2)), ("malloc_trim", (0,))):
        with contextlib.suppress(AttributeError):
            getattr(library, function)(*arguments)
