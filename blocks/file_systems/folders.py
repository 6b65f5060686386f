"""Folders of another system, by a driver with fsspec's verbs over single files and folders.

What drivers leave open is settled here: a file is written under another name and moved into place, so that it appears
whole; names are taken as they are (fsspec's verbs over many files, which are not used, read ``*``, ``?`` and ``[`` as
patterns); listings are walked folder by folder in the order of whole paths, so that they take the memory of the
folders on the way.
"""

from __future__ import annotations

import abc
import contextlib
import io
import uuid
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timezone
from typing import Any, BinaryIO, ClassVar, Protocol

from orchestrator.errors import AccessDenied, InvalidInput, NotFound, OrchestratorError, Unavailable
from orchestrator.interfaces import FileInfo, FileSystem, Folder, clean_path

CHUNK = 1 << 20
#: What files are called while they are written; listings leave them out.
WRITING = ".writing-"
_TIMES = ("mtime", "LastModified", "last_modified", "updated", "modified", "modify", "ModifiedTime", "created")


class Driver(Protocol):
    """What is used of a file system of fsspec, with fsspec's meanings; errors are Python's own, or the driver's."""

    def ls(self, path: str, detail: bool = True) -> Any:
        """What lies in a folder: dicts with ``name`` (whole), ``type`` (file, directory, link, other), ``size``."""

    def info(self, path: str) -> dict[str, Any]:
        """The same of one file or folder, links followed."""

    def isdir(self, path: str) -> bool:
        """Whether it is there, and a folder."""

    def isfile(self, path: str) -> bool:
        """Whether it is there, and a file."""

    def open(self, path: str, mode: str) -> Any:
        """An open file; ``rb`` or ``wb``."""

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        """Make a folder, and those above it."""

    def mv(self, path1: str, path2: str) -> None:
        """Rename a file; what was there under the new name is replaced."""

    def rm_file(self, path: str) -> None:
        """Delete a file."""

    def rmdir(self, path: str) -> None:
        """Delete an empty folder."""


class Folders(FileSystem):
    """A file system over a folder that a driver reaches. Kinds say how it is reached and what errors mean."""

    _transfers: ClassVar[int] = 4

    @abc.abstractmethod
    def _using(self) -> AbstractContextManager[Driver]:
        """The driver, for this thread alone as long as the ``with`` lasts."""

    @abc.abstractmethod
    def _root(self, fs: Driver) -> str:
        """The folder that all paths are relative to, as the driver writes it, with no ``/`` at its end."""

    @abc.abstractmethod
    def _where(self) -> str:
        """The same as people write it, with no secret in it."""

    def _meaning(self, error: Exception, path: str) -> OrchestratorError | None:
        """What an error of the driver means; None: what Python says it means."""
        return None

    def _appears_whole(self, fs: Driver) -> bool:
        """Whether the driver shows a file only once it is closed, as stores of objects do."""
        return False

    def read(self, path: str) -> bytes:
        """The whole content of a file."""
        buffer = io.BytesIO()
        self.download(path, buffer)
        return buffer.getvalue()

    def download(self, path: str, file: BinaryIO) -> None:
        """Stream a file's content into an open binary file."""
        clean = self._file(path)
        with self._using() as fs:
            with self._explained(path):
                facts = self._facts(fs, clean)
                source = self._open_to_read(fs, self._at(fs, clean), facts.size)
            try:
                while True:
                    with self._explained(path):
                        chunk = source.read(CHUNK)
                    if not chunk:
                        return
                    file.write(chunk)
            finally:
                with self._explained(path):
                    source.close()

    def write(self, path: str, content: bytes | BinaryIO) -> None:
        """Write a file under another name, then move it into place; folders on the way are made."""
        clean = self._file(path)
        file = io.BytesIO(content) if isinstance(content, bytes) else content
        with self._using() as fs:
            place = self._at(fs, clean)
            whole = self._appears_whole(fs)
            target = place if whole else f"{place.rpartition('/')[0]}/{WRITING}{uuid.uuid4().hex}"
            with self._explained(path):
                if fs.isdir(place):
                    raise InvalidInput(f"{path} cannot be written: it is a folder")
                sink = self._open_to_write(fs, clean, target)
            try:
                self._fill(sink, file, path)
                with self._explained(path):
                    if not whole:
                        self._put_in_place(fs, target, place)
            except BaseException:
                self._give_up(fs, sink, target, whole)
                raise

    def list(self, path: str = "") -> Iterator[FileInfo]:
        """All files below a folder, ordered by path."""
        clean = clean_path(path)
        with self._using() as fs:
            yield from self._walk(fs, clean)

    def browse(self, path: str = "", limit: int = 1000) -> Folder:
        """What lies directly in a folder."""
        clean = clean_path(path)
        start = len(clean) + 1 if clean else 0
        with self._using() as fs, self._explained(path):
            entries = self._folder(fs, clean)
        kept = entries[:limit]
        folders = sorted(key[start:-1] for key, _ in kept if key.endswith("/"))
        files = [FileInfo(key, int(facts.get("size") or 0), _modified(facts)) for key, facts in kept if key[-1] != "/"]
        return Folder(folders, files, is_cut=len(entries) > limit)

    def delete(self, path: str) -> None:
        """Delete a file, or a folder with all below it."""
        clean = self._file(path)
        with self._using() as fs, self._explained(path):
            place = self._at(fs, clean)
            if fs.info(place)["type"] == "directory":
                self._delete_folder(fs, place)
            else:
                fs.rm_file(place)

    def stat(self, path: str) -> FileInfo:
        """Size and time of one file."""
        clean = self._file(path)
        with self._using() as fs, self._explained(path):
            return self._facts(fs, clean)

    def test(self) -> str:
        """List the folder, one level of it."""
        with self._using() as fs, self._explained(""):
            self._check_root(fs)
            found = len(self._entries(fs, self._root(fs)))
        return f"{self._where()} can be listed; it holds {found} {'entry' if found == 1 else 'entries'}."

    def _check_root(self, fs: Driver) -> None:
        if not fs.isdir(self._root(fs) or "/"):
            raise NotFound(f"there is no folder {self._where()}")

    @staticmethod
    def _file(path: str) -> str:
        if not (clean := clean_path(path)):
            raise InvalidInput("the path of a file is empty")
        return clean

    def _at(self, fs: Driver, clean: str) -> str:
        root = self._root(fs)
        return f"{root}/{clean}" if clean else root

    def _facts(self, fs: Driver, clean: str) -> FileInfo:
        facts = fs.info(self._at(fs, clean))
        if facts["type"] == "directory":
            raise NotFound(f"there is no file {self._where()}/{clean}: it is a folder")
        return FileInfo(clean, int(facts.get("size") or 0), _modified(facts))

    def _open_to_read(self, fs: Driver, place: str, size: int) -> Any:
        return fs.open(place, "rb")

    def _open_to_write(self, fs: Driver, clean: str, target: str) -> Any:
        folder = target.rpartition("/")[0]
        try:
            self._make_folder(fs, folder)
            return fs.open(target, "wb")
        except Exception:
            self._check_way(fs, clean)
            raise

    def _make_folder(self, fs: Driver, folder: str) -> None:
        for remaining in (3, 2, 1, 0):
            try:
                return None if not folder or fs.isdir(folder) else fs.makedirs(folder, exist_ok=True)
            except (OSError, ValueError):  # another thread made one of the folders in the same moment
                if not remaining:
                    raise
        return None

    def _check_way(self, fs: Driver, clean: str) -> None:
        parts = clean.split("/")[:-1]
        for end in range(1, len(parts) + 1):
            above = "/".join(parts[:end])
            with contextlib.suppress(OSError):
                if fs.isfile(self._at(fs, above)):
                    raise InvalidInput(f"{clean} cannot be written: the file {above} is in the place of a folder")

    def _fill(self, sink: Any, file: BinaryIO, path: str) -> None:
        while chunk := file.read(CHUNK):
            with self._explained(path):
                sink.write(chunk)
        with self._explained(path):
            sink.close()

    def _put_in_place(self, fs: Driver, source: str, target: str) -> None:
        fs.mv(source, target)

    @staticmethod
    def _give_up(fs: Driver, sink: Any, target: str, whole: bool) -> None:
        with contextlib.suppress(Exception):
            if whole:
                # Closing is what makes it appear: what was sent is left to the store, which drops it in time.
                sink.closed = True
                return
            sink.close()
        if not whole:
            with contextlib.suppress(Exception):
                fs.rm_file(target)

    def _walk(self, fs: Driver, clean: str) -> Iterator[FileInfo]:
        with self._explained(clean):
            entries = self._folder(fs, clean)
        for key, facts in entries:
            if key.endswith("/"):
                yield from self._walk(fs, key[:-1])
            else:
                yield FileInfo(key, int(facts.get("size") or 0), _modified(facts))

    def _folder(self, fs: Driver, clean: str) -> Sequence[tuple[str, dict[str, Any]]]:
        """What lies in one folder, in the order of whole paths: ``a.b`` is before ``a/b``, so folders end in ``/``."""
        place = self._at(fs, clean)
        try:
            entries = self._entries(fs, place)
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError:
            if fs.isdir(place):
                raise
            return []
        found = []
        for facts in entries:
            name = str(facts["name"]).rstrip("/").rpartition("/")[2]
            if not name or name in (".", "..") or name.startswith(WRITING) or "\\" in name:
                continue
            key = f"{clean}/{name}" if clean else name
            kind = facts["type"]
            if kind == "link":  # to a file it is one; those to folders may lead in circles
                with contextlib.suppress(OSError):
                    facts = fs.info(self._at(fs, key))
                    kind = facts["type"] if facts["type"] == "file" else "other"
            if kind in ("file", "directory"):
                found.append((key + "/" if kind == "directory" else key, facts))
        return sorted(found, key=lambda item: item[0])

    def _entries(self, fs: Driver, place: str) -> Sequence[dict[str, Any]]:
        found: Sequence[dict[str, Any]] = fs.ls(place or "/", detail=True)
        # Asked for a file, drivers list the file.
        return [facts for facts in found if str(facts["name"]).strip("/") != place.strip("/")]

    def _delete_folder(self, fs: Driver, place: str) -> None:
        for facts in self._entries(fs, place):
            inner = f"{place}/{str(facts['name']).rstrip('/').rpartition('/')[2]}"
            if facts["type"] == "directory":
                self._delete_folder(fs, inner)
            else:
                fs.rm_file(inner)
        with contextlib.suppress(FileNotFoundError, NotImplementedError):  # folders that were names only are gone
            fs.rmdir(place)

    @contextlib.contextmanager
    def _explained(self, path: str) -> Iterator[None]:
        try:
            yield
        except OrchestratorError:
            raise
        except Exception as error:
            if (meaning := self._meaning(error, path) or self._plain_meaning(error, path)) is None:
                raise
            raise meaning from None

    def _plain_meaning(self, error: Exception, path: str) -> OrchestratorError | None:
        where = f"{self._where()}/{path}"
        if isinstance(error, (FileNotFoundError, IsADirectoryError, NotADirectoryError)):
            return NotFound(f"there is no {'file' if path else 'folder'} {where}")
        if isinstance(error, PermissionError):
            return AccessDenied(f"{where}: this account may not do it")
        if isinstance(error, FileExistsError):
            return InvalidInput(f"{path} cannot be written: a file is in the place of a folder, or a folder of it")
        if isinstance(error, (OSError, EOFError, TimeoutError)):
            text = " ".join(str(error).split()) or type(error).__name__
            return Unavailable(f"{where}: {text}")
        return None


def _modified(facts: dict[str, Any]) -> datetime | None:
    for name in _TIMES:
        value = facts.get(name)
        if isinstance(value, datetime):
            return value if value.tzinfo else value.replace(tzinfo=timezone.utc)
        if isinstance(value, (int, float)):
            return datetime.fromtimestamp(value, timezone.utc)
        if isinstance(value, str):
            with contextlib.suppress(ValueError):
                found = datetime.fromisoformat(value.replace("Z", "+00:00"))
                return found if found.tzinfo else found.replace(tzinfo=timezone.utc)
    return None
