"""Blocks by way of the API: what ``Block.save`` and ``Block.load`` use in a client."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from . import block, masking
from .client import Client
from .errors import BlockError, NotFound, SettingsError


class ApiBlockStore:
    """A :class:`orchestrator.block.BlockStore` over REST."""

    def __init__(self, client: Client) -> None:
        self._client = client

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
        """The document that ``slug/name`` or an id names, secrets in clear. Raises NotFound."""
        document: dict[str, Any] = self._client.post(f"blocks/{quote(ref)}/load")
        masking.here.add(masking.secrets_in(document))
        return document

    def delete(self, ref: str) -> None:
        """Delete a document. Raises NotFound."""
        self._client.delete(f"blocks/{quote(ref)}")


def _configured() -> ApiBlockStore:
    try:
        return ApiBlockStore(Client.from_settings())
    except SettingsError as error:
        raise BlockError(f"blocks are saved and loaded by the API, but {error}") from None


block.set_default_store(_configured)
