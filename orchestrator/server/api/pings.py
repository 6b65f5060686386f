"""``pings``."""

from __future__ import annotations

from typing import Any

from flask import Response, request

from ...clock import now
from ..db.models import Ping
from ..db.session import reading, transaction
from ..schemas import pings as schemas
from ..services.receiving import pings
from .access import actor, needs
from .resource import Resource, address, answer, answer_page, check_match, no_content

blueprint = Resource("pings", "Pings: addresses that jobs of other schedulers call when they start and end.")


@blueprint.route("/pings")
@needs("viewer")
@blueprint.arguments(schemas.PingQuery, location="query")
@blueprint.response(200, schemas.PingPage)
def list_pings(query: dict[str, Any]) -> Response:
    """List pings, by name."""
    with reading() as session:
        found = pings.listing(session, query.get("name"), query["limit"], query["cursor"])
    return answer_page(found, present)


@blueprint.route("/pings", methods=["POST"])
@needs("editor")
@blueprint.arguments(schemas.PingInputSchema)
@blueprint.response(201, schemas.PingCreatedSchema)
def create_ping(body: dict[str, Any]) -> Response:
    """Make a ping; the answer alone holds its address. 409 when there is one of that name."""
    with transaction() as session:
        made, token = pings.create(session, **body, actor=actor(), now=now())
    return answer(_with_address(made, token), 201, {"Cache-Control": "no-store"})


@blueprint.route("/pings/<ref>")
@needs("viewer")
@blueprint.response(200, schemas.PingSchema)
def get_ping(ref: str) -> Response:
    """Get a ping, by id or name."""
    with reading() as session:
        return answer(present(pings.get(session, address(ref))))


@blueprint.route("/pings/<ref>/rotate", methods=["POST"])
@needs("editor")
@blueprint.response(200, schemas.PingCreatedSchema)
def rotate_ping(ref: str) -> Response:
    """Give a ping a new address; the old one is worth nothing from now on."""
    with transaction() as session:
        found, token = pings.rotate(session, address(ref), actor(), now())
    return answer(_with_address(found, token), 200, {"Cache-Control": "no-store"})


@blueprint.route("/pings/<ref>", methods=["DELETE"])
@needs("editor")
@blueprint.response(204)
def delete_ping(ref: str) -> Response:
    """Delete a ping."""
    with transaction() as session:
        check_match(lambda: present(pings.get(session, address(ref))))
        pings.delete(session, address(ref), actor(), now())
    return no_content()


def present(ping: Ping) -> dict[str, Any]:
    """A ping as JSON."""
    shown = (
        "id", "name", "resource_id", "description", "state", "heard", "started", "last_started", "last_succeeded",
        "last_failed", "created", "updated",
    )  # fmt: skip
    return {name: getattr(ping, name) for name in shown}


def _with_address(ping: Ping, token: str) -> dict[str, Any]:
    return {**present(ping), "url": pings.address(token, request.host_url)}
