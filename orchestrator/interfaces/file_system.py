"""Files below a root."""

from __future__ import annotations

import abc
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, ClassVar

from .base import Interface
from .paths import clean_path, fill_whole

#: Called as files are moved: bytes done so far, bytes in all, the file just finished.
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class FileInfo:
    """One file of a file system: its path below the root, its size in bytes, when it was last written (aware)."""

    path: str
    size: int
    modified: datetime | None = None


@dataclass(frozen=True)
class Folder:
    """What lies directly in a folder: names of folders, and files; both in order."""

    folders: list[str]
    files: list[FileInfo]
    #: Whether there is more than was asked for.
    is_cut: bool = False


#: Files that :meth:`FileSystem.browse` looks at, where a kind has no better way than listing all that lies below.
BROWSE_MAX = 100_000


class FileSystem(Interface):
    """Files below a root, addressed by relative paths with ``/``.

    Every path goes through :func:`clean_path`: none leaves the root. A file appears under its name whole or not at
    all. What is not there raises NotFound, a storage that cannot be reached Unavailable.
    """

    interface: ClassVar[str] = "file-system"
    #: How many files are moved at a time by the two verbs over folders.
    _transfers: ClassVar[int] = 1

    @abc.abstractmethod
    def read(self, path: str) -> bytes:
        """The whole content of a file."""

    @abc.abstractmethod
    def download(self, path: str, file: BinaryIO) -> None:
        """Stream a file's content into an open binary file."""

    @abc.abstractmethod
    def write(self, path: str, content: bytes | BinaryIO) -> None:
        """Write a file, whole; what was there is replaced. ``content`` may be a file opened for reading bytes."""

    @abc.abstractmethod
    def list(self, path: str = "") -> Iterator[FileInfo]:
        """All files below a folder, at any depth, ordered by path. A folder that is not there holds none."""

    @abc.abstractmethod
    def delete(self, path: str) -> None:
        """Delete a file, or a folder with all below it."""

    @abc.abstractmethod
    def stat(self, path: str) -> FileInfo:
        """Size and time of one file. Raises NotFound where there is none."""

    def browse(self, path: str = "", limit: int = 1000) -> Folder:
        """What lies directly in a folder, at most ``limit`` folders and files. One that is not there is empty."""
        base = clean_path(path)
        start = len(base) + 1 if base else 0
        folders: dict[str, None] = {}
        files: list[FileInfo] = []
        for seen, info in enumerate(self.list(base)):
            head, slash, _ = info.path[start:].partition("/")
            is_full = len(folders) + len(files) >= limit and head not in folders
            if is_full or seen >= BROWSE_MAX:
                return Folder(sorted(folders), files, is_cut=True)
            if slash:
                folders[head] = None
            else:
                files.append(info)
        return Folder(sorted(folders), files)

    def get_directory(self, remote: str, local: Path | str, progress: Progress | None = None) -> int:
        """Copy all files below ``remote`` into the folder ``local``; returns how many there were."""
        remote, target = clean_path(remote), Path(local)
        files = [*self.list(remote)]
        start = len(remote) + 1 if remote else 0

        def move(info: FileInfo) -> None:
            place = target.joinpath(*clean_path(info.path[start:]).split("/"))
            place.parent.mkdir(parents=True, exist_ok=True)
            fill_whole(place, lambda file: self.download(info.path, file))

        self._move(files, move, progress)
        return len(files)

    def put_directory(
        self,
        local: Path | str,
        remote: str,
        paths: Iterable[str] | None = None,
        progress: Progress | None = None,
    ) -> int:
        """Copy files of the folder ``local`` below ``remote``: those that ``paths`` names, or all; returns how many."""
        remote, source = clean_path(remote), Path(local)
        names = sorted(_files_below(source)) if paths is None else [clean_path(path) for path in paths]
        files = [FileInfo(name, source.joinpath(name).stat().st_size) for name in names]

        def move(info: FileInfo) -> None:
            with source.joinpath(info.path).open("rb") as file:
                self.write(f"{remote}/{info.path}" if remote else info.path, file)

        self._move(files, move, progress)
        return len(files)

    def _move(self, files: Sequence[FileInfo], move: Callable[[FileInfo], None], progress: Progress | None) -> None:
        done, total = 0, sum(info.size for info in files)
        with ThreadPoolExecutor(self._transfers, thread_name_prefix="transfer") as pool:
            moves: dict[Future[None], FileInfo] = {pool.submit(move, info): info for info in files}
            try:
                for future in as_completed(moves):
                    future.result()
                    done += moves[future].size
                    if progress:
                        progress(done, total, moves[future].path)
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise


def _files_below(folder: Path) -> Iterator[str]:
    for base, folders, names in os.walk(folder):
        folders.sort()
        for name in names:
            yield Path(base, name).relative_to(folder).as_posix()
