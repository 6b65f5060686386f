"""Messages to a channel or chat of Microsoft Teams."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from orchestrator.block import Block
from orchestrator.errors import AccessDenied, InvalidInput
from orchestrator.interfaces import Notifier

from .http_messages import Api, SecretAddress, bytes_in_json, cut, first_line

# learn.microsoft.com, "Create incoming webhooks with Workflows": POST of a message with one Adaptive Card to the
# workflow's address -> 202. The whole message has at most 28 KB.
_LIMIT = 26 * 1024
_TITLE = 250


class Teams(Block, Notifier):
    """Sends messages to Microsoft Teams, by a workflow that posts to a channel or chat."""

    _name: ClassVar[str] = "Microsoft Teams"
    _slug: ClassVar[str] = "teams"
    _logo: ClassVar[str] = "tabler:brand-teams"
    _docs_url: ClassVar[str] = (
        "https://support.microsoft.com/office/create-incoming-webhooks-with-workflows-for-microsoft-teams"
        "-8ae491c7-0394-4861-ba59-055e33f75498"
    )
    _code_example: ClassVar[str] = """
        from orchestrator.blocks.teams import Teams

        Teams(webhook_url="https://example.logic.azure.com/workflows/XXXX?sig=YYYY").save("data-team")
        Teams.load("data-team").notify("The **daily** load is done.", subject="Loads")
        """

    webhook_url: SecretAddress = Field(
        description="Address of a workflow that posts to a channel when a webhook request is received (a template)."
    )

    def notify(self, body: str, subject: str = "") -> None:
        """Send one message as an Adaptive Card; Teams shows the simple parts of Markdown."""
        self._api().call("POST", payload=_card(body, subject))

    def test(self) -> str:
        """Reach the host; a workflow can be tried only by a message."""
        host = self._api().reach()
        return f"{host} answers; Teams lets nobody look at a workflow, so that only a message shows whether it works."

    def _api(self) -> Api:
        url = self.webhook_url.get_secret_value()
        return Api("Teams", url, secrets=(url,), missing=AccessDenied)


def _card(body: str, subject: str) -> dict[str, Any]:
    parts: list[dict[str, Any]] = []
    if subject.strip():
        title = {"text": first_line(subject, _TITLE), "weight": "Bolder", "size": "Medium"}
        parts.append({"type": "TextBlock", "wrap": True, **title})
    if body.strip():
        parts.append({"type": "TextBlock", "wrap": True, "text": cut(body, _LIMIT, bytes_in_json)})
    if not parts:
        raise InvalidInput("the message is empty: give a body or a subject")
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": parts,
        "msteams": {"width": "Full"},
    }
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return {"type": "message", "attachments": [attachment]}
