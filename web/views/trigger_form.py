"""Making and changing triggers: a sentence put together from choices, the same as YAML, and what history says to it."""

from __future__ import annotations

import uuid
from typing import Any

from flask import Blueprint, Response, make_response, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from orchestrator.clock import now
from orchestrator.errors import Conflict, InvalidInput
from orchestrator.server.db.session import reading, transaction
from orchestrator.server.services.reacting import triggers as service
from orchestrator.triggers.documents import EVENT_METRICS, OPERATORS, RUN_METRICS, SEVERITIES

from ..access import actor, needs
from ..fragments import done
from ..panels import trigger_fields, trigger_replay
from ..panels import trigger_form as panel
from ..panels.trigger_form import Draft

blueprint = Blueprint("trigger_form", __name__, url_prefix="/triggers")
_FACTS: dict[str, Any] = {
    "kinds": trigger_fields.KINDS,
    "severities": SEVERITIES,
    "operators": OPERATORS,
    "run_metrics": RUN_METRICS,
    "event_metrics": EVENT_METRICS,
    "days": trigger_replay.DAYS,
    "usual_days": trigger_replay.USUAL,
    "picks": panel.PICKS,
}


@blueprint.get("/new")
@needs("editor")
def new() -> Response:
    """The builder; ``event``, ``resource`` and ``deployment`` fill in what it is about."""
    with reading() as session:
        return _page(session, panel.new(session, request.args))


@blueprint.post("/new")
@needs("editor")
def create() -> AnyResponse:
    """Make the trigger; what does not fit is said at its field."""
    draft = panel.read(request.form)
    if draft.problems:
        return _refused(draft)
    try:
        with transaction() as session:
            made = panel.save(session, draft, actor(), now())
            name, trigger_id = made.name, made.id
    except Conflict as error:
        return _refused(draft, {"name": [f"{str(error)[:1].upper()}{str(error)[1:]}."]}, status=409)
    except InvalidInput as error:
        return _refused(draft, panel.problems(error))
    return done(f"{name} is made, and listens from now on", _address(trigger_id), go=True)


@blueprint.get("/<uuid:trigger_id>/edit")
@needs("editor")
def edit(trigger_id: uuid.UUID) -> Response:
    """The builder for a trigger that there is; one that belongs to something else is shown, not changed."""
    with reading() as session:
        found = service.get(session, trigger_id)
        owner = panel.owner(session, found)
        draft = panel.of(found)
        if owner is not None:
            shown = panel.check(session, draft)
            given = {"trigger": found, "owner": owner, "form": shown}
            return make_response(render_template("pages/trigger_owned.html", room="triggers", **given))
        return _page(session, draft, trigger=found, version=panel.version(found))


@blueprint.post("/<uuid:trigger_id>/edit")
@needs("editor")
def change(trigger_id: uuid.UUID) -> AnyResponse:
    """Have the trigger be what the page says, unless somebody changed it meanwhile."""
    draft, version = panel.read(request.form), request.form.get("version", "")
    if draft.problems:
        return _refused(draft, trigger_id=trigger_id)
    try:
        with transaction() as session:
            name = panel.change(session, trigger_id, draft, version, actor(), now()).name
    except Conflict as error:
        place = "name" if "another name" in str(error) else ""
        return _refused(draft, {place: [f"{str(error).rstrip('.')}."]}, trigger_id=trigger_id, status=409)
    except InvalidInput as error:
        return _refused(draft, panel.problems(error), trigger_id=trigger_id)
    return done(f"{name} is saved", _address(trigger_id), go=True)


@blueprint.post("/form")
@needs("editor")
def form() -> Response:
    """What the page sent, form or YAML, as both: checked, and said in plain English. Nothing is stored."""
    draft = panel.read(request.form)
    with reading() as session:
        shown = panel.check(session, draft, strict=request.form.get("strict") == "yes")
        return make_response(_builder("parts/trigger_form.html", session, shown))


@blueprint.post("/form/replay")
@needs("editor")
def replay() -> Response:
    """When what the page sent would have fired."""
    draft = panel.read(request.form)
    days = trigger_replay.days_of(request.form.get("days", ""))
    with reading() as session:
        line = trigger_replay.play(session, draft.document, days, now())
    facts = {"suppressed": trigger_replay.SUPPRESSED, "keys": trigger_replay.keys, "most": trigger_replay.TOLD}
    return make_response(render_template("parts/trigger_replay.html", line=line, **facts))


def _page(session: Any, draft: Draft, **given: Any) -> Response:
    shown = panel.check(session, draft)
    return make_response(_builder("pages/trigger_form.html", session, shown, **given))


def _refused(
    draft: Draft,
    errors: dict[str, list[str]] | None = None,
    trigger_id: uuid.UUID | None = None,
    status: int = 422,
) -> Response:
    """The page again, with all that was typed and all that is wrong."""
    with reading() as session:
        shown = panel.check(session, draft, strict=True)
        known = {(item.path, item.text) for item in shown.wrongs}
        more = panel.placed(Draft(draft.document, draft.fields, draft.yaml), errors or {})
        shown.wrongs += [item for item in more if (item.path, item.text) not in known]
        trigger = service.get(session, trigger_id) if trigger_id is not None else None
        given = {"trigger": trigger, "version": request.form.get("version", ""), "refused": True}
        answer = make_response(_builder("pages/trigger_form.html", session, shown, **given))
    answer.status_code = status
    return answer


def _builder(template: str, session: Any, shown: panel.Checked, **given: Any) -> str:
    more = {"room": "triggers", "form": shown, "choices": panel.choices(session), "action_kinds": panel.kinds()}
    return render_template(template, **more, **_FACTS, **given)


def _address(trigger_id: uuid.UUID) -> str:
    """The trigger's own page."""
    return url_for("web.triggers.one", trigger_id=trigger_id)
