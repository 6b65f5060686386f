"""SMB by Samba itself, on a port of its own and with all its files in a folder of the test: nothing of the computer's
configuration is read or written. ``smbd`` is of Debian's package samba, which ``.ci/run`` installs.
"""

from __future__ import annotations

import getpass
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..polling import free_port
from .processes import serving

SMBD = shutil.which("smbd", path="/usr/sbin:/usr/local/sbin:/usr/bin")
_CONFIGURATION = """
[global]
    server role = standalone server
    workgroup = TESTS
    netbios name = standin
    smb ports = {port}
    interfaces = 127.0.0.1/8
    bind interfaces only = yes
    disable netbios = yes
    map to guest = never
    load printers = no
    disable spoolss = yes
    passdb backend = tdbsam:{folder}/passdb.tdb
    private dir = {folder}/private
    lock directory = {folder}/lock
    state directory = {folder}/state
    cache directory = {folder}/cache
    pid directory = {folder}/pid
    ncalrpc dir = {folder}/ncalrpc
    binddns dir = {folder}/dns
    log file = {folder}/log
    usershare max shares = 0
[files]
    path = {folder}/root
    read only = no
[readonly]
    path = {folder}/root
    read only = yes
"""


@dataclass(frozen=True)
class SMBServer:
    """A server: shares ``files`` and ``readonly`` of one folder, for one account."""

    port: int
    root: Path
    username: str
    password: str = "secret"


@contextmanager
def smb_server(folder: Path) -> Iterator[SMBServer]:
    """A server of the folder ``root`` in ``folder``, under the name of the user who runs the tests."""
    assert SMBD
    port, user = free_port(), getpass.getuser()
    for name in ("root", "private", "lock", "state", "cache", "pid", "ncalrpc", "dns"):
        (folder / name).mkdir()
    (folder / "ncalrpc").chmod(0o755)
    configuration = folder / "smb.conf"
    configuration.write_text(_CONFIGURATION.format(port=port, folder=folder))
    set_password = ["smbpasswd", "-c", str(configuration), "-s", "-a", user]
    subprocess.run(set_password, input=b"secret\nsecret\n", check=True, capture_output=True)
    command = [SMBD, "--foreground", "--no-process-group", "--debug-stdout", "-s", str(configuration)]
    with serving(command, port):
        yield SMBServer(port, folder / "root", user)
