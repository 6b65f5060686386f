"""Block types: the kinds of block the server was told of, and each version of their fields."""

from __future__ import annotations

import hashlib
import logging
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from ....clock import now as present_instant
from ....documents.records import Actor
from ....errors import Conflict, NotFound
from ....ids import uuid7
from ....kinds import block_kinds
from ....kinds.kind_facts import Installed
from ...db.models import Block, BlockSchema, BlockType
from ..json_schemas import check_schema
from ..recording.announcements import announce, resource

_FACTS = ("name", "description", "logo", "docs_url", "code_example", "untested", "import_path", "interfaces")
_log = logging.getLogger(__name__)


def register(session: Session, facts: Mapping[str, Any], actor: Actor, now: datetime) -> tuple[BlockType, BlockSchema]:
    """Make a type known, or bring what is known of it up to date; the same facts again change nothing.

    Args:
        facts: ``slug, name, description, logo, docs_url, code_example, untested, import_path,
            interfaces, schema``.

    Raises:
        InvalidInput: ``schema`` is no JSON schema.
    """
    check_schema(facts["schema"], "schema")
    slug = facts["slug"]
    session.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:slug, 2))"), {"slug": slug})
    kind = session.scalar(select(BlockType).where(BlockType.slug == slug))
    values = {name: facts[name] for name in _FACTS if facts.get(name) is not None}
    values.setdefault("name", slug)
    if kind is None:
        kind = BlockType(id=uuid7(now), slug=slug, created=now, updated=now, **values)
        session.add(kind)
        session.flush()
        announce(session, "block-type.created", resource("block-type", kind.id, slug), actor, now, after=values)
    elif values != (before := {name: getattr(kind, name) for name in values}):
        for name, value in values.items():
            setattr(kind, name, value)
        kind.updated = now
        about = resource("block-type", kind.id, slug)
        announce(session, "block-type.updated", about, actor, now, before=before, after=values)
    kind.broken = ""
    return kind, _schema(session, kind, facts["schema"], now)


def register_installed(session: Session, found: Installed, now: datetime | None = None) -> list[str]:
    """Register every type that an installed package brings; returns their slugs.

    One that is broken is kept with its reason, so that people see it; it stops no other.
    """
    now, registered, broken = now or present_instant(), [], dict(found.broken)
    for facts in found.types:
        slug = str(facts["slug"])
        try:
            with session.begin_nested():
                register(session, facts, Actor("server"), now)
            registered.append(slug)
        except Exception as error:  # what a package tells of its kind may be anything
            broken[slug] = " ".join(str(error).split())
    for slug, why in sorted(broken.items()):
        _log.warning("the block type %s cannot be used: %s", slug, why)
        _keep_broken(session, slug, why, now)
    return registered


def _keep_broken(session: Session, slug: str, why: str, now: datetime) -> None:
    kind = session.scalar(select(BlockType).where(BlockType.slug == slug))
    if kind is None:
        path = block_kinds.installed().get(slug, "")
        kind = BlockType(id=uuid7(now), slug=slug, name=slug, import_path=path, created=now, updated=now)
        session.add(kind)
        session.flush()
    if kind.id not in current_schemas(session, [kind]):  # one that was registered elsewhere works elsewhere
        kind.broken = why
        session.flush()


def get(session: Session, ref: str | uuid.UUID) -> BlockType:
    """A type by slug or id. Raises NotFound."""
    condition = BlockType.id == ref if isinstance(ref, uuid.UUID) else BlockType.slug == ref
    found = session.scalar(select(BlockType).where(condition))
    if found is None:
        raise NotFound(f"there is no block type {ref}: `orchestrator block register` makes one known")
    return found


def listing(session: Session, interface: str | None = None) -> list[BlockType]:
    """All types, by slug; those that implement ``interface``, where given."""
    query = select(BlockType).order_by(BlockType.slug)
    if interface:
        query = query.where(BlockType.interfaces.contains([interface]))
    return list(session.scalars(query))


def slugs(session: Session) -> set[str]:
    """What all types are addressed by."""
    return set(session.scalars(select(BlockType.slug)))


def delete(session: Session, slug: str, actor: Actor, now: datetime) -> None:
    """Forget a type. Raises NotFound, or Conflict while there are blocks of it."""
    kind = get(session, slug)
    names = session.scalars(select(Block.name).where(Block.block_type_id == kind.id).limit(10)).all()
    if names:
        raise Conflict(f"there are blocks of type {slug}: {', '.join(name or '(anonymous)' for name in names)}")
    session.delete(kind)
    session.flush()
    about, gone = resource("block-type", kind.id, slug), {"name": kind.name, "import_path": kind.import_path}
    announce(session, "block-type.deleted", about, actor, now, before=gone)


def current_schemas(session: Session, types: Sequence[BlockType]) -> dict[uuid.UUID, BlockSchema]:
    """The newest schema of each type, by the type's id."""
    ids = [kind.id for kind in types]
    versions = select(BlockSchema).where(BlockSchema.block_type_id.in_(ids)).order_by(BlockSchema.id)
    return {schema.block_type_id: schema for schema in session.scalars(versions)}


def schema_for(
    session: Session, kind: BlockType, fields: Sequence[str], schema_id: uuid.UUID | None = None
) -> BlockSchema:
    """The schema that a document is to be read by: the one that was named, else the newest that knows all its fields,
    else the newest. Raises NotFound.
    """
    query = select(BlockSchema).where(BlockSchema.block_type_id == kind.id).order_by(BlockSchema.id.desc())
    versions = session.scalars(query).all()
    if schema_id is not None:
        versions = [schema for schema in versions if schema.id == schema_id]
    if not versions and kind.broken:
        raise NotFound(f"block type {kind.slug} cannot be used here: {kind.broken}")
    if not versions:
        raise NotFound(f"block type {kind.slug} has no schema {schema_id or ''}".rstrip())
    return next((schema for schema in versions if knows(schema, fields)), versions[0])


def knows(schema: BlockSchema, fields: Sequence[str]) -> bool:
    """Whether a schema has all of these fields."""
    return bool(schema.fields.get("additionalProperties")) or set(fields) <= set(schema.fields.get("properties", {}))


def _schema(session: Session, kind: BlockType, fields: Mapping[str, Any], now: datetime) -> BlockSchema:
    checksum = "sha256:" + hashlib.sha256(orjson.dumps(fields, option=orjson.OPT_SORT_KEYS)).hexdigest()
    query = select(BlockSchema).where(BlockSchema.block_type_id == kind.id, BlockSchema.checksum == checksum)
    found = session.scalar(query)
    if found is None:
        found = BlockSchema(id=uuid7(now), block_type_id=kind.id, checksum=checksum, fields=dict(fields), created=now)
        session.add(found)
        session.flush()
    return found
