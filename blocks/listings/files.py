"""File systems that are looked through: the root and its folders as resources, what became of files as events."""

from __future__ import annotations

import abc
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from orchestrator.clock import from_text, now, to_text
from orchestrator.errors import BlockError, InvalidInput
from orchestrator.interfaces import Discoverable, FileInfo, FileSystem, Observed, Related, Resource

from .index import SIGNATURE, IndexReader, IndexWriter, TooLarge

#: First-level folders that are resources of their own; files in further ones count for the root alone.
FOLDERS_MOST = 1000
#: A time of writing that lies further back than the last look, by more than clocks differ, is not when a file came.
CLOCKS_DIFFER = timedelta(hours=1)
#: What is there in which amount is told by events already.
_COUNTED = frozenset({"objects", "bytes", "newest", "folders"})


@dataclass(frozen=True)
class Place:
    """What a storage's root is as a resource.

    Attributes:
        id: Without a slash at its end: ``s3://bucket/raw``.
        kind: ``s3.bucket``.
        name: What people call it.
        folder_kind: Kind of the folders in it: ``s3.folder``.
        file_kind: Kind of the files in it, and what the names of events begin with: ``s3.object``.
        parent: Id of what it is part of; empty: nothing that is known.
    """

    id: str
    kind: str
    name: str
    folder_kind: str
    file_kind: str
    parent: str = ""


@dataclass
class _Tally:
    objects: int = 0
    size: int = 0
    newest: datetime | None = None

    def add(self, info: FileInfo) -> None:
        self.objects += 1
        self.size += info.size
        if info.modified is not None and (self.newest is None or info.modified > self.newest):
            self.newest = info.modified

    def labels(self) -> dict[str, Any]:
        newest = to_text(self.newest) if self.newest else None
        return {"objects": self.objects, "bytes": self.size, "newest": newest}


class ObservedFiles(FileSystem, Discoverable):
    """A file system that can be looked through. Kinds say where they are, and list their files in order."""

    @abc.abstractmethod
    def _place(self) -> Place:
        """What the root is as a resource."""

    def _listing(self) -> Iterator[FileInfo]:
        """All files, ordered by path, one by one: kinds whose ``list`` holds all at once have a better way.

        Raises:
            NotFound: There is no root: that is no empty one.
        """
        return self.list("")

    def discover(self) -> Iterator[Resource]:
        """The root, and the folders directly in it, with how much is in each."""
        place, whole, tally = self._place(), _Tally(), _Tally()
        folder, folders = "", 0
        for info in self._listing():
            whole.add(info)
            head, slash, _ = info.path.partition("/")
            if not slash:
                continue
            if head != folder:
                if folder and folders <= FOLDERS_MOST:
                    yield _folder(place, folder, tally)
                folder, folders, tally = head, folders + 1, _Tally()
            tally.add(info)
        if folder and folders <= FOLDERS_MOST:
            yield _folder(place, folder, tally)
        above = (Related(place.parent, "part-of"),) if place.parent else ()
        yield Resource(place.id, place.kind, place.name, {**whole.labels(), "folders": folders}, above, _COUNTED)

    def observe(self, cursor: Any, emit: Callable[[Observed], None]) -> Any:
        """Tell the files that came, changed and went since ``cursor``; the first look only takes note.

        Raises:
            InvalidInput: There are more files than a cursor can hold.
            BlockError: The storage lists its files in no order.
        """
        place, at = self._place(), now()
        writer = IndexWriter()
        known = isinstance(cursor, dict) and cursor.get("place") == place.id
        before = iter(IndexReader(cursor["index"])) if known else iter(())
        tell = _Teller(place, cursor["at"], emit) if known else None
        try:
            _compare(before, self._listing(), writer, tell)
        except TooLarge as error:
            raise InvalidInput(
                f"{place.id} holds more files than one block can keep watch over ({error.count:,} fit): "
                "let the block see one folder of them, or turn its discovery off"
            ) from None
        except ValueError as error:
            raise BlockError(f"{place.id} cannot be watched, as it lists its files in no order: {error}") from None
        return {"place": place.id, "at": to_text(at), "index": writer.close()}


def signature(info: FileInfo) -> bytes:
    """What differs when a file was written anew."""
    modified = info.modified.timestamp() if info.modified else 0.0
    return hashlib.blake2b(f"{info.size} {modified!r}".encode(), digest_size=SIGNATURE).digest()


class _Teller:
    """Makes events of what happened to files."""

    def __init__(self, place: Place, since: str, emit: Callable[[Observed], None]) -> None:
        self._place, self._since, self._emit = place, since, emit
        self._oldest = from_text(since) - CLOCKS_DIFFER

    def wrote(self, verb: str, info: FileInfo, mark: bytes) -> None:
        """A file was ``created`` or ``changed``."""
        payload = {"path": info.path, "size": info.size, "modified": to_text(info.modified) if info.modified else None}
        is_now = info.modified is not None and self._oldest <= info.modified <= datetime.now(timezone.utc)
        self._tell(verb, info.path, mark, payload, info.modified if is_now else None)

    def deleted(self, path: str, mark: bytes) -> None:
        """A file is gone."""
        self._tell("deleted", path, mark, {"path": path}, None)

    def _tell(self, verb: str, path: str, mark: bytes, payload: dict[str, Any], at: datetime | None) -> None:
        place, identifier = self._place, f"{self._place.id}/{path}"
        head, slash, _ = path.partition("/")
        related = [Related(place.id, "part-of")]
        if slash:
            related.append(Related(f"{place.id}/{head}", "part-of"))
        subject = Resource(identifier, place.file_kind, path, {}, tuple(related))
        # The look before is part of the key: a file that comes back as it was has come once more.
        key = f"{path}\n{mark.hex()}\n{self._since}"
        self._emit(Observed(f"{place.file_kind}.{verb}", subject, at, payload, key))


def _compare(
    before: Iterator[tuple[str, bytes]], files: Iterator[FileInfo], writer: IndexWriter, tell: _Teller | None
) -> None:
    """Walk along both listings at once, writing the new index."""
    old = next(before, None)
    for info in files:
        mark = signature(info)
        writer.add(info.path, mark)
        if tell is None:
            continue
        while old is not None and old[0] < info.path:
            tell.deleted(*old)
            old = next(before, None)
        if old is None or old[0] != info.path:
            tell.wrote("created", info, mark)
            continue
        if old[1] != mark:
            tell.wrote("changed", info, mark)
        old = next(before, None)
    while old is not None and tell is not None:
        tell.deleted(*old)
        old = next(before, None)


def _folder(place: Place, name: str, tally: _Tally) -> Resource:
    related = (Related(place.id, "part-of"),)
    return Resource(f"{place.id}/{name}", place.folder_kind, f"{place.name}/{name}", tally.labels(), related, _COUNTED)
