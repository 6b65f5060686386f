"""Agents: who is there and what they hold."""

from __future__ import annotations

from flask import Blueprint, Response

from orchestrator.clock import now
from orchestrator.server.db.session import reading

from ..fragments import page
from ..panels import agents

blueprint = Blueprint("agents", __name__)


@blueprint.get("/agents")
def show() -> Response:
    """The list."""
    with reading() as session:
        loaded = agents.load(session, now())
    return page("agents", room="agents", page=loaded)
