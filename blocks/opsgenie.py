"""Alerts of Opsgenie, which wake whoever is on call."""

from __future__ import annotations

from typing import Any, ClassVar, Literal
from urllib.parse import quote

from pydantic import Field, SecretStr

from orchestrator.block import Block
from orchestrator.errors import AccessDenied, InvalidInput
from orchestrator.interfaces import Notifier

from .http_messages import Api, HttpAddress, cut, first_line

# docs.opsgenie.com, "Alert API": POST /v2/alerts -> 202; `message` has at most 130 characters, `description` 15,000,
# `alias` 512, `tags` 20 of 50. 401: the key is unknown; 403: it may not do that; 422: a field is wrong; 429.
_MESSAGE, _DESCRIPTION = 130, 15_000


class Opsgenie(Block, Notifier):
    """Raises alerts of Opsgenie by its Alert API."""

    _name: ClassVar[str] = "Opsgenie"
    _slug: ClassVar[str] = "opsgenie"
    _logo: ClassVar[str] = "tabler:bell-ringing"
    _docs_url: ClassVar[str] = "https://docs.opsgenie.com/docs/alert-api"
    _code_example: ClassVar[str] = """
        from orchestrator.blocks.opsgenie import Opsgenie

        Opsgenie(api_key="...", priority="P1", responders=["data-team"]).save("on-call")
        Opsgenie.load("on-call").notify("Nothing was loaded since noon.", subject="The daily load is late")
        """

    api_key: SecretStr = Field(min_length=1, description="Key of an API integration that may create alerts.")
    priority: Literal["P1", "P2", "P3", "P4", "P5"] = Field("P3", description="From P1, critical, to P5.")
    alias: str = Field(
        "",
        max_length=512,
        description="Alerts with the same alias are one alert, until it is closed; empty: each message is an alert.",
    )
    responders: list[str] = Field(
        default_factory=list, max_length=50, description="Names of the teams to call; empty: those of the integration."
    )
    tags: list[str] = Field(default_factory=list, max_length=20, description="Tags of the alerts.")
    api_url: HttpAddress = Field(
        "https://api.opsgenie.com", description="Address of the API; in the EU region https://api.eu.opsgenie.com."
    )

    def notify(self, body: str, subject: str = "") -> None:
        """Raise an alert: the subject (or the first line) is its message, the body its description."""
        message = first_line(subject, _MESSAGE) or first_line(body, _MESSAGE)
        if not message:
            raise InvalidInput("the message is empty: give a body or a subject")
        alert: dict[str, Any] = {
            "message": message,
            "description": cut(body, _DESCRIPTION),
            "priority": self.priority,
            "source": "Orchestrator",
        }
        if self.alias:
            alert["alias"] = self.alias
        if self.responders:
            alert["responders"] = [{"type": "team", "name": name} for name in self.responders]
        if self.tags:
            alert["tags"] = self.tags
        self._api().call("POST", "/v2/alerts", payload=alert)

    def resolve(self, alias: str = "") -> None:
        """Close the alert that has an alias; empty: the block's own."""
        alias = alias or self.alias
        if not alias:
            raise InvalidInput("alias is empty: an alert is closed by the alias that it was raised with")
        self._api().call("POST", f"/v2/alerts/{quote(alias, safe='')}/close?identifierType=alias", payload={})

    def test(self) -> str:
        """Count alerts, which tells whether the key is known."""
        api = self._api()
        answer = api.ask("GET", "/v2/alerts/count")
        if answer.status == 403:
            return "The key is known; it may not read, so that only an alert shows whether it may create them."
        if not 200 <= answer.status < 300:
            raise api.refusal(answer)
        return "The key is known; no alert was raised."

    def _api(self) -> Api:
        key = self.api_key.get_secret_value().strip()
        headers = {"Authorization": f"GenieKey {key}"}
        return Api("Opsgenie", self.api_url.rstrip("/"), headers, (key,), missing=AccessDenied)
