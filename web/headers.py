"""Headers of every page: what a browser may load and keep."""

from __future__ import annotations

import secrets

from flask import Response, g, request

#: Seconds that a static file is kept; its address changes with its content.
_FOR_GOOD = 31_536_000

_POLICY = (
    "default-src 'self'; script-src 'self' 'nonce-{nonce}'; style-src 'self' 'unsafe-inline'; img-src 'self' data:;"
    " font-src 'self'; connect-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self';"
    " frame-ancestors 'none'"
)


def nonce() -> str:
    """The word that allows this page's own inline script, and no other."""
    if "nonce" not in g:
        g.nonce = secrets.token_urlsafe(16)
    word: str = g.nonce
    return word


def protect(response: Response) -> Response:
    """Lay the safety headers over a page's answer; answers of the API are left as they are."""
    if request.endpoint == "web.static":
        response.headers["X-Content-Type-Options"] = "nosniff"
        if "v" in request.args and response.status_code in {200, 304}:
            response.headers["Cache-Control"] = f"public, max-age={_FOR_GOOD}, immutable"
    elif g.get("page"):
        response.headers["Content-Security-Policy"] = _POLICY.format(nonce=nonce())
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "same-origin"
        response.headers.setdefault("Cache-Control", "no-store")
        response.vary.add("HX-Request")
    return response
