"""Block documents: saved, shown masked, loaded with their secrets and with the blocks they hold, rotated."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from ....clock import now as present_instant
from ....documents.records import Actor
from ....errors import BlockError, Conflict, InvalidInput
from ....ids import uuid7
from ....kinds.block_schemas import rotated
from ....masking import MASK
from ...db.models import Block, BlockType
from ..identity import secrets
from ..json_schemas import problems
from ..paging import Page, check_limit, decode_id, page
from . import block_history, block_references, block_types, block_usage, limits
from .block_announcements import announce_block, changes
from .block_lookup import get, label, locked, select_blocks
from .block_references import REFERENCE
from .limits import Attempt
from .secret_fields import Path, join, kept, pointer, secret_paths, split

__all__ = [
    "MASK",
    "REFERENCE",
    "create",
    "get",
    "label",
    "listing",
    "load",
    "rotate",
    "update",
    "used_by",
]


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
    if name is not None and session.scalar(select_blocks().where(BlockType.slug == type_slug, Block.name == name)):
        raise Conflict(f"there is a block {type_slug}/{name} already")
    block = Block(id=uuid7(now), block_type=kind, block_schema=schema, name=name, created=now, updated=now)
    fields = _fill(session, block, data, actor, now)
    block_history.note(session, block, "created", actor, now, fields)
    announce_block(session, "created", block, actor, now, after=block.data)
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
    """Replace a document's values; a secret that comes back masked is kept. The same again changes nothing.

    Raises:
        NotFound, InvalidInput: As :func:`create`; also when blocks would hold each other in a circle.
        BlockError: A secret is to be kept that cannot be decrypted.
    """
    block = locked(session, ref)
    block.block_schema = block_types.schema_for(session, block.block_type, list(data), schema_id)
    fields = _fill(session, block, data, actor, now)
    if fields:
        block.updated = now
        block_history.note(session, block, "updated", actor, now, fields)
        announce_block(session, "updated", block, actor, now, **changes(fields))
    return block


def rotate(session: Session, ref: str | uuid.UUID, data: Mapping[str, Any], actor: Actor, now: datetime) -> Block:
    """Give a document new secrets; everything else of it, and all that refers to it, stays as it is.

    Args:
        data: The new secrets, at their places, and fields that change with them; what is left out is kept.

    Raises:
        NotFound: There is no such block.
        InvalidInput: There is none in it, or something that is no secret of the block.
        BlockError: A secret is to be kept that cannot be decrypted.
    """
    block = locked(session, ref)
    paths = secret_paths(block.block_schema.fields)
    shown, given = split(data, paths)
    with_them = [name for name in rotated(block.block_schema.fields) if (name,) not in paths]
    companions = {name: shown.pop(name) for name in with_them if name in shown}
    for name, value in shown.items():
        if not _only_masks(value):
            problem = "This is no secret of the block: only secrets are rotated."
            raise InvalidInput(f"data.{name}: {problem}", {f"data.{name}": [problem]})
    if not given:
        secret = ", ".join(".".join(map(str, path)) for path in paths) or "none"
        raise InvalidInput(
            f"data: there is no secret in it; those of {label(block)} are: {secret}", {"data": ["Give a new secret."]}
        )
    block.updated = now
    fields = _fill(session, block, join({**block.data, **companions}, given), actor, now)
    block_history.note(session, block, "rotated", actor, now, fields)
    users = block_usage.usage(session, block.id, now)
    found = {"blocks": users.blocks, "deployments": users.deployments}
    dependents = {noun: len({item["id"] for item in items}) for noun, items in found.items()}
    announce_block(session, "rotated", block, actor, now, **changes(fields), dependents=dependents)
    return block


def listing(
    session: Session, wanted: BlockFilter | None = None, limit: int = 50, cursor: str | None = None
) -> Page[Block]:
    """A page of documents, newest first; types that no installed class has any more included."""
    wanted = wanted or BlockFilter()
    query = select_blocks()
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


def load(
    session: Session, ref: str | uuid.UUID, actor: Actor, now: datetime, attempt: Attempt | None = None
) -> dict[str, Any]:
    """A document with secrets in clear and the blocks it holds in place of their references.

    The loading is recorded (``block.loaded``), and counted for all blocks in it.

    Args:
        attempt: The attempt of a run that loads it, which takes a slot of every limit that these blocks declare.

    Returns:
        ``{"id", "type", "name", "import_path", "data", "secrets"}``; ``secrets`` are the places of secrets in
        ``data``, such as ``credentials/data/key``. Held ones are ``{"$block": id, "type", ...}``.

    Raises:
        NotFound: There is no such block.
        BlockError: A secret in it, or in a block it holds, cannot be decrypted; the message names that block.
        TransitionRefused: As :func:`limits.take`.
    """
    block = get(session, ref)
    held = session.scalars(select(Block).where(Block.id.in_(block_references.held(session, [block.id])))).all()
    places: list[str] = []
    loaded = _open(block, {item.id: item for item in held}, (), places)
    ids = [block.id, *(item.id for item in held)]
    if attempt is not None:
        limits.take(session, ids, attempt, now)
    block_usage.note_loads(session, ids, actor, now)
    announce_block(session, "loaded", block, actor, now)
    return {**loaded, "secrets": places}


def used_by(session: Session, block_id: uuid.UUID, now: datetime | None = None) -> list[str]:
    """What refers to a block itself: ``block type/name`` and ``deployment flow/name``."""
    return block_usage.usage(session, block_id, now or present_instant()).direct()


def _fill(session: Session, block: Block, data: Mapping[str, Any], actor: Actor, now: datetime) -> list[dict[str, Any]]:
    """Check values and put them into the document's columns; returns what differs from before."""
    fields = block.block_schema.fields
    paths = secret_paths(fields)
    before = dict(block.data or {})
    try:
        old: dict[str, Any] | None = _secrets_of(block)
    except BlockError:
        old = None
    clear = _with_kept_secrets(block, data, paths)
    _refuse_unknown(block, clear)
    clear, references = block_references.resolved(session, clear, fields)
    block_references.check(session, block, references)
    found = problems(fields, clear)
    if found:
        name, messages = next(iter(found.items()))
        raise InvalidInput(f"block {label(block)}: {name}: {messages[0]}", {f"data.{k}": v for k, v in found.items()})
    shown, hidden = split(clear, paths)
    block.data, block.secrets = shown, secrets.encrypt(hidden) if hidden else None
    block.secrets_key = secrets.key_ids()[0] if hidden else None
    session.add(block)
    session.flush()
    block_references.replace(session, block, references)
    limits.declare(session, block, actor, now)
    return block_history.differences(before, shown, old, hidden)


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


def _secrets_of(block: Block) -> dict[str, Any]:
    try:
        return secrets.decrypt(block.secrets) if block.secrets else {}
    except BlockError as error:
        raise BlockError(f"block {label(block)}: {error}") from None


def _open(block: Block, held: Mapping[uuid.UUID, Block], at: Path, places: list[str]) -> dict[str, Any]:
    """A document in clear; where secrets lie in it, below ``at``, is added to ``places``."""
    hidden = _secrets_of(block)

    def walk(value: Any, path: Path) -> Any:
        if isinstance(value, dict):
            if REFERENCE in value:
                return _inner(value[REFERENCE], held, path, places)
            return {key: walk(item, (*path, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [walk(item, (*path, index)) for index, item in enumerate(value)]
        return value

    inside = f"{pointer(at)}/" if at else ""
    places += [f"{inside}{place}" for place in hidden]
    return {
        "id": str(block.id),
        "type": block.block_type.slug,
        "name": block.name,
        "import_path": block.block_type.import_path,
        "data": walk(join(block.data, hidden), at),
    }


def _inner(ref: str, held: Mapping[uuid.UUID, Block], path: Path, places: list[str]) -> dict[str, Any] | None:
    found = held.get(uuid.UUID(ref))
    return None if found is None else {REFERENCE: ref, **_open(found, held, (*path, "data"), places)}


def _only_masks(value: Any) -> bool:
    if isinstance(value, dict):
        return all(_only_masks(item) for item in value.values())
    return value == MASK or value is None
