"""What a process was about to report, in a file that outlives it: a ring of records in shared memory.

Writing a record is a copy into a mapped page, about half a microsecond, and no call of the system; the page is the
system's, so it is there when the process was killed, though not when the machine went down. The next process that
reports reads what had not been settled, under the numbers that it would have had, so that the server tells what it has
already. The file is as large as it can become from the beginning: a full disk is noticed before anything relies on it.

```
0   magic, 8 bytes             32  offset of the oldest record, 8
8   producer, a UUID, 16       40  offset of the next record, 8
24  number of the oldest, 8    48  records: a length of 4 bytes, and JSON; length 2**32 - 1: go on at 48
```
"""

from __future__ import annotations

import contextlib
import mmap
import os
import struct
import uuid
from pathlib import Path

FILE = "journal"
#: Bytes of the file.
SIZE = 8 * 1024 * 1024

_MAGIC = b"orcjrn01"
_HEAD = struct.Struct("<8s16sQQQ")
_LENGTH = struct.Struct("<I")
_PLACES = struct.Struct("<QQQ")
_NEXT = struct.Struct("<Q")
_PLACES_AT, _NEXT_AT, _FIRST = 24, 40, 48
_WRAP = 0xFFFFFFFF


class Journal:
    """The records of one producer that are not settled yet, oldest first. Callers hold a lock around each call.

    When there is no room, records are passed over from then on, until all of them are settled: what is in the file is
    always one stretch of numbers.

    Args:
        path: The file; made anew.
        producer: Whose records they are.

    Raises:
        OSError: It cannot be made.
    """

    def __init__(self, path: Path, producer: uuid.UUID, size: int = SIZE) -> None:
        with path.open("xb+") as file:
            _allocate(file.fileno(), size)
            self._map = mmap.mmap(file.fileno(), size)
        self._size, self._most = size, size - _FIRST
        self._oldest = self._next = _FIRST
        self._number = 1
        self._used = 0
        #: Records in the file, and those behind them that found no room.
        self._inside = self._outside = 0
        self._off = False
        _HEAD.pack_into(self._map, 0, _MAGIC, producer.bytes, self._number, self._oldest, self._next)

    def add(self, data: bytes) -> bool:
        """Write a record; whether there was room."""
        at, need = self._next, len(data) + 4
        end = at + need
        if end > self._size:
            at, end = self._wrapped(), _FIRST + need
        used = self._used + need
        if self._off or used >= self._most:
            self._off = True
            self._outside += 1
            return False
        self._map[at:end] = _LENGTH.pack(need - 4) + data
        if self._off:  # spoiled by a signal handler in between
            self._outside += 1
            return False
        self._next, self._used = end, used
        self._inside += 1
        _NEXT.pack_into(self._map, _NEXT_AT, end)
        return True

    def spoil(self) -> None:
        """Pass over what comes from now on, until all is settled: its order is not known."""
        self._off = True

    def count(self) -> None:
        """A record that was put without :meth:`add`, after :meth:`spoil`."""
        self._outside += 1

    def settle(self, count: int) -> None:
        """The oldest ``count`` records are where they cannot be lost."""
        for _ in range(min(count, self._inside)):
            self._step()
        inside = min(count, self._inside)
        self._inside -= inside
        self._outside = max(0, self._outside - (count - inside))
        self._number += count
        if not self._inside:
            self._oldest = self._next = _FIRST
            self._used = 0
            self._off = bool(self._outside)
        _PLACES.pack_into(self._map, _PLACES_AT, self._number, self._oldest, self._next)

    def __len__(self) -> int:
        return self._inside

    def close(self) -> None:
        """Let go of the file."""
        with contextlib.suppress(BufferError, ValueError):
            self._map.close()

    def _wrapped(self) -> int:
        """Go on at the beginning, if there is room: the oldest record must not be written over."""
        rest = self._size - self._next
        if not self._off and self._used + rest < self._most:
            if rest >= _LENGTH.size:
                _LENGTH.pack_into(self._map, self._next, _WRAP)
            self._used += rest
            self._next = _FIRST
        else:
            self._off = True
        return _FIRST

    def _step(self) -> None:
        at = self._oldest
        if at + _LENGTH.size > self._size or _LENGTH.unpack_from(self._map, at)[0] == _WRAP:
            self._used -= self._size - at
            at = _FIRST
        need = _LENGTH.size + _LENGTH.unpack_from(self._map, at)[0]
        self._used -= need
        self._oldest = at + need


def left(path: Path) -> tuple[str, int, list[bytes]]:
    """What lies in a journal: its producer, the number of the first record, the records. Nothing where it is none."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD.size)
            magic, producer, number, oldest, end = _HEAD.unpack(head)
            if magic != _MAGIC:
                return "", 1, []
            data = b"" if oldest == end else head + file.read()
    except (OSError, struct.error):
        return "", 1, []
    return str(uuid.UUID(bytes=producer)), number, _records(data, oldest, end) if data else []


def _records(data: bytes, at: int, end: int) -> list[bytes]:
    found: list[bytes] = []
    while at != end:
        if at + _LENGTH.size > len(data) or (length := _LENGTH.unpack_from(data, at)[0]) == _WRAP:
            if at < end or (not found and at == _FIRST):
                break  # no journal of ours ends so
            at = _FIRST
            continue
        at += _LENGTH.size + length
        if at > len(data):
            break
        found.append(data[at - length : at])
    return found


def _allocate(descriptor: int, size: int) -> None:
    """Take the room on the disk now: a page that the disk has no room for later would end the process."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)
        return
    block = bytes(1 << 20)
    for _ in range(0, size, len(block)):
        os.write(descriptor, block)
