"""``notifications``."""

from __future__ import annotations

import uuid
from typing import Any

from flask import Response

from ...errors import AccessDenied
from ..db.session import reading
from ..schemas import notifications as schemas
from ..services import notifications
from ..services.notifications import NotificationFilter, NotificationRow
from .access import needs, principal
from .resource import Resource, answer, answer_page

blueprint = Resource("notifications", "Notifications: messages about runs, and what became of each.")


@blueprint.route("/notifications")
@needs("viewer")
@blueprint.arguments(schemas.NotificationQuery, location="query")
@blueprint.response(200, schemas.NotificationPage)
def list_notifications(query: dict[str, Any]) -> Response:
    """List notifications, newest first; `state=given-up`: those that were never delivered."""
    limit, cursor = query.pop("limit"), query.pop("cursor")
    with reading() as session:
        found = notifications.listing(session, NotificationFilter(**query), limit, cursor)
    return answer_page(found, present)


@blueprint.route("/notifications/<uuid:notification_id>")
@needs("viewer", "run")
@blueprint.response(200, schemas.NotificationSchema)
def get_notification(notification_id: uuid.UUID) -> Response:
    """Get a notification; a run may get the one that it was sent to deliver."""
    with reading() as session:
        found = notifications.get(session, notification_id)
    asking = principal().run_id
    if asking is not None and found.notification.errand_id != asking:
        raise AccessDenied("a run may read the notification that it was sent to deliver, and no other")
    return answer(present(found))


def present(row: NotificationRow) -> dict[str, Any]:
    """A notification as JSON."""
    shown = (
        "id", "state", "block", "block_id", "deployment_id", "run_state", "event_id", "subject", "body", "attempts",
        "next_try", "created", "sent", "given_up", "error",
    )  # fmt: skip
    found = row.notification
    run = {"id": found.flow_run_id, "name": row.run_name}
    return {**{name: getattr(found, name) for name in shown}, "flow_run": run}
