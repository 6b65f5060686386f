"""Logging in by one-time link or by key, and out."""

from __future__ import annotations

from flask import Blueprint, Response, g, make_response, redirect, render_template, request
from werkzeug.wrappers import Response as AnyResponse

from orchestrator.clock import now
from orchestrator.errors import AccessDenied
from orchestrator.server.db.session import transaction
from orchestrator.server.services.identity import keys, logins

from .. import access

blueprint = Blueprint("login", __name__)


@blueprint.get("/login")
def show() -> AnyResponse:
    """The login form; with ``?token=`` of a one-time link, straight in."""
    token = request.args.get("token")
    if token and request.method == "GET":  # a HEAD, as link previews send, must not use the link up
        try:
            with transaction() as session:
                key = logins.redeem(session, token, now())
                logins.note(session, key, now())
        except AccessDenied as error:
            return _form(str(error), 403)
        access.log_in(key)
    elif g.visitor is None:
        return _form()
    return redirect(access.safe_next(request.args.get("next")), 303)


@blueprint.post("/login")
def enter() -> AnyResponse:
    """Log in with a key."""
    with transaction() as session:
        principal = keys.authenticate(session, request.form.get("key", "").strip(), now())
        key = keys.get(session, principal.key_id) if principal and principal.key_id else None
        if key is not None:
            logins.note(session, key, now())
    if key is None:
        return _form("There is no such key, or it is revoked or has expired.", 403)
    access.log_in(key)
    return redirect(access.safe_next(request.form.get("next")), 303)


@blueprint.post("/logout")
def leave() -> AnyResponse:
    """Close this browser's session."""
    access.log_out()
    return redirect(access.login_address(), 303)


def _form(problem: str = "", status: int = 200) -> Response:
    onward = request.values.get("next", "")
    return make_response(render_template("pages/login.html", problem=problem, onward=onward), status)
