"""``schedules``."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from flask import Response
from sqlalchemy.orm import Session

from ...clock import now
from ..db.models import Schedule
from ..db.session import reading, transaction
from ..schemas import schedules as schemas
from ..services.deploying import deployments, schedules
from ..services.running import runs
from .access import actor, needs
from .resource import Resource, address, answer, answer_page, check_match, no_content

blueprint = Resource("schedules", "Schedules: when deployments run by themselves.")


@blueprint.route("/schedules")
@needs("viewer")
@blueprint.arguments(schemas.ScheduleQuery, location="query")
@blueprint.response(200, schemas.SchedulePage)
def list_schedules(query: dict[str, Any]) -> Response:
    """List schedules, oldest first."""
    at = now()
    with reading() as session:
        found = schedules.listing(session, **query)
        return answer_page(found, lambda schedule: present(session, schedule, at))


@blueprint.route("/schedules/<uuid:schedule_id>")
@needs("viewer")
@blueprint.response(200, schemas.ScheduleSchema)
def get_schedule(schedule_id: uuid.UUID) -> Response:
    """Get a schedule."""
    with reading() as session:
        return answer(present(session, schedules.get(session, schedule_id), now()))


@blueprint.routes("/deployments/<ref>/schedules", "/deployments/<kind>/<name>/schedules", methods=["POST"])
@needs("editor")
@blueprint.arguments(schemas.ScheduleInputSchema)
@blueprint.response(201, schemas.ScheduleSchema)
def create_schedule(body: dict[str, Any], **ref: str) -> Response:
    """Add a schedule to a deployment."""
    at = now()
    with transaction() as session:
        made = schedules.create(session, deployments.get(session, address(**ref)), body, actor(), at)
        shown = present(session, made, at)
    return answer(shown, 201)


@blueprint.route("/schedules/<uuid:schedule_id>", methods=["PATCH"])
@needs("editor")
@blueprint.arguments(schemas.ScheduleInputSchema)
@blueprint.response(200, schemas.ScheduleSchema)
def change_schedule(body: dict[str, Any], schedule_id: uuid.UUID) -> Response:
    """Change a schedule; runs that it made ahead are made anew."""
    at = now()
    with transaction() as session:
        check_match(lambda: present(session, schedules.get(session, schedule_id), at))
        shown = present(session, schedules.change(session, schedule_id, body, actor(), at), at)
    return answer(shown)


@blueprint.route("/schedules/<uuid:schedule_id>", methods=["DELETE"])
@needs("editor")
@blueprint.response(204)
def delete_schedule(schedule_id: uuid.UUID) -> Response:
    """Delete a schedule with the runs that it made ahead."""
    done = runs.FORGOTTEN
    while done == runs.FORGOTTEN:
        with transaction() as session:
            done = runs.forget_schedule(session, schedule_id, runs.FORGOTTEN)
    with transaction() as session:
        schedules.delete(session, schedule_id, actor(), now())
    return no_content()


@blueprint.route("/schedules/preview", methods=["POST"])
@needs("viewer")
@blueprint.arguments(schemas.SchedulePreviewSchema)
@blueprint.response(200, schemas.InstantsSchema)
def preview_schedule(body: dict[str, Any]) -> Response:
    """Tell when a schedule would fire; nothing is saved."""
    number, after = body.pop("n"), body.pop("after") or now()
    with reading() as session:
        return answer({"items": schedules.preview(session, body, after, number)})


def present(session: Session, schedule: Schedule, at: datetime) -> dict[str, Any]:
    """A schedule as JSON."""
    return {
        "id": schedule.id,
        "deployment_id": schedule.deployment_id,
        **schedules.document_of(schedule),
        "next": schedules.upcoming(session, schedule, at),
    }
