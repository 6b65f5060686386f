"""The JSON schema of a kind of block, as forms, commands and the server read it."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic.json_schema import GenerateJsonSchema

from ..errors import BlockError

if TYPE_CHECKING:
    from ..block import Block


class _References(GenerateJsonSchema):
    """Writes blocks inside a block as references."""

    root: ClassVar[type[Block]]
    base: ClassVar[type[Block]]

    def model_schema(self, schema: Any) -> dict[str, Any]:
        kind = schema["cls"]
        if issubclass(kind, self.base) and kind is not self.root:
            return _reference_schema(kind, self.base)
        return super().model_schema(schema)


def json_schema(kind: type[Block], base: type[Block]) -> dict[str, Any]:
    """A kind's JSON schema.

    Blocks in it are ``{"x-block": slug, interface or *}``; ``writeOnly`` and ``x-block`` stand on the property itself,
    also where the type is optional. A property with a secret anywhere inside is secret as a whole. ``position`` tells
    the order of properties: a database that stores JSON may keep none.

    Args:
        kind: The class.
        base: The class that all blocks have above them.
    """
    generator = type("References", (_References,), {"root": kind, "base": base})
    schema = kind.model_json_schema(schema_generator=generator)
    definitions = schema.pop("$defs", {})
    if "$ref" in schema:  # a kind that refers to itself
        own = schema["$ref"].rpartition("/")[2]
        schema, definitions[own] = definitions[own], _reference_schema(kind, base)
    references = {f"#/$defs/{key}": value for key, value in definitions.items() if "x-block" in value}
    definitions = {key: _inline(value, references) for key, value in definitions.items() if "x-block" not in value}
    schema = _inline(schema, references)
    schema.pop("additionalProperties", None)  # older and newer versions of the class share documents
    for item in schema.get("properties", {}).values():
        if holds_secret(item, definitions):
            item["writeOnly"] = True
        for option in item.get("anyOf", []):
            if "x-block" in option:
                item["x-block"] = option["x-block"]
    properties = schema.get("properties", {})
    schema["properties"] = {**{name: properties[name] for name in _first(kind, properties)}, **properties}
    for part in (schema, *definitions.values()):
        for position, item in enumerate(part.get("properties", {}).values()):
            item["position"] = position
    result: dict[str, Any] = json.loads(json.dumps({**schema, **({"$defs": definitions} if definitions else {})}))
    return result


def _first(kind: type[Block], properties: Mapping[str, Any]) -> tuple[str, ...]:
    unknown = [name for name in kind._field_order if name not in properties]
    if unknown:
        raise BlockError(f"{kind.__name__}._field_order names {', '.join(unknown)}, which is no field of it")
    return kind._field_order


def in_order(schema: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The properties of an object's schema in the order that their class gives them."""
    properties: Mapping[str, dict[str, Any]] = schema.get("properties", {})
    return dict(sorted(properties.items(), key=lambda item: item[1].get("position", len(properties))))


def _reference_schema(kind: type[Block], base: type[Block]) -> dict[str, Any]:
    wanted = kind._slug
    if inspect.isabstract(kind) and kind._interfaces():
        wanted = kind._interfaces()[0]
    return {"type": "object", "title": kind.__name__, "x-block": "*" if kind is base else wanted}


def rotated(schema: Mapping[str, Any]) -> list[str]:
    """The fields that a rotation may change, in their order: secrets, and what a service gives together with them, such
    as the id of a key (``x-rotates``). Empty where there is no secret.
    """
    fields = in_order(schema)
    if not any(item.get("writeOnly") is True for item in fields.values()):
        return []
    return [name for name, item in fields.items() if item.get("writeOnly") is True or item.get("x-rotates") is True]


def holds_secret(node: Any, definitions: Mapping[str, Any], seen: frozenset[str] = frozenset()) -> bool:
    """Whether a JSON schema, or one that it refers to in ``definitions``, has a secret field (``writeOnly``)."""
    if isinstance(node, list):
        return any(holds_secret(item, definitions, seen) for item in node)
    if not isinstance(node, Mapping):
        return False
    if node.get("writeOnly") is True:
        return True
    name = str(node.get("$ref", "")).rpartition("/")[2]
    if name in definitions and name not in seen and holds_secret(definitions[name], definitions, seen | {name}):
        return True
    return any(holds_secret(value, definitions, seen) for key, value in node.items() if key != "$defs")


def _inline(node: Any, references: dict[str, Any]) -> Any:
    if isinstance(node, dict):
        if node.get("$ref") in references:
            beside = {key: value for key, value in node.items() if key != "$ref"}
            return {**references[node["$ref"]], **beside}
        return {key: _inline(value, references) for key, value in node.items()}
    return [_inline(item, references) for item in node] if isinstance(node, list) else node
