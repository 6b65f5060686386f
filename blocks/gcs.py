"""Google Cloud Storage as a file system."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO, ClassVar

from pydantic import Field

from orchestrator.block import Block
from orchestrator.errors import AccessDenied, BlockError, NotFound, OrchestratorError, Unavailable
from orchestrator.interfaces import FileInfo

from .file_systems import Clients, Objects, fingerprint
from .gcp_credentials import GCPCredentials
from .listings import Place

# Without the extra the kind can still be listed, and documents of it made in a form; only using one needs it.
try:
    from google.api_core import exceptions
    from google.auth.exceptions import GoogleAuthError, TransportError
    from google.cloud import storage
    from google.cloud.storage.exceptions import InvalidResponse
    from google.cloud.storage.retry import DEFAULT_RETRY
    from requests.exceptions import RequestException
except ImportError:
    storage = None

_TIMEOUT = (10, 60)
#: How long a request is tried anew while the service answers that it cannot, in seconds.
RETRY_S = 30.0
_clients: Clients[Any] = Clients()


class GCS(Objects, Block):
    """Files of one bucket of Google Cloud Storage, below a prefix."""

    _name: ClassVar[str] = "Google Cloud Storage"
    _slug: ClassVar[str] = "gcs"
    _logo: ClassVar[str] = "tabler:brand-google"
    _docs_url: ClassVar[str] = "https://cloud.google.com/storage/docs/buckets"
    _code_example: ClassVar[str] = """
        from orchestrator.blocks.gcp_credentials import GCPCredentials
        from orchestrator.blocks.gcs import GCS

        GCS(bucket="flows", credentials=GCPCredentials.load("dev")).save("dev")
        GCS.load("dev").write("hello.txt", b"hello")
        """

    bucket: str = Field(min_length=3, max_length=222, description="Name of the bucket; it must exist.")
    prefix: str = Field("", description="Folder in the bucket that all paths are relative to.")
    credentials: GCPCredentials | None = Field(None, description="The account; empty: the computer's own credentials.")
    endpoint_url: str | None = Field(None, description="Address of an emulator, in place of Google's.")

    def _get(self, key: str, file: BinaryIO) -> None:
        self._blob(key).download_to_file(file, timeout=_TIMEOUT, retry=_retry())

    def _put(self, key: str, file: BinaryIO) -> None:
        blob = self._blob(key)
        blob.chunk_size = 8 << 20
        blob.upload_from_file(
            file,
            size=_size(file),
            content_type="application/octet-stream",
            timeout=_TIMEOUT,
            retry=_retry(),
        )

    def _head(self, key: str) -> FileInfo:
        blob = self._blob(key)
        try:
            blob.reload(timeout=_TIMEOUT, retry=_retry())
        except exceptions.NotFound as error:
            raise self._missing(error, key) from None
        return _info(blob)

    def _below(self, prefix: str) -> Iterator[FileInfo]:
        fields = "items(name,size,updated),nextPageToken"
        blobs = self._bucket().list_blobs(
            prefix=prefix or None, page_size=1000, fields=fields, timeout=_TIMEOUT, retry=_retry()
        )
        return map(_info, blobs)

    def _level(self, prefix: str) -> Iterator[str | FileInfo]:
        fields = "items(name,size,updated),prefixes,nextPageToken"
        blobs = self._bucket().list_blobs(
            prefix=prefix or None, delimiter="/", page_size=1000, fields=fields, timeout=_TIMEOUT, retry=_retry()
        )
        for page in blobs.pages:
            yield from sorted(page.prefixes)
            yield from map(_info, page)

    def _place(self) -> Place:
        return self._resource("gcs", self._where(), self.bucket)

    def _remove(self, keys: Sequence[str]) -> None:
        def remove(key: str) -> None:
            with suppress(exceptions.NotFound):
                self._blob(key).delete(timeout=_TIMEOUT, retry=_retry())

        with ThreadPoolExecutor(self._transfers, thread_name_prefix="delete") as pool:
            for _ in pool.map(remove, keys):
                pass

    def _where(self) -> str:
        return f"gs://{self.bucket}"

    def _blob(self, key: str) -> Any:
        return self._bucket().blob(key)

    def _bucket(self) -> Any:
        if storage is None:
            raise BlockError('the GCS block needs google-cloud-storage: pip install "orchestrator[gcs]"')
        account = self.credentials or GCPCredentials.model_validate({"anonymous": bool(self.endpoint_url)})
        return _clients.get(fingerprint(self), lambda: account.client(endpoint_url=self.endpoint_url or None)).bucket(
            self.bucket
        )

    @contextmanager
    def _explained(self, path: str) -> Iterator[None]:
        try:
            yield
        except OrchestratorError:
            raise
        except Exception as error:
            cause = error.cause if storage and isinstance(error, exceptions.RetryError) and error.cause else error
            if (meaning := self._meaning(cause, path)) is None:
                raise
            raise meaning from None

    def _meaning(self, error: BaseException, path: str) -> OrchestratorError | None:
        where = f"gs://{self.bucket}/{path}"
        if storage is None:
            return None
        if isinstance(error, exceptions.NotFound):
            return self._missing(error, path)
        if isinstance(error, (exceptions.Forbidden, exceptions.Unauthorized)):
            return AccessDenied(f"{where}: Google refuses these credentials ({error.code})")
        if isinstance(error, InvalidResponse):  # of an upload or a download that was tried again in vain
            status = error.response.status_code
            if status in (401, 403):
                return AccessDenied(f"{where}: Google refuses these credentials ({status})")
            return Unavailable(f"{where}: Google answers {status}")
        if isinstance(error, TransportError):
            return Unavailable(f"{where}: {error}")
        if isinstance(error, GoogleAuthError):
            return AccessDenied(f"{where}: Google refuses these credentials: make a new key of the service account")
        if isinstance(error, (exceptions.GoogleAPIError, RequestException)):
            return Unavailable(f"{where}: {' '.join(str(error).split())}")
        return None

    def _missing(self, error: Any, path: str) -> NotFound:
        said = str(error.message).lower()
        if "bucket" in said and ("does not exist" in said or "not found" in said):
            return NotFound(f"there is no bucket {self._where()}")
        return NotFound(f"there is no file {self._where()}/{path}")


def _retry() -> Any:
    return DEFAULT_RETRY.with_timeout(RETRY_S)


def _info(blob: Any) -> FileInfo:
    return FileInfo(blob.name, int(blob.size or 0), blob.updated)


def _size(file: BinaryIO) -> int | None:
    """How much is still to be read of a file, where it can tell; small ones then go in one request."""
    try:
        here = file.tell()
        end = file.seek(0, 2)
        file.seek(here)
    except (OSError, AttributeError, ValueError):
        return None
    return end - here
