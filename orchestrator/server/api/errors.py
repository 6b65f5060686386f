"""One shape for every error, whatever raised it."""

from __future__ import annotations

import logging
from typing import Any

from flask import Flask, Response
from sqlalchemy.exc import DataError, IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException
from werkzeug.http import HTTP_STATUS_CODES

from ... import errors as tree
from ...serializers import dumps

_log = logging.getLogger(__name__)

#: Most specific first.
_STATUS: tuple[tuple[type[tree.OrchestratorError], int], ...] = (
    (tree.InvalidInput, 422),
    (tree.NotFound, 404),
    (tree.Conflict, 409),
    (tree.AccessDenied, 403),
    (tree.Unavailable, 503),
    (tree.BlockError, 409),
)
#: Seconds after which a client may try again.
RETRY_AFTER = "1"


class Unauthenticated(tree.AccessDenied):
    """This needs an API key: send `Authorization: Bearer KEY`."""


class Refused(tree.OrchestratorError):
    """An error with a status of its own."""

    def __init__(self, code: int, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.headers = headers or {}


def register(app: Flask) -> None:
    """Have every error of the app answered in the one shape."""
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(tree.OrchestratorError, _ours)
    app.register_error_handler(Exception, _any)


def answer(
    code: int,
    message: str,
    errors: dict[str, Any] | None = None,
    status: str | None = None,
    headers: dict[str, str] | None = None,
) -> Response:
    """An error response."""
    shape = {
        "code": code,
        "status": status or HTTP_STATUS_CODES.get(code, "Error"),
        "message": message,
        "errors": errors or {},
    }
    return Response(dumps(shape), code, headers, mimetype="application/json")


def _ours(error: tree.OrchestratorError) -> Response:
    if isinstance(error, Refused):
        return answer(error.code, str(error), headers=error.headers)
    if isinstance(error, Unauthenticated):
        return answer(401, str(error), headers={"WWW-Authenticate": 'Bearer realm="orchestrator"'})
    code = next((code for kind, code in _STATUS if isinstance(error, kind)), None)
    if code is None:
        return _unexpected(error)
    status = error.code if isinstance(error, tree.TransitionRefused) and error.code else None
    details = error.errors if isinstance(error, (tree.InvalidInput, tree.Conflict)) else None
    return answer(code, str(error), details, status, {"Retry-After": RETRY_AFTER} if code == 503 else None)


def _http(error: HTTPException) -> Response:
    code = error.code or 500
    headers = {name: value for name, value in error.get_headers() if name in {"Allow", "Retry-After", "Location"}}
    if error.response is not None and code < 400:
        return Response(status=code, headers=headers)
    return answer(code, error.description or HTTP_STATUS_CODES.get(code, "Error"), headers=headers)


def _any(error: Exception) -> Response:
    if isinstance(error, IntegrityError):
        return _integrity(error)
    if isinstance(error, DataError):
        return _data(error)
    if isinstance(error, (OperationalError, PoolTimeout)):
        return _database_away(error)
    return _unexpected(error)


def _integrity(error: IntegrityError) -> Response:
    constraint = getattr(getattr(error.orig, "diag", None), "constraint_name", None) or "a constraint"
    _log.info("refused by the database: %s", constraint)
    return answer(409, f"this exists already, or was changed by someone else meanwhile ({constraint}): look again")


def _data(error: DataError) -> Response:
    reason = str(error.orig).strip().splitlines()[0]
    return answer(422, f"a value cannot be stored: {reason}")


def _database_away(error: Exception) -> Response:
    _log.warning("the database did not answer: %s", str(error).splitlines()[0])
    return answer(503, "the database does not answer now: try again", headers={"Retry-After": RETRY_AFTER})


def _unexpected(error: Exception) -> Response:
    _log.error("an unexpected error", exc_info=error)
    return answer(500, "an unexpected error: the server's log has it")
