"""What the templates of deployments stand for: blocks and variables, by the API, and this process's environment."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from .. import masking
from ..block import REFERENCE, Block
from ..client import Client, patiently
from ..documents.templates import holds_template, resolve
from ..errors import InvalidInput, NotFound
from .block_store import ApiBlockStore


class ApiLookup:
    """A :class:`orchestrator.documents.templates.Lookup`. Each block and variable is asked for once.

    Args:
        client: The API.
        wanted: While the API is away, it is waited for as long as the values are of use.
        environment: Where ``env`` looks; this process's own when not given.
        hide: Takes the secrets of the blocks.
    """

    def __init__(
        self,
        client: Client,
        wanted: Callable[[], bool] = lambda: True,
        environment: Mapping[str, str] | None = None,
        hide: Callable[[list[Any]], None] = masking.here.add,
    ) -> None:
        self._client = client
        self._hide = hide
        self._wanted = wanted
        self._environment = os.environ if environment is None else environment
        self._documents: dict[str, dict[str, Any]] = {}
        self._variables: dict[str, Any] = {}

    def block(self, ref: str, field: str | None) -> Any:
        """The value of a block's field, or of a block that is a plain value. Raises InvalidInput."""
        if ref not in self._documents:
            store = ApiBlockStore(self._client, self._hide)
            try:
                self._documents[ref] = patiently(lambda: store.load(ref), self._wanted)
            except NotFound:
                raise InvalidInput(f"there is no block {ref} (any more)") from None
        document = self._documents[ref]
        wanted = field or "value"
        if wanted in document["data"]:
            return _opened(document["data"][wanted])
        if field is None:
            fields = ", ".join(document["data"])
            raise InvalidInput(f"the block {ref} is no plain value: name one of its fields, {fields}")
        return _default(document, ref, field)

    def variable(self, name: str) -> Any:
        """The value of a variable. Raises InvalidInput."""
        if name not in self._variables:
            try:
                found = patiently(lambda: self._client.get(f"variables/{quote(name, safe='')}"), self._wanted)
            except NotFound:
                raise InvalidInput(f"there is no variable {name}: `orchestrator variable set {name} ...`") from None
            self._variables[name] = found["value"]
        return self._variables[name]

    def env(self, name: str) -> str:
        """The value of an environment variable. Raises InvalidInput."""
        if name not in self._environment:
            raise InvalidInput(f"the environment variable {name} is not set where the run starts")
        return self._environment[name]


def resolved(
    value: Any,
    client: Callable[[], Client],
    place: str,
    wanted: Callable[[], bool] = lambda: True,
    hide: Callable[[list[Any]], None] = masking.here.add,
) -> Any:
    """A value of a deployment with what its templates stand for; the API is not asked where there are none.

    Raises:
        InvalidInput: A template is written wrong, or there is no such block, field or variable; ``place`` is named.
        OrchestratorError: The API cannot be asked.
    """
    return resolve(value, ApiLookup(client(), wanted, hide=hide), place) if holds_template(value) else value


def _opened(value: Any) -> Any:
    """A field's value, with their fields in place of the blocks in it."""
    if isinstance(value, Mapping):
        inner = value["data"] if REFERENCE in value and isinstance(value.get("data"), Mapping) else value
        return {key: _opened(item) for key, item in inner.items()}
    return [_opened(item) for item in value] if isinstance(value, list) else value


def _default(document: Mapping[str, Any], ref: str, field: str) -> Any:
    """A field that was not saved: its class may have a default for it."""
    block = Block.from_document(document)
    if field not in type(block).model_fields:
        raise InvalidInput(f"the block {ref} has no field {field}; it has {', '.join(type(block).model_fields)}")
    return block.to_document()["data"].get(field)
