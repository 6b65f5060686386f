"""``blocks``."""

from __future__ import annotations

from typing import Any

from flask import Response

from ...clock import now
from ..db.models import Block
from ..db.session import reading, transaction
from ..schemas import blocks as schemas
from ..services import blocks, errands
from ..services.blocks import BlockFilter
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
@blueprint.response(204)
def delete_block(**ref: str) -> Response:
    """Delete a block; 409 with the list of its users while it is used."""
    with transaction() as session:
        check_match(lambda: present(blocks.get(session, address(**ref))))
        blocks.delete(session, address(**ref), actor(), now())
    return no_content()


@blueprint.routes("/blocks/<ref>/load", "/blocks/<kind>/<name>/load", methods=["POST"])
@needs("editor", "agent", "run")
@blueprint.response(200, schemas.LoadedBlockSchema)
def load_block(**ref: str) -> Response:
    """Load a block with its secrets in clear, and the blocks that it holds; the loading is recorded."""
    with transaction() as session:
        errands.check_load(session, principal().errand_block, address(**ref))
        loaded = blocks.load(session, address(**ref), actor(), now())
    return answer(loaded, headers={"Cache-Control": "no-store"})


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
