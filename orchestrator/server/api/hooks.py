"""``/hooks/<token>``: where other systems deliver what happened. The address is the key; it stands in no document."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request

from ...clock import now
from ...errors import NotFound
from ..db.session import reading, transaction
from ..services.receiving import deliveries, webhooks
from ..services.receiving.incoming import BODY_MAX, Incoming
from .access import open_to_all
from .agreements import agree
from .errors import Refused, answer

blueprint = Blueprint("hooks", __name__)

#: Seconds after which a sender that was too fast may go on.
RETRY_AFTER = "30"


@blueprint.route(f"{webhooks.PATH}<token>", methods=["GET", "POST", "PUT", "OPTIONS"], provide_automatic_options=False)
@open_to_all
def deliver(token: str) -> Response:
    """Take a delivery: 204; 400 where no event can be made of it, 401 for a wrong signature, 404 for an address that
    leads nowhere, whatever the reason. OPTIONS asks whether deliveries are expected.
    """
    at = now()
    with reading() as session:
        hook = webhooks.by_token(session, token)
        full = hook is not None and deliveries.is_full(session, hook, at)
    if hook is None:
        raise NotFound("there is no such address")
    if request.method == "HEAD":
        return Response(status=204)
    if request.method == "OPTIONS":
        return agree(request, "GET, HEAD, OPTIONS, POST, PUT", hook.minute_max)
    if full:
        with transaction() as session:
            deliveries.tell_full(session, hook, at)
        raise Refused(429, f"at most {hook.minute_max} deliveries a minute are taken", {"Retry-After": RETRY_AFTER})
    request.max_content_length = BODY_MAX
    came = Incoming(request.method, _headers(), _query(), request.get_data(cache=False), request.content_type or "", at)
    judged = deliveries.judge(hook, came)
    with transaction() as session:
        kept = deliveries.keep(session, hook, came, judged, now())
    if kept.status >= 400:
        headers = {"Retry-After": RETRY_AFTER} if kept.status == 503 else None
        return answer(kept.status, kept.reason, headers=headers)
    return Response(status=kept.status)


def _headers() -> dict[str, str]:
    return {name.lower(): value for name, value in request.headers.items()}


def _query() -> dict[str, Any]:
    return {name: values if len(values) > 1 else values[0] for name, values in request.args.lists()}
