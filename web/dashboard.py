"""Puts the pages on a Flask application: blueprints, template names, session cookies, error pages."""

from __future__ import annotations

from datetime import timedelta

from flask import Blueprint, Flask, Request, Response, session
from flask.sessions import SecureCookieSessionInterface

from orchestrator.settings import Settings

from . import access, errors, filters, headers
from .views import agents, deployment, deployments, login, queues, run, runs, tower

#: How long a browser stays logged in without a visit.
SESSION_LIFE = timedelta(days=14)

#: Names and addresses of static files and templates; its endpoints are public.
assets = Blueprint("web", __name__, static_folder="static", static_url_path="/static", template_folder="templates")

PAGES = (tower, runs, run, deployments, deployment, queues, agents)


class Cookies(SecureCookieSessionInterface):
    """The session cookie: its own name, sent only below the address the dashboard lives at, Secure on https."""

    def get_cookie_name(self, app: Flask) -> str:
        return "orchestrator_session"

    def get_cookie_path(self, app: Flask) -> str:
        return f"{_request().script_root}/"

    def get_cookie_httponly(self, app: Flask) -> bool:
        return True

    def get_cookie_samesite(self, app: Flask) -> str:
        return "Lax"

    def get_cookie_secure(self, app: Flask) -> bool:
        return _request().is_secure

    def should_set_cookie(self, app: Flask, session: object) -> bool:
        """API calls carry keys, not cookies: only pages ever set one."""
        return not _request().path.startswith("/api/") and super().should_set_cookie(app, session)  # type: ignore[arg-type]


def install(app: Flask, settings: Settings) -> None:
    """Add the dashboard to ``app``."""
    app.secret_key = access.session_key(settings)
    app.session_interface = Cookies()
    app.permanent_session_lifetime = SESSION_LIFE
    app.register_blueprint(assets)
    app.register_blueprint(login.blueprint)
    for page in PAGES:
        page.blueprint.before_request(access.guard)
        app.register_blueprint(page.blueprint)
    filters.install(app)
    errors.install(app)
    app.after_request(_finish)


def _finish(response: Response) -> Response:
    if session.modified:
        session.permanent = True
    return headers.protect(response)


def _request() -> Request:
    from_context: Request = headers.current_request()
    return from_context
