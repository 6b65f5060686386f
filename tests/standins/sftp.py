"""SFTP by asyncssh, a complete server, in a process of its own."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncssh

from ..polling import free_port
from .processes import HERE, serving


@dataclass(frozen=True)
class SFTPServer:
    """A server: user ``user``, password ``secret`` or ``private_key`` (opened by ``passphrase``)."""

    port: int
    root: Path
    known_hosts: str
    private_key: str
    passphrase: str = "opens"


@contextmanager
def sftp_server(folder: Path) -> Iterator[SFTPServer]:
    """A server of the folder ``root`` in ``folder``."""
    port, root = free_port(), folder / "root"
    root.mkdir()
    host, user = asyncssh.generate_private_key("ssh-ed25519"), asyncssh.generate_private_key("ssh-ed25519")
    host.write_private_key(folder / "host")
    (folder / "authorized").write_bytes(user.export_public_key())
    command = [sys.executable, str(HERE / "sftp_server.py"), str(port), str(root), str(folder / "host")]
    known = f"[127.0.0.1]:{port} {host.export_public_key().decode().strip()}"
    key = user.export_private_key("openssh", passphrase="opens").decode()
    with serving([*command, str(folder / "authorized")], port):
        yield SFTPServer(port, root, known, key)
