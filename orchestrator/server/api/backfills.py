"""``backfills``."""

from __future__ import annotations

import uuid
from typing import Any

from flask import Response

from ...clock import now
from ..db.session import reading, transaction
from ..schemas import backfills as schemas
from ..services.deploying import backfills, deployments
from ..services.deploying.backfills import BackfillRow, Wanted
from .access import actor, needs
from .resource import Resource, address, answer, answer_page

blueprint = Resource("backfills", "Backfills: runs for slots of a schedule that lie behind.")


@blueprint.route("/backfills")
@needs("viewer")
@blueprint.arguments(schemas.BackfillQuery, location="query")
@blueprint.response(200, schemas.BackfillPage)
def list_backfills(query: dict[str, Any]) -> Response:
    """List backfills, newest first."""
    with reading() as session:
        return answer_page(backfills.listing(session, **query), present)


@blueprint.route("/backfills/<uuid:backfill_id>")
@needs("viewer")
@blueprint.response(200, schemas.BackfillSchema)
def get_backfill(backfill_id: uuid.UUID) -> Response:
    """Get a backfill, and how far it is."""
    with reading() as session:
        return answer(present(backfills.get(session, backfill_id)))


@blueprint.routes("/deployments/<ref>/backfills", "/deployments/<kind>/<name>/backfills", methods=["POST"])
@needs("editor")
@blueprint.arguments(schemas.BackfillInputSchema)
@blueprint.response(201, schemas.BackfillSchema)
def create_backfill(body: dict[str, Any], **ref: str) -> Response:
    """Make a run for each slot in a range; few of them go on at once."""
    at = now()
    with transaction() as session:
        made = backfills.create(session, deployments.get(session, address(**ref)), Wanted(**body), actor(), at)
        shown = present(backfills.get(session, made.id))
    return answer(shown, 201)


@blueprint.routes(
    "/deployments/<ref>/backfills/preview", "/deployments/<kind>/<name>/backfills/preview", methods=["POST"]
)
@needs("viewer")
@blueprint.arguments(schemas.BackfillInputSchema)
@blueprint.response(200, schemas.BackfillPlanSchema)
def preview_backfill(body: dict[str, Any], **ref: str) -> Response:
    """Tell what a backfill would do; nothing is made."""
    with reading() as session:
        planned = backfills.plan(session, deployments.get(session, address(**ref)), Wanted(**body), now())
        return answer(
            {
                "schedule": planned.schedule.slug,
                "count": len(planned.slots),
                "skipped": planned.skipped,
                "slots": planned.slots[: schemas.SHOWN],
                "parameters": planned.parameters[0] if planned.parameters else None,
            }
        )


@blueprint.route("/backfills/<uuid:backfill_id>/cancel", methods=["POST"])
@needs("editor")
@blueprint.response(200, schemas.BackfillSchema)
def cancel_backfill(backfill_id: uuid.UUID) -> Response:
    """Cancel a backfill as a whole: none of its runs begins any more, and those that go on are asked to stop."""
    backfills.cancel_whole(backfill_id, actor(), now())
    with reading() as session:
        return answer(present(backfills.get(session, backfill_id)))


def present(row: BackfillRow) -> dict[str, Any]:
    """A backfill as JSON."""
    item = row.backfill
    names = ("id", "deployment_id", "schedule", "schedule_id", "parameters", "max_active", "backwards", "reprocess")
    return {
        **{name: getattr(item, name) for name in names},
        "start": item.starts,
        "end": item.ends,
        "skipped": item.skipped,
        "status": row.status,
        "total": row.total,
        "counts": row.counts,
        "cancelled": item.cancelled,
        "created": item.created,
        "created_by": item.created_by or None,
    }
