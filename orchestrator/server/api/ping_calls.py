"""``/ping``: the addresses of pings, which need no key beside themselves."""

from __future__ import annotations

from typing import Any

from flask import Response, request
from marshmallow import fields, validate

from ...clock import now
from ...errors import NotFound
from ..db.session import transaction
from ..schemas.base import Strict
from ..services.receiving import pings
from ..services.receiving.pings import OUTPUT_MAX, RUN_MAX, Call
from .access import open_to_all
from .resource import Resource

#: Most of a job's output that is read to find its end, in bytes.
READ_MAX = 64 * 1024 * 1024
_CHUNK = 64 * 1024
_BODY = {"required": False, "content": {"*/*": {"schema": {"type": "string"}}}}
_STATES = {"": "succeeded", "start": "started", "ok": "succeeded", "fail": "failed"}

blueprint = Resource("ping", "What the addresses of pings answer; the address itself is the key.", prefix="")


class CallQuery(Strict):
    """What a call may say beside its address."""

    run = fields.String(load_default="", validate=validate.Length(max=RUN_MAX))


@blueprint.routes("/ping/<token>", "/ping/<token>/<verb>", methods=["GET", "POST"])
@open_to_all
@blueprint.arguments(CallQuery, location="query")
@blueprint.response(204)
@blueprint.doc(requestBody=_BODY)
def call_ping(query: dict[str, Any], token: str, verb: str = "") -> Response:
    """Tell that a job started (`start`) or ended (`ok`, `fail`, or its exit code); the body is what it printed."""
    state, exit_code = _meaning(verb)
    said = Call(state, exit_code, _tail(), query["run"].replace("\0", ""), request.method)
    with transaction() as session:
        pings.hear(session, token, said, now())
    return Response(status=204, headers={"Cache-Control": "no-store"})


def _meaning(verb: str) -> tuple[str, int | None]:
    if verb in _STATES:
        return _STATES[verb], None
    if verb.isascii() and verb.isdigit() and int(verb[:4]) <= 255 and len(verb) < 4:
        return ("failed" if int(verb) else "succeeded"), int(verb)
    raise NotFound("a ping ends in start, ok, fail or an exit code from 0 to 255")


def _tail() -> str:
    """The end of the body; it may be larger than any other: a job's output is passed on whole."""
    request.max_content_length = 2**62
    kept, seen = b"", 0
    while seen < READ_MAX and (chunk := request.stream.read(_CHUNK)):
        seen += len(chunk)
        kept = (kept + chunk)[-4 * OUTPUT_MAX :]
    return kept.decode("utf-8", "replace").replace("\0", "")[-OUTPUT_MAX:]
