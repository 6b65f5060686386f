"""Embedded Postgres and Redis as one thing to start, stop and keep alive."""

from __future__ import annotations

import subprocess
from pathlib import Path

from ..errors import Conflict, Unavailable
from .data_server import DataServer
from .folders import make_folder
from .lock import FileLock
from .postgres import EmbeddedPostgres
from .privileges import unprivileged
from .redis import EmbeddedRedis


class EmbeddedServices:
    """Postgres and Redis on one data folder; a context manager.

    A second start uses the same data. When this process is killed, the servers end by themselves (Linux) or are
    ended by the next start (elsewhere). On Linux they also end with the *thread* that started them.

    Args:
        folder: The data folder. As root, every folder above must be open (mode ``x``) to the account that the
            servers then run as; :func:`orchestrator.embedded.folders.data_folder` picks such a one.
        postgres: Whether to run a Postgres.
        redis: Whether to run a Redis.
        logs: Folder of ``postgres.log`` and ``redis.log``; by default below ``folder``.
    """

    def __init__(self, folder: Path, *, postgres: bool = True, redis: bool = True, logs: Path | None = None) -> None:
        self.folder = folder.absolute()
        self.logs = logs or self.folder / "logs"
        self._kinds: list[type[DataServer]] = [EmbeddedPostgres] * postgres + [EmbeddedRedis] * redis
        self._servers: dict[str, DataServer] = {}
        self._lock = FileLock(self.folder / "services.lock")

    def __enter__(self) -> EmbeddedServices:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def database_url(self) -> str:
        """Address of the Postgres, password included."""
        return self._running("postgres").url

    @property
    def redis_url(self) -> str:
        """Address of the Redis, password included."""
        return self._running("redis").url

    @property
    def processes(self) -> dict[str, subprocess.Popen[bytes]]:
        """The servers' processes by name."""
        return {name: server.process for name, server in self._servers.items() if server.process is not None}

    def claim(self) -> None:
        """Take the folder, making it where needed, without starting anything. Raises as :meth:`start`."""
        account = unprivileged()
        try:
            make_folder(self.folder, account)
            self.logs.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Unavailable(f"the data folder {self.folder} cannot be made: {error.strerror}") from None
        if account is not None and not account.may_pass(self.folder):
            raise Unavailable(
                f"the user {account.name}, as whom Postgres runs, may not enter {self.folder}: set"
                " ORCHESTRATOR_DATA_DIR to a folder that all may pass through, such as one below /var/lib"
            )
        if not self._lock.take():
            raise Conflict(f"another process runs Postgres and Redis in {self.folder}: stop it, or use another folder")

    def start(self) -> None:
        """Start the servers and wait until they can be used.

        Raises:
            Conflict: Another process runs servers on this folder.
            Unavailable: One of them cannot be started: one line with the reason and the way out.
            SettingsError: This is root, and there is no account to run them as.
        """
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop the servers, Redis first, and wait until they are gone."""
        for name in reversed(list(self._servers)):
            self._servers.pop(name).stop()
        self._lock.release()

    def dead(self) -> list[str]:
        """The servers that have ended though nobody asked them to."""
        return [name for name, server in self._servers.items() if not server.alive]

    def revive(self, name: str) -> bool:
        """Start a dead server again. Whether its address is another now. Raises Unavailable."""
        server = self._running(name)
        before = server.url
        server.start()
        return server.url != before

    def _start(self) -> None:
        self.claim()
        account = unprivileged()
        for kind in self._kinds:
            server = kind(self.folder, self.logs / f"{kind.name}.log", account)
            self._servers[kind.name] = server
            server.start()

    def _running(self, name: str) -> DataServer:
        if name not in self._servers:
            raise Unavailable(f"the embedded {name} is not started")
        return self._servers[name]
