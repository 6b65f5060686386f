"""Messages to a channel of Discord."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from orchestrator.block import Block
from orchestrator.errors import AccessDenied
from orchestrator.interfaces import Notifier

from .http_messages import Api, SecretAddress, cut, titled

# discord.com/developers, "Execute Webhook": POST to the webhook's address; `content` has at most 2,000 characters; 204,
# or 200 with `wait=true`. 429 has Retry-After. "Get Webhook with Token": GET of the same address.
_LIMIT = 2_000


class Discord(Block, Notifier):
    """Sends messages to the channel of Discord that a webhook was made for."""

    _name: ClassVar[str] = "Discord"
    _slug: ClassVar[str] = "discord"
    _logo: ClassVar[str] = "tabler:brand-discord"
    _docs_url: ClassVar[str] = "https://discord.com/developers/docs/resources/webhook"
    _code_example: ClassVar[str] = """
        from orchestrator.blocks.discord import Discord

        Discord(webhook_url="https://discord.com/api/webhooks/123/XXXX").save("data-team")
        Discord.load("data-team").notify("The **daily** load is done.", subject="Loads")
        """

    webhook_url: SecretAddress = Field(description="Address of the webhook: channel settings, Integrations, Webhooks.")
    username: str = Field("", max_length=80, description="Name to show in place of the webhook's own.")

    def notify(self, body: str, subject: str = "") -> None:
        """Send one message; Discord shows Markdown. It calls nobody: ``@everyone`` in it stays text."""
        message = {"content": cut(titled(body, subject, "**"), _LIMIT), "allowed_mentions": {"parse": []}}
        if self.username:
            message["username"] = self.username
        self._api().call("POST", payload=message)

    def test(self) -> str:
        """Ask Discord for the webhook."""
        found = self._api().call("GET").json()
        return f"The webhook {found.get('name') or ''!r} is there; no message was sent."

    def _api(self) -> Api:
        url = self.webhook_url.get_secret_value()
        return Api("Discord", url, secrets=(url,), missing=AccessDenied)
