"""``blocks``."""

from __future__ import annotations

from typing import Any

from flask import Response

from ...clock import now
from ..db.models import Block, BlockChange
from ..db.session import reading, transaction
from ..schemas import blocks as schemas
from ..schemas.base import PageQuery
from ..services.configuring import block_history, block_usage, blocks
from ..services.configuring.blocks import BlockFilter
from ..services.configuring.limits import Attempt
from ..services.deploying import block_removal
from ..services.running import errands
from .access import actor, needs, principal
from .resource import Resource, address, answer, answer_page, check_match, no_content

blueprint = Resource("blocks", "Blocks: typed configuration with secrets; addressed by id or `type/name`.")


@blueprint.route("/blocks")
@needs("viewer")
@blueprint.arguments(schemas.BlockQuery, location="query")
@blueprint.response(200, schemas.BlockPage)
def list_blocks(query: dict[str, Any]) -> Response:
    """List blocks, newest first, secrets masked."""
    limit, cursor = query.pop("limit"), query.pop("cursor")
    with reading() as session:
        found = blocks.listing(session, BlockFilter(**query), limit, cursor)
    return answer_page(found, present)


@blueprint.route("/blocks", methods=["POST"])
@needs("editor")
@blueprint.arguments(schemas.BlockInputSchema)
@blueprint.response(201, schemas.BlockSchema)
def create_block(body: dict[str, Any]) -> Response:
    """Save a block; secrets come in clear, and are shown no more."""
    with transaction() as session:
        made = blocks.create(
            session,
            body["type"],
            body["data"],
            name=body["name"],
            actor=actor(),
            now=now(),
            schema_id=body["block_schema_id"],
        )
    return answer(present(made), 201)


@blueprint.routes("/blocks/<ref>", "/blocks/<kind>/<name>")
@needs("viewer")
@blueprint.response(200, schemas.BlockSchema)
def get_block(**ref: str) -> Response:
    """Get a block, secrets masked."""
    with reading() as session:
        return answer(present(blocks.get(session, address(**ref))))


@blueprint.routes("/blocks/<ref>", "/blocks/<kind>/<name>", methods=["PUT"])
@needs("editor")
@blueprint.arguments(schemas.BlockChangeSchema)
@blueprint.response(200, schemas.BlockSchema)
def update_block(body: dict[str, Any], **ref: str) -> Response:
    """Replace a block's values; a secret that comes back masked is kept."""
    with transaction() as session:
        check_match(lambda: present(blocks.get(session, address(**ref))))
        changed = blocks.update(
            session, address(**ref), body["data"], actor=actor(), now=now(), schema_id=body["block_schema_id"]
        )
    return answer(present(changed))


@blueprint.routes("/blocks/<ref>", "/blocks/<kind>/<name>", methods=["DELETE"])
@needs("editor")
@blueprint.arguments(schemas.BlockDeletionQuery, location="query")
@blueprint.response(204)
def delete_block(query: dict[str, Any], **ref: str) -> Response:
    """Delete a block; 409 with the list of its users (`errors.usage`) while it is used and `force` is not given."""
    with transaction() as session:
        check_match(lambda: present(blocks.get(session, address(**ref))))
        block_removal.delete(session, address(**ref), actor(), now(), query["force"])
    return no_content()


@blueprint.routes("/blocks/<ref>/load", "/blocks/<kind>/<name>/load", methods=["POST"])
@needs("editor", "agent", "run")
@blueprint.response(200, schemas.LoadedBlockSchema)
def load_block(**ref: str) -> Response:
    """Load a block with its secrets in clear, and the blocks that it holds; the loading is recorded.

    A run takes a slot of every limit that these blocks declare; while all are taken: 409, `limit-full`.
    """
    found = principal()
    attempt = Attempt(found.run_id, found.attempt) if found.run_id and found.attempt is not None else None
    with transaction() as session:
        errands.check_load(session, found.errand_block, address(**ref))
        loaded = blocks.load(session, address(**ref), actor(), now(), attempt)
    return answer(loaded, headers={"Cache-Control": "no-store"})


@blueprint.routes("/blocks/<ref>/rotate", "/blocks/<kind>/<name>/rotate", methods=["POST"])
@needs("editor")
@blueprint.arguments(schemas.BlockSecretsSchema)
@blueprint.response(200, schemas.BlockSchema)
def rotate_block(body: dict[str, Any], **ref: str) -> Response:
    """Give a block new secrets; everything that refers to it sees them at its next load."""
    with transaction() as session:
        check_match(lambda: present(blocks.get(session, address(**ref))))
        changed = blocks.rotate(session, address(**ref), body["data"], actor(), now())
    return answer(present(changed))


@blueprint.routes("/blocks/<ref>/usage", "/blocks/<kind>/<name>/usage")
@needs("viewer")
@blueprint.response(200, schemas.BlockUsageSchema)
def get_block_usage(**ref: str) -> Response:
    """Tell who uses a block: blocks, deployments, and loads of the last 30 days."""
    with reading() as session:
        found = block_usage.usage(session, blocks.get(session, address(**ref)).id, now())
    return answer(
        {
            "blocks": found.blocks, "deployments": found.deployments, "triggers": found.triggers,
            "loads": found.loads,
        }
    )  # fmt: skip


@blueprint.routes("/blocks/<ref>/history", "/blocks/<kind>/<name>/history")
@needs("viewer")
@blueprint.arguments(PageQuery, location="query")
@blueprint.response(200, schemas.BlockHistoryPage)
def get_block_history(query: dict[str, Any], **ref: str) -> Response:
    """Tell who changed which fields of a block, newest first; values of secrets are not kept."""
    with reading() as session:
        found = block_history.listing(session, blocks.get(session, address(**ref)).id, **query)
    return answer_page(found, present_change)


def present_change(change: BlockChange) -> dict[str, Any]:
    """A change as JSON."""
    return {name: getattr(change, name) for name in ("id", "at", "by", "verb", "fields")}


def present(block: Block) -> dict[str, Any]:
    """A block as JSON, secrets masked."""
    return {
        "id": block.id,
        "type": block.block_type.slug,
        "name": block.name,
        "data": block.data,
        "block_schema_id": block.block_schema_id,
        "created": block.created,
        "updated": block.updated,
    }
