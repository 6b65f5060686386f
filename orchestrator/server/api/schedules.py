"""``schedules``."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from flask import Response

from ...clock import now
from ...timing.schedules import next_times, parse
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
    return answer_page(found, lambda schedule: present(schedule, at))


@blueprint.route("/schedules/<uuid:schedule_id>")
@needs("viewer")
@blueprint.response(200, schemas.ScheduleSchema)
def get_schedule(schedule_id: uuid.UUID) -> Response:
    """Get a schedule."""
    with reading() as session:
        return answer(present(schedules.get(session, schedule_id), now()))


@blueprint.routes("/deployments/<ref>/schedules", "/deployments/<kind>/<name>/schedules", methods=["POST"])
@needs("editor")
@blueprint.arguments(schemas.ScheduleInputSchema)
@blueprint.response(201, schemas.ScheduleSchema)
def create_schedule(body: dict[str, Any], **ref: str) -> Response:
    """Add a schedule to a deployment."""
    at = now()
    with transaction() as session:
        made = schedules.create(session, deployments.get(session, address(**ref)), body, actor(), at)
    return answer(present(made, at), 201)


@blueprint.route("/schedules/<uuid:schedule_id>", methods=["PATCH"])
@needs("editor")
@blueprint.arguments(schemas.ScheduleInputSchema)
@blueprint.response(200, schemas.ScheduleSchema)
def change_schedule(body: dict[str, Any], schedule_id: uuid.UUID) -> Response:
    """Change a schedule; runs that it made ahead are made anew."""
    at = now()
    with transaction() as session:
        check_match(lambda: present(schedules.get(session, schedule_id), at))
        changed = schedules.change(session, schedule_id, body, actor(), at)
    return answer(present(changed, at))


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
    return answer({"items": next_times(parse(body), after, number)})


def present(schedule: Schedule, at: datetime) -> dict[str, Any]:
    """A schedule as JSON."""
    return {
        "id": schedule.id,
        "deployment_id": schedule.deployment_id,
        **schedules.document_of(schedule),
        "next": schedules.upcoming(schedule, at),
    }
