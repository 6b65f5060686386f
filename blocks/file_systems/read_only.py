"""File systems that are read, never written."""

from __future__ import annotations

import io
from typing import BinaryIO, ClassVar

from orchestrator.errors import InvalidInput
from orchestrator.interfaces import FileSystem


class ReadOnly(FileSystem):
    """A file system whose verbs that change something say that they cannot."""

    #: What the line says it is.
    _what: ClassVar[str] = "this storage"

    def read(self, path: str) -> bytes:
        """The whole content of a file."""
        buffer = io.BytesIO()
        self.download(path, buffer)
        return buffer.getvalue()

    def write(self, path: str, content: bytes | BinaryIO) -> None:
        """Refused. Raises InvalidInput."""
        raise InvalidInput(f"{path} cannot be written: {self._what} is read only; use a storage that is not")

    def delete(self, path: str) -> None:
        """Refused. Raises InvalidInput."""
        raise InvalidInput(f"{path} cannot be deleted: {self._what} is read only")
