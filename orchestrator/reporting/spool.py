"""Reports that could not be delivered, kept on disk until they are.

```
<root>/<hash of the API's address>/target           the address, for people
<root>/<hash of the API's address>/refused.jsonl    what the server would not take, and why
<root>/<hash of the API's address>/<owner>/lock     held while the owner lives
<root>/<hash of the API's address>/<owner>/00000001.jsonl   segments, one batch a line
<root>/<hash of the API's address>/<owner>/journal      what the owner had in memory (:mod:`.journal`)
```
A folder whose lock can be taken belongs to a process that is gone: whoever takes the lock may replay and remove it.
Reports lie below the address they were meant for, so that changing the profile never sends them elsewhere.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from .. import serializers
from .journal import FILE as JOURNAL
from .journal import Journal, left

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]
    import msvcrt

#: A segment is closed at this size, in bytes; delivered segments are removed as a whole.
SEGMENT = 4 * 1024 * 1024
#: Items of a journal that make one batch.
JOURNAL_BATCH = 100
REFUSED = "refused.jsonl"


@dataclass(frozen=True)
class Batch:
    """Items of one producer with consecutive sequences, the first of which is ``first``; items are JSON."""

    producer: str
    first: int
    items: list[bytes]

    def encode(self) -> bytes:
        """The batch as one JSON object."""
        head = f'{{"producer":"{self.producer}","first":{self.first},"items":['.encode()
        return head + b",".join(self.items) + b"]}"

    @classmethod
    def decode(cls, line: bytes) -> Batch:
        """Read what :meth:`encode` wrote. Raises ValueError for anything else."""
        try:
            data = serializers.loads(line)
            return cls(str(data["producer"]), int(data["first"]), [serializers.dumps(item) for item in data["items"]])
        except (KeyError, TypeError) as error:
            raise ValueError(f"no batch: {error}") from None


def folder_of(root: Path, api_url: str) -> Path:
    """Where reports for one API lie."""
    return root / hashlib.sha256(api_url.encode()).hexdigest()[:12]


class Spool:
    """A queue of batches on disk, owned by this process. Not for use by two threads at once."""

    def __init__(self, folder: Path, api_url: str = "") -> None:
        self._parent = folder
        self._api_url = api_url
        self._folder: Path | None = None
        self._lock: IO[bytes] | None = None
        self._writer: IO[bytes] | None = None
        self._segments: list[Path] = []
        self._number = 0
        self._offset = self._peeked = 0
        self._journal: Journal | None = None
        #: Of a process that is gone: what it had in memory, behind what is in the segments; and how much was peeked at.
        self._rest: list[Batch] = []
        self._rest_peeked = 0
        #: Bytes on disk that are not yet delivered.
        self.size = 0
        #: Lines that could not be read back: cut off when their writer was killed.
        self.damaged = 0

    @classmethod
    def orphans(cls, folder: Path) -> Iterator[Spool]:
        """Spools below ``folder`` whose owners are gone; each is locked by us until it is closed."""
        try:
            entries = sorted(folder.iterdir())
        except FileNotFoundError:
            return
        for entry in entries:
            spool = cls(folder)
            if entry.is_dir() and not entry.name.startswith(".") and spool._adopt(entry):
                yield spool

    @property
    def folder(self) -> Path | None:
        """The owner's folder; None before anything was written."""
        return self._folder

    @property
    def parent(self) -> Path:
        """The folder of all that is meant for one API."""
        return self._parent

    def __bool__(self) -> bool:
        return bool(self._segments or self._rest)

    def journal(self, producer: uuid.UUID) -> Journal:
        """A journal beside the segments, for what is still in memory. Raises OSError where it cannot be made."""
        if self._folder is None:
            self._claim()
        assert self._folder is not None
        self._journal = Journal(self._folder / JOURNAL, producer)
        return self._journal

    def append(self, batches: list[Batch]) -> None:
        """Write batches behind all others and wait until the disk has them. Raises OSError; then nothing was added."""
        data = b"".join(batch.encode() + b"\n" for batch in batches)
        if not data:
            return
        writer = self._open_writer()
        before = writer.seek(0, os.SEEK_END)
        try:
            written = 0
            while written < len(data):
                written += writer.write(data[written:])
            os.fsync(writer.fileno())
        except OSError:
            with contextlib.suppress(OSError):
                writer.truncate(before)
            raise
        self.size += len(data)
        if before + len(data) >= SEGMENT:
            self._close_writer()

    def peek(self, most_items: int, most_bytes: int) -> list[Batch]:
        """The oldest batches, as many as fit (at least one), without removing them; an empty list: none is left."""
        while self._segments:
            batches = self._read(self._segments[0], most_items, most_bytes)
            if batches:
                return batches
            self._drop_segment()
        self._rest_peeked = 0
        for batch in self._rest:
            most_items -= len(batch.items)
            if self._rest_peeked and most_items < 0:
                break
            self._rest_peeked += 1
        return self._rest[: self._rest_peeked]

    def done(self) -> None:
        """The batches of the last :meth:`peek` are delivered."""
        if self._rest_peeked:
            self._rest, self._rest_peeked = self._rest[self._rest_peeked :], 0
            return
        self.size -= self._peeked - self._offset
        self._offset = self._peeked

    def close(self) -> None:
        """Give the folder up: removed when all is delivered, else left for another process to replay."""
        self._close_writer()
        unsettled = len(self._journal) if self._journal is not None else len(self._rest)
        if self._journal is not None:
            self._journal.close()
        if self._folder is not None and not self._segments and not unsettled:
            shutil.rmtree(self._folder, ignore_errors=True)
        if self._lock is not None:
            self._lock.close()
        self._lock = self._folder = self._journal = None
        self._segments, self._rest = [], []

    def abandon(self) -> None:
        """Forget the folder without touching it: after a fork it is the parent's."""
        self._close_writer()
        if self._lock is not None:
            self._lock.close()
        self._lock = self._folder = self._journal = None
        self._segments, self._offset, self._peeked, self.size, self._number = [], 0, 0, 0, 0

    def _read(self, segment: Path, most_items: int, most_bytes: int) -> list[Batch]:
        batches: list[Batch] = []
        items = 0
        with segment.open("rb") as file:
            file.seek(self._offset)
            self._peeked = self._offset
            for line in file:
                if not line.endswith(b"\n"):
                    break
                try:
                    batch = Batch.decode(line)
                except ValueError:
                    self.damaged += 1
                    self._peeked += len(line)
                    continue
                items += len(batch.items)
                fits = items <= most_items and self._peeked + len(line) - self._offset <= most_bytes
                if batches and not fits:
                    break
                batches.append(batch)
                self._peeked += len(line)
        return batches

    def _drop_segment(self) -> None:
        segment = self._segments.pop(0)
        if not self._segments:
            self._close_writer()
        with contextlib.suppress(OSError):
            rest = segment.stat().st_size - self._offset
            self.size -= rest
            self.damaged += rest > self._peeked - self._offset
            segment.unlink()
        self._offset = self._peeked = 0
        if not self._segments:
            self.size = 0

    def _open_writer(self) -> IO[bytes]:
        if self._folder is None:
            self._claim()
        if self._writer is None:
            self._number += 1
            assert self._folder is not None
            path = self._folder / f"{self._number:08d}.jsonl"
            self._writer = path.open("ab", buffering=0)
            self._segments.append(path)
        return self._writer

    def _close_writer(self) -> None:
        if self._writer is not None:
            with contextlib.suppress(OSError):
                self._writer.close()
            self._writer = None

    def _claim(self) -> None:
        """Make the folder under a hidden name and show it once its lock is held, so that nobody takes it for left."""
        self._parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if self._api_url:
            (self._parent / "target").write_text(self._api_url + "\n", "utf-8")
        name = f"{os.getpid()}-{uuid.uuid4().hex[:8]}"
        hidden = self._parent / f".{name}"
        hidden.mkdir(mode=0o700)
        self._lock = (hidden / "lock").open("ab", buffering=0)
        _lock(self._lock)
        self._folder = hidden.rename(self._parent / name)

    def _adopt(self, folder: Path) -> bool:
        try:
            lock = (folder / "lock").open("rb+", buffering=0)
        except OSError:
            return False
        if not _lock(lock) or not (folder / "lock").exists():
            lock.close()
            return False
        self._lock, self._folder = lock, folder
        self._segments = sorted(folder.glob("*.jsonl"))
        self._number = int(self._segments[-1].stem) if self._segments else 0
        self.size = sum(segment.stat().st_size for segment in self._segments)
        producer, first, items = left(folder / JOURNAL)
        self._rest = [
            Batch(producer, first + start, items[start : start + JOURNAL_BATCH])
            for start in range(0, len(items), JOURNAL_BATCH)
        ]
        return True


@dataclass(frozen=True)
class Kept:
    """What lies in one folder of reports."""

    api_url: str
    folder: Path
    size: int
    #: Whether the process that wrote it is still there.
    alive: bool


def kept(root: Path) -> list[Kept]:
    """Everything that waits to be delivered below ``root``, whatever API it is meant for."""
    found = []
    for target in sorted(root.glob("*/target")):
        free = {spool.folder: spool for spool in Spool.orphans(target.parent)}
        for folder in sorted(target.parent.iterdir()):
            if folder.is_dir() and not folder.name.startswith("."):
                size = sum(segment.stat().st_size for segment in folder.glob("*.jsonl"))
                size += sum(map(len, left(folder / JOURNAL)[2]))
                if size:
                    found.append(Kept(target.read_text("utf-8").strip(), folder, size, alive=folder not in free))
        for spool in free.values():
            spool.close()
    return found


def refuse(folder: Path, entry: dict[str, object]) -> None:
    """Write down an item that the server would not take."""
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (folder / REFUSED).open("ab") as file:
            file.write(serializers.dumps(entry) + b"\n")


def _lock(file: IO[bytes]) -> bool:
    try:
        if fcntl is not None:
            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        else:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    except OSError:
        return False
    return True
