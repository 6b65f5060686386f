"""What blocks can do for each other: small interfaces that a kind of block takes as a base class beside ``Block``.

A field may be typed as an interface (``storage: FileSystem``): any block that has it fits. The names here
(``file-system``, ``infrastructure``, ``secret``) are what block types tell the server, and what forms offer by.
"""

from __future__ import annotations

import abc
import hashlib
import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, Protocol

from pydantic import BaseModel, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from .errors import InvalidInput

#: Called as files are moved: bytes done so far, bytes in all, the file just finished.
Progress = Callable[[int, int, str], None]


class Interface(abc.ABC):  # noqa: B024 - the abstract methods are those of each interface
    """Base of all interfaces."""

    #: The name that block types are listed under.
    interface: ClassVar[str] = ""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        # A block that names the interface before Block among its bases is still the model it is.
        if issubclass(cls, BaseModel):
            return handler(source)
        schema = {"type": "object", "title": cls.__name__, "x-block": cls.interface}
        functions = [lambda _schema, _handler: schema]
        return core_schema.is_instance_schema(cls, metadata={"pydantic_js_functions": functions})


@dataclass(frozen=True)
class FileInfo:
    """One file of a file system: its path below the root, its size in bytes, when it was last written (aware)."""

    path: str
    size: int
    modified: datetime | None = None


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

    def get_directory(self, remote: str, local: Path | str, progress: Progress | None = None) -> int:
        """Copy all files below ``remote`` into the folder ``local``; returns how many there were."""
        remote, target = clean_path(remote), Path(local)
        files = [*self.list(remote)]
        start = len(remote) + 1 if remote else 0

        def move(info: FileInfo) -> None:
            place = target.joinpath(*clean_path(info.path[start:]).split("/"))
            place.parent.mkdir(parents=True, exist_ok=True)
            _write_whole(place, lambda file: self.download(info.path, file))

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


@dataclass(frozen=True)
class LaunchSpec:
    """What an infrastructure is asked to execute: one attempt of one flow run."""

    run_id: uuid.UUID | None = None
    attempt: int = 0
    #: The run's name, for labels that people read.
    name: str = ""
    #: Environment variables, laid over the agent's own.
    env: dict[str, str] = field(default_factory=dict)
    #: Folder to execute in; None: the working copy of the project.
    working_dir: str | None = None
    #: What executes the run where the host cannot fork it: in a container, in another machine.
    command: tuple[str, ...] = ()


class Running(Protocol):
    """What was launched, as its supervisor sees it."""

    @property
    def identifier(self) -> str:
        """What people look it up by: a process id, a container's name."""

    def poll(self) -> int | None:
        """The exit code; None while it runs. A negative one is the signal that ended it."""

    def terminate(self) -> None:
        """Ask it, with all that it started, to stop."""

    def kill(self) -> None:
        """End it, with all that it started, at once."""


class ProcessHost(Protocol):
    """What an agent lends to infrastructures: supervised processes on its own computer."""

    def start(self, spec: LaunchSpec) -> Running:
        """Start a process for the run."""


class Infrastructure(Interface):
    """Where a flow run is executed."""

    interface: ClassVar[str] = "infrastructure"

    @abc.abstractmethod
    def launch(self, spec: LaunchSpec, host: ProcessHost) -> Running:
        """Start the run, on the agent's own computer by ``host``, or elsewhere. Returns at once."""


class Secret(Interface):
    """A value that nobody shall read by accident."""

    interface: ClassVar[str] = "secret"

    @abc.abstractmethod
    def get(self) -> str:
        """The value, in clear."""


def clean_path(path: str) -> str:
    """A relative path in its one form: parts joined by ``/``, ``""`` for the root.

    Raises:
        InvalidInput: It is absolute, climbs with ``..``, or holds a backslash or a control character.
    """
    text = str(path)
    if text.startswith("/") or "\\" in text or any(ord(char) < 32 or ord(char) == 127 for char in text):
        raise InvalidInput(f"{text!r} is no relative path with /")
    parts = [part for part in text.split("/") if part not in ("", ".")]
    if ".." in parts or (parts and len(parts[0]) == 2 and parts[0][1] == ":"):
        raise InvalidInput(f"the path {text!r} leaves the folder that it is relative to")
    return "/".join(parts)


def sha256_of(path: Path) -> str:
    """The sha256 of a file's content, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def write_whole(path: Path, content: bytes | BinaryIO) -> None:
    """Write a local file so that it appears whole or not at all."""
    if isinstance(content, bytes):
        _write_whole(path, lambda file: file.write(content))
    else:
        _write_whole(path, lambda file: shutil.copyfileobj(content, file, 1 << 20))


def _write_whole(path: Path, fill: Callable[[BinaryIO], Any]) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".writing-")
    try:
        with os.fdopen(handle, "wb") as file:
            fill(file)
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _umask() -> int:
    # Reading the mask means setting it, which other threads would notice: ask the system where it tells.
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("Umask:"):
                return int(line.split()[1], 8)
    except (OSError, ValueError):
        pass
    return 0o022


def _files_below(folder: Path) -> Iterator[str]:
    for base, folders, names in os.walk(folder):
        folders.sort()
        for name in names:
            yield Path(base, name).relative_to(folder).as_posix()
