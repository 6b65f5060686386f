"""What the embedded Postgres and the embedded Redis have in common: one server on one folder, started and stopped."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from ..errors import Unavailable
from . import processes
from .lock import FileLock
from .privileges import Account, give

_PORTS_TRIED = 5


class DataServer(ABC):
    """A server on ``<folder>/<name>``, listening on a port of 127.0.0.1 that is remembered beside it.

    Beside the data lie ``<name>.port``, ``<name>.password`` (for their owner alone) and ``<name>.lock``, which the
    server and its children hold until the last of them has ended: whoever gets it knows that no server runs on
    this data, whatever a pid file says.

    Args:
        folder: The data folder, which exists.
        log: The file that the server's output is added to.
        account: Whom the server runs as; None: this user.
    """

    name: ClassVar[str]
    label: ClassVar[str]
    #: Asked to end in this way: signals, each with the seconds to wait after it.
    ending: ClassVar[Sequence[tuple[signal.Signals, float]]]
    #: What to do when the data cannot be used, to follow a semicolon.
    remedy: ClassVar[str]

    def __init__(self, folder: Path, log: Path, account: Account | None) -> None:
        self.folder = folder
        self.data = folder / self.name
        self.log = log
        self.account = account
        self.port = 0
        self.process: subprocess.Popen[bytes] | None = None
        self._lock = FileLock(folder / f"{self.name}.lock")

    @property
    @abstractmethod
    def url(self) -> str:
        """Where clients find it, password included."""

    @abstractmethod
    def prepare(self) -> None:
        """Make the data, or check that it can be used; nobody else uses it now. Raises Unavailable."""

    @abstractmethod
    def command(self) -> list[str | Path]:
        """The command line, for :attr:`port`."""

    @abstractmethod
    def answers(self) -> bool:
        """Whether it can be used."""

    @abstractmethod
    def orphan(self) -> int | None:
        """The pid of the server that runs on this data, if that can be told."""

    def start(self, patience_s: float = 120.0) -> None:
        """Start the server and wait until it can be used. A server that an earlier process left is ended first.

        Raises:
            Unavailable: It cannot be started; one line with the folder, the reason and the way out.
        """
        self._take_over()
        try:
            self.prepare()
            for _ in range(_PORTS_TRIED):
                self.port = self._choose_port()
                logged = self.log.stat().st_size if self.log.exists() else 0
                self._spawn()
                if self._wait(patience_s):
                    return
                reason = self._reason(logged)
                if "in use" not in reason.lower():
                    break
            raise Unavailable(f"{self.label} does not start on {self.data}: {reason} (log: {self.log}); {self.remedy}")
        finally:
            self._lock.release()

    def stop(self) -> None:
        """Stop the server and wait until it is gone."""
        if self.process is not None:
            processes.end(self.process, self.ending)
            self.process = None

    @property
    def alive(self) -> bool:
        """Whether the process that :meth:`start` made still runs."""
        return self.process is not None and self.process.poll() is None

    def password(self) -> str:
        """The password, made on first use."""
        path = self.folder / f"{self.name}.password"
        with contextlib.suppress(FileNotFoundError):
            if text := path.read_text("ascii").strip():
                return text
        text = secrets.token_hex(24)
        write_private(path, text)
        return text

    def _take_over(self) -> None:
        """Get the lock, ending the server of a process that was killed. Raises Unavailable after half a minute."""
        began = time.monotonic()
        while not self._lock.take():
            waited = time.monotonic() - began
            pid = self.orphan()
            if pid is not None:
                processes.send(pid, signal.SIGINT if waited < 10 else signal.SIGKILL)
            if waited > 30:
                raise Unavailable(f"{self.data} is in use by a {self.label} (pid {pid}) that does not end; kill it")
            time.sleep(0.1)

    def _spawn(self) -> None:
        with open(self.log, "ab") as log:
            self.process = processes.spawn(
                self.command(),
                cwd=self.data,
                env=processes.CLEAN_ENVIRONMENT,
                log=log,
                account=self.account,
                parent_death_signal=signal.SIGINT,
                pass_fds=[self._lock.fileno()],
            )

    def _wait(self, patience_s: float) -> bool:
        deadline = time.monotonic() + patience_s
        while self.alive and time.monotonic() < deadline:
            if self.answers():
                return True
            time.sleep(0.02)
        self.stop()
        return False

    def _choose_port(self) -> int:
        """The remembered port, or another one if that is taken."""
        path = self.folder / f"{self.name}.port"
        try:
            port = int(path.read_text("ascii"))
        except (FileNotFoundError, ValueError):
            port = 0
        if not 1024 <= port <= 65535 or not port_is_free("127.0.0.1", port):
            port = free_port()
            path.write_text(f"{port}\n", "ascii")
        return port

    def _reason(self, logged: int) -> str:
        """The line of the log, from the offset ``logged`` on, that best says why the server ended."""
        with open(self.log, "rb") as file:
            file.seek(logged)
            lines = [line.strip() for line in file.read().decode(errors="replace").splitlines() if line.strip()]
        said = [line for line in lines if any(word in line for word in ("FATAL", "PANIC", "FAIL", "rror", "in use"))]
        said.sort(key=lambda line: "in use" not in line)
        reason = next(iter(said or lines[-1:]), "it said nothing and did not answer")
        return re.sub(r"^.*?(?=FATAL|PANIC)", "", reason)


def port_is_free(host: str, port: int) -> bool:
    """Whether a server could listen there now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as candidate:
        candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            candidate.bind((host, port))
            candidate.listen(1)
        except OSError:
            return False
    return True


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on at this moment."""
    with socket.socket() as candidate:
        candidate.bind(("127.0.0.1", 0))
        return int(candidate.getsockname()[1])


def write_private(path: Path, text: str, account: Account | None = None) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
        give(aside, account, 0o600)
        aside.rename(path)
    finally:
        aside.unlink(missing_ok=True)


def remove_tree(path: Path) -> None:
    """Remove a folder if it is there."""
    shutil.rmtree(path, ignore_errors=True)
