"""Messages to a channel of Mattermost."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from orchestrator.block import Block
from orchestrator.errors import AccessDenied, OrchestratorError
from orchestrator.interfaces import Notifier

from .http_messages import Answer, Api, SecretAddress, cut, titled

# developers.mattermost.com, "Incoming webhooks": POST {"text": Markdown, "channel"?, "username"?} -> 200 "ok"; posts
# have at most 16,383 characters. An unknown webhook is 400 with an id that begins with web.incoming_webhook.
_LIMIT = 16_383
_UNKNOWN = ("web.incoming_webhook.invalid.app_error", "web.incoming_webhook.disabled.app_error")


class MattermostWebhook(Api):
    """An incoming webhook: an unknown one is a request that the server finds bad."""

    def refusal(self, answer: Answer, why: str = "") -> OrchestratorError:
        """What to raise for an answer."""
        data = answer.json()
        if isinstance(data, dict) and data.get("id") in _UNKNOWN:
            return AccessDenied(f"Mattermost does not know the webhook, or has webhooks off: {self.said(answer)}")
        return super().refusal(answer, why)


class Mattermost(Block, Notifier):
    """Sends messages to a channel of Mattermost by an incoming webhook."""

    _name: ClassVar[str] = "Mattermost"
    _slug: ClassVar[str] = "mattermost"
    _logo: ClassVar[str] = "tabler:message-circle"
    _docs_url: ClassVar[str] = "https://developers.mattermost.com/integrate/webhooks/incoming/"
    _code_example: ClassVar[str] = """
        from orchestrator.blocks.mattermost import Mattermost

        Mattermost(webhook_url="https://chat.example.com/hooks/XXXX").save("data-team")
        Mattermost.load("data-team").notify("The **daily** load is done.", subject="Loads")
        """

    webhook_url: SecretAddress = Field(description="Address of the incoming webhook: Integrations, Incoming Webhooks.")
    channel: str = Field("", description="Another channel than the webhook's own, or @person; it may be locked.")
    username: str = Field("", description="Name to show in place of the webhook's own, where the server lets it.")

    def notify(self, body: str, subject: str = "") -> None:
        """Send one message; Mattermost shows Markdown."""
        title = f"#### {' '.join(subject.split())}" if subject.strip() else ""
        message: dict[str, Any] = {"text": cut(titled(body, title), _LIMIT)}
        message |= {key: value for key, value in (("channel", self.channel), ("username", self.username)) if value}
        self._api().call("POST", payload=message)

    def test(self) -> str:
        """Ask whether the server is there; whether it knows the webhook is told only when a message is sent."""
        url = self.webhook_url.get_secret_value()
        server = Api("Mattermost", url.partition("/hooks/")[0], secrets=(url,))
        server.call("GET", "/api/v4/system/ping")
        return "The server answers; whether it knows the webhook shows with the first message."

    def _api(self) -> Api:
        url = self.webhook_url.get_secret_value()
        return MattermostWebhook("Mattermost", url, secrets=(url,), missing=AccessDenied)
