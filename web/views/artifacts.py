"""Artifacts: the newest of each key, and the history of one."""

from __future__ import annotations

import uuid

from flask import Blueprint, Response, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from orchestrator.clock import now
from orchestrator.errors import InvalidInput
from orchestrator.server.db.session import reading, transaction
from orchestrator.server.services.running import artifacts as service

from ..access import actor, needs
from ..fragments import done, page
from ..panels import artifacts

blueprint = Blueprint("artifacts", __name__, url_prefix="/artifacts")


@blueprint.get("")
def show() -> Response:
    """The keys, narrowed by ``q``."""
    text = request.args.get("q", "").strip()
    with reading() as session:
        found = service.keys(session, 50, request.args.get("cursor"), text or None)
    return page("artifacts", room="artifacts", text=text, found=found)


@blueprint.get("/<key>")
def one(key: str) -> Response:
    """One key: the version that ``version`` names, or the newest, and all versions."""
    with reading() as session:
        loaded = artifacts.load(session, key, _version(), request.args.get("cursor"))
    return page("artifact", room="artifacts", page=loaded)


@blueprint.post("/<key>/delete")
@needs("editor")
def delete(key: str) -> AnyResponse:
    """Delete all of a key."""
    with transaction() as session:
        number = service.delete_key(session, key, actor(), now())
    said = f"Deleted {key}: {number} version{'' if number == 1 else 's'}"
    return done(said, url_for("web.artifacts.show"), go=True)


def _version() -> uuid.UUID | None:
    text = request.args.get("version")
    if not text:
        return None
    try:
        return uuid.UUID(text)
    except ValueError:
        raise InvalidInput(f"version={text} is no id of an artifact") from None
