"""A folder of this computer, or of one mounted on it, as a file system."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import BinaryIO, ClassVar

from pydantic import Field

from orchestrator.block import Block
from orchestrator.errors import InvalidInput, NotFound, Unavailable
from orchestrator.interfaces import FileInfo, Folder, clean_path, write_whole

from .listings import ObservedFiles, Place

#: What files are called while they are written.
_WRITING = ".writing-"


class LocalFileSystem(Block, ObservedFiles):
    """Files below one folder. Agents on other computers see them only where the folder is shared."""

    _name: ClassVar[str] = "Local file system"
    _slug: ClassVar[str] = "local-file-system"
    _logo: ClassVar[str] = "tabler:folder"
    _code_example: ClassVar[str] = """
        from orchestrator.blocks.local_file_system import LocalFileSystem

        LocalFileSystem(basepath="/srv/flows").save("code")
        LocalFileSystem.load("code").write("hello.txt", b"hello")
        """

    basepath: str = Field(min_length=1, description="Folder that holds all files; ~ is the user's home.")

    def read(self, path: str) -> bytes:
        """The whole content of a file."""
        with self._open(path) as file:
            return file.read()

    def download(self, path: str, file: BinaryIO) -> None:
        """Stream a file's content into an open binary file."""
        with self._open(path) as source:
            shutil.copyfileobj(source, file, 1 << 20)

    def write(self, path: str, content: bytes | BinaryIO) -> None:
        """Write a file, whole; folders on the way are made."""
        place = self._local(path, of_file=True)
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            write_whole(place, content)
        except (FileExistsError, NotADirectoryError, IsADirectoryError):
            raise InvalidInput(
                f"{path} cannot be written: a file is in the place of a folder, or a folder of it"
            ) from None
        except PermissionError as error:
            raise Unavailable(f"{path} cannot be written below {self.basepath}: {error.strerror}") from None

    def list(self, path: str = "") -> Iterator[FileInfo]:
        """All files below a folder, ordered by path."""
        start = self._local(path)
        name = start.relative_to(self._root()).as_posix()
        yield from _walk(start, "" if name == "." else f"{name}/")

    def browse(self, path: str = "", limit: int = 1000) -> Folder:
        """What lies directly in a folder."""
        start, base = self._local(path), clean_path(path)
        folders: list[str] = []
        files: list[FileInfo] = []
        for name, entry in _entries(start):
            if len(folders) + len(files) >= limit:
                return Folder(sorted(folders), files, is_cut=True)
            if entry.is_dir(follow_symlinks=False):
                folders.append(entry.name)
            else:
                with contextlib.suppress(OSError):
                    files.append(_info(f"{base}/{name}" if base else name, entry.stat()))
        return Folder(sorted(folders), files)

    def delete(self, path: str) -> None:
        """Delete a file, or a folder with all below it."""
        place = self._local(path, of_file=True)
        if place.is_dir():
            shutil.rmtree(place)
        else:
            with _explained(path, self.basepath):
                place.unlink()

    def stat(self, path: str) -> FileInfo:
        """Size and time of one file."""
        place = self._local(path, of_file=True)
        if not place.is_file():
            raise NotFound(f"there is no file {path} below {self.basepath}")
        return _info(clean_path(path), place.stat())

    def _place(self) -> Place:
        root = self._root()
        return Place(f"file://{root}", "local.folder", str(root), "local.folder", "local.file")

    def _listing(self) -> Iterator[FileInfo]:
        if not self._root().is_dir():
            raise NotFound(f"there is no folder {self.basepath} on the agent's computer")
        return self.list()

    def _open(self, path: str) -> BinaryIO:
        with _explained(path, self.basepath):
            return self._local(path, of_file=True).open("rb")

    def test(self) -> str:
        """Look whether the folder may be read and written, without writing."""
        root = self._root()
        if not root.exists():
            return f"There is no folder {root} on this computer yet: the first file that is written makes it."
        if not root.is_dir():
            raise InvalidInput(f"{root} is a file: give basepath the path of a folder")
        if not os.access(root, os.R_OK | os.X_OK):
            raise Unavailable(f"the folder {root} may not be read here: give the user of the agent access to it")
        return f"The folder {root} can be read{' and written' if os.access(root, os.W_OK) else ', but not written'}."

    def _root(self) -> Path:
        return Path(self.basepath).expanduser().resolve()

    def _local(self, path: str, of_file: bool = False) -> Path:
        """The local path; links that leave the root are refused like ``..`` is."""
        clean, root = clean_path(path), self._root()
        if of_file and not clean:
            raise InvalidInput("the path of a file is empty")
        place = root.joinpath(clean)
        if not place.resolve().is_relative_to(root):
            raise InvalidInput(f"the path {path!r} leaves {self.basepath}")
        return place


def _walk(folder: Path, prefix: str) -> Iterator[FileInfo]:
    """All files below a folder in the order of their whole paths; the names of the folders on the way are held.

    Links to files are followed, links to folders are not: they may lead in circles.
    """
    for name, entry in _entries(folder):
        if name.endswith("/"):
            yield from _walk(Path(entry.path), prefix + name)
        else:
            with contextlib.suppress(OSError):  # gone since it was listed
                yield _info(prefix + name, entry.stat())


def _entries(folder: Path) -> list[tuple[str, os.DirEntry[str]]]:
    """What lies in a folder, sorted as whole paths are: ``a-b`` comes before what is in ``a``."""
    found = []
    try:
        with os.scandir(folder) as listing:
            for entry in listing:
                with contextlib.suppress(OSError, UnicodeEncodeError):  # a name that is no text has no path
                    entry.name.encode()
                    if entry.is_dir(follow_symlinks=False):
                        found.append((f"{entry.name}/", entry))
                    elif entry.is_file() and not entry.name.startswith(_WRITING):
                        found.append((entry.name, entry))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except PermissionError as error:
        raise Unavailable(f"{folder} cannot be listed: {error.strerror}") from None
    return sorted(found, key=lambda item: item[0])


def _info(name: str, facts: os.stat_result) -> FileInfo:
    return FileInfo(name, facts.st_size, datetime.fromtimestamp(facts.st_mtime, timezone.utc))


@contextlib.contextmanager
def _explained(path: str, basepath: str) -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        raise NotFound(f"there is no file {path} below {basepath}") from None
    except PermissionError as error:
        raise Unavailable(f"{path} below {basepath}: {error.strerror}") from None
