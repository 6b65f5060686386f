"""``block-types``."""

from __future__ import annotations

from typing import Any

from flask import Response

from ...clock import now
from ..db.models import BlockSchema, BlockType
from ..db.session import reading, transaction
from ..schemas import blocks as schemas
from ..services.configuring import block_types
from .access import actor, needs
from .resource import Resource, answer, answer_all, no_content

blueprint = Resource("block-types", "Block types: the kinds of block the server was told of.")


@blueprint.route("/block-types")
@needs("viewer", "agent", "run")
@blueprint.arguments(schemas.BlockTypeQuery, location="query")
@blueprint.response(200, schemas.BlockTypePage)
def list_block_types(query: dict[str, Any]) -> Response:
    """List block types, by slug."""
    with reading() as session:
        found = block_types.listing(session, query.get("interface"))
        current = block_types.current_schemas(session, found)
    return answer_all([present(kind, current.get(kind.id)) for kind in found], query)


@blueprint.route("/block-types/<slug>")
@needs("viewer", "agent", "run")
@blueprint.response(200, schemas.BlockTypeSchema)
def get_block_type(slug: str) -> Response:
    """Get a block type with its newest schema."""
    with reading() as session:
        kind = block_types.get(session, slug)
        return answer(present(kind, block_types.current_schemas(session, [kind]).get(kind.id)))


@blueprint.route("/block-types", methods=["POST"])
@needs("editor", "agent", "run")
@blueprint.arguments(schemas.BlockTypeInputSchema)
@blueprint.response(200, schemas.BlockTypeSchema)
def register_block_type(body: dict[str, Any]) -> Response:
    """Make a block type known, or bring it up to date; the same again changes nothing."""
    with transaction() as session:
        kind, schema = block_types.register(session, body, actor(), now())
    return answer(present(kind, schema))


@blueprint.route("/block-types/<slug>", methods=["DELETE"])
@needs("editor")
@blueprint.response(204)
def delete_block_type(slug: str) -> Response:
    """Forget a block type of which there are no blocks."""
    with transaction() as session:
        block_types.delete(session, slug, actor(), now())
    return no_content()


def present(kind: BlockType, schema: BlockSchema | None) -> dict[str, Any]:
    """A block type as JSON."""
    texts = ("slug", "name", "description", "logo", "docs_url", "code_example", "untested", "broken", "import_path")
    return {
        "id": kind.id,
        **{name: getattr(kind, name) for name in texts},
        "interfaces": kind.interfaces,
        "schema": schema.fields if schema else {},
        "block_schema_id": schema.id if schema else None,
        "created": kind.created,
        "updated": kind.updated,
    }
