"""Results of task runs that are too large to be kept with them: files of the storage block, or of this computer."""

from __future__ import annotations

import hashlib
import pickle
import threading
import time
from pathlib import Path
from typing import Any

from ..client import Client, patiently
from ..errors import BlockError, InvalidInput, OrchestratorError
from ..interfaces import FileSystem
from ..settings import Settings
from ..stored.block_store import ApiBlockStore
from ..values import typed_json
from .result_storage import ResultStorage, file_system, folder_of

#: How values are written: by the name of the serializer, its ending.
ENDINGS = {"json": "json", "pickle": "pickle"}
#: Seconds for which the API is waited for; and for which a storage that could not be used is not tried again.
PATIENCE = PAUSE = 60.0


class KeptFiles:
    """Files with results, of one flow run and its subflows. Blocks are loaded once. Used from many threads.

    Args:
        found: The run's settings.
        storage: Where results go; None: to this computer, if anywhere.
    """

    def __init__(self, found: Settings, storage: ResultStorage | None) -> None:
        self._settings = found
        self._storage = storage if found.api_url else None
        self._lock = threading.Lock()
        self._blocks: dict[str, tuple[dict[str, Any], FileSystem]] = {}
        self._folder: str | None = None
        self._failed: tuple[float, OrchestratorError] | None = None

    @property
    def has_block(self) -> bool:
        """Whether there is a storage block for results."""
        return self._storage is not None

    def write(self, name: str, data: bytes, here: bool) -> dict[str, Any] | None:
        """Store a result.

        Args:
            name: Of the file, below the folder for results.
            here: Whether it may go to this computer where there is no storage block.

        Returns:
            ``{"block", "path", "size"}`` or ``{"file", "size"}``; None: it has no place.

        Raises:
            Exception: Whatever the storage raises.
        """
        if self._storage is None:
            return self._to_this_computer(name, data) if here else None
        if self._failed is not None and time.monotonic() - self._failed[0] < PAUSE:
            raise self._failed[1]
        try:
            document, files = self._block(self._storage.ref)
            if self._folder is None:
                self._folder = folder_of(self._storage, self._client)
        except OrchestratorError as error:
            self._failed = time.monotonic(), error
            raise
        path = f"{self._folder}/{name}"
        files.write(path, data)
        return {"block": str(document["id"]), "path": path, "size": len(data)}

    def read(self, record: dict[str, Any]) -> bytes:
        """The content of what :meth:`write` stored. Raises OSError, OrchestratorError, whatever the storage raises."""
        if "file" in record:
            return Path(record["file"]).read_bytes()
        if "block" not in record:
            raise BlockError("the result was not kept")
        _, files = self._block(record["block"])
        return files.read(record["path"])

    def remove(self, record: dict[str, Any]) -> None:
        """Remove what :meth:`write` stored in a block. Raises as :meth:`read`."""
        _, files = self._block(record["block"])
        files.delete(record["path"])

    def _to_this_computer(self, name: str, data: bytes) -> dict[str, Any]:
        path = self._settings.path("results", *name.split("/"))
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.write_bytes(data)
        return {"file": str(path), "size": len(data)}

    def _client(self) -> Client:
        return Client(self._settings.api_url, self._settings.api_key)

    def _block(self, ref: str) -> tuple[dict[str, Any], FileSystem]:
        with self._lock:
            if ref not in self._blocks:
                until = time.monotonic() + PATIENCE
                store = ApiBlockStore(self._client())
                document = patiently(lambda: store.load(ref), lambda: time.monotonic() < until)
                self._blocks[ref] = self._blocks[str(document["id"])] = document, file_system(document)
            return self._blocks[ref]


def restored(record: dict[str, Any], files: KeptFiles, pickles: bool) -> Any:
    """The value that a record stands for.

    Args:
        record: As it is kept with a task run; pickles name the hash that their content must have.
        pickles: Whether a pickle may be read: only where the task asks for pickle itself.

    Raises:
        Exception: It cannot be read back, for whatever reason.
    """
    if "value" in record:
        return typed_json.decode(record["value"])
    if record.get("serializer") != "pickle":
        return typed_json.read(files.read(record))
    if not pickles:
        raise InvalidInput("it is a pickle, and the task does not say result_serializer='pickle'")
    data = files.read(record)
    if hashlib.sha256(data).hexdigest() != record.get("sha256"):
        raise InvalidInput("the stored pickle was changed since")
    return pickle.loads(data)  # noqa: S301 its content is the one that the run itself told the server of


def pickled(value: Any) -> tuple[bytes, dict[str, Any]]:
    """A value as a pickle, and what its record says besides where it lies. Raises what pickling raises."""
    data = pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)
    return data, {"serializer": "pickle", "sha256": hashlib.sha256(data).hexdigest()}
