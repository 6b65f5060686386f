"""A real MariaDB server on a free port, its files in a folder that goes with it."""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pymysql

from ..polling import free_port

PASSWORD = "p/w:%@"


def missing() -> str:
    """Why there can be no server here; empty: there can. Debian's package is ``mariadb-server``."""
    if not (_program("mariadbd") and _program("mariadb-install-db")):
        return "mariadb-server is not installed (.ci/run installs it)"
    return ""


@contextlib.contextmanager
def mariadb(folder: Path) -> Iterator[tuple[str, int]]:
    """Host and port of a server; its account is ``etl`` with :data:`PASSWORD`, its database ``shop``."""
    data, log = folder / "data", folder / "mariadb.log"
    user = getpass.getuser()
    made = subprocess.run(
        [_program("mariadb-install-db"), "--no-defaults", f"--datadir={data}", f"--user={user}", "--skip-test-db",
         "--auth-root-authentication-method=normal"],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert made.returncode == 0, made.stdout + made.stderr
    port = free_port()
    with log.open("wb") as output:
        server = subprocess.Popen(
            [_program("mariadbd"), "--no-defaults", f"--datadir={data}", f"--user={user}", f"--port={port}",
             "--bind-address=127.0.0.1", f"--socket={folder / 's'}", f"--pid-file={folder / 'pid'}",
             "--innodb-buffer-pool-size=16M", "--innodb-flush-log-at-trx-commit=0", "--skip-name-resolve"],
            stdout=output, stderr=output,
        )  # fmt: skip
    try:
        _prepare(port, server, log)
        yield "127.0.0.1", port
    finally:
        server.terminate()
        try:
            server.wait(30)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _prepare(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            link = pymysql.connect(host="127.0.0.1", port=port, user="root", autocommit=True)
            break
        except pymysql.err.OperationalError:
            if server.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"MariaDB does not start:\n{log.read_text()[-4000:]}") from None
            time.sleep(0.05)
    with link, link.cursor() as cursor:
        cursor.execute("CREATE DATABASE shop")
        cursor.execute("CREATE USER etl@'%%' IDENTIFIED BY %s", (PASSWORD,))
        cursor.execute("GRANT ALL ON *.* TO etl@'%'")


def _program(name: str) -> str:
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin") or ""
