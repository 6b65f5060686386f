"""``work-queues``."""

from __future__ import annotations

from typing import Any

from flask import Response

from ...clock import now
from ..db.session import reading, transaction
from ..schemas import work_queues as schemas
from ..schemas.base import PageQuery
from ..services.running import work_queues
from ..services.running.work_queues import WorkQueueRow
from .access import actor, needs
from .resource import Resource, address, answer, answer_page, check_match, no_content

blueprint = Resource("work-queues", "Work queues: where runs wait for agents; addressed by id or name.")


@blueprint.route("/work-queues")
@needs("viewer")
@blueprint.arguments(PageQuery, location="query")
@blueprint.response(200, schemas.WorkQueuePage)
def list_work_queues(query: dict[str, Any]) -> Response:
    """List work queues, by name."""
    with reading() as session:
        found = work_queues.listing(session, now(), **query)
    return answer_page(found, present)


@blueprint.route("/work-queues/<ref>")
@needs("viewer")
@blueprint.response(200, schemas.WorkQueueSchema)
def get_work_queue(ref: str) -> Response:
    """Get a work queue."""
    with reading() as session:
        return answer(present(work_queues.row(session, address(ref), now())))


@blueprint.route("/work-queues", methods=["POST"])
@needs("editor")
@blueprint.arguments(schemas.WorkQueueInputSchema)
@blueprint.response(201, schemas.WorkQueueSchema)
def create_work_queue(body: dict[str, Any]) -> Response:
    """Make a work queue."""
    with transaction() as session:
        made = work_queues.create(session, **body, actor=actor(), now=now())
        return answer(present(work_queues.row(session, made.id, now())), 201)


@blueprint.route("/work-queues/<ref>", methods=["PATCH"])
@needs("editor")
@blueprint.arguments(schemas.WorkQueueChangeSchema)
@blueprint.response(200, schemas.WorkQueueSchema)
def change_work_queue(body: dict[str, Any], ref: str) -> Response:
    """Pause, drain, resume or limit a work queue, or say in which order it hands out runs."""
    with transaction() as session:
        check_match(lambda: present(work_queues.row(session, address(ref), now())))
        work_queues.change(session, address(ref), body, actor(), now())
        return answer(present(work_queues.row(session, address(ref), now())))


@blueprint.route("/work-queues/<ref>", methods=["DELETE"])
@needs("editor")
@blueprint.response(204)
def delete_work_queue(ref: str) -> Response:
    """Delete a work queue that nothing uses."""
    with transaction() as session:
        work_queues.delete(session, address(ref), actor(), now())
    return no_content()


def present(row: WorkQueueRow) -> dict[str, Any]:
    """A work queue as JSON."""
    shown = (
        "id", "name", "description", "paused", "draining", "concurrency_limit", "ageing_s", "share_by", "created",
    )  # fmt: skip
    numbers = {"waiting": row.waiting, "running": row.running, "status": row.status, "agents": row.agents}
    return {**{name: getattr(row.queue, name) for name in shown}, **numbers}
