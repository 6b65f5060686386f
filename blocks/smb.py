"""A folder of a Windows or Samba share, as a file system."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

from pydantic import Field, SecretStr

from orchestrator.block import Block
from orchestrator.errors import AccessDenied, BlockError, InvalidInput, NotFound, OrchestratorError, Unavailable
from orchestrator.interfaces import FileInfo

from .file_systems import Connections, Folders, fingerprint
from .file_systems.folders import Driver
from .listings import ObservedFiles, Place

# Without the extra the kind can still be listed, and documents of it made in a form; only using one needs it.
try:
    from smbprotocol.exceptions import AccessDenied as Refused
    from smbprotocol.exceptions import (
        BadNetworkName,
        LogonFailure,
        SMBAuthenticationError,
        SMBException,
    )

    from .file_systems.smb import SMBDriver
except ImportError:
    SMBDriver = None  # type: ignore[assignment,misc]

_connections: Connections[Any] = Connections(lambda driver: driver.alive, lambda driver: driver.close())


class SMB(Folders, ObservedFiles, Block):
    """Files below a folder of a Windows or Samba share."""

    _name: ClassVar[str] = "SMB share"
    _slug: ClassVar[str] = "smb"
    _logo: ClassVar[str] = "tabler:folder-share"
    _docs_url: ClassVar[str] = "https://learn.microsoft.com/windows-server/storage/file-server/file-server-smb-overview"
    _code_example: ClassVar[str] = """
        from orchestrator.blocks.smb import SMB

        SMB(host="files.example", share="flows", username="reports", password="...").save("dev")
        SMB.load("dev").write("hello.txt", b"hello")
        """

    host: str = Field(min_length=1, description="Name or address of the file server.")
    share: str = Field(
        min_length=1,
        pattern=r"^[^/\\]+$",
        description="Name of the share: the part after the server's in \\\\server\\share.",
    )
    port: int = Field(445, ge=1, le=65535, description="Port of the file server.")
    basepath: str = Field("", description="Folder of the share that all paths are relative to, with /.")
    username: str = Field(
        min_length=1, description="Name of the account; of one in a domain, DOMAIN\\name or name@domain."
    )
    password: SecretStr = Field(description="Password of the account.")
    encrypt: bool = Field(False, description="Refuse servers that cannot encrypt what is sent.")

    @contextmanager
    def _using(self) -> Iterator[Driver]:
        with _connections.use(fingerprint(self), self._connect) as driver:
            yield driver

    def _connect(self) -> Any:
        if SMBDriver is None:
            raise BlockError('the SMB block needs smbprotocol: pip install "orchestrator[smb]"')
        password = self.password.get_secret_value()
        try:
            return SMBDriver(
                self.host,
                self.port,
                self.share,
                username=self.username,
                password=password,
                encrypt=self.encrypt or None,
            )
        except FileNotFoundError:
            raise NotFound(f"there is no share {self.share} on {self.host}") from None
        except Exception as error:
            raise self._meaning(error, "") or self._unreached(error) from None

    def _unreached(self, error: Exception) -> OrchestratorError:
        # What is wrong with the network, the library tells by a ValueError.
        return Unavailable(f"{self._where()} cannot be reached: {error}")

    def _root(self, fs: Driver) -> str:
        base = self.basepath.strip("/")
        return f"/{base}" if base else ""

    def _where(self) -> str:
        port = "" if self.port == 445 else f":{self.port}"
        return f"smb://{self.host}{port}/{self.share}/{self.basepath.strip('/')}".rstrip("/")

    def _place(self) -> Place:
        return Place(self._where(), "smb.folder", self._where(), "smb.folder", "smb.file")

    def _listing(self) -> Iterator[FileInfo]:
        with self._using() as fs, self._explained(""):
            self._check_root(fs)
        return self.list()

    def _meaning(self, error: Exception, path: str) -> OrchestratorError | None:
        where = f"{self._where()}/{path}".rstrip("/")
        if isinstance(error, (LogonFailure, SMBAuthenticationError)):
            return AccessDenied(f"{self.host} refuses the account {self.username}: mend the name or the password")
        if isinstance(error, Refused):
            return AccessDenied(f"{where}: the account {self.username} may not do it")
        if isinstance(error, BadNetworkName):
            return NotFound(f"there is no share {self.share} on {self.host}")
        if isinstance(error, ValueError) and path:
            return InvalidInput(f"{path}: {error}")
        if isinstance(error, SMBException) and not isinstance(error, OSError):
            return Unavailable(f"{where}: {error}")
        return None
