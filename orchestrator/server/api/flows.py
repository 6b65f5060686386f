"""``flows``."""

from __future__ import annotations

from typing import Any

from flask import Response

from ..db.models import Flow
from ..db.session import reading
from ..schemas import flows as schemas
from ..services.deploying import flows
from .access import needs
from .resource import Resource, address, answer, answer_page

blueprint = Resource("flows", "Flows: the functions that were ever seen.")


@blueprint.route("/flows")
@needs("viewer")
@blueprint.arguments(schemas.FlowQuery, location="query")
@blueprint.response(200, schemas.FlowPage)
def list_flows(query: dict[str, Any]) -> Response:
    """List flows, by name."""
    with reading() as session:
        found = flows.listing(session, **query)
    return answer_page(found, present)


@blueprint.route("/flows/<ref>")
@needs("viewer")
@blueprint.response(200, schemas.FlowSchema)
def get_flow(ref: str) -> Response:
    """Get a flow by id or name."""
    with reading() as session:
        return answer(present(flows.get(session, address(ref))))


def present(flow: Flow) -> dict[str, Any]:
    """A flow as JSON."""
    return {"id": flow.id, "name": flow.name, "tags": flow.tags, "created": flow.created}
