"""Answers of views: a whole page, its live part alone, or word that a post was done."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from flask import Response, flash, make_response, redirect, render_template, request
from werkzeug.wrappers import Response as AnyResponse

from orchestrator import serializers

from .access import is_part


def page(name: str, **data: Any) -> Response:
    """The page ``name``; a script that polls gets its part alone, or 304 when nothing changed."""
    if not is_part():
        return make_response(render_template(f"pages/{name}.html", **data))
    return unchanged_or(make_response(render_template(f"parts/{name}.html", **data)))


def unchanged_or(response: Response) -> Response:
    """Give the answer an ETag of its content, and turn it into 304 when the asker has it already."""
    response.headers["Cache-Control"] = "private, no-cache"
    response.set_etag(hashlib.sha256(response.get_data()).hexdigest()[:24], weak=True)
    return response.make_conditional(request)  # type: ignore[return-value]


def data(value: Any) -> Response:
    """JSON for one of our own scripts; 304 when it has the same already."""
    return unchanged_or(Response(serializers.dumps(value), mimetype="application/json"))


def done(message: str, address: str, kind: str = "success", go: bool = False) -> AnyResponse:
    """Tell that a post did its work: a script gets a toast and a call to refresh, a plain form is sent on.

    Args:
        go: Whether the browser leaves for ``address`` in any case.
    """
    if not is_part():
        flash(message, kind)
        return redirect(address, 303)
    if go:
        flash(message, kind)
        return Response(status=204, headers={"HX-Redirect": address})
    tell = {"orchestrator:toast": {"text": message, "kind": kind}, "orchestrator:refresh": {}}
    return Response(status=204, headers={"HX-Trigger": json.dumps(tell)})
