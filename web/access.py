"""Who looks at the dashboard, and what that person may do.

The cookie holds the id of an API key, never the key; the key's row is read again for each request, so a revoked or
expired key closes its sessions at once.
"""

from __future__ import annotations

import hmac
import secrets
import uuid
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar
from urllib.parse import urlsplit

from flask import Response, abort, flash, g, redirect, request, session, url_for
from werkzeug.wrappers import Response as AnyResponse

from orchestrator.clock import now
from orchestrator.documents.records import Actor
from orchestrator.server.db import session as database
from orchestrator.server.db.models import ApiKey
from orchestrator.server.services.identity import keys
from orchestrator.server.services.identity.keys import Principal

P = ParamSpec("P")
R = TypeVar("R")

#: Roles that people have, each with the ones whose rights it includes.
RIGHTS = {"admin": {"admin", "editor", "viewer"}, "editor": {"editor", "viewer"}, "viewer": {"viewer"}}


def may(role: str) -> bool:
    """Whether the visitor's role includes ``role``."""
    visitor: Principal | None = g.get("visitor")
    return visitor is not None and role in RIGHTS[visitor.role]


def actor() -> Actor:
    """Who is written beside what the visitor does."""
    found: Actor = g.visitor.actor
    return found


def guard() -> AnyResponse | None:
    """Before each page: find the visitor, refuse posts without the page's own token."""
    g.page = True
    g.visitor = find_visitor()
    if request.method not in {"GET", "HEAD", "OPTIONS"}:
        check_token()
    if g.visitor is None and request.blueprint != "web.login":
        return to_login()
    return None


def to_login() -> AnyResponse:
    """Send the browser to the login page, and back here afterwards."""
    if "key" in session:
        session.clear()
        flash("Your session has ended: the key it was opened with is revoked or has expired.", "warning")
    back = request.full_path.rstrip("?") if request.method == "GET" and not is_part() else None
    address = login_address(None if back == "/" else back)
    if is_part():
        return Response(status=401, headers={"HX-Redirect": address})
    return redirect(address, 303)


def login_address(onward: str | None = None) -> str:
    """Where one logs in, to be sent to ``onward`` afterwards."""
    return url_for("web.login.show", next=onward)


def is_part() -> bool:
    """Whether a script of the page asks, rather than the person."""
    return "HX-Request" in request.headers


def log_in(key: ApiKey) -> None:
    """Open a session for the holder of ``key``; what was in the cookie before is dropped."""
    if key.role not in RIGHTS:
        abort(403, "This key belongs to an agent; log in with one whose role is admin, editor or viewer.")
    session.clear()
    session.permanent = True
    session["key"] = str(key.id)
    token()


def log_out() -> None:
    """Close this browser's session."""
    session.clear()


def token() -> str:
    """The token that every post of this session must carry."""
    if "csrf" not in session:
        session["csrf"] = secrets.token_urlsafe(24)
    text: str = session["csrf"]
    return text


def check_token() -> None:
    """Refuse a post that does not come from one of our own pages."""
    given = request.headers.get("X-CSRF-Token") or request.form.get("csrf", "")
    if not hmac.compare_digest(given.encode(), session.get("csrf", "").encode()) or not given:
        abort(403, "This form is out of date. Load the page again, then repeat what you did.")


def needs(role: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Decorator of a view: only visitors whose role includes ``role`` get in."""

    def decorate(view: Callable[P, R]) -> Callable[P, R]:
        @wraps(view)
        def checked(*args: P.args, **kwargs: P.kwargs) -> R:
            if not may(role):
                abort(403, f"This needs the role {role}; the key you are logged in with has {g.visitor.role}.")
            return view(*args, **kwargs)

        return checked

    return decorate


def safe_next(address: str | None) -> str:
    """A path below the dashboard to go on to after login; anything else becomes the home page."""
    parts = urlsplit(address or "")
    ours = bool(address) and not parts.scheme and not parts.netloc and parts.path.startswith("/")
    if not ours or "\\" in str(address) or str(address).startswith("//"):
        return url_for("web.tower.show")
    return f"{request.script_root}{address}"


def find_visitor() -> Principal | None:
    """Who this session belongs to; None without one, or when its key no longer opens anything."""
    identifier = session.get("key")
    if not identifier:
        return None
    with database.reading() as reading:
        key = reading.get(ApiKey, uuid.UUID(identifier))
    return keys.principal_of(key) if key and keys.usable(key, now()) and key.role in RIGHTS else None
