"""The embedded Redis, which is Valkey."""

from __future__ import annotations

import contextlib
import signal
from pathlib import Path
from typing import ClassVar

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from . import processes, wheels
from .data_server import DataServer, write_private
from .privileges import Account, give


class EmbeddedRedis(DataServer):
    """A Valkey that keeps an append-only file, so that hints outlive a restart."""

    name: ClassVar = "redis"
    label: ClassVar = "Redis"
    ending: ClassVar = ((signal.SIGTERM, 10.0),)
    remedy: ClassVar = "remove that folder: it holds only hints, which are sent again"

    def __init__(self, folder: Path, log: Path, account: Account | None) -> None:
        super().__init__(folder, log, account)
        self._program, _ = wheels.program(wheels.REDIS, folder / "bin", account)
        self._config = folder / "redis.conf"

    @property
    def url(self) -> str:
        """``redis://:password@127.0.0.1:port/0``."""
        return f"redis://:{self.password()}@127.0.0.1:{self.port}/0"

    def prepare(self) -> None:
        """Make the data folder."""
        self.data.mkdir(exist_ok=True)
        give(self.data, self.account, 0o700)
        for left_over in self.data.glob("temp-*"):
            left_over.unlink(missing_ok=True)

    def command(self) -> list[str | Path]:
        """The server with its configuration file: a password on a command line could be read by everyone."""
        path = str(self.data).replace("\\", "\\\\").replace('"', '\\"')
        lines = [
            "bind 127.0.0.1",
            f"port {self.port}",
            f"requirepass {self.password()}",
            f'dir "{path}"',
            "daemonize no",
            "appendonly yes",
            'save ""',
            "maxmemory 256mb",
            "maxmemory-policy noeviction",
            "set-proc-title no",
            "loglevel warning",
        ]
        write_private(self._config, "\n".join(lines) + "\n", self.account)
        return [self._program, self._config]

    def answers(self) -> bool:
        """Whether it answers a ping, with its data loaded."""
        try:
            with contextlib.closing(_connection(self.url)) as link:
                return bool(link.ping())
        except redis.RedisError:
            return False

    def orphan(self) -> int | None:
        """The server that answers on the remembered port with our password."""
        with contextlib.suppress(OSError, ValueError, redis.RedisError):
            port = int((self.folder / "redis.port").read_text("ascii"))
            url = f"redis://:{self.password()}@127.0.0.1:{port}/0"
            with contextlib.closing(_connection(url)) as link:
                pid = int(link.info("server")["process_id"])
            return pid if str(self._config) in processes.command_line(pid) else None
        return None


def _connection(url: str) -> redis.Redis:
    """A connection that does not try again by itself: whoever waits here asks again anyway."""
    return redis.Redis.from_url(url, socket_timeout=2, socket_connect_timeout=2, retry=Retry(NoBackoff(), 0))
