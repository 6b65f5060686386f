"""``lineage``: where the standard HTTP transport of OpenLineage sends."""

from __future__ import annotations

import gzip
import io
import zlib
from dataclasses import asdict
from typing import Any

import orjson
from flask import Response, request

from ...clock import now
from ...errors import InvalidInput
from ..db.session import transaction
from ..open_lineage import as_events
from ..schemas.event_views import EventsTakenSchema
from ..services.recording import foreign_events
from .access import needs
from .docs import described_body
from .errors import Refused
from .refusals import refusal
from .resource import BODY_MAX, Resource, answer, json_body

#: Most events in one request.
EVENTS_MAX = 1_000

blueprint = Resource("lineage", "OpenLineage: runs, jobs and datasets of other systems.")


@blueprint.route("/lineage", methods=["POST"])
@needs("editor", "agent", "run")
@blueprint.response(202, EventsTakenSchema)
@blueprint.doc(**described_body({"oneOf": [{"type": "object"}, {"type": "array", "items": {"type": "object"}}]}))
def send_lineage() -> Response:
    """Take in an OpenLineage event (of a run, job or dataset) or a list of them; one alone that is refused is 422."""
    body = _body()
    items = body if isinstance(body, list) else [body]
    if not items or body is None or len(items) > EVENTS_MAX:
        problem = f"Send an OpenLineage event, or a list of up to {EVENTS_MAX}."
        raise InvalidInput(problem, {"body": [problem]})
    with transaction() as session:
        taken = foreign_events.ingest(session, items, as_events, now(), "lineage")
    if taken.refused and not isinstance(body, list):
        raise refusal(taken.refused[0])
    return answer(asdict(taken), 202)


def _body() -> Any:
    """The decoded body; the transport may send it gzipped."""
    coding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if coding == "identity":
        return json_body()
    if coding != "gzip":
        raise Refused(415, f"the body is encoded as {coding!r}: send it as it is, or gzipped")
    try:
        data = gzip.GzipFile(fileobj=io.BytesIO(request.get_data())).read(BODY_MAX + 1)
        if len(data) > BODY_MAX:
            raise Refused(413, f"the body is larger than {BODY_MAX:,} bytes once it is unpacked: send fewer events")
        return orjson.loads(data)
    except (OSError, EOFError, zlib.error) as error:
        raise Refused(400, f"the body is not gzip, as its Content-Encoding says: {error}") from None
    except ValueError as error:
        raise Refused(400, f"the body is not valid JSON: {error}") from None
