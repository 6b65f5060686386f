"""Whatever a driver of fsspec reaches, as a file system."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from orchestrator.block import Block, SecretDict
from orchestrator.errors import BlockError, OrchestratorError, Unavailable

from .file_systems import Connections, Folders, fingerprint
from .file_systems.folders import Driver

# Without the extra the kind can still be listed, and documents of it made in a form; only using one needs it.
try:
    import fsspec
except ImportError:
    fsspec = None

#: Schemes of stores whose files appear once all of them has arrived.
_WHOLE = {"abfs", "abfss", "adl", "az", "gcs", "gs", "oci", "oss", "r2", "s3", "s3a", "tos"}
_connections: Connections[Any] = Connections(lambda driver: True, lambda driver: _close(driver))


class RemoteFileSystem(Folders, Block):
    """Files below an address that fsspec understands: FTP, WebDAV, HDFS, Dropbox, and whatever has a driver."""

    _name: ClassVar[str] = "Remote file system"
    _slug: ClassVar[str] = "remote-file-system"
    _logo: ClassVar[str] = "tabler:world-upload"
    _docs_url: ClassVar[str] = "https://filesystem-spec.readthedocs.io/en/latest/api.html#other-known-implementations"
    _code_example: ClassVar[str] = """
        from orchestrator.blocks.remote_file_system import RemoteFileSystem

        RemoteFileSystem(
            url="ftp://files.example/flows", options={"username": "reports", "password": "..."}
        ).save("dev")
        RemoteFileSystem.load("dev").write("hello.txt", b"hello")
        """

    url: str = Field(
        description="Address of the folder that all paths are relative to, with no secret in it.",
        pattern=r"^[A-Za-z][A-Za-z0-9+.-]*://.*$",
        json_schema_extra={"x-placeholder": "ftp://files.example/flows"},
    )
    options: SecretDict | None = Field(
        None,
        description="What the driver takes beside the address, such as username, password, key, token; all secret.",
    )

    @field_validator("url")
    @classmethod
    def _no_password(cls, url: str) -> str:
        if urlsplit(url).password:
            raise ValueError("it holds a password, which everyone could read: give username and password in options")
        return url

    @contextmanager
    def _using(self) -> Iterator[Driver]:
        with _connections.use(fingerprint(self), self._connect) as driver:
            yield driver

    def _connect(self) -> Any:
        if fsspec is None:
            raise BlockError('the remote file system block needs fsspec: pip install "orchestrator[fsspec]"')
        scheme = self.url.partition("://")[0]
        options = dict(self.options.get_secret_value()) if self.options else {}
        try:
            kind = fsspec.get_filesystem_class(scheme)
        except (ImportError, ValueError) as error:
            raise BlockError(f"there is no driver for {scheme}:// on this computer: {error}") from None
        # Drivers that take a time-out have none of their own, or one of minutes.
        if "timeout" in inspect.signature(kind.__init__).parameters:
            options.setdefault("timeout", 60)
        try:
            driver = fsspec.url_to_fs(self.url, skip_instance_cache=True, **options)[0]
        except TypeError as error:
            raise BlockError(f"the driver of {scheme}:// does not take these options: {error}") from None
        except Exception as error:
            raise self._meaning(error, "") or self._plain_meaning(error, "") or self._failed(error, "") from None
        # What was listed once must not be taken for what is there now.
        if hasattr(driver, "dircache") and hasattr(driver.dircache, "use_listings_cache"):
            driver.dircache.use_listings_cache = False
        return driver

    def _root(self, fs: Any) -> str:
        return str(fs._strip_protocol(self.url)).rstrip("/")

    def _where(self) -> str:
        return self.url.rstrip("/")

    def _appears_whole(self, fs: Any) -> bool:
        return self.url.partition("://")[0] in _WHOLE

    def _put_in_place(self, fs: Any, source: str, target: str) -> None:
        if type(fs).mv.__module__ != "fsspec.spec":  # a driver's own renames; the general one reads names as patterns
            fs.mv(source, target)
        else:
            fs.cp_file(source, target)
            fs.rm_file(source)

    def _meaning(self, error: Exception, path: str) -> OrchestratorError | None:
        # Errors of drivers are of any class, and may show what they were given: only their kind is told.
        if isinstance(error, (OSError, EOFError)) or type(error).__module__ == "builtins":
            return None
        return self._failed(error, path)

    def _failed(self, error: Exception, path: str) -> OrchestratorError:
        text = " ".join(str(error).split())
        for value in _texts(self.options.get_secret_value() if self.options else {}):
            text = text.replace(value, "********")
        return Unavailable(f"{self._where()}/{path}: {type(error).__name__}: {text}")


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, str) and len(value) > 3:
        yield value


def _close(driver: Any) -> None:
    for name in ("close", "disconnect"):
        if callable(method := getattr(driver, name, None)):
            method()
            return
