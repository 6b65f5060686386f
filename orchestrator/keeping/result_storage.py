"""Results that are too large to be kept with their runs: files of a storage block, written and read back."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import serializers
from ..block import Block
from ..client import Client, patiently
from ..clock import real_time as time
from ..documents.records import Results
from ..errors import BlockError, InvalidInput, NotFound
from ..interfaces import FileSystem, clean_path
from ..settings import Settings
from ..stored import template_values
from ..stored.block_store import ApiBlockStore
from ..values import typed_json

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

        path = f"{folder_of(self, lambda: client, wanted)}/{name}"
        document = patiently(lambda: ApiBlockStore(client).load(self.ref), wanted)
        file_system(document).write(path, data)
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
    return read_kept(client.get(f"flow-runs/{run_id}")["result"], f"flow run {run_id}", client)


def read_kept(kept: dict[str, Any] | None, what: str, client: Client) -> Any:
    """What a run returned, as JSON: in forms of :mod:`orchestrator.values.typed_json` where it is a task run's.

    Args:
        kept: What the run keeps of it.
        what: The run, for messages.

    Raises:
        NotFound: It kept nothing, or what it kept is gone.
        InvalidInput: It is a pickle, which nobody but the flow's own runs may read.
        BlockError, Unavailable, AccessDenied: Its storage block cannot be used from here.
    """
    if kept is None:
        raise NotFound(f"the {what} kept no result")
    if "value" in kept:
        return kept["value"]
    if kept.get("serializer") == "pickle":
        raise InvalidInput(f"the result of the {what} is a pickle: only runs of its own flow read it back")
    if "file" in kept:
        try:
            data = Path(kept["file"]).read_bytes()
        except OSError as error:
            problem = f"the result of the {what} lies on the computer that it ran on: {error}"
            raise NotFound(problem) from None
    elif "block" in kept:
        data = _from_block(kept, what, client)
    else:
        raise NotFound(f"the result of the {what} was not kept: {kept.get('omitted', 'nothing says why')}")
    try:
        return serializers.loads(data)
    except ValueError as error:
        raise BlockError(f"{kept.get('path') or kept['file']} is no result any more: {error}") from None


def _from_block(kept: dict[str, Any], what: str, client: Client) -> bytes:
    try:
        document = ApiBlockStore(client).load(kept["block"])
    except NotFound:
        problem = f"the storage block {kept['block']}, where the result of the {what} lies, was deleted"
        raise NotFound(problem) from None
    return file_system(document).read(kept["path"])


def read_task_result(task_run_id: uuid.UUID | str, client: Client | None = None) -> Any:
    """What a task run returned, wherever it is kept; as it was, where the modules of its classes are loaded here.

    Args:
        task_run_id: The task run.
        client: The API; the configured one when not given.

    Raises:
        NotFound: There is no such run, it kept no result, or what it kept is gone.
        InvalidInput: It is a pickle, or an instance of a class that is not there.
        BlockError, Unavailable, AccessDenied: Its storage block cannot be used from here.
    """
    client = client or Client.from_settings()
    kept = client.get(f"task-runs/{task_run_id}")["result"]
    return typed_json.decode(read_kept(kept, f"task run {task_run_id}", client))


def folder_of(storage: ResultStorage, client: Callable[[], Client], wanted: Callable[[], bool] = lambda: True) -> str:
    """The folder of results in a storage block, its templates filled in. Raises OrchestratorError where they cannot."""
    folder = template_values.resolved(storage.path, client, "results.path", wanted)
    return clean_path(str(folder)) or FOLDER


def file_system(document: dict[str, Any]) -> FileSystem:
    """The file system that a loaded document stands for. Raises BlockError where it is none."""
    block: Any = Block.from_document(document)
    if not isinstance(block, FileSystem):
        raise BlockError(f"the block {document['type']}/{document['name']} is no file system: results need one")
    return block
