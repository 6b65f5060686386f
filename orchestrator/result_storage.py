"""Results that are too large to be kept with their runs: files of a storage block, written and read back."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

from . import serializers, template_values
from .block import Block
from .block_store import ApiBlockStore
from .client import Client, patiently
from .clock import real_time as time
from .errors import BlockError, NotFound
from .interfaces import FileSystem, clean_path
from .records import Results
from .settings import Settings

#: Folder of results in a block, where none is given.
FOLDER = "results"
#: How long the API is waited for when a run has ended and its result is to be stored, in seconds.
PATIENCE = 60.0


@dataclass(frozen=True)
class ResultStorage:
    """Where the results of a run go.

    Attributes:
        ref: A storage block: ``type/name``, or its id.
        path: Folder in it, which may hold templates.
    """

    ref: str
    path: str = ""

    def write(self, name: str, data: bytes, found: Settings) -> dict[str, Any]:
        """Store a result as the file ``name``.

        Returns:
            What the run keeps of it: ``{"block": id, "path", "size"}``, the size in bytes.

        Raises:
            OrchestratorError: The block cannot be loaded, is no file system, or cannot be written to. Kinds of others
                may raise anything.
        """
        client, until = Client(found.api_url, found.api_key), time.monotonic() + PATIENCE

        def wanted() -> bool:
            return time.monotonic() < until

        folder = template_values.resolved(self.path, lambda: client, "results.path", wanted)
        path = f"{clean_path(str(folder)) or FOLDER}/{name}"
        document = patiently(lambda: ApiBlockStore(client).load(self.ref), wanted)
        _file_system(document).write(path, data)
        return {"block": str(document["id"]), "path": path, "size": len(data)}


def chosen(found: Settings, asked: Results | None = None) -> ResultStorage | None:
    """Where results go: where a deployment says, else where the setting does; None: nowhere but to this machine."""
    if asked is not None:
        return ResultStorage(str(asked.block_id), asked.path)
    return ResultStorage(found.result_storage) if found.result_storage else None


def read_result(run_id: uuid.UUID | str, client: Client | None = None) -> Any:
    """What a flow run returned, wherever it is kept.

    Args:
        run_id: The flow run.
        client: The API; the configured one when not given.

    Raises:
        NotFound: There is no such run, it kept no result, or what it kept is gone.
        BlockError, Unavailable, AccessDenied: Its storage block cannot be used from here.
    """
    client = client or Client.from_settings()
    kept: dict[str, Any] | None = client.get(f"flow-runs/{run_id}")["result"]
    if kept is None:
        raise NotFound(f"the flow run {run_id} kept no result")
    if "value" in kept:
        return kept["value"]
    if "block" not in kept:
        raise NotFound(f"the result of the flow run {run_id} was not kept: {kept.get('omitted', 'nothing says why')}")
    try:
        document = ApiBlockStore(client).load(kept["block"])
    except NotFound:
        problem = f"the storage block {kept['block']}, where the result of the flow run {run_id} lies, was deleted"
        raise NotFound(problem) from None
    data = _file_system(document).read(kept["path"])
    try:
        return serializers.loads(data)
    except ValueError as error:
        raise BlockError(f"{kept['path']} is no result any more: {error}") from None


def _file_system(document: dict[str, Any]) -> FileSystem:
    block: Any = Block.from_document(document)
    if not isinstance(block, FileSystem):
        raise BlockError(f"the block {document['type']}/{document['name']} is no file system: results need one")
    return block
