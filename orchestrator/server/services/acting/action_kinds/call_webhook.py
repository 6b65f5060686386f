"""``call-webhook``: send a request of your own by a webhook block."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from ..action_kind import Asked, Field, Kind

#: Header fields that tell the receiver which request it is, and which chain of causes it belongs to.
KEY_HEADER, CHAIN_HEADER = "Idempotency-Key", "X-Orchestrator-Chain"


class CallWebhook(Kind):
    """Sends a request; the same action has the same ``Idempotency-Key`` each time that it is tried."""

    name = "call-webhook"
    title = "Call a webhook"
    description = "Send a request to an HTTP endpoint by a webhook block."
    outgoing = True
    fields = (
        Field("block", "block", "The webhook, as type/name.", required=True, interface="webhook", fixed=True),
        Field("body", "json", "Body of the request: a text is sent as it is, all else as JSON."),
    )

    def content(self, session: Session, asked: Asked, now: datetime) -> dict[str, Any]:
        """The body, and the header fields of our own."""
        headers = {KEY_HEADER: str(asked.action_id), CHAIN_HEADER: f"{asked.chain_id};{asked.depth}"}
        return {"body": asked.values.get("body"), "headers": headers}


KIND = CallWebhook()
