"""Which fields of a block are secret, by its JSON schema, and taking them out of and putting them into documents.

What is kept in the open has :data:`MASK` where a secret is, so that reading needs no key; sent back, it means: keep the
old one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

from ....kinds.block_schemas import holds_secret
from ....masking import MASK

#: Place of a value in a document: names, and numbers in lists.
Path = tuple[Any, ...]


def secret_paths(schema: Mapping[str, Any]) -> list[Path]:
    """The places that ``writeOnly`` marks. Inside lists, free-form objects and alternatives, whatever may hold a secret
    is secret as a whole.
    """
    return list(_paths(schema, schema.get("$defs", {}), ()))


def split(document: Mapping[str, Any], paths: list[Path]) -> tuple[dict[str, Any], dict[str, Any]]:
    """A document with its secrets masked, and the secrets by their place (``a/b``); absent and null ones have none."""
    shown: dict[str, Any] = deepcopy(dict(document))
    hidden: dict[str, Any] = {}
    for path in paths:
        holder = _holder(shown, path)
        if holder is not None and holder.get(path[-1]) is not None:
            hidden[pointer(path)] = holder[path[-1]]
            holder[path[-1]] = MASK
    return shown, hidden


def join(shown: Mapping[str, Any], hidden: Mapping[str, Any]) -> dict[str, Any]:
    """The document that :func:`split` took apart."""
    document: dict[str, Any] = deepcopy(dict(shown))
    for place, value in hidden.items():
        path = unpointer(place)
        holder = _holder(document, path)
        if holder is not None:
            holder[path[-1]] = value
    return document


def kept(document: Mapping[str, Any], paths: list[Path]) -> list[str]:
    """Places where a document that came back has the mask instead of a secret."""
    holders = ((path, _holder(document, path)) for path in paths)
    return [pointer(path) for path, holder in holders if holder is not None and holder.get(path[-1]) == MASK]


def pointer(path: Path) -> str:
    """A place as text (RFC 6901 without the leading slash)."""
    return "/".join(str(part).replace("~", "~0").replace("/", "~1") for part in path)


def unpointer(text: str) -> Path:
    """The place that :func:`pointer` wrote."""
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in text.split("/"))


def resolve(node: Any, definitions: Mapping[str, Any]) -> dict[str, Any]:
    """A schema with its reference into ``$defs``, if it is one, followed; what stands beside the reference is kept."""
    seen: set[str] = set()
    while isinstance(node, Mapping) and "$ref" in node:
        name = str(node["$ref"]).rpartition("/")[2]
        if name in seen or name not in definitions:
            break
        seen.add(name)
        node = {**definitions[name], **{key: value for key, value in node.items() if key != "$ref"}}
    return dict(node) if isinstance(node, Mapping) else {}


def _paths(schema: Any, definitions: Mapping[str, Any], path: Path, depth: int = 0) -> Iterator[Path]:
    for name, item in schema.get("properties", {}).items():
        inner = resolve(item, definitions)
        place = (*path, name)
        if inner.get("writeOnly") is True:
            yield place
        elif "properties" in inner and depth < 10 and not holds_secret(_without_properties(inner), definitions):
            yield from _paths(inner, definitions, place, depth + 1)
        elif holds_secret(inner, definitions):
            yield place


def _without_properties(schema: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in schema.items() if key != "properties"}


def _holder(document: Any, path: Path) -> dict[str, Any] | None:
    for part in path[:-1]:
        document = document.get(part) if isinstance(document, dict) else None
    return document if isinstance(document, dict) else None
