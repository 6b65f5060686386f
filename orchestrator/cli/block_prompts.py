"""Values of a block's fields as people give them: in words of a command, in a file, or in answer to questions."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import click
import jsonschema
import yaml

from ..block import REFERENCE
from ..client import Client
from ..errors import InvalidInput
from ..kinds.block_schemas import in_order
from .output import note

#: Most blocks that a question offers; any other may be named.
OFFERED = 20
_NOTHING: Any = object()


def from_file(file: Any) -> dict[str, Any]:
    """The fields in an open JSON or YAML file; none where there is no file."""
    if file is None:
        return {}
    try:
        values = yaml.safe_load(file.read())  # JSON is YAML
    except yaml.YAMLError as error:
        raise InvalidInput(f"{file.name} is neither JSON nor YAML: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise InvalidInput(f"{file.name} holds no fields: write one `field: value` a line")
    return values


def from_pairs(pairs: Iterable[str], schema: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of ``FIELD=VALUE`` words."""
    values = {}
    for pair in pairs:
        field, equals, text = pair.partition("=")
        if not equals or not field:
            raise click.BadParameter(f"{pair.partition('=')[0]!r} is not FIELD=VALUE", param_hint="--set")
        values[field] = read(text, schema.get("properties", {}).get(field, {}))
    return values


def read(text: str, field: Mapping[str, Any]) -> Any:
    """A value as the field's schema takes it: what is to be a text is not read as JSON."""
    options = field.get("anyOf", [field])
    if any(option.get("type") == "string" or "const" in option for option in options) and not (
        text == "null" and any(option.get("type") == "null" for option in options)
    ):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def check_fields(slug: str, given: Iterable[str], schema: Mapping[str, Any]) -> None:
    """Refuse fields that the type does not have."""
    known = in_order(schema)
    for field in given:
        if field not in known:
            raise InvalidInput(f"{field} is no field of {slug}; the fields are {', '.join(known)}")


def can_ask() -> bool:
    """Whether somebody sits there to answer."""
    return sys.stdin.isatty()


@dataclass
class Questions:
    """Asks for fields, one after the other, on standard error; an answer that does not fit is asked for again.

    Args:
        client: Lists the blocks that fit a field.
        create: Makes a block in place, of one of these types (slugs), and returns its id.
    """

    client: Client
    create: Callable[[list[str]], str]

    def missing(self, given: dict[str, Any], schema: Mapping[str, Any], optional: bool = False) -> dict[str, Any]:
        """The given values, and those of required fields that were not given; with ``optional``, others if wanted."""
        values = dict(given)
        wanted = [name for name in schema.get("required", ()) if name not in values]
        if wanted and not can_ask():
            raise click.UsageError(f"{', '.join(wanted)} must be given: --set {wanted[0]}=...")
        for name in [name for name in in_order(schema) if name in wanted]:
            values[name] = self._ask(name, schema, required=True)
        others = [name for name in in_order(schema) if name not in values]
        if optional and others and can_ask() and click.confirm(f"Set {', '.join(others)}, too?", err=True):
            for name in others:
                if shown(in_order(schema)[name], {**_defaults(schema), **values}):
                    values.update(self._unless_nothing(name, schema))
        return values

    def secrets(self, names: Iterable[str], schema: Mapping[str, Any]) -> dict[str, Any]:
        """New values of secrets; an empty answer leaves one as it is."""
        values: dict[str, Any] = {}
        for name in names:
            values.update(self._unless_nothing(name, schema))
        return values

    def _unless_nothing(self, name: str, schema: Mapping[str, Any]) -> dict[str, Any]:
        value = self._ask(name, schema, required=False)
        return {} if value is _NOTHING else {name: value}

    def _ask(self, name: str, schema: Mapping[str, Any], required: bool) -> Any:
        facts = whole(schema["properties"][name], schema)
        if facts.get("description"):
            note(f"  {facts['description']}")
        while True:
            value = self._block(name, facts, required) if "x-block" in facts else _answer(name, facts, required)
            if value is _NOTHING or "x-block" in facts:
                return value
            if not (wrong := _problem(value, facts, schema)):
                return value
            note(f"  {name}: {wrong}")

    def _block(self, name: str, facts: Mapping[str, Any], required: bool) -> Any:
        kinds = fitting_types(self.client, str(facts["x-block"]))
        blocks = list(islice(self._blocks(kinds), OFFERED))
        for number, block in enumerate(blocks, 1):
            note(f"  {number}) {block['type']}/{block['name']}")
        note("  new) a new one" if required else "  new) a new one; nothing: none")
        while True:
            answer = str(_prompt(facts.get("title", name), required)).strip()
            if not answer:
                return _NOTHING
            if answer == "new":
                return {REFERENCE: self.create(kinds)}
            if answer.isdigit() and 0 < int(answer) <= len(blocks):
                return {REFERENCE: blocks[int(answer) - 1]["id"]}
            if "/" in answer:
                return {REFERENCE: self.client.get(f"blocks/{answer}")["id"]}
            note(f"  answer with a number, TYPE/NAME or new, not {answer!r}")

    def _blocks(self, kinds: Iterable[str]) -> Iterator[dict[str, Any]]:
        for slug in kinds:
            yield from (item for item in self.client.pages("blocks", {"type": slug, "limit": 200}) if item["name"])


def fitting_types(client: Client, wanted: str) -> list[str]:
    """Slugs of the types that a field takes, which asks for a slug, an interface, or ``*``."""
    types = [*client.pages("block-types", {"limit": 200})]
    fits = [item["slug"] for item in types if wanted in (item["slug"], "*", *item["interfaces"])]
    return fits or [wanted]


def shown(facts: Mapping[str, Any], values: Mapping[str, Any]) -> bool:
    """Whether a field concerns whoever gave these values to the others (``x-shown-when``)."""
    return all(values.get(name) in allowed for name, allowed in (facts.get("x-shown-when") or {}).items())


def whole(facts: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """A property with what it refers to in ``$defs`` in its place."""
    found = dict(facts)
    options = found.get("anyOf") or found.get("allOf") or []
    real = [option for option in options if option.get("type") != "null"]
    reference = found.get("$ref") or (real[0].get("$ref") if len(real) == 1 else None)
    if reference:
        found = {**schema.get("$defs", {}).get(str(reference).rpartition("/")[2], {}), **found}
    elif len(real) == 1:
        found = {**{key: value for key, value in real[0].items() if key in ("type", "enum", "const")}, **found}
    return found


def _defaults(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {name: facts["default"] for name, facts in schema.get("properties", {}).items() if "default" in facts}


def _answer(name: str, facts: Mapping[str, Any], required: bool) -> Any:
    title, secret = str(facts.get("title", name)), bool(facts.get("writeOnly"))
    if facts.get("enum"):
        title += f" ({', '.join(map(str, facts['enum']))})"
    elif facts.get("type") == "boolean":
        title += " (true, false)"
    elif facts.get("type") in ("object", "array"):
        title += " (JSON)"
    if not secret and facts.get("default") not in (None, ""):
        title += f" [{facts['default'] if isinstance(facts['default'], str) else json.dumps(facts['default'])}]"
    text = str(_prompt(title, required, secret))
    return read(text, facts) if text or required else _NOTHING


def _prompt(title: str, required: bool, secret: bool = False) -> Any:
    empty: dict[str, Any] = {} if required else {"default": "", "show_default": False}
    return click.prompt(title, hide_input=secret, err=True, **empty)


def _problem(value: Any, facts: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    part = {**facts, **{key: schema[key] for key in ("$defs",) if key in schema}}
    error = jsonschema.exceptions.best_match(jsonschema.Draft202012Validator(part).iter_errors(value))
    if error is None:
        return ""
    return "this does not fit" if facts.get("writeOnly") else str(error.message)
