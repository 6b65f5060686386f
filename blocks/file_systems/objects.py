"""Stores of objects: flat keys in a bucket, listed page by page in the order of their bytes.

Such a store shows an object once all of it has arrived, so writes need no temporary name; and the order of its
listing is the order of paths, so that a listing of any length takes the memory of one page.
"""

from __future__ import annotations

import abc
import io
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from itertools import islice
from typing import BinaryIO, ClassVar

from orchestrator.errors import InvalidInput, NotFound
from orchestrator.interfaces import FileInfo, Folder, clean_path

from ..listings import ObservedFiles, Place

#: Bytes that are moved at a time.
CHUNK = 1 << 20
#: Objects deleted at a time.
BATCH = 1000


class Objects(ObservedFiles):
    """A file system over the objects of one bucket, below a prefix. Kinds bring the verbs over whole keys."""

    prefix: str
    _transfers: ClassVar[int] = 8

    @abc.abstractmethod
    def _get(self, key: str, file: BinaryIO) -> None:
        """Stream an object into a file."""

    @abc.abstractmethod
    def _put(self, key: str, file: BinaryIO) -> None:
        """Create or replace an object by what a file holds; it appears whole or not at all."""

    @abc.abstractmethod
    def _head(self, key: str) -> FileInfo:
        """Size and time of an object."""

    @abc.abstractmethod
    def _below(self, prefix: str) -> Iterator[FileInfo]:
        """All objects whose key starts with ``prefix``, ordered by key, a page at a time."""

    @abc.abstractmethod
    def _level(self, prefix: str) -> Iterator[str | FileInfo]:
        """What lies directly below ``prefix``: objects, and prefixes ending in ``/`` of what lies further down."""

    @abc.abstractmethod
    def _remove(self, keys: Sequence[str]) -> None:
        """Delete objects, at most :data:`BATCH`; one that is gone already is no error."""

    @abc.abstractmethod
    def _explained(self, path: str) -> AbstractContextManager[None]:
        """Turns errors of the service into this project's, naming the file."""

    @abc.abstractmethod
    def _where(self) -> str:
        """The bucket as people write it: ``s3://bucket``."""

    def read(self, path: str) -> bytes:
        """The whole content of a file."""
        buffer = io.BytesIO()
        self.download(path, buffer)
        return buffer.getvalue()

    def download(self, path: str, file: BinaryIO) -> None:
        """Stream a file's content into an open binary file."""
        with self._explained(path):
            self._get(self._key(path), file)

    def write(self, path: str, content: bytes | BinaryIO) -> None:
        """Write a file, whole; a large one is sent in parts."""
        source = _Source(io.BytesIO(content) if isinstance(content, bytes) else content)
        try:
            with self._explained(path):
                self._put(self._key(path), source)  # type: ignore[arg-type]
        except Exception:
            if source.error is not None:  # what could not be read is no fault of the store
                raise source.error from None
            raise

    def list(self, path: str = "") -> Iterator[FileInfo]:
        """All files below a folder, ordered by path; memory for one page of them is taken."""
        folder = self._key(path, of_file=False)
        start = len(self._key("", of_file=False))
        with self._explained(path):
            for item in self._below(folder):
                if not item.path.endswith("/"):  # consoles make such objects to show a folder
                    yield FileInfo(item.path[start:], item.size, item.modified)

    def browse(self, path: str = "", limit: int = 1000) -> Folder:
        """What lies directly in a folder; what lies further down is not listed."""
        folder = self._key(path, of_file=False)
        start = len(self._key("", of_file=False))
        folders: set[str] = set()
        files: list[FileInfo] = []
        with self._explained(path):
            for item in self._level(folder):
                if not isinstance(item, str) and item.path.endswith("/"):
                    continue
                if len(folders) + len(files) >= limit:
                    return Folder(sorted(folders), files, is_cut=True)
                if isinstance(item, str):
                    folders.add(item[len(folder) : -1])
                else:
                    files.append(FileInfo(item.path[start:], item.size, item.modified))
        return Folder(sorted(folders), files)

    def delete(self, path: str) -> None:
        """Delete a file, or a folder with all below it."""
        key = self._key(path)
        with self._explained(path):
            found = False
            for batch in _batches(item.path for item in self._below(key + "/")):
                found = True
                self._remove(batch)
            try:
                self._head(key)
            except NotFound:
                if not found:
                    raise
            else:
                self._remove([key])

    def stat(self, path: str) -> FileInfo:
        """Size and time of one file."""
        with self._explained(path):
            facts = self._head(self._key(path))
        return FileInfo(clean_path(path), facts.size, facts.modified)

    def test(self) -> str:
        """Read the first page of the listing."""
        with self._explained(""):
            first = next(self._below(self._key("", of_file=False)), None)
        what = "holds files" if first else "is empty"
        return f"{self._where()} can be listed; {self.prefix or 'it'} {what}."

    def _resource(self, system: str, bucket: str, name: str, bucket_kind: str = "bucket") -> Place:
        """The place of a bucket, or of a prefix in it, which is part of the bucket."""
        folder, file = f"{system}.folder", f"{system}.object"
        if not (prefix := clean_path(self.prefix)):
            return Place(bucket, f"{system}.{bucket_kind}", name, folder, file)
        return Place(f"{bucket}/{prefix}", folder, f"{name}/{prefix}", folder, file, bucket)

    def _key(self, path: str, of_file: bool = True) -> str:
        clean = clean_path(path)
        if of_file and not clean:
            raise InvalidInput("the path of a file is empty")
        key = "/".join(part for part in (clean_path(self.prefix), clean) if part)
        return key if of_file or not key else key + "/"


class _Source(io.RawIOBase):
    """A file that is sent: it stays open, whatever a client does, and remembers how reading it failed."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.error: Exception | None = None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self._file.seekable()

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def read(self, size: int = -1) -> bytes:
        try:
            return self._file.read(size)
        except Exception as error:
            self.error = error
            raise


def _batches(keys: Iterable[str]) -> Iterator[Sequence[str]]:
    source = iter(keys)
    while batch := [*islice(source, BATCH)]:
        yield batch
