"""What a run is executed in: a plain process, or what an infrastructure block makes of it."""

from __future__ import annotations

import threading
import uuid
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime
from typing import Any

from orchestrator.block import Block
from orchestrator.client import Client, patiently
from orchestrator.documents.records import Job
from orchestrator.errors import BlockError, OrchestratorError
from orchestrator.interfaces import Infrastructure, LaunchSpec, ProcessHost, Running
from orchestrator.kinds.block_kinds import installed
from orchestrator.masking import secrets_in
from orchestrator.stored import template_values

from .launcher import LaunchFailed

#: Where the kinds that an agent imports come from; the code of others is a user's, and runs in a run's process only.
SHIPPED = "orchestrator.blocks."
#: What overrides are laid over where a deployment names no block: a plain process.
PLAIN: dict[str, Any] = {"type": "process", "name": None, "data": {}}
#: Block documents that are remembered.
CACHED = 64


class Infrastructures:
    """Launches runs in what their deployments ask for.

    Args:
        client: Loads the block documents; each is asked for once per version and of the blocks it holds.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._lock = threading.Lock()
        self._documents: OrderedDict[tuple[uuid.UUID, datetime | None], dict[str, Any]] = OrderedDict()

    def launch(self, job: Job, spec: LaunchSpec, host: ProcessHost, wanted: Callable[[], bool]) -> Running:
        """Start the run; while the API is away and it is ``wanted``, wait for the block.

        Raises:
            LaunchFailed: The block cannot be loaded or used, or no process can be started.
        """
        if job.infrastructure.block_id is None and not job.infrastructure.overrides:
            return host.start(spec)
        try:
            return self._block(job, host, wanted).launch(spec, host)
        except LaunchFailed:
            raise
        except OrchestratorError as error:
            raise LaunchFailed(f"its infrastructure block cannot be used: {error}") from error

    def _block(self, job: Job, host: ProcessHost, wanted: Callable[[], bool]) -> Infrastructure:
        document = self._document(job, wanted)
        host.hide(secrets_in(document))
        slug = str(document.get("type"))
        if not installed().get(slug, "").startswith(SHIPPED):
            raise BlockError(f"infrastructure of the type {slug!r} is not among those that an agent can launch")
        overrides = template_values.resolved(
            job.infrastructure.overrides, lambda: self._client, "infrastructure.overrides", wanted, host.hide
        )
        data = {**document["data"], **overrides}
        block = Block.from_document({**document, "data": data})
        if not isinstance(block, Infrastructure):
            raise BlockError(f"the block {slug}/{document.get('name')} is no infrastructure")
        return block

    def _document(self, job: Job, wanted: Callable[[], bool]) -> dict[str, Any]:
        block_id = job.infrastructure.block_id
        if block_id is None:
            return PLAIN
        key = (block_id, job.infrastructure.updated)
        with self._lock:
            if key in self._documents:
                self._documents.move_to_end(key)
                return self._documents[key]
        document: dict[str, Any] = patiently(lambda: self._client.post(f"blocks/{block_id}/load"), wanted)
        with self._lock:
            self._documents[key] = document
            while len(self._documents) > CACHED:
                self._documents.popitem(last=False)
        return document
