"""What is asked of Linux for a process that shares its memory with forks of it, or is one."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15
_M_ARENA_MAX = -8


def end_with_parent(parent: int) -> None:
    """Be killed when the thread that made this process ends; end now if its process, ``parent``, has ended already."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:
        os._exit(70)


def set_title(words: str) -> None:
    """Have ``ps`` and ``top`` show this process as ``orchestrator: <words>``, as far as there is room.

    The command line that a process began with lies in its own memory, at an address that the kernel tells.
    """
    with contextlib.suppress(OSError, ValueError, IndexError):
        title = f"orchestrator: {words}".encode()
        ctypes.CDLL(None).prctl(_PR_SET_NAME, title.replace(b"orchestrator: ", b"orc:")[:15] + b"\0", 0, 0, 0)
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        start, end = int(fields[45]), int(fields[46])
        if sys.platform == "linux" and 0 < start < end:
            ctypes.memmove(start, title[: end - start - 1].ljust(end - start, b"\0"), end - start)


def keep_memory_together() -> None:
    """Have threads share two heaps, in place of one each that is never given back, and give back what is free now.

    Nothing where the C library is another than glibc.
    """
    library = ctypes.CDLL(None)
    for function, arguments in (("mallopt", (_M_ARENA_MAX, 2)), ("malloc_trim", (0,))):
        with contextlib.suppress(AttributeError):
            getattr(library, function)(*arguments)
