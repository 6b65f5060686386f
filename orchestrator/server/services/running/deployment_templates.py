"""The templates of a deployment: whether there is what they name, and which blocks they use."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from ....documents.templates import Name, holds_template, names_in
from ....errors import InvalidInput
from ...db.models import Block, BlockType, Deployment, TemplateReference, Variable
from ..configuring import block_types


@dataclass(frozen=True)
class Use:
    """A template in a deployment."""

    #: Such as ``parameters.token``.
    place: str
    #: ``blocks``, ``variables`` or ``env``.
    root: str
    #: As it was written, between the braces.
    text: str
    block: Block | None


def note(session: Session, deployment: Deployment) -> None:
    """Check every template of a deployment, those of its schedules too, and keep which blocks they name.

    Raises:
        InvalidInput: One is written wrong, or names a block, field or variable that there is not; ``errors`` name the
            field of the deployment. What agents have in their environment is not known here.
    """
    found = [item for place, value in _places(deployment) for item in names_in(value, place)]
    blocks: set[tuple[str, uuid.UUID]] = set()
    for place, name in found:
        try:
            block_id = _check(session, name)
        except InvalidInput as error:
            raise InvalidInput(f"{place}: {error}", {place: [str(error)]}) from None
        if block_id is not None:
            blocks.add((place, block_id))
    session.execute(delete(TemplateReference).where(TemplateReference.deployment_id == deployment.id))
    session.add_all(
        TemplateReference(deployment_id=deployment.id, field=place, block_id=block_id)
        for place, block_id in sorted(blocks)
    )
    session.flush()


def uses(session: Session, deployment: Deployment) -> list[Use]:
    """What the templates of a deployment name, each with its place; a block that is gone is None."""
    found: list[Use] = []
    for place, value in _places(deployment):
        with contextlib.suppress(InvalidInput):  # one that is written wrong stands there as text
            for where, name in names_in(value, place):
                block = _named(session, name) if name.root == "blocks" else None
                found.append(Use(where, name.root, name.text.strip(), block))
    return found


def refuse_foreign(deployment: Deployment, given: Mapping[str, Any]) -> None:
    """Refuse templates that whoever starts a run brings along: only a deployment may say what is looked up, or a text
    from outside, such as an event's, could read any secret. Those that the deployment itself has there may stay.

    Raises:
        InvalidInput: A parameter holds one.
    """
    for name, value in given.items():
        if holds_template(value) and deployment.parameters.get(name) != value:
            problem = "Templates are looked up only where the deployment or its schedules have them: give the value."
            raise InvalidInput(f"parameter {name}: {problem}", {name: [problem]})


def _places(deployment: Deployment) -> list[tuple[str, Any]]:
    return [
        ("parameters", deployment.parameters),
        ("storage.path", deployment.storage_path),
        ("infrastructure.overrides", deployment.infrastructure_overrides),
        ("results.path", deployment.results_path),
        *((f"schedules.{item.slug}.parameters", item.parameters) for item in deployment.schedules),
    ]


def _check(session: Session, name: Name) -> uuid.UUID | None:
    """Whether there is what a template names; the id of its block, where it names one."""
    if name.root == "blocks":
        return _block(session, name)
    if name.root == "variables" and session.scalar(select(Variable.id).where(Variable.name == name.steps[0])) is None:
        raise InvalidInput(f"There is no variable {name.steps[0]}: set it first, or correct the name.")
    return None


def _named(session: Session, name: Name) -> Block | None:
    slug, title = name.steps[:2]
    query = select(Block).join(BlockType, BlockType.id == Block.block_type_id)
    found: Block | None = session.scalar(query.where(BlockType.slug == slug, Block.name == title))
    return found


def _block(session: Session, name: Name) -> uuid.UUID:
    block = _named(session, name)
    if block is None:
        raise InvalidInput(f"There is no block {name.block}: save it first, or correct the name.")
    newest = block_types.current_schemas(session, [block.block_type])[block.block_type_id]
    known = {**block.block_schema.fields.get("properties", {}), **newest.fields.get("properties", {})}
    wanted = str(name.steps[2]) if len(name.steps) > 2 else "value"
    if wanted not in known:
        fields = ", ".join(known) or "none"
        if len(name.steps) > 2:
            raise InvalidInput(f"Block {name.block} has no field {wanted}; its fields are {fields}.")
        raise InvalidInput(f"Block {name.block} is no plain value: name one of its fields, {fields}.")
    return block.id
