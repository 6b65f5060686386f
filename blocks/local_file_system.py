"""A folder of this computer, or of one mounted on it, as a file system."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import BinaryIO, ClassVar

from pydantic import Field

from orchestrator.block import Block
from orchestrator.errors import InvalidInput, NotFound, Unavailable
from orchestrator.interfaces import FileInfo, FileSystem, clean_path, write_whole


class LocalFileSystem(Block, FileSystem):
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
        place = self._place(path, of_file=True)
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
        root, start = self._root(), self._place(path)
        found = [
            (item.relative_to(root).as_posix(), item)
            for item in start.rglob("*")
            if item.is_file() and not item.name.startswith(".writing-")
        ]
        for name, item in sorted(found):
            with contextlib.suppress(FileNotFoundError):  # gone since it was listed
                yield self._info(name, item)

    def delete(self, path: str) -> None:
        """Delete a file, or a folder with all below it."""
        place = self._place(path, of_file=True)
        if place.is_dir():
            shutil.rmtree(place)
        else:
            with _explained(path, self.basepath):
                place.unlink()

    def stat(self, path: str) -> FileInfo:
        """Size and time of one file."""
        place = self._place(path, of_file=True)
        if not place.is_file():
            raise NotFound(f"there is no file {path} below {self.basepath}")
        return self._info(clean_path(path), place)

    def _open(self, path: str) -> BinaryIO:
        with _explained(path, self.basepath):
            return self._place(path, of_file=True).open("rb")

    def _root(self) -> Path:
        return Path(self.basepath).expanduser().resolve()

    def _place(self, path: str, of_file: bool = False) -> Path:
        """The local path; links that leave the root are refused like ``..`` is."""
        clean, root = clean_path(path), self._root()
        if of_file and not clean:
            raise InvalidInput("the path of a file is empty")
        place = root.joinpath(clean)
        if not place.resolve().is_relative_to(root):
            raise InvalidInput(f"the path {path!r} leaves {self.basepath}")
        return place

    @staticmethod
    def _info(name: str, place: Path) -> FileInfo:
        facts = place.stat()
        return FileInfo(name, facts.st_size, datetime.fromtimestamp(facts.st_mtime, timezone.utc))


@contextlib.contextmanager
def _explained(path: str, basepath: str) -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        raise NotFound(f"there is no file {path} below {basepath}") from None
    except PermissionError as error:
        raise Unavailable(f"{path} below {basepath}: {error.strerror}") from None
