"""``calendars``: the days that schedules and expectations go by."""

from __future__ import annotations

from typing import Any

from flask import Response
from marshmallow import ValidationError

from ...clock import now
from ...errors import InvalidInput
from ..db.models import CalendarDays
from ..db.session import reading, transaction
from ..schemas import calendars as schemas
from ..schemas.base import PageQuery, addressable
from ..services.deploying import calendar_days, calendars
from .access import actor, needs
from .resource import Resource, address, answer, answer_page, no_content

blueprint = Resource("calendars", "Calendars: days that count, for schedules and expectations.")


@blueprint.route("/calendars")
@needs("viewer")
@blueprint.arguments(PageQuery, location="query")
@blueprint.response(200, schemas.CalendarPage)
def list_calendars(query: dict[str, Any]) -> Response:
    """List calendars, by name; `every-day` and `weekdays` are there without."""
    with reading() as session:
        found = calendars.listing(session, **query)
    return answer_page(found, present)


@blueprint.route("/calendars/<ref>")
@needs("viewer")
@blueprint.response(200, schemas.CalendarSchema)
def get_calendar(ref: str) -> Response:
    """Get a calendar, by id or name."""
    with reading() as session:
        return answer(present(calendar_days.get(session, address(ref))))


@blueprint.route("/calendars/<name>", methods=["PUT"])
@needs("editor")
@blueprint.arguments(schemas.CalendarInputSchema)
@blueprint.response(200, schemas.CalendarSchema)
@blueprint.alt_response(201, schema=schemas.CalendarSchema, success=True)
def set_calendar(body: dict[str, Any], name: str) -> Response:
    """Set a calendar by its name; it is made (201) when it is missing. What is made from now on goes by it."""
    try:
        addressable(name)
    except ValidationError as error:
        raise InvalidInput(f"name: {error.messages[0]}", {"name": error.messages}) from None
    with transaction() as session:
        made, is_new = calendars.put(session, name, body, actor(), now())
    return answer(present(made), 201 if is_new else 200)


@blueprint.route("/calendars/<ref>", methods=["DELETE"])
@needs("editor")
@blueprint.response(204)
def delete_calendar(ref: str) -> Response:
    """Delete a calendar; 409 while expectations or schedules go by it."""
    with transaction() as session:
        calendars.delete(session, address(ref), actor(), now())
    return no_content()


def present(row: CalendarDays) -> dict[str, Any]:
    """A calendar as JSON."""
    shown = ("id", "name", "description", "weekdays", "holidays", "extra", "created", "updated")
    return {name: getattr(row, name) for name in shown}
