"""Azure Blob Storage as a file system."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any, BinaryIO, ClassVar

from pydantic import Field

from orchestrator.block import Block
from orchestrator.errors import AccessDenied, BlockError, NotFound, OrchestratorError, Unavailable
from orchestrator.interfaces import FileInfo

from .azure_credentials import AzureCredentials
from .file_systems import Clients, Objects, fingerprint
from .listings import Place

# Without the extra the kind can still be listed, and documents of it made in a form; only using one needs it.
try:
    from azure.core.exceptions import (
        AzureError,
        ClientAuthenticationError,
        HttpResponseError,
        ResourceNotFoundError,
    )
    from azure.storage.blob import BlobPrefix
except ImportError:
    AzureError = None

_clients: Clients[Any] = Clients()


class AzureBlob(Objects, Block):
    """Files of one container of Azure Blob Storage, below a prefix."""

    _name: ClassVar[str] = "Azure Blob Storage"
    _slug: ClassVar[str] = "azure-blob"
    _logo: ClassVar[str] = "tabler:brand-azure"
    _docs_url: ClassVar[str] = "https://learn.microsoft.com/azure/storage/blobs/storage-blobs-introduction"
    _code_example: ClassVar[str] = """
        from orchestrator.blocks.azure_blob import AzureBlob
        from orchestrator.blocks.azure_credentials import AzureCredentials

        AzureBlob(account_name="acme", container="flows", credentials=AzureCredentials.load("dev")).save("dev")
        AzureBlob.load("dev").write("hello.txt", b"hello")
        """

    container: str = Field(min_length=3, max_length=63, description="Name of the container; it must exist.")
    prefix: str = Field("", description="Folder in the container that all paths are relative to.")
    account_name: str | None = Field(
        None, description="Name of the storage account; empty where a connection string names it."
    )
    credentials: AzureCredentials | None = Field(
        None, description="The account; empty: the computer's own credentials."
    )
    endpoint_url: str | None = Field(
        None, description="Address of the account, where it is not https://<name>.blob.core.windows.net."
    )

    def _get(self, key: str, file: BinaryIO) -> None:
        for chunk in self._service().get_blob_client(key).download_blob(max_concurrency=1).chunks():
            file.write(chunk)

    def _put(self, key: str, file: BinaryIO) -> None:
        self._service().upload_blob(key, file, overwrite=True, max_concurrency=1)

    def _head(self, key: str) -> FileInfo:
        try:
            facts = self._service().get_blob_client(key).get_blob_properties()
        except ResourceNotFoundError as error:
            raise self._missing(error, key) from None
        if _is_folder(facts):
            raise NotFound(f"there is no file {self._where()}/{key}: it is a folder")
        return _info(facts)

    def _below(self, prefix: str) -> Iterator[FileInfo]:
        service = self._service()
        if self._has_folders(service):
            return self._walk(prefix)
        found = service.list_blobs(name_starts_with=prefix or None, results_per_page=1000, include=["metadata"])
        return (_info(item) for item in found if not _is_folder(item))

    def _level(self, prefix: str) -> Iterator[str | FileInfo]:
        found = self._service().walk_blobs(name_starts_with=prefix or None, delimiter="/", include=["metadata"])
        for item in found:
            if isinstance(item, BlobPrefix):
                yield item.name
            elif not _is_folder(item):
                yield _info(item)

    def _place(self) -> Place:
        account = self._service().account_name
        place = self._resource("azure", f"azure://{account}/{self.container}", self.container, "container")
        return replace(place, file_kind="azure.blob")

    def _walk(self, prefix: str) -> Iterator[FileInfo]:
        # An account with real folders lists "a/b" before "a.b": the order of whole paths takes a folder at a time.
        items = {item if isinstance(item, str) else item.path: item for item in self._level(prefix)}
        for name in sorted(items):
            item = items[name]
            if isinstance(item, str):
                yield from self._walk(item)
            else:
                yield item

    @staticmethod
    def _has_folders(service: Any) -> bool:
        try:
            return bool(service.get_account_information().get("is_hns_enabled"))
        except HttpResponseError:  # the account may not ask; those that may not are rarely Data Lakes
            return False

    def _remove(self, keys: Sequence[str]) -> None:
        service = self._service()

        def remove(key: str) -> None:
            with suppress(ResourceNotFoundError):
                service.delete_blob(key, delete_snapshots="include")

        with ThreadPoolExecutor(self._transfers, thread_name_prefix="delete") as pool:
            for _ in pool.map(remove, keys):
                pass

    def _where(self) -> str:
        return f"azure://{self.account_name + '/' if self.account_name else ''}{self.container}"

    def _service(self) -> Any:
        if AzureError is None:
            raise BlockError('the Azure Blob block needs azure-storage-blob: pip install "orchestrator[azure]"')
        return _clients.get(fingerprint(self), self._open)

    def _open(self) -> Any:
        account = self.credentials or AzureCredentials.model_validate({})
        service = account.client(account_name=self.account_name or None, endpoint_url=self.endpoint_url or None)
        return service.get_container_client(self.container)

    @contextmanager
    def _explained(self, path: str) -> Iterator[None]:
        try:
            yield
        except OrchestratorError:
            raise
        except Exception as error:
            if (meaning := self._meaning(error, path)) is None:
                raise
            raise meaning from None

    def _meaning(self, error: Exception, path: str) -> OrchestratorError | None:
        where = f"{self._where()}/{path}"
        if AzureError is None or not isinstance(error, AzureError):
            return None
        if isinstance(error, ResourceNotFoundError):
            return self._missing(error, path)
        refused = isinstance(error, HttpResponseError) and error.status_code in (401, 403)
        if refused or isinstance(error, ClientAuthenticationError):
            code = getattr(error, "error_code", None) or getattr(error, "status_code", None) or "no token"
            return AccessDenied(f"{where}: Azure refuses these credentials ({code})")
        return Unavailable(f"{where}: {str(error).strip().splitlines()[0]}")

    def _missing(self, error: Any, path: str) -> NotFound:
        if getattr(error, "error_code", "") == "ContainerNotFound":
            return NotFound(f"there is no container {self._where()}")
        return NotFound(f"there is no file {self._where()}/{path}")


def _info(facts: Any) -> FileInfo:
    return FileInfo(facts.name, int(facts.size or 0), facts.last_modified)


def _is_folder(facts: Any) -> bool:
    return bool((facts.metadata or {}).get("hdi_isfolder") == "true")
