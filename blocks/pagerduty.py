"""Alerts of PagerDuty, which wake whoever is on call."""

from __future__ import annotations

import socket
from typing import Any, ClassVar, Literal

from pydantic import Field, SecretStr

from orchestrator.block import Block
from orchestrator.errors import AccessDenied, InvalidInput, OrchestratorError
from orchestrator.interfaces import Notifier

from .http_messages import Answer, Api, HttpAddress, bytes_in_json, cut, first_line

# developer.pagerduty.com, "Events API v2": POST /v2/enqueue -> 202; `summary` has at most 1,024 characters, `dedup_key`
# 255, the whole event 512 KB. A wrong routing key is 400 "invalid event", with `errors` that name it. 429 is too many.
_SUMMARY, _DETAILS = 1_024, 500_000


class PagerDutyApi(Api):
    """The Events API: a key that it does not know is a bad event to it."""

    def refusal(self, answer: Answer, why: str = "") -> OrchestratorError:
        """What to raise for an answer."""
        said = self.said(answer)
        if answer.status == 400 and ("routing_key" in said or "routing key" in said.lower()):
            return AccessDenied(f"PagerDuty refuses the routing key: {said}")
        return super().refusal(answer, why)


class PagerDuty(Block, Notifier):
    """Raises alerts of a service of PagerDuty by its Events API v2."""

    _name: ClassVar[str] = "PagerDuty"
    _slug: ClassVar[str] = "pagerduty"
    _logo: ClassVar[str] = "tabler:urgent"
    _docs_url: ClassVar[str] = "https://developer.pagerduty.com/docs/send-alert-event"
    _code_example: ClassVar[str] = """
        from orchestrator.blocks.pagerduty import PagerDuty

        PagerDuty(routing_key="...", severity="critical").save("on-call")
        PagerDuty.load("on-call").notify("Nothing was loaded since noon.", subject="The daily load is late")
        """

    routing_key: SecretStr = Field(
        min_length=1, description="Integration key of the service (Integrations, Events API v2), 32 characters."
    )
    severity: Literal["critical", "error", "warning", "info"] = Field(
        "error", description="How bad it is: decides on urgency in PagerDuty."
    )
    source: str = Field("", max_length=255, description="What is affected; empty: the name of the sending computer.")
    dedup_key: str = Field(
        "",
        max_length=255,
        description="Alerts with the same key are one alert, until it is resolved; empty: each message is an alert.",
    )
    api_url: HttpAddress = Field(
        "https://events.pagerduty.com",
        description="Address of the Events API; in the EU region https://events.eu.pagerduty.com.",
    )

    def notify(self, body: str, subject: str = "") -> None:
        """Raise an alert: the subject (or the first line) is its summary, the body its details."""
        summary = first_line(subject, _SUMMARY) or first_line(body, _SUMMARY)
        if not summary:
            raise InvalidInput("the message is empty: give a body or a subject")
        payload = {
            "summary": summary,
            "source": self.source or socket.gethostname(),
            "severity": self.severity,
            "custom_details": {"body": cut(body, _DETAILS, bytes_in_json)},
        }
        self._send("trigger", self.dedup_key, payload=payload, client="Orchestrator")

    def resolve(self, dedup_key: str = "") -> None:
        """Resolve the alert that has a deduplication key; empty: the block's own."""
        key = dedup_key or self.dedup_key
        if not key:
            raise InvalidInput("dedup_key is empty: an alert is resolved by the key that it was raised with")
        self._send("resolve", key)

    def test(self) -> str:
        """Reach the host; a key can be tried only by an alert."""
        return f"{self._api().reach()} answers; only an alert shows whether the routing key is known."

    def _send(self, action: str, dedup_key: str, **event: Any) -> None:
        event |= {"routing_key": self._key(), "event_action": action}
        if dedup_key:
            event["dedup_key"] = dedup_key
        self._api().call("POST", "/v2/enqueue", payload=event)

    def _key(self) -> str:
        return self.routing_key.get_secret_value().strip()

    def _api(self) -> Api:
        return PagerDutyApi("PagerDuty", self.api_url.rstrip("/"), secrets=(self._key(),), missing=AccessDenied)
