"""Requests that are held open on purpose: those that wait for work, for an errand's end, or follow a stream.

All of them together take at most half of a process's threads, and those that can do without at most a quarter: the
other threads answer.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

from ..config import current
from .errors import Refused


@contextmanager
def seat(what: str) -> Iterator[None]:
    """Hold this request. Raises Refused (503) when too many are held; ``what`` says what they wait for."""
    if not take(2):
        raise Refused(503, f"too many requests {what} here: ask again", {"Retry-After": "2"})
    try:
        yield
    finally:
        leave(2)


def take(share: int) -> bool:
    """Take a place, of the half (2) or the quarter (4) of all threads; tells whether there was one."""
    threads = current().api_threads
    if share > 2 and not places(threads, share).acquire(blocking=False):
        return False
    if places(threads, 2).acquire(blocking=False):
        return True
    if share > 2:
        places(threads, share).release()
    return False


def leave(share: int) -> None:
    """Give back what :func:`take` took."""
    threads = current().api_threads
    places(threads, 2).release()
    if share > 2:
        places(threads, share).release()


@lru_cache(maxsize=8)
def places(threads: int, share: int) -> threading.BoundedSemaphore:
    """The places of a share of so many threads."""
    return threading.BoundedSemaphore(max(1, threads // share))
