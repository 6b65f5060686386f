"""One block: what it holds, how it is used and by whom, and what can be done with it."""

from __future__ import annotations

import uuid

from flask import Blueprint, Response, url_for
from werkzeug.wrappers import Response as AnyResponse

from orchestrator.clock import now
from orchestrator.server.db.session import reading, transaction
from orchestrator.server.services import blocks

from ..access import actor, needs
from ..fragments import done, page
from ..panels import block as panel

blueprint = Blueprint("block", __name__, url_prefix="/blocks/<uuid:block_id>")


@blueprint.get("")
def show(block_id: uuid.UUID) -> Response:
    """The page."""
    with reading() as session:
        loaded = panel.load(session, block_id)
        return page("block", room="blocks", page=loaded, block=loaded.block)


@blueprint.post("/delete")
@needs("editor")
def delete(block_id: uuid.UUID) -> AnyResponse:
    """Delete the block, unless something uses it."""
    with transaction() as session:
        label = blocks.label(blocks.get(session, block_id))
        blocks.delete(session, block_id, actor(), now())
    return done(f"Deleted {label}", url_for("web.blocks.show"), go=True)
