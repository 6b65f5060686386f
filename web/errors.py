"""Error pages in the dashboard's own look; paths of the API keep their JSON."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Flask, current_app, g, render_template, request
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException, InternalServerError

from orchestrator.errors import Conflict, InvalidInput, NotFound, OrchestratorError, Unavailable
from orchestrator.server.services.identity.keys import Principal

from . import access

_MACHINES = ("/api/", "/health", "/metrics", "/hooks/", "/ping/")

_STATUS: tuple[tuple[type[OrchestratorError], int], ...] = (
    (NotFound, 404),
    (Conflict, 409),
    (InvalidInput, 422),
    (Unavailable, 503),
)

_TITLES = {
    403: "Not with this key",
    404: "There is no such page",
    405: "That cannot be done here",
    409: "Not now",
    422: "That does not fit",
    500: "Something broke on our side",
    503: "A part of the tower is away",
}


def install(app: Flask) -> None:
    """Take over the errors of pages; what answered before goes on answering for the API."""
    for kind in (HTTPException, OrchestratorError, Exception):
        before = app.error_handler_spec[None][None].get(kind)
        app.register_error_handler(kind, _handler(kind, before))


def _handler(kind: type[Exception], before: Callable[[Any], Any] | None) -> Callable[[Any], Any]:
    def handle(error: Exception) -> Any:
        if request.path.startswith(_MACHINES):
            if before is None:
                raise error
            return before(error)
        return page(error)

    handle.__name__ = f"page_of_{kind.__name__.lower()}"
    return handle


def page(error: Exception) -> tuple[str, int]:
    """The error page for ``error``; of an unforeseen one, it tells nothing but that it is in the server's log."""
    status, text = _tell(error)
    g.page = True
    if "visitor" not in g:
        g.visitor = _visitor()
    if access.is_part():
        return text, status
    title = _TITLES.get(status, "That did not work")
    return render_template("pages/error.html", status=status, title=title, text=text), status


def _visitor() -> Principal | None:
    """Who is logged in; nobody, as far as we know, while the database is away."""
    try:
        return access.find_visitor()
    except SQLAlchemyError:
        return None


def _tell(error: Exception) -> tuple[int, str]:
    if isinstance(error, OrchestratorError):
        status = next((status for kind, status in _STATUS if isinstance(error, kind)), 500)
        return status, str(error)
    if isinstance(error, HTTPException) and not isinstance(error, InternalServerError):
        return error.code or 500, error.description or error.name
    if isinstance(error, (OperationalError, PoolTimeout)):
        return 503, "The database does not answer now. Try again in a moment."
    current_app.logger.exception("a page failed", exc_info=error)
    return 500, "The error is in the server's log: orchestrator server logs"
