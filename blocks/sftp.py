"""A folder of a computer that is reached by SSH, as a file system."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

from pydantic import Field

from orchestrator.block import Block
from orchestrator.errors import OrchestratorError, Unavailable
from orchestrator.interfaces import FileInfo

from .file_systems import Connections, Folders, fingerprint
from .file_systems.folders import Driver
from .file_systems.sftp import SFTPDriver
from .listings import ObservedFiles, Place
from .ssh_credentials import SSHCredentials

_connections: Connections[SFTPDriver] = Connections(lambda driver: driver.alive, SFTPDriver.close)


class SFTP(Folders, ObservedFiles, Block):
    """Files below a folder of a computer that is reached by SSH."""

    _name: ClassVar[str] = "SFTP"
    _slug: ClassVar[str] = "sftp"
    _logo: ClassVar[str] = "tabler:folder-up"
    _docs_url: ClassVar[str] = "https://man.openbsd.org/sftp-server.8"
    _code_example: ClassVar[str] = """
        from orchestrator.blocks.sftp import SFTP
        from orchestrator.blocks.ssh_credentials import SSHCredentials

        account = SSHCredentials.load("files")
        SFTP(host="files.example", basepath="/srv/flows", credentials=account).save("dev")
        SFTP.load("dev").write("hello.txt", b"hello")
        """

    host: str = Field(min_length=1, description="Name or address of the computer.")
    port: int = Field(22, ge=1, le=65535, description="Port of its SSH server.")
    basepath: str = Field(
        "", description="Folder that all paths are relative to; empty: the one that the account begins in."
    )
    credentials: SSHCredentials = Field(description="The account, and the computers that it trusts.")

    @contextmanager
    def _using(self) -> Iterator[Driver]:
        with _connections.use(fingerprint(self), self._connect) as driver:
            yield driver

    def _connect(self) -> SFTPDriver:
        client = self.credentials.client(host=self.host, port=self.port)
        try:
            return SFTPDriver(client)
        except Exception as error:
            client.close()
            raise Unavailable(f"{self._where()}: the computer offers no SFTP ({error})") from None

    def _root(self, fs: Driver) -> str:
        base = self.basepath.rstrip("/")
        return base if self.basepath.startswith("/") else f"./{base}".rstrip("/")

    def _where(self) -> str:
        port = "" if self.port == 22 else f":{self.port}"
        return f"sftp://{self.host}{port}/{self.basepath.strip('/')}".rstrip("/")

    def _place(self) -> Place:
        return Place(self._where(), "sftp.folder", self._where(), "sftp.folder", "sftp.file")

    def _listing(self) -> Iterator[FileInfo]:
        with self._using() as fs, self._explained(""):
            self._check_root(fs)
        return self.list()

    def _meaning(self, error: Exception, path: str) -> OrchestratorError | None:
        if type(error).__module__.startswith("paramiko"):
            return Unavailable(f"{self._where()}/{path}: {error or 'the connection was lost'}")
        return None
