"""Giving back to the system what a burst of work needed: the C library keeps what is freed, for the next burst."""

from __future__ import annotations

import ctypes
from contextlib import suppress


def give_back() -> None:
    """Return free memory to the system; nothing where the C library is another than glibc."""
    with suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)
