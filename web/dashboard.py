"""Puts the pages on a Flask application: blueprints, template names, session cookies, error pages."""

from __future__ import annotations

from datetime import timedelta

from flask import Blueprint, Flask, request
from flask.sessions import SecureCookieSessionInterface, SessionMixin

from orchestrator.server.api import access as api
from orchestrator.server.services.identity import secrets
from orchestrator.settings import Settings

from . import access, errors, filters, headers
from .views import (
    actions,
    agents,
    artifacts,
    audit,
    backfills,
    block,
    block_form,
    blocks,
    cached_results,
    chain_form,
    chains,
    deployment,
    deployment_form,
    deployments,
    desk,
    events,
    expectation_form,
    expectations,
    firings,
    holds,
    limits,
    login,
    pings,
    queues,
    resource,
    resources,
    run,
    runs,
    stack_map,
    tower,
    trigger_form,
    triggers,
    variables,
    webhook,
    webhooks,
)

#: How long a browser stays logged in without a visit.
SESSION_LIFE = timedelta(days=14)

PAGES = (
    login,
    tower,
    runs,
    run,
    deployments,
    deployment_form,
    deployment,
    backfills,
    blocks,
    block_form,
    block,
    queues,
    agents,
    events,
    resources,
    resource,
    stack_map,
    webhooks,
    webhook,
    triggers,
    firings,
    actions,
    trigger_form,
    pings,
    chain_form,
    chains,
    expectation_form,
    expectations,
    holds,
    desk,
    limits,
    variables,
    cached_results,
    artifacts,
    audit,
)


class Cookies(SecureCookieSessionInterface):
    """The session cookie: sent only below the address the dashboard lives at, never to scripts, Secure on https."""

    def get_cookie_name(self, app: Flask) -> str:
        return "orchestrator_session"

    def get_cookie_path(self, app: Flask) -> str:
        return f"{request.script_root}/"

    def get_cookie_httponly(self, app: Flask) -> bool:
        return True

    def get_cookie_samesite(self, app: Flask) -> str:
        return "Lax"

    def get_cookie_secure(self, app: Flask) -> bool:
        return request.is_secure

    def should_set_cookie(self, app: Flask, session: SessionMixin) -> bool:
        return (request.blueprint or "").startswith("web.") and super().should_set_cookie(app, session)


def install(app: Flask, settings: Settings) -> None:
    """Add the dashboard to ``app``."""
    app.secret_key, *fallbacks = secrets.session_keys()
    app.config["SECRET_KEY_FALLBACKS"] = fallbacks
    app.session_interface = Cookies()
    app.permanent_session_lifetime = SESSION_LIFE
    app.register_blueprint(_rooms())
    api.add_authenticator(app, lambda _request: access.find_visitor())
    filters.install(app)
    errors.install(app)
    app.after_request(headers.protect)


def _rooms() -> Blueprint:
    """All pages, guarded, with their templates and their static files; the latter are public."""
    rooms = Blueprint("web", __name__, static_folder="static", static_url_path="/static", template_folder="templates")
    for page in PAGES:
        page.blueprint.before_request_funcs[None] = [access.guard]
        rooms.register_blueprint(page.blueprint)
    return rooms
