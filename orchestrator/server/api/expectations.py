"""``expectations``, with their occurrences."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from flask import Response
from sqlalchemy.orm import Session

from ...clock import now
from ...expectations import read, sentence
from ..db.models import Expectation
from ..db.session import reading, transaction
from ..schemas import expectations as schemas
from ..services.expecting import checking, expectation_etas, expectations, occurrences, suggestions
from ..services.expecting.expectation_etas import Outlook
from ..services.expecting.expectations import ExpectationFilter
from ..services.expecting.occurrences import OccurrenceFilter, OccurrenceRow
from .access import actor, needs
from .resource import Resource, address, answer, answer_page, check_match, no_content

blueprint = Resource("expectations", "Expectations: what should happen by when, and what became of it.")


@blueprint.route("/expectations")
@needs("viewer")
@blueprint.arguments(schemas.ExpectationQuery, location="query")
@blueprint.response(200, schemas.ExpectationPage)
def list_expectations(query: dict[str, Any]) -> Response:
    """List expectations, by name."""
    limit, cursor = query.pop("limit"), query.pop("cursor")
    with reading() as session:
        found = expectations.listing(session, ExpectationFilter(**query), limit, cursor)
    return answer_page(found, present)


@blueprint.route("/expectations", methods=["POST"])
@needs("editor")
@blueprint.arguments(schemas.ExpectationInputSchema)
@blueprint.response(201, schemas.ExpectationSchema)
def create_expectation(body: dict[str, Any]) -> Response:
    """Make an expectation; what happens from now on counts."""
    with transaction() as session:
        return answer(present(expectations.create(session, body, actor(), now())), 201)


@blueprint.route("/expectations/check", methods=["POST"])
@needs("viewer")
@blueprint.arguments(schemas.ExpectationInputSchema)
@blueprint.response(200, schemas.CheckedSchema)
def check_expectation(body: dict[str, Any]) -> Response:
    """Check a document without saving it: what it says, and when it is due next."""
    with reading() as session:
        found = checking.look(session, body, now())
    return answer(asdict(found))


@blueprint.route("/expectations/suggestions")
@needs("viewer")
@blueprint.arguments(schemas.SuggestionQuery, location="query")
@blueprint.response(200, schemas.SuggestionsSchema)
def suggest_expectations(query: dict[str, Any]) -> Response:
    """What may be expected that nobody expects yet, learned from the last weeks; the surest first."""
    with reading() as session:
        found = suggestions.suggest(session, query["timezone"], now(), query["deployment"])
    return answer({"items": [asdict(item) for item in found]})


@blueprint.route("/expectations/occurrences")
@needs("viewer")
@blueprint.arguments(schemas.OccurrenceQuery, location="query")
@blueprint.response(200, schemas.OccurrencePage)
def list_occurrences(query: dict[str, Any]) -> Response:
    """List occurrences of all expectations, the latest due first."""
    return _listed(query)


@blueprint.route("/expectations/calendar")
@needs("viewer")
@blueprint.arguments(schemas.CalendarSpanQuery, location="query")
@blueprint.response(200, schemas.OccurrencesSchema)
def show_calendar(query: dict[str, Any]) -> Response:
    """What is due in a stretch of time, the first 2,000, in order."""
    with reading() as session:
        found = occurrences.calendar(session, query["start"], query["end"])
        told = _outlooks(session, found)
    return answer({"items": [present_occurrence(row, told) for row in found]})


@blueprint.route("/expectations/<ref>")
@needs("viewer")
@blueprint.response(200, schemas.ExpectationSchema)
def get_expectation(ref: str) -> Response:
    """Get an expectation, by id or name."""
    with reading() as session:
        return answer(present(expectations.get(session, address(ref))))


@blueprint.route("/expectations/<ref>", methods=["PATCH"])
@needs("editor")
@blueprint.arguments(schemas.ExpectationChangeSchema)
@blueprint.response(200, schemas.ExpectationSchema)
def change_expectation(body: dict[str, Any], ref: str) -> Response:
    """Set fields of its document; null takes one out."""
    with transaction() as session:
        check_match(lambda: present(expectations.get(session, address(ref))))
        return answer(present(expectations.change(session, address(ref), body, actor(), now())))


@blueprint.route("/expectations/<ref>", methods=["DELETE"])
@needs("editor")
@blueprint.response(204)
def delete_expectation(ref: str) -> Response:
    """Delete an expectation with its occurrences."""
    with transaction() as session:
        check_match(lambda: present(expectations.get(session, address(ref))))
        expectations.delete(session, address(ref), actor(), now())
    return no_content()


@blueprint.route("/expectations/<ref>/enable", methods=["POST"])
@needs("editor")
@blueprint.response(200, schemas.ExpectationSchema)
def enable_expectation(ref: str) -> Response:
    """Turn it on; what happens from now on counts."""
    with transaction() as session:
        return answer(present(expectations.switch(session, address(ref), True, actor(), now())))


@blueprint.route("/expectations/<ref>/disable", methods=["POST"])
@needs("editor")
@blueprint.response(200, schemas.ExpectationSchema)
def disable_expectation(ref: str) -> Response:
    """Turn it off: nothing is expected."""
    with transaction() as session:
        return answer(present(expectations.switch(session, address(ref), False, actor(), now())))


@blueprint.route("/expectations/<ref>/mute", methods=["POST"])
@needs("editor")
@blueprint.arguments(schemas.MuteSchema)
@blueprint.response(200, schemas.ExpectationSchema)
def mute_expectation(body: dict[str, Any], ref: str) -> Response:
    """Note misses, but do nothing, until an instant; null: no more."""
    with transaction() as session:
        return answer(present(expectations.mute(session, address(ref), body["until"], actor(), now())))


@blueprint.route("/expectations/<ref>/occurrences")
@needs("viewer")
@blueprint.arguments(schemas.OccurrenceQuery, location="query")
@blueprint.response(200, schemas.OccurrencePage)
def list_own_occurrences(query: dict[str, Any], ref: str) -> Response:
    """List its occurrences, the latest due first."""
    with reading() as session:
        found = expectations.get(session, address(ref))
    return _listed({**query, "expectation_id": found.id})


def present(row: Expectation) -> dict[str, Any]:
    """An expectation as JSON."""
    shown = (
        "id", "name", "document", "severity", "owner", "active", "deployment_id", "since", "muted_until", "created",
        "updated",
    )  # fmt: skip
    return {**{name: getattr(row, name) for name in shown}, "sentence": sentence(read(row.document))}


def present_occurrence(found: OccurrenceRow, told: Mapping[uuid.UUID, Outlook]) -> dict[str, Any]:
    """An occurrence as JSON; ``told``: what is known of when those will be met that are due next."""
    row = found.occurrence
    outlook = told.get(row.id)
    shown = (
        "id", "expectation_id", "key", "status", "slot", "opens", "due", "deadline", "closes", "satisfied", "judged",
        "judged_late",
    )  # fmt: skip
    hits = [{"at": at, "ref": ref} for at, ref in row.hits]
    facts = {name: getattr(row, name) for name in shown}
    ahead = {"eta": outlook.eta.expected if outlook else None, "risk": (outlook.risk if outlook else "") or None}
    return {**facts, **ahead, "expectation": found.expectation.name, "hits": hits}


def _listed(query: dict[str, Any]) -> Response:
    limit, cursor = query.pop("limit"), query.pop("cursor")
    with reading() as session:
        found = occurrences.listing(session, OccurrenceFilter(**query), limit, cursor)
        told = _outlooks(session, found.items)
    return answer_page(found, lambda row: present_occurrence(row, told))


def _outlooks(session: Session, rows: Sequence[OccurrenceRow]) -> dict[uuid.UUID, Outlook]:
    return expectation_etas.outlooks(session, [(row.occurrence, row.expectation) for row in rows], now())
