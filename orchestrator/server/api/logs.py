"""``logs``."""

from __future__ import annotations

from typing import Any

from flask import Response

from ..db.models import Log
from ..db.session import reading
from ..schemas import logs as schemas
from ..services.running import logs
from ..services.running.logs import LogFilter
from .access import needs
from .resource import Resource, answer_page

blueprint = Resource("logs", "Log lines of flow runs; they arrive with the reports.")


@blueprint.route("/logs")
@needs("viewer")
@blueprint.arguments(schemas.LogQuery, location="query")
@blueprint.response(200, schemas.LogPage)
def list_logs(query: dict[str, Any]) -> Response:
    """List log lines of a flow run, oldest first."""
    limit, cursor = query.pop("limit"), query.pop("cursor")
    with reading() as session:
        found = logs.listing(session, LogFilter(**query), limit, cursor)
    return answer_page(found, present)


def present(line: Log) -> dict[str, Any]:
    """A line as JSON."""
    shown = ("id", "flow_run_id", "task_run_id", "attempt", "level", "logger", "message", "at")
    return {name: getattr(line, name) for name in shown}
