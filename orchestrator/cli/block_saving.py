"""``orchestrator block create`` and ``rotate``: documents, and new values of their secrets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click
from pydantic import ValidationError

from ..client import Client
from ..errors import InvalidInput, NotFound
from ..kinds import block_kinds
from ..kinds.block_schemas import rotated
from .block_prompts import Questions, can_ask, check_fields, from_file, from_pairs
from .block_usage import dependents
from .output import emit, note, output_option

_SET = click.option("--set", "pairs", metavar="FIELD=VALUE", multiple=True, help="A field; the value is JSON or text.")
_FROM = click.option("--from", "file", type=click.File(), help="Fields from a JSON or YAML file; - is stdin.")


@click.command()
@click.argument("address", metavar="TYPE/NAME")
@_SET
@_FROM
@click.option("--overwrite", is_flag=True, help="Change one of this name; what is not given keeps its value.")
@output_option
def create(address: str, pairs: tuple[str, ...], file: Any, overwrite: bool, output: str) -> None:
    """Save a block. Where somebody can answer, fields that it needs and that are not given are asked for: secrets
    without an echo, blocks in it by a choice of those that fit, or made in place.
    """
    slug, slash, name = address.partition("/")
    if not slash or not name:
        raise click.BadParameter(f"{address!r} is not TYPE/NAME, such as s3/dev", param_hint="TYPE/NAME")
    client = Client.from_settings()
    kind = type_of(client, slug)
    given = {**from_file(file), **from_pairs(pairs, kind["schema"])}
    check_fields(slug, given, kind["schema"])
    existing = _find(client, address) if overwrite else None
    if existing:
        kept = {key: value for key, value in existing["data"].items() if key in kind["schema"].get("properties", {})}
        given = {**kept, **given}
    facts = _save(client, kind, name, given, existing)
    note(f"{'changed' if existing else 'saved'} {address}")
    if output == "json":
        emit(facts, output)


@click.command()
@click.argument("block")
@_SET
@_FROM
def rotate(block: str, pairs: tuple[str, ...], file: Any) -> None:
    """Give a block new secrets and change nothing else: whoever loads it next, by whatever block or deployment, has
    them. Without --set and --from they are asked for, without an echo.
    """
    client = Client.from_settings()
    document = client.get(f"blocks/{block}")
    schema = client.get(f"block-types/{document['type']}")["schema"]
    secrets = rotated(schema)
    if not secrets:
        raise InvalidInput(f"{block} has no secret; `orchestrator block create --overwrite` changes other fields")
    given = {**from_file(file), **from_pairs(pairs, schema)}
    for name in given:
        if name not in secrets:
            raise InvalidInput(f"{name} is no secret of {document['type']}; these can be rotated: {', '.join(secrets)}")
    if not given and not can_ask():
        raise click.UsageError(f"give new values: --set {secrets[0]}=..., or --from FILE")
    given = given or Questions(client, _refuse).secrets(secrets, schema)
    if not given:
        note("nothing was given: the secrets stay as they are")
        return
    client.post(f"blocks/{document['id']}/rotate", {"data": given})
    note(f"rotated {', '.join(given)} of {block}{dependents(client, document['id'])}")


def type_of(client: Client, slug: str) -> dict[str, Any]:
    """The type as the server knows it; one that only this computer knows is registered first."""
    try:
        return dict(client.get(f"block-types/{slug}"))
    except NotFound:
        if slug not in block_kinds.installed():
            raise
    return dict(client.post("block-types", block_kinds.find(slug).type_facts()))


def _save(
    client: Client, kind: Mapping[str, Any], name: str, given: dict[str, Any], existing: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    questions = Questions(client, lambda slugs: _in_place(client, slugs))
    given = questions.missing(given, kind["schema"], optional=not given)
    data = _checked(kind["slug"], given, kind["schema"])
    if existing:
        return dict(client.put(f"blocks/{existing['id']}", {"data": data}))
    return dict(client.post("blocks", {"type": kind["slug"], "name": name, "data": data}))


def _in_place(client: Client, slugs: list[str]) -> str:
    """Make a block of one of these types, in answer to questions; returns its id."""
    slug = slugs[0]
    if len(slugs) > 1:
        slug = click.prompt("Its type", type=click.Choice(slugs), err=True)
    name = click.prompt(f"Name of the new {slug}", err=True)
    made = _save(client, type_of(client, slug), name, {})
    note(f"saved {slug}/{name}")
    return str(made["id"])


def _refuse(_slugs: list[str]) -> str:
    raise InvalidInput("a block is no secret")


def _find(client: Client, address: str) -> dict[str, Any] | None:
    try:
        return dict(client.get(f"blocks/{address}"))
    except NotFound:
        return None


def _checked(slug: str, given: dict[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """Check the fields by the class, where this computer has it; the server checks by the schema in any case, and
    knows the blocks that fields refer to.
    """
    refers = any("x-block" in schema["properties"][field] and value for field, value in given.items())
    if slug not in block_kinds.installed() or refers:
        return given
    try:
        data: dict[str, Any] = block_kinds.find(slug).model_validate(given).to_document()["data"]
    except ValidationError as error:
        facts = error.errors(include_url=False, include_input=False, include_context=False)
        raise InvalidInput("; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in facts)) from None
    return data
