"""``reports``: the batches of states, logs, events and artifacts that the SDK and agents send."""

from __future__ import annotations

from dataclasses import asdict

from flask import Response, request

from ...clock import now
from ..db.session import retried
from ..schemas import report_views
from ..schemas.reports import read_batches
from ..services.running import reports
from .access import needs, principal
from .docs import described_body, ref
from .errors import Refused
from .resource import Resource, answer

blueprint = Resource("reports", "Reports: what runs tell, in batches; repeating one changes nothing.")

_BODY = {
    "type": "object",
    "required": ["batches"],
    "additionalProperties": False,
    "properties": {"batches": {"type": "array", "items": ref("Batch")}},
    "description": "`items` are of the kinds that `ReportItem` shows.",
}


@blueprint.route("/reports", methods=["POST"])
@needs("editor", "agent", "run")
@blueprint.response(200, report_views.ReportTakenSchema)
@blueprint.doc(**described_body(_BODY))
def send_report() -> Response:
    """Store a report; a run's own token may speak of that run and its subflows only."""
    if not request.is_json:
        raise Refused(415, "send JSON, with the header `Content-Type: application/json`")
    batches = read_batches(request.get_data(cache=False))
    outcome = retried(lambda session: reports.ingest(session, batches, now(), allowed=principal().run_id))
    accepted = {str(producer): sequence for producer, sequence in outcome.accepted.items()}
    return answer({"accepted": accepted, "refused": [asdict(item) for item in outcome.refused]})
