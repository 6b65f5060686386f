"""Chains: the list, one of them with its runs, and how far a run has come."""

from __future__ import annotations

import uuid

from flask import Blueprint, Response, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from orchestrator.clock import now
from orchestrator.server.db.session import reading, transaction
from orchestrator.server.services.reacting import chains as service

from ..access import actor, needs
from ..fragments import done, page
from ..panels import chains

blueprint = Blueprint("chains", __name__, url_prefix="/chains")


@blueprint.get("")
def show() -> Response:
    """The list."""
    with reading() as session:
        found = service.listing(session, cursor=request.args.get("cursor"))
    return page("chains", room="chains", found=found)


@blueprint.get("/<name>")
def one(name: str) -> Response:
    """One chain: drawn, and its runs."""
    with reading() as session:
        row = service.row(session, name)
        found = service.run_listing(session, name, 25, request.args.get("cursor"))
    return page(
        "chain", room="chains", row=row, found=found, looks=chains.LOOKS, steps=row.spec.steps.values(),
        condition=chains.condition, drawing=chains.drawing(row.spec),
    )  # fmt: skip


@blueprint.get("/<name>/runs/<uuid:run_id>")
def run(name: str, run_id: uuid.UUID) -> Response:
    """One run, drawn as it goes on."""
    with reading() as session:
        row = service.run_row(session, name, run_id)
        spec = service.row(session, name, row.run.version).spec
    return page(
        "chain_run", room="chains", row=row, looks=chains.LOOKS, condition=chains.condition,
        drawing=chains.drawing(spec, dict(row.steps)),
    )  # fmt: skip


@blueprint.post("/<name>/run")
@needs("editor")
def start(name: str) -> AnyResponse:
    """Start it with the parameters of its document."""
    with transaction() as session:
        made = service.start(session, name, {}, actor(), now())
    return done(f"{name} is started", url_for("web.chains.run", name=name, run_id=made.id), go=True)
