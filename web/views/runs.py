"""The list of runs, its scatter, and what can be done to many at once."""

from __future__ import annotations

import uuid

from flask import Blueprint, Response, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from orchestrator.clock import now
from orchestrator.errors import InvalidInput, OrchestratorError
from orchestrator.server.db.session import reading, transaction
from orchestrator.server.services.running import bulk_cancel
from orchestrator.server.services.running import runs as service

from ..access import actor, needs
from ..fragments import data, done, page
from ..panels import deployments, runs

blueprint = Blueprint("runs", __name__)


@blueprint.get("/runs")
def show() -> Response:
    """The list."""
    wanted = _asked()
    with reading() as session:
        found = runs.listing(session, wanted, now(), request.args.get("cursor"))
        names = deployments.choices(session)
        able = bulk_cancel.count(session, wanted.filter(now()), runs.BULK) if wanted.any else 0
    return page("runs", room="runs", asked=wanted, runs=found, deployments=names, within=runs.WITHIN, able=able)


@blueprint.get("/runs/points")
def points() -> Response:
    """The dots of the scatter."""
    with reading() as session:
        return data(runs.points(session, _asked(), now()))


@blueprint.post("/runs/cancel")
@needs("editor")
def cancel() -> AnyResponse:
    """Cancel the runs that were ticked, each by itself: one that has ended meanwhile stops no other."""
    chosen = [_identifier(text) for text in request.form.getlist("run")][: runs.MANY]
    if not chosen:
        raise InvalidInput("no run was chosen: tick some in the list")
    refused = 0
    for run_id in chosen:
        try:
            with transaction() as session:
                service.cancel(session, run_id, actor(), now())
        except OrchestratorError:
            refused += 1
    text = f"Asked {len(chosen) - refused} of {len(chosen)} runs to stop"
    return done(text if not refused else f"{text}; {refused} had ended already", url_for("web.runs.show"))


@blueprint.post("/runs/cancel-fitting")
@needs("editor")
def cancel_fitting() -> AnyResponse:
    """Cancel all runs that fit the filters of the address."""
    wanted = _asked()
    if not wanted.any:
        raise InvalidInput("no filter is set: it would be all runs there are")
    number = bulk_cancel.cancel_all(wanted.filter(now()), actor(), now(), runs.BULK)
    return done(f"Asked {number} runs to stop", f"{url_for('web.runs.show')}?{request.query_string.decode()}")


def _asked() -> runs.Asked:
    return runs.asked(request.args, request.args.getlist("state"))


def _identifier(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError:
        raise InvalidInput(f"{text} is no run's id") from None
