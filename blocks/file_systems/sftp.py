"""A driver of folders over SFTP, by paramiko."""

from __future__ import annotations

import contextlib
import errno
import stat
from typing import Any


class SFTPDriver:
    """One connection, for one thread at a time: paramiko's client gives an answer to whoever asks next."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._sftp = client.open_sftp()
        self._sftp.get_channel().settimeout(60)

    @property
    def alive(self) -> bool:
        """Whether the connection is still open."""
        transport = self._client.get_transport()
        return bool(transport and transport.is_active() and not self._sftp.get_channel().closed)

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def ls(self, path: str, detail: bool = True) -> list[dict[str, Any]]:
        """What lies in a folder."""
        return [_facts(f"{path.rstrip('/')}/{item.filename}", item) for item in self._sftp.listdir_attr(path)]

    def info(self, path: str) -> dict[str, Any]:
        """A file or folder, links followed."""
        return _facts(path, self._sftp.stat(path or "/"))

    def isdir(self, path: str) -> bool:
        """Whether it is there, and a folder."""
        return self._is(path, "directory")

    def isfile(self, path: str) -> bool:
        """Whether it is there, and a file."""
        return self._is(path, "file")

    def open(self, path: str, mode: str) -> Any:
        """An open file; many requests are under way at a time."""
        file = self._sftp.open(path, mode)
        if mode == "rb":
            file.prefetch(file.stat().st_size, max_concurrent_requests=64)
        else:
            file.set_pipelined(True)
        return file

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        """Make a folder, and those above it."""
        missing = []
        while path not in ("", ".") and not self.isdir(path):
            missing.append(path)
            path = path.rpartition("/")[0]
        for folder in reversed(missing):
            try:
                self._sftp.mkdir(folder)
            except OSError:  # servers do not tell "it is there already" from other failures
                if not self.isdir(folder):
                    raise

    def mv(self, path1: str, path2: str) -> None:
        """Rename a file over what is there."""
        try:
            self._sftp.posix_rename(path1, path2)
        except OSError as error:
            if error.errno is not None or "not supported" not in str(error).lower():
                raise
            # A server without OpenSSH's extension renames to free names only.
            with contextlib.suppress(FileNotFoundError):
                self._sftp.remove(path2)
            self._sftp.rename(path1, path2)

    def rm_file(self, path: str) -> None:
        """Delete a file, or a link."""
        self._sftp.remove(path)

    def rmdir(self, path: str) -> None:
        """Delete an empty folder."""
        self._sftp.rmdir(path)

    def _is(self, path: str, kind: str) -> bool:
        try:
            return bool(self.info(path)["type"] == kind)
        except OSError as error:
            # Below a file there is nothing; servers say so by a plain failure.
            if isinstance(error, FileNotFoundError) or error.errno in (None, errno.ENOENT, errno.ENOTDIR):
                if isinstance(error, TimeoutError):
                    raise
                return False
            raise


def _facts(name: str, facts: Any) -> dict[str, Any]:
    mode = facts.st_mode or 0
    kind = "other"
    if stat.S_ISDIR(mode):
        kind = "directory"
    elif stat.S_ISLNK(mode):
        kind = "link"
    elif stat.S_ISREG(mode) or not mode:
        kind = "file"
    return {"name": name, "type": kind, "size": facts.st_size or 0, "mtime": facts.st_mtime}
