"""One run's page, the data of its timeline and log, and what can be done to it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

from flask import (
    Blueprint,
    Response,
    jsonify,
    make_response,
    render_template,
    request,
    stream_with_context,
    url_for,
)
from werkzeug.wrappers import Response as AnyResponse

from orchestrator.clock import from_text, now
from orchestrator.errors import InvalidInput
from orchestrator.server.db.session import reading, transaction
from orchestrator.server.services.mapping import suspects as suspicion
from orchestrator.server.services.running import runs as service
from orchestrator.server.services.running.logs import LogFilter, tail

from ..access import actor, is_part, needs
from ..fragments import data, done, page
from ..panels import run

blueprint = Blueprint("run", __name__, url_prefix="/runs/<uuid:run_id>")

#: Lines fetched at a time for a download.
_BATCH = 2000


@blueprint.get("")
def show(run_id: uuid.UUID) -> Response:
    """The page, one tab of it."""
    with reading() as session:
        loaded = run.load(session, run_id, request.args.get("tab", "overview"), now())
    return page("run", room="runs", page=loaded, run=loaded.run, tabs=run.TABS, levels=run.LEVELS)


@blueprint.get("/timeline")
def timeline(run_id: uuid.UUID) -> Response:
    """The task runs, those that changed since ``since`` only when it is given."""
    since = request.args.get("since")
    with reading() as session:
        return data(run.timeline(session, run_id, _whole("attempt"), from_text(since) if since else None))


@blueprint.get("/suspects")
def suspects(run_id: uuid.UUID) -> str:
    """What happened near a failed run, as the list of its panel."""
    with reading() as session:
        return render_template("parts/run_suspects.html", found=suspicion.rank(session, run_id))


@blueprint.get("/logs")
def logs(run_id: uuid.UUID) -> Response:
    """The end of the log, what came after ``after``, or what was before ``before``."""
    with reading() as session:
        return data(run.log_lines(session, _log_filter(run_id), _id("before")))


@blueprint.get("/logs.txt")
def download(run_id: uuid.UUID) -> Response:
    """The whole log as a file."""
    with reading() as session:
        name = service.get(session, run_id).name
    headers = {"Content-Disposition": f'attachment; filename="{name.encode("ascii", "replace").decode()}.log"'}
    return Response(stream_with_context(_all_lines(run_id)), mimetype="text/plain", headers=headers)


@blueprint.post("/cancel")
@needs("editor")
def cancel(run_id: uuid.UUID) -> AnyResponse:
    """Ask the run to stop."""
    with transaction() as session:
        service.cancel(session, run_id, actor(), now())
    return done("Asked the run to stop", url_for("web.run.show", run_id=run_id))


@blueprint.post("/suspend")
@needs("editor")
def suspend(run_id: uuid.UUID) -> AnyResponse:
    """Have the run stop, and wait."""
    with transaction() as session:
        service.suspend(session, run_id, actor(), now())
    return done("The run waits until it is resumed", url_for("web.run.show", run_id=run_id))


@blueprint.post("/resume")
@needs("editor")
def resume(run_id: uuid.UUID) -> AnyResponse:
    """Have the paused run go on."""
    with transaction() as session:
        service.resume(session, run_id, actor(), now())
    return done("The run goes on", url_for("web.run.show", run_id=run_id))


@blueprint.post("/answer")
@needs("editor")
def answer(run_id: uuid.UUID) -> AnyResponse:
    """Answer what the run asks; what does not fit comes back by field."""
    try:
        given = run.read_answer(request.form.get("input", ""))
        with transaction() as session:
            service.resume(session, run_id, actor(), now(), given)
    except InvalidInput as error:
        if not is_part():
            raise
        return make_response(jsonify({"errors": run.refusal(error)}), 422)
    return done("Answered: the run goes on", url_for("web.run.show", run_id=run_id), go=True)


@blueprint.post("/retry")
@needs("editor")
def retry(run_id: uuid.UUID) -> AnyResponse:
    """Run the same run once more."""
    with transaction() as session:
        service.retry(session, run_id, actor(), now())
    return done("The run is scheduled for another attempt", url_for("web.run.show", run_id=run_id))


@blueprint.post("/rerun")
@needs("editor")
def rerun(run_id: uuid.UUID) -> AnyResponse:
    """Start a new run with the same parameters, and go there."""
    with transaction() as session:
        fresh = service.rerun(session, run_id, actor(), now())
    return done("Started a new run with the same parameters", url_for("web.run.show", run_id=fresh), go=True)


def _all_lines(run_id: uuid.UUID) -> Iterator[str]:
    wanted, more = LogFilter(run_id, after=uuid.UUID(int=0)), True
    while more:
        with reading() as session:
            lines, more = tail(session, wanted, _BATCH)
        yield "".join(run.as_text(line) for line in lines)
        if lines:
            wanted = LogFilter(run_id, after=lines[-1].id)


def _log_filter(run_id: uuid.UUID) -> LogFilter:
    search = request.args.get("search") or None
    return LogFilter(run_id, _id("task"), _whole("level"), search, _whole("attempt"), _id("after"))


def _id(name: str) -> uuid.UUID | None:
    text = request.args.get(name)
    try:
        return uuid.UUID(text) if text else None
    except ValueError:
        raise InvalidInput(f"{name}={text} is no id") from None


def _whole(name: str) -> int | None:
    text = request.args.get(name)
    try:
        return int(text) if text else None
    except ValueError:
        raise InvalidInput(f"{name}={text} is no whole number") from None
