"""References: which block holds which, kept by id, and letting go of one that is deleted."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select, text
from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import flag_modified

from ....errors import InvalidInput, NotFound
from ...db.models import Block, BlockReference, TemplateReference
from .block_lookup import get, label, select_blocks
from .secret_fields import Path, pointer, resolve, unpointer

REFERENCE = "$block"

_HELD = text(
    "WITH RECURSIVE held AS ("
    " SELECT target_id FROM block_reference WHERE block_id = ANY(:ids)"
    " UNION SELECT r.target_id FROM block_reference r JOIN held ON r.block_id = held.target_id"
    ") SELECT target_id FROM held"
)
_LOCK_REFERENCES = text("SELECT pg_advisory_xact_lock(hashtextextended('block references', 3))")


def held(session: Session, ids: Sequence[uuid.UUID]) -> set[uuid.UUID]:
    """All that these blocks hold, at whatever depth."""
    return set(session.scalars(_HELD, {"ids": list(ids)}))


def resolved(
    session: Session, data: Mapping[str, Any], fields: Mapping[str, Any]
) -> tuple[dict[str, Any], list[tuple[Path, Block]]]:
    """The values with references by id, and what they refer to.

    Args:
        fields: The type's schema. Where it wants a block and no text, ``type/name`` is taken for the block's reference.

    Raises:
        InvalidInput: A block that they refer to is not there.
    """
    found: list[tuple[Path, Block]] = []

    def walk(value: Any, path: Path) -> Any:
        if isinstance(value, str) and _is_for_a_block(fields, path):
            value = {REFERENCE: value}
        if isinstance(value, dict):
            if REFERENCE in value:
                target = _target(session, value[REFERENCE], path)
                found.append((path, target))
                return {REFERENCE: str(target.id)}
            return {key: walk(item, (*path, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [walk(item, (*path, index)) for index, item in enumerate(value)]
        return value

    return walk(dict(data), ()), found


def check(session: Session, block: Block, references: Sequence[tuple[Path, Block]]) -> None:
    """Refuse references that do not fit the schema, or that would close a circle. Raises InvalidInput."""
    if not references:
        return
    session.execute(_LOCK_REFERENCES)
    targets = [target.id for _, target in references]
    reached = held(session, targets) | set(targets)
    for path, target in references:
        field = _field(path)
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


def replace(session: Session, block: Block, references: Iterable[tuple[Path, Block]]) -> None:
    """Note what a block, which is in the database, holds from now on."""
    session.execute(delete(BlockReference).where(BlockReference.block_id == block.id))
    session.add_all(
        BlockReference(block_id=block.id, field=pointer(path), target_id=target.id) for path, target in references
    )
    session.flush()


def let_go(session: Session, target_id: uuid.UUID, now: datetime) -> list[tuple[Block, str]]:
    """Put null wherever a block is held; returns who held it, and in which field."""
    query = select(BlockReference).where(BlockReference.target_id == target_id)
    found = []
    for reference in session.scalars(query.order_by(BlockReference.block_id).with_for_update()).all():
        holder = session.scalars(select_blocks().where(Block.id == reference.block_id).with_for_update(of=Block)).one()
        _forget(holder.data, unpointer(reference.field))
        flag_modified(holder, "data")
        holder.updated = now
        found.append((holder, reference.field))
        session.delete(reference)
    session.flush()
    return found


def forget_in_templates(session: Session, block_id: uuid.UUID) -> None:
    """Forget which templates name a block."""
    session.execute(delete(TemplateReference).where(TemplateReference.block_id == block_id))


def _target(session: Session, ref: Any, path: Path) -> Block:
    field = _field(path)
    try:
        return get(session, str(ref))
    except NotFound as error:
        raise InvalidInput(f"{field}: {error}", {field: [f"There is no block {ref}: save it first."]}) from None


def _field(path: Path) -> str:
    return "data." + ".".join(str(part) for part in path)


def _is_for_a_block(schema: Mapping[str, Any], path: Path) -> bool:
    options = _options(schema, path)
    return any(option.get("x-block") for option in options) and not any(o.get("type") == "string" for o in options)


def _wanted(schema: Mapping[str, Any], path: Path) -> str | None:
    """The type or interface that a schema wants of the block at a place; None where it says nothing."""
    wanted = (option.get("x-block") for option in _options(schema, path))
    return next((str(item) for item in wanted if item), None)


def _options(schema: Mapping[str, Any], path: Path) -> list[dict[str, Any]]:
    """The schemas of which the value at a place has to fit one."""
    definitions = schema.get("$defs", {})
    nodes: list[dict[str, Any]] = [dict(schema)]
    for part in path:
        nodes = [resolve(inner, definitions) for node in nodes for inner in _inside(node, part, definitions) if inner]
    return [option for node in nodes for option in [node, *node.get("anyOf", [])]]


def _inside(node: dict[str, Any], part: Any, definitions: Mapping[str, Any]) -> Iterator[Any]:
    for option in [node, *(resolve(item, definitions) for item in node.get("anyOf", []))]:
        if isinstance(part, int):
            yield option.get("items")
        else:
            yield option.get("properties", {}).get(part) or option.get("additionalProperties")


def _forget(document: Any, path: Path) -> None:
    """Put null at a place; one that lies inside a secret cannot be reached, and is found empty when it is loaded."""
    for part in path[:-1]:
        document = _inner(document, part)
    last = path[-1]
    if isinstance(document, dict) and last in document:
        document[last] = None
    elif isinstance(document, list) and last.isdecimal() and int(last) < len(document):
        document[int(last)] = None


def _inner(document: Any, part: str) -> Any:
    if isinstance(document, dict):
        return document.get(part)
    if isinstance(document, list) and part.isdecimal() and int(part) < len(document):
        return document[int(part)]
    return None
