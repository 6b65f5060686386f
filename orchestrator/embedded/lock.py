"""A lock on a file that lasts as long as some process holds it open, however that process ends.

The descriptor may be inherited by a server and its children: then the lock is free once the last of them is gone,
which makes a left-over pid file, a recycled pid and a server that is still shutting down all the same question.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


class FileLock:
    """An exclusive ``flock`` on ``path``. The file stays: removing it would let two processes lock two files."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: int | None = None

    def take(self) -> bool:
        """Try to take the lock, without waiting. True as well when it is held by this object already."""
        if self._file is not None:
            return True
        file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            return False
        except BaseException:
            os.close(file)
            raise
        self._file = file
        return True

    def release(self) -> None:
        """Close our descriptor: the lock is free unless a child inherited it."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def fileno(self) -> int:
        """The descriptor to hand to a child. Raises ValueError when the lock is not held."""
        if self._file is None:
            raise ValueError(f"the lock {self.path} is not held")
        return self._file


def is_held(path: Path) -> bool:
    """Whether any process holds the lock now."""
    if not path.exists():
        return False
    lock = FileLock(path)
    try:
        return not lock.take()
    finally:
        lock.release()
