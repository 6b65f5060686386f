"""Block documents: saved, shown masked, loaded with their secrets and with the blocks they hold."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, select, text
from sqlalchemy import delete as sql_delete
from sqlalchemy.orm import Session

from ...errors import BlockError, Conflict, InvalidInput, NotFound
from ...ids import uuid7
from ...records import Actor
from ..db.models import Block, BlockReference, BlockType, Deployment, Flow
from . import block_types, secrets
from .announcements import announce, resource
from .block_types import register_builtin
from .json_schemas import problems
from .paging import Page, check_limit, decode_id, page
from .secret_fields import MASK, Path, join, kept, pointer, resolve, secret_paths, split

__all__ = ["MASK", "create", "delete", "get", "label", "listing", "load", "register_builtin", "update", "used_by"]

REFERENCE = "$block"

_HELD = text(
    "WITH RECURSIVE held AS ("
    " SELECT target_id FROM block_reference WHERE block_id = ANY(:ids)"
    " UNION SELECT r.target_id FROM block_reference r JOIN held ON r.block_id = held.target_id"
    ") SELECT target_id FROM held"
)
_LOCK_REFERENCES = text("SELECT pg_advisory_xact_lock(hashtextextended('block references', 3))")


@dataclass(frozen=True)
class BlockFilter:
    """Which blocks a list shows; what is None does not restrict."""

    #: Slug of the type.
    type: str | None = None
    #: Part of the name, in any case.
    name: str | None = None
    #: An interface that the type implements.
    interface: str | None = None


def create(
    session: Session,
    type_slug: str,
    data: Mapping[str, Any],
    *,
    name: str | None,
    actor: Actor,
    now: datetime,
    schema_id: uuid.UUID | None = None,
) -> Block:
    """Save a new document; secrets come in clear and are kept encrypted.

    Raises:
        NotFound: The type or schema is unknown.
        Conflict: The type has a block of that name.
        InvalidInput: A value does not fit the schema, or names a block that is not there or does not fit.
    """
    kind = block_types.get(session, type_slug)
    schema = block_types.schema_for(session, kind, list(data), schema_id)
    if name is not None and session.scalar(_select().where(BlockType.slug == type_slug, Block.name == name)):
        raise Conflict(f"there is a block {type_slug}/{name} already")
    block = Block(id=uuid7(now), block_type=kind, block_schema=schema, name=name, created=now, updated=now)
    _fill(session, block, data)
    _announce(session, "created", block, actor, now)
    return block


def update(
    session: Session,
    ref: str | uuid.UUID,
    data: Mapping[str, Any],
    *,
    actor: Actor,
    now: datetime,
    schema_id: uuid.UUID | None = None,
) -> Block:
    """Replace a document's values; a secret that comes back masked is kept.

    Raises:
        NotFound, InvalidInput: As :func:`create`; also when blocks would hold each other in a circle.
        BlockError: A secret is to be kept that cannot be decrypted.
    """
    block = get(session, ref)
    session.execute(select(Block.id).where(Block.id == block.id).with_for_update())
    session.refresh(block)
    block.block_schema = block_types.schema_for(session, block.block_type, list(data), schema_id)
    block.updated = now
    _fill(session, block, data)
    _announce(session, "updated", block, actor, now)
    return block


def get(session: Session, ref: str | uuid.UUID) -> Block:
    """A document by id or ``type/name``; its ``data`` are masked. Raises NotFound."""
    if isinstance(ref, str):
        try:
            ref = uuid.UUID(ref)
        except ValueError:
            pass
    if isinstance(ref, uuid.UUID):
        query = _select().where(Block.id == ref)
    else:
        slug, _, name = ref.partition("/")
        query = _select().where(BlockType.slug == slug, Block.name == name)
    found: Block | None = session.scalar(query)
    if found is None:
        raise NotFound(f"there is no block {ref}")
    return found


def listing(
    session: Session, wanted: BlockFilter | None = None, limit: int = 50, cursor: str | None = None
) -> Page[Block]:
    """A page of documents, newest first; types that no installed class has any more included."""
    wanted = wanted or BlockFilter()
    query = _select()
    if wanted.type is not None:
        query = query.where(BlockType.slug == wanted.type)
    if wanted.name is not None:
        query = query.where(Block.name.icontains(wanted.name, autoescape=True))
    if wanted.interface is not None:
        query = query.where(BlockType.interfaces.contains([wanted.interface]))
    if cursor:
        query = query.where(Block.id < decode_id(cursor))
    rows = session.scalars(query.order_by(Block.id.desc()).limit(check_limit(limit) + 1)).all()
    return page(rows, limit, lambda block: (block.id,))


def load(session: Session, ref: str | uuid.UUID, actor: Actor, now: datetime) -> dict[str, Any]:
    """A document with secrets in clear and the blocks it holds in place of their references.

    The loading is recorded (``block.loaded``).

    Returns:
        ``{"id", "type", "name", "import_path", "data"}``; held ones have ``"$block": id`` too.

    Raises:
        NotFound: There is no such block.
        BlockError: A secret in it, or in a block it holds, cannot be decrypted; the message names that block.
    """
    block = get(session, ref)
    held = session.scalars(select(Block).where(Block.id.in_(_held(session, [block.id])))).all()
    loaded = _open(block, {item.id: item for item in held})
    _announce(session, "loaded", block, actor, now)
    return loaded


def delete(session: Session, ref: str | uuid.UUID, actor: Actor, now: datetime) -> None:
    """Delete a document. Raises NotFound, or Conflict with the list of what uses it."""
    block = get(session, ref)
    session.execute(select(Block.id).where(Block.id == block.id).with_for_update())
    users = used_by(session, block.id)
    if users:
        raise Conflict(f"block {label(block)} is used by {', '.join(users)}")
    _announce(session, "deleted", block, actor, now)
    session.delete(block)
    session.flush()


def used_by(session: Session, block_id: uuid.UUID, limit: int = 20) -> list[str]:
    """What refers to a block: ``block type/name`` and ``deployment flow/name``."""
    holders = _select().join(BlockReference, BlockReference.block_id == Block.id)
    blocks = session.scalars(holders.where(BlockReference.target_id == block_id).order_by(Block.id).limit(limit))
    found = [f"block {label(item)}" for item in blocks]
    deployments = (
        select(Flow.name, Deployment.name)
        .join(Flow, Flow.id == Deployment.flow_id)
        .where((Deployment.storage_block_id == block_id) | (Deployment.infrastructure_block_id == block_id))
        .order_by(Flow.name, Deployment.name)
        .limit(limit)
    )
    return found + [f"deployment {flow}/{name}" for flow, name in session.execute(deployments)]


def label(block: Block) -> str:
    """``type/name``, or ``type/id`` of an anonymous one."""
    return f"{block.block_type.slug}/{block.name or block.id}"


def _select() -> Select[Any]:
    return select(Block).join(BlockType, BlockType.id == Block.block_type_id)


def _held(session: Session, ids: Sequence[uuid.UUID]) -> set[uuid.UUID]:
    """All that these blocks hold, at whatever depth."""
    return set(session.scalars(_HELD, {"ids": list(ids)}))


def _fill(session: Session, block: Block, data: Mapping[str, Any]) -> None:
    """Check values and put them into the document's columns."""
    fields = block.block_schema.fields
    paths = secret_paths(fields)
    clear = _with_kept_secrets(block, data, paths)
    _refuse_unknown(block, clear)
    clear, references = _resolved(session, clear)
    _check_references(session, block, references)
    found = problems(fields, clear)
    if found:
        name, messages = next(iter(found.items()))
        raise InvalidInput(f"block {label(block)}: {name}: {messages[0]}", {f"data.{k}": v for k, v in found.items()})
    shown, hidden = split(clear, paths)
    block.data, block.secrets = shown, secrets.encrypt(hidden) if hidden else None
    session.add(block)
    session.flush()
    session.execute(sql_delete(BlockReference).where(BlockReference.block_id == block.id))
    session.add_all(
        BlockReference(block_id=block.id, field=pointer(path), target_id=target.id) for path, target in references
    )
    session.flush()


def _with_kept_secrets(block: Block, data: Mapping[str, Any], paths: list[Path]) -> dict[str, Any]:
    places = kept(data, paths)
    if not places:
        return dict(data)
    old = _secrets_of(block)
    for place in places:
        if place not in old:
            field = f"data.{place.replace('/', '.')}"
            raise InvalidInput(f"{field}: there is no secret to keep: give one", {field: ["Give the secret itself."]})
    return join(data, {place: old[place] for place in places})


def _refuse_unknown(block: Block, data: Mapping[str, Any]) -> None:
    if block_types.knows(block.block_schema, list(data)):
        return
    known = block.block_schema.fields.get("properties", {})
    unknown = [name for name in data if name not in known]
    message = f"Block type {block.block_type.slug} has no such field; it has {', '.join(known) or 'none'}."
    raise InvalidInput(f"data.{unknown[0]}: {message}", {f"data.{name}": [message] for name in unknown})


def _resolved(session: Session, data: dict[str, Any]) -> tuple[dict[str, Any], list[tuple[Path, Block]]]:
    """The values with references by id, and what they refer to."""
    found: list[tuple[Path, Block]] = []

    def walk(value: Any, path: Path) -> Any:
        if isinstance(value, dict):
            if REFERENCE in value:
                target = _target(session, value[REFERENCE], path)
                found.append((path, target))
                return {REFERENCE: str(target.id)}
            return {key: walk(item, (*path, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [walk(item, (*path, index)) for index, item in enumerate(value)]
        return value

    return walk(data, ()), found


def _target(session: Session, ref: Any, path: Path) -> Block:
    field = "data." + ".".join(str(part) for part in path)
    try:
        return get(session, str(ref))
    except NotFound as error:
        raise InvalidInput(f"{field}: {error}", {field: [f"There is no block {ref}: save it first."]}) from None


def _check_references(session: Session, block: Block, references: Sequence[tuple[Path, Block]]) -> None:
    if not references:
        return
    session.execute(_LOCK_REFERENCES)
    targets = [target.id for _, target in references]
    reached = _held(session, targets) | set(targets)
    for path, target in references:
        field = "data." + ".".join(str(part) for part in path)
        if block.id in reached:
            raise InvalidInput(
                f"{field}: block {label(target)} holds, itself or through others, the block that would hold it",
                {field: ["Blocks must not hold each other in a circle."]},
            )
        wanted = _wanted(block.block_schema.fields, path)
        kind = target.block_type
        if wanted not in {None, "*", kind.slug, *kind.interfaces}:
            message = f"Block {label(target)} is no {wanted}."
            raise InvalidInput(f"{field}: {message}", {field: [message]})


def _wanted(schema: Mapping[str, Any], path: Path) -> str | None:
    """The type or interface that a schema wants of the block at a place; None where it says nothing."""
    definitions = schema.get("$defs", {})
    nodes: list[dict[str, Any]] = [dict(schema)]
    for part in path:
        nodes = [resolve(inner, definitions) for node in nodes for inner in _inside(node, part, definitions) if inner]
    wanted = (option.get("x-block") for node in nodes for option in [node, *node.get("anyOf", [])])
    return next((str(item) for item in wanted if item), None)


def _inside(node: dict[str, Any], part: Any, definitions: Mapping[str, Any]) -> Iterator[Any]:
    for option in [node, *(resolve(item, definitions) for item in node.get("anyOf", []))]:
        if isinstance(part, int):
            yield option.get("items")
        else:
            yield option.get("properties", {}).get(part) or option.get("additionalProperties")


def _secrets_of(block: Block) -> dict[str, Any]:
    try:
        return secrets.decrypt(block.secrets) if block.secrets else {}
    except BlockError as error:
        raise BlockError(f"block {label(block)}: {error}") from None


def _open(block: Block, held: Mapping[uuid.UUID, Block]) -> dict[str, Any]:
    def walk(value: Any) -> Any:
        if isinstance(value, dict):
            if REFERENCE in value:
                return {REFERENCE: value[REFERENCE], **_open(held[uuid.UUID(value[REFERENCE])], held)}
            return {key: walk(item) for key, item in value.items()}
        return [walk(item) for item in value] if isinstance(value, list) else value

    return {
        "id": str(block.id),
        "type": block.block_type.slug,
        "name": block.name,
        "import_path": block.block_type.import_path,
        "data": walk(join(block.data, _secrets_of(block))),
    }


def _announce(session: Session, verb: str, block: Block, actor: Actor, now: datetime) -> None:
    about = resource("block", block.id, label(block))
    related = [resource("block-type", block.block_type_id or block.block_type.id, block.block_type.slug, "block-type")]
    announce(session, f"block.{verb}", about, actor, now, related)
