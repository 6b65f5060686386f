"""Answers of views: a whole page, its live part alone, or word that a post was done."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from flask import Response, flash, make_response, redirect, render_template, request
from werkzeug.wrappers import Response as AnyResponse

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


def done(message: str, address: str, kind: str = "success") -> AnyResponse:
    """Tell that a post did its work: a script gets a toast and a call to refresh, a plain form is sent on."""
    if is_part():
        tell = {"orchestrator:toast": {"text": message, "kind": kind}, "orchestrator:refresh": {}}
        return Response(status=204, headers={"HX-Trigger": json.dumps(tell)})
    flash(message, kind)
    return redirect(address, 303)
