"""``variables``."""

from __future__ import annotations

from typing import Any

from flask import Response
from marshmallow import ValidationError

from ...clock import now
from ...errors import InvalidInput
from ..db.models import Variable
from ..db.session import reading, transaction
from ..schemas import variables as schemas
from ..services.configuring import variables
from ..services.configuring.variables import VariableFilter
from .access import actor, needs
from .resource import Resource, address, answer, answer_page, check_match, no_content

blueprint = Resource("variables", "Variables: plain values that flows and deployments read; addressed by id or name.")


@blueprint.route("/variables")
@needs("viewer", "agent", "run")
@blueprint.arguments(schemas.VariableQuery, location="query")
@blueprint.response(200, schemas.VariablePage)
def list_variables(query: dict[str, Any]) -> Response:
    """List variables, by name."""
    limit, cursor = query.pop("limit"), query.pop("cursor")
    with reading() as session:
        found = variables.listing(session, VariableFilter(**query), limit, cursor)
    return answer_page(found, present)


@blueprint.route("/variables", methods=["POST"])
@needs("editor", "run")
@blueprint.arguments(schemas.VariableInputSchema)
@blueprint.response(201, schemas.VariableSchema)
def create_variable(body: dict[str, Any]) -> Response:
    """Make a variable; 409 when there is one of that name."""
    with transaction() as session:
        made = variables.create(session, **body, actor=actor(), now=now())
    return answer(present(made), 201)


@blueprint.route("/variables/<ref>")
@needs("viewer", "agent", "run")
@blueprint.response(200, schemas.VariableSchema)
def get_variable(ref: str) -> Response:
    """Get a variable."""
    with reading() as session:
        return answer(present(variables.get(session, address(ref))))


@blueprint.route("/variables/<name>", methods=["PUT"])
@needs("editor", "run")
@blueprint.arguments(schemas.VariableChangeSchema)
@blueprint.response(200, schemas.VariableSchema)
@blueprint.alt_response(201, schema=schemas.VariableSchema, success=True)
def set_variable(body: dict[str, Any], name: str) -> Response:
    """Set a variable by its name; it is made (201) when it is missing."""
    try:
        schemas.NAME(name)
    except ValidationError as error:
        raise InvalidInput(f"name: {error.messages[0]}", {"name": error.messages}) from None
    with transaction() as session:
        check_match(lambda: present(variables.get(session, name)))
        made, is_new = variables.put(session, name, body["value"], body["tags"], actor(), now())
    return answer(present(made), 201 if is_new else 200)


@blueprint.route("/variables/<ref>", methods=["DELETE"])
@needs("editor", "run")
@blueprint.response(204)
def delete_variable(ref: str) -> Response:
    """Delete a variable."""
    with transaction() as session:
        check_match(lambda: present(variables.get(session, address(ref))))
        variables.delete(session, address(ref), actor(), now())
    return no_content()


def present(variable: Variable) -> dict[str, Any]:
    """A variable as JSON."""
    return {name: getattr(variable, name) for name in ("id", "name", "value", "tags", "created", "updated")}
