"""Blocks by way of the API: what ``Block.save`` and ``Block.load`` use in a client."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from .. import block, masking, settings
from ..client import Client
from ..clock import real_time as time
from ..errors import BlockError, NotFound, SettingsError, TransitionRefused, Unavailable

log = logging.getLogger("orchestrator.limits")

#: Code of the answer when all slots of a limit are taken, and seconds between two tries.
LIMIT_FULL = "limit-full"
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 5.0


class ApiBlockStore:
    """A :class:`orchestrator.block.BlockStore` over REST.

    Args:
        client: The API.
        hide: Takes the secrets of what is loaded; those of this process are masked when not given.
    """

    def __init__(self, client: Client, hide: Callable[[list[Any]], None] = masking.here.add) -> None:
        self._client = client
        self._hide = hide

    def register(self, type_facts: dict[str, Any]) -> str:
        """Make a block type known, or bring it up to date; returns its schema's id."""
        return str(self._client.post("block-types", type_facts)["block_schema_id"])

    def save(self, slug: str, name: str | None, data: dict[str, Any], overwrite: bool) -> str:
        """Save a document; with ``overwrite`` one of that name is replaced. Raises Conflict where the name is taken."""
        if overwrite and name is not None:
            try:
                return str(self._client.put(f"blocks/{quote(slug)}/{quote(name)}", {"data": data})["id"])
            except NotFound:
                pass
        return str(self._client.post("blocks", {"type": slug, "name": name, "data": data})["id"])

    def load(self, ref: str) -> dict[str, Any]:
        """The document that ``slug/name`` or an id names, secrets in clear, which are masked from then on.

        In a run it takes a slot of every limit that its blocks declare, kept until the run ends; while all are taken
        it waits, for at most the setting ``limit_wait``.

        Raises:
            NotFound: There is no such document.
            Unavailable: The slots stayed taken; the message names the runs that hold them.
        """
        document = self._load(ref)
        self._hide(masking.secrets_in(document))
        return document

    def _load(self, ref: str) -> dict[str, Any]:
        began, pause = time.monotonic(), FIRST_PAUSE
        while True:
            try:
                document: dict[str, Any] = self._client.post(f"blocks/{quote(ref)}/load")
                return document
            except TransitionRefused as error:
                if error.code != LIMIT_FULL:
                    raise
                full = str(error)
            most = settings.load().limit_wait.total_seconds()
            left = most - (time.monotonic() - began)
            if left <= 0:
                raise Unavailable(f"{full}; waited {most:g} s for one (the setting LIMIT_WAIT)")
            if pause == FIRST_PAUSE:
                log.warning("%s; waiting for one, at most %g s", full, most)
            time.sleep(min(left, pause * random.uniform(0.5, 1.0)))
            pause = min(pause * 1.5, LONGEST_PAUSE)

    def delete(self, ref: str) -> None:
        """Delete a document. Raises NotFound."""
        self._client.delete(f"blocks/{quote(ref)}")


def _configured() -> ApiBlockStore:
    try:
        return ApiBlockStore(Client.from_settings())
    except SettingsError as error:
        raise BlockError(f"blocks are saved and loaded by the API, but {error}") from None


block.set_default_store(_configured)
