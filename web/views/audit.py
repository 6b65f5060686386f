"""The audit trail, and the same as a file."""

from __future__ import annotations

from collections.abc import Iterator

from flask import Blueprint, Response, request, stream_with_context

from orchestrator.clock import now
from orchestrator.server.db.session import reading

from ..fragments import page
from ..panels import audit
from ..panels.events import WITHIN

blueprint = Blueprint("audit", __name__)


@blueprint.get("/audit")
def show() -> Response:
    """The list, narrowed by who (``by``), what (``q``), of what (``resource``) and when."""
    wanted = audit.asked(request.args)
    with reading() as session:
        entries, found = audit.listing(session, wanted, now(), request.args.get("cursor"))
    return page("audit", room="audit", asked=wanted, entries=entries, found=found, within=WITHIN)


@blueprint.get("/audit.csv")
def as_csv() -> Response:
    """The entries that fit as CSV."""
    return _file(_csv(audit.asked(request.args)), "csv", "text/csv")


@blueprint.get("/audit.jsonl")
def as_json() -> Response:
    """The entries that fit, one JSON document a line."""
    return _file(_json(audit.asked(request.args)), "jsonl", "application/x-ndjson")


def _csv(wanted: audit.Asked) -> Iterator[str]:
    yield audit.as_csv([audit.COLUMNS])
    with reading() as session:
        for entries in audit.batches(session, wanted, now()):
            yield audit.as_csv([audit.row(item) for item in entries])


def _json(wanted: audit.Asked) -> Iterator[bytes]:
    with reading() as session:
        for entries in audit.batches(session, wanted, now()):
            yield b"".join(audit.as_json(item) for item in entries)


def _file(parts: Iterator[str] | Iterator[bytes], kind: str, mimetype: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="audit-{now():%Y-%m-%d}.{kind}"'}
    return Response(stream_with_context(parts), mimetype=mimetype, headers=headers)
