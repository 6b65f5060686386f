"""``limits``."""

from __future__ import annotations

from typing import Any

from flask import Response

from ..db.session import reading
from ..schemas import limits as schemas
from ..schemas.base import PageQuery
from ..services.configuring import limits
from ..services.configuring.limits import LimitRow
from .access import needs
from .resource import Resource, answer_page

blueprint = Resource("limits", "Limits: how many runs may hold a block at once, and which do.")


@blueprint.route("/limits")
@needs("viewer")
@blueprint.arguments(PageQuery, location="query")
@blueprint.response(200, schemas.LimitPage)
def list_limits(query: dict[str, Any]) -> Response:
    """List limits with the runs that hold their slots, by name."""
    with reading() as session:
        found = limits.listing(session, **query)
    return answer_page(found, present)


def present(row: LimitRow) -> dict[str, Any]:
    """A limit as JSON."""
    shown = ("id", "name", "slots", "block_id", "created", "updated")
    facts = {name: getattr(row.limit, name) for name in shown}
    return {**facts, "taken": len(row.holders), "holders": row.holders}
