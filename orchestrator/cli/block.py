"""``orchestrator block``: kinds of block, and the named documents of them."""

from __future__ import annotations

import importlib
import importlib.util
import json
import sys
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import yaml
from pydantic import ValidationError

from .. import block as blocks
from ..block import Block
from ..client import Client
from ..errors import InvalidInput, NotFound
from . import block_errands
from .output import confirm, emit, limit_option, note, output_option, yes_option

#: What the server shows in place of a secret; sent back, the secret stays.
_MASK = "********"
_COLUMNS = {"address": "Block", "updated": "Updated", "id": "ID"}
_TYPE_COLUMNS = {"slug": "Type", "name": "Name", "interfaces": "Interfaces", "description": "Description"}


@click.group()
def group() -> None:
    """Create and look at blocks: stored, typed configuration.

    BLOCK is TYPE/NAME, such as s3/dev, or an id.
    """


for _command in block_errands.COMMANDS:
    group.add_command(_command)


@group.command()
@output_option
def types(output: str) -> None:
    """List the kinds of block that the server knows."""
    found = list(Client.from_settings().pages("block-types", {"limit": 200}))
    emit(found, output, columns=_TYPE_COLUMNS, empty="The server knows no kind of block.")


@group.command()
@click.argument("source", metavar="FILE|MODULE")
def register(source: str) -> None:
    """Tell the server of the kinds of block that a Python file or module defines."""
    module = _import(source)
    kinds = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Block) and value.__module__ == module.__name__
    ]
    if not kinds:
        raise InvalidInput(f"{source} defines no block: no class in it is a subclass of orchestrator.Block")
    facts = [kind.type_facts() for kind in kinds]
    client = Client.from_settings()
    for item in facts:
        client.post("block-types", item)
        note(f"registered {item['slug']} ({item['import_path']})")


@group.command()
@click.argument("address", metavar="TYPE/NAME")
@click.option("--set", "pairs", metavar="FIELD=VALUE", multiple=True, help="A field; the value is JSON or text.")
@click.option("--from", "file", type=click.File(), help="Fields from a JSON or YAML file; - is stdin.")
@click.option("--overwrite", is_flag=True, help="Change one of this name; what is not given keeps its value.")
@output_option
def create(address: str, pairs: tuple[str, ...], file: Any, overwrite: bool, output: str) -> None:
    """Save a block. Fields that it needs and that are not given are asked for, where somebody can answer."""
    slug, slash, name = address.partition("/")
    if not slash or not name:
        raise click.BadParameter(f"{address!r} is not TYPE/NAME, such as s3/dev", param_hint="TYPE/NAME")
    client = Client.from_settings()
    kind = _kind(client, slug)
    given = {**_from_file(file), **_from_pairs(pairs, kind["schema"])}
    _check_fields(slug, given, kind["schema"])
    existing = _find(client, address) if overwrite else None
    if existing:
        kept = {key: value for key, value in existing["data"].items() if key in kind["schema"].get("properties", {})}
        given = {**kept, **given}
    given = _referred(client, _ask(given, kind["schema"]), kind["schema"])
    data = _checked(slug, given)
    if existing:
        facts = client.put(f"blocks/{existing['id']}", {"data": data})
    else:
        facts = client.post("blocks", {"type": slug, "name": name, "data": data})
    note(f"{'changed' if existing else 'saved'} {address}")
    if output == "json":
        emit(facts, output)


@group.command("ls")
@click.option("--type", "slug", metavar="TYPE", help="Only those of this type.")
@limit_option
@output_option
def listing(slug: str | None, limit: int, output: str) -> None:
    """List blocks."""
    found = list(islice(Client.from_settings().pages("blocks", {"type": slug, "limit": min(limit, 200)}), limit))
    if output == "table":
        found = [{**item, "address": f"{item['type']}/{item['name'] or '(no name)'}"} for item in found]
    emit(found, output, columns=_COLUMNS, empty="There is no block; `orchestrator block create` makes one.")


@group.command()
@click.argument("block")
@output_option
def inspect(block: str, output: str) -> None:
    """Show one block; its secrets stay masked."""
    emit(Client.from_settings().get(f"blocks/{block}"), output)


@group.command()
@click.argument("names", nargs=-1, required=True, metavar="BLOCK...")
@yes_option
def delete(names: tuple[str, ...], yes: bool) -> None:
    """Delete blocks. One that a deployment or another block refers to is kept."""
    client = Client.from_settings()
    found = [client.get(f"blocks/{name}") for name in names]
    confirm(f"Delete {', '.join(names)}?", yes)
    for name, facts in zip(names, found, strict=True):
        client.delete(f"blocks/{facts['id']}")
        note(f"deleted {name}")


def _import(source: str) -> ModuleType:
    path = Path(source)
    try:
        if path.suffix != ".py":
            sys.path.insert(0, str(Path.cwd()))
            return importlib.import_module(source)
        if not path.is_file():
            raise InvalidInput(f"there is no file {source}")
        sys.path.insert(0, str(path.resolve().parent))
        spec = importlib.util.spec_from_file_location(path.stem, path)
        if spec is None or spec.loader is None:
            raise InvalidInput(f"{source} is no Python module")
        module = sys.modules[path.stem] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module
    except InvalidInput:
        raise
    except Exception as error:  # a module may raise anything
        raise InvalidInput(f"{source} does not import: {type(error).__name__}: {error}") from None


def _kind(client: Client, slug: str) -> dict[str, Any]:
    """The type as the server knows it; one that only this computer knows is registered first."""
    try:
        return dict(client.get(f"block-types/{slug}"))
    except NotFound:
        if slug not in blocks.installed():
            raise
    return dict(client.post("block-types", blocks.find(slug).type_facts()))


def _find(client: Client, address: str) -> dict[str, Any] | None:
    try:
        return dict(client.get(f"blocks/{address}"))
    except NotFound:
        return None


def _from_file(file: Any) -> dict[str, Any]:
    if file is None:
        return {}
    try:
        values = yaml.safe_load(file.read())  # JSON is YAML
    except yaml.YAMLError as error:
        raise InvalidInput(f"{file.name} is neither JSON nor YAML: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise InvalidInput(f"{file.name} holds no fields: write one `field: value` a line")
    return values


def _from_pairs(pairs: tuple[str, ...], schema: dict[str, Any]) -> dict[str, Any]:
    values = {}
    for pair in pairs:
        field, equals, text = pair.partition("=")
        if not equals or not field:
            raise click.BadParameter(f"{pair!r} is not FIELD=VALUE", param_hint="--set")
        values[field] = _read(text, schema.get("properties", {}).get(field, {}))
    return values


def _read(text: str, field: dict[str, Any]) -> Any:
    """A value as the field's schema takes it: what is to be a text is not read as JSON."""
    options = field.get("anyOf", [field])
    if any(option.get("type") == "string" for option in options) and not (
        text == "null" and any(option.get("type") == "null" for option in options)
    ):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def _check_fields(slug: str, given: dict[str, Any], schema: dict[str, Any]) -> None:
    known = schema.get("properties", {})
    for field in given:
        if field not in known:
            raise InvalidInput(f"{field} is no field of {slug}; the fields are {', '.join(known)}")


def _ask(given: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    missing = [field for field in schema.get("required", ()) if field not in given]
    if missing and not sys.stdin.isatty():
        raise click.UsageError(f"{', '.join(missing)} must be given: --set {missing[0]}=...")
    answers = {}
    for field in missing:
        facts = schema["properties"][field]
        text = click.prompt(facts.get("title", field), hide_input=bool(facts.get("writeOnly")), err=True)
        answers[field] = _read(text, facts)
    return {**given, **answers}


def _referred(client: Client, given: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """Fields that hold a block may be given as its TYPE/NAME."""
    named = [key for key, value in given.items() if "x-block" in schema["properties"][key] and isinstance(value, str)]
    return {**given, **{field: {blocks.REFERENCE: client.get(f"blocks/{given[field]}")["id"]} for field in named}}


def _checked(slug: str, given: dict[str, Any]) -> dict[str, Any]:
    """Check the fields by the class, where this computer has it; the server checks by the schema in any case."""
    if slug not in blocks.installed() or any(
        isinstance(value, dict) and blocks.REFERENCE in value for value in given.values()
    ):
        return given
    try:
        data: dict[str, Any] = blocks.find(slug).model_validate(given).to_document()["data"]
    except ValidationError as error:
        facts = error.errors(include_url=False, include_input=False, include_context=False)
        raise InvalidInput("; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in facts)) from None
    return data
