"""A driver of folders of a Windows or Samba share, by smbprotocol."""

from __future__ import annotations

import errno
import stat
import uuid
from typing import Any

import smbclient
from smbprotocol.connection import Connection
from smbprotocol.exceptions import SMBOSError
from smbprotocol.header import NtStatus

_DENIED = {NtStatus.STATUS_ACCESS_DENIED, getattr(NtStatus, "STATUS_NETWORK_ACCESS_DENIED", 0xC00000CA)}
_REFUSED_NAME = {NtStatus.STATUS_OBJECT_NAME_INVALID, getattr(NtStatus, "STATUS_OBJECT_PATH_SYNTAX_BAD", 0xC000003B)}


class SMBDriver:
    """One connection with one account: the library's own cache would give one account's session to another's block."""

    def __init__(self, host: str, port: int, share: str, **account: Any) -> None:
        self._share = rf"\\{host}\{share}"
        # A client of its own for the server: those that bear one name are taken for channels of one session.
        connection = Connection(uuid.uuid4(), host, port)
        # How long a silent server is waited for before it is asked whether it lives, and again before it is given up.
        connection._receive_timeout = 30
        self._connection = connection
        self._options = {"port": port, "connection_cache": {f"{host.lower()}:{port}": connection}, **account}
        try:
            connection.connect(timeout=10)
            smbclient.register_session(host, connection_timeout=10, **self._options)
            with _translated():
                smbclient.stat(self._share + "\\", **self._options)
        except BaseException:
            self.close()
            raise

    @property
    def alive(self) -> bool:
        """Whether the connection is still open."""
        return bool(self._connection.transport and self._connection.transport.connected)

    def close(self) -> None:
        """Close the connection."""
        if self._connection.transport is not None:
            self._connection.disconnect(timeout=2)

    def ls(self, path: str, detail: bool = True) -> list[dict[str, Any]]:
        """What lies in a folder."""
        found = []
        with _translated(), smbclient.scandir(self._unc(path), **self._options) as entries:
            for entry in entries:
                facts = entry.smb_info
                kind = "link" if entry.is_symlink() else "directory" if entry.is_dir() else "file"
                name = f"{path.rstrip('/')}/{entry.name}"
                found.append({"name": name, "type": kind, "size": facts.end_of_file, "mtime": facts.last_write_time})
        return found

    def info(self, path: str) -> dict[str, Any]:
        """A file or folder, links followed."""
        with _translated():
            facts = smbclient.stat(self._unc(path), **self._options)
        kind = "directory" if stat.S_ISDIR(facts.st_mode) else "file"
        return {"name": path, "type": kind, "size": facts.st_size, "mtime": facts.st_mtime}

    def isdir(self, path: str) -> bool:
        """Whether it is there, and a folder."""
        return self._is(path, "directory")

    def isfile(self, path: str) -> bool:
        """Whether it is there, and a file."""
        return self._is(path, "file")

    def open(self, path: str, mode: str) -> Any:
        """An open file; others may replace it meanwhile."""
        with _translated():
            return smbclient.open_file(self._unc(path), mode, share_access="rwd", **self._options)

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        """Make a folder, and those above it."""
        with _translated():
            smbclient.makedirs(self._unc(path), exist_ok=exist_ok, **self._options)

    def mv(self, path1: str, path2: str) -> None:
        """Rename a file over what is there."""
        with _translated():
            smbclient.replace(self._unc(path1), self._unc(path2), **self._options)

    def rm_file(self, path: str) -> None:
        """Delete a file."""
        with _translated():
            smbclient.remove(self._unc(path), **self._options)

    def rmdir(self, path: str) -> None:
        """Delete an empty folder."""
        with _translated():
            smbclient.rmdir(self._unc(path), **self._options)

    def _unc(self, path: str) -> str:
        return self._share + "\\" + path.strip("/").replace("/", "\\")

    def _is(self, path: str, kind: str) -> bool:
        try:
            return bool(self.info(path)["type"] == kind)
        except (FileNotFoundError, NotADirectoryError):
            return False


class _translated:
    """Gives errors of the server the class that Python knows them by."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if not isinstance(error, SMBOSError):
            return
        if error.ntstatus in _DENIED:
            raise PermissionError(errno.EACCES, "the server refuses it") from None
        if error.ntstatus in _REFUSED_NAME:
            raise ValueError("the server does not take such a name") from None
        if error.ntstatus == NtStatus.STATUS_SHARING_VIOLATION:
            raise OSError(errno.EBUSY, "another program has the file open and lets nobody else use it") from None
        if error.errno:
            raise OSError(error.errno, error.strerror) from None
