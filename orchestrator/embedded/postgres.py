"""The embedded Postgres."""

from __future__ import annotations

import contextlib
import signal
import subprocess
from pathlib import Path
from typing import ClassVar

import psycopg

from ..errors import Unavailable
from . import processes, wheels
from .data_server import DataServer, remove_tree, write_private
from .privileges import Account, give

USER = "orchestrator"
DATABASE = "orchestrator"

#: For a server that shares a laptop with its user's work. ``fsync`` stays on: this is the truth.
OPTIONS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "120",
    "shared_buffers": "32MB",
    "max_wal_size": "512MB",
    "io_method": "sync",
    "autovacuum_max_workers": "1",
    "autovacuum_worker_slots": "2",
    "max_parallel_workers_per_gather": "0",
    "max_wal_senders": "0",
    "wal_level": "minimal",
    "TimeZone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
}


class EmbeddedPostgres(DataServer):
    """A Postgres with the database :data:`DATABASE`, owned by :data:`USER`."""

    name: ClassVar = "postgres"
    label: ClassVar = "Postgres"
    ending: ClassVar = ((signal.SIGINT, 30.0), (signal.SIGQUIT, 5.0))
    remedy: ClassVar = "restore that folder from a backup, or move it away to begin with an empty database"

    def __init__(self, folder: Path, log: Path, account: Account | None) -> None:
        super().__init__(folder, log, account)
        self._program, line = wheels.program(wheels.POSTGRES, folder / "bin", account)
        self._major = line.rpartition(" ")[2].partition(".")[0]

    @property
    def url(self) -> str:
        """``postgresql://user:password@127.0.0.1:port/database``."""
        return self._url(DATABASE)

    def prepare(self) -> None:
        """Initialise a new data folder, or check the one that is there. Raises Unavailable."""
        if not self.data.exists():
            self._initialise()
        self._check()
        (self.data / "postmaster.pid").unlink(missing_ok=True)

    def command(self) -> list[str | Path]:
        """The server in the foreground."""
        options = [f"--{name}={value}" for name, value in OPTIONS.items()]
        return [self._program, "-D", self.data, f"--port={self.port}", *options]

    def answers(self) -> bool:
        """Whether it takes connections; makes the database on the first start."""
        try:
            with psycopg.connect(self._url("postgres"), connect_timeout=2, autocommit=True) as link:
                if not link.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone():
                    link.execute(f"CREATE DATABASE {DATABASE}")
        except psycopg.OperationalError as error:
            if "password authentication failed" in str(error):
                raise Unavailable(
                    f"{self.folder / 'postgres.password'} is not the password of the data in {self.data}:"
                    " restore that file, or move both away to begin with an empty database"
                ) from None
            return False
        return True

    def orphan(self) -> int | None:
        """The server named by the pid file, if it still is one on this data."""
        with contextlib.suppress(OSError, ValueError, IndexError):
            pid = int((self.data / "postmaster.pid").read_text().splitlines()[0])
            if str(self.data) in processes.command_line(pid):
                return pid
        return None

    def _url(self, database: str) -> str:
        return f"postgresql://{USER}:{self.password()}@127.0.0.1:{self.port}/{database}"

    def _initialise(self) -> None:
        """Make the data aside, then rename: an initdb that is killed leaves a folder that looks whole."""
        aside, password = self.data.with_name("postgres.new"), self.folder / ".postgres.pwfile"
        remove_tree(aside)
        aside.mkdir()
        give(aside, self.account, 0o700)
        write_private(password, self.password(), self.account)
        try:
            answer = self._initdb(aside, password)
        finally:
            password.unlink(missing_ok=True)
        if answer.returncode:
            last = (answer.stderr.strip().splitlines() or ["it said nothing"])[-1]
            raise Unavailable(f"a Postgres cannot be made in {self.data}: {last}")
        aside.rename(self.data)

    def _initdb(self, aside: Path, password: Path) -> subprocess.CompletedProcess[str]:
        locale = ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        access = [f"--username={USER}", "--auth=scram-sha-256", f"--pwfile={password}"]
        return processes.ask([self._program.with_name("initdb"), "-D", aside, *access, *locale], aside, self.account)

    def _check(self) -> None:
        try:
            found = (self.data / "PG_VERSION").read_text("ascii").strip()
        except FileNotFoundError:
            raise Unavailable(f"{self.data} holds no Postgres data (PG_VERSION is missing); {self.remedy}") from None
        if found != self._major:
            raise Unavailable(
                f"{self.data} was made by PostgreSQL {found}, and this Orchestrator brings {self._major}: start the"
                f" release that made it and take a backup, then move {self.data} away; or set ORCHESTRATOR_DATABASE_URL"
            )
        if not (self.folder / "postgres.password").exists():
            raise Unavailable(
                f"{self.folder / 'postgres.password'} is missing, without which {self.data} cannot be opened:"
                " restore that file, or move the data away to begin with an empty database"
            )
