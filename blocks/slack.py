"""Messages to a channel of Slack."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field, model_validator

from orchestrator.block import Block
from orchestrator.errors import AccessDenied, InvalidInput, OrchestratorError
from orchestrator.interfaces import Notifier

from .http_messages import Answer, Api, SecretAddress, cut, first_line
from .slack_credentials import SlackCredentials

# docs.slack.dev, "Block Kit": a `markdown` block holds 12,000 characters, a `header` 150 of plain text; `text` is what
# notifications show, cut by Slack from 4,000.
_BODY, _HEADER, _PREVIEW = 12_000, 150, 3_000
# docs.slack.dev, "Sending messages using incoming webhooks", error handling: texts of 400, 403, 404 and 410.
_NOTHING_TO_SEND = ("no_text", "missing_text_or_fallback_or_attachments", "invalid_payload")


class SlackWebhook(Api):
    """An incoming webhook: its address is its key, and its errors are plain words."""

    def refusal(self, answer: Answer, why: str = "") -> OrchestratorError:
        """A webhook that is gone is refused access; a channel that is, is a field to correct."""
        said = self.said(answer)
        if said in ("channel_is_archived", "channel_not_found", "posting_to_general_channel_denied"):
            return InvalidInput(f"Slack answered {answer.status}: {said} (make the webhook for another channel)")
        return super().refusal(answer, why)


class Slack(Block, Notifier):
    """Sends messages to a channel of Slack, by an incoming webhook or as an app."""

    _name: ClassVar[str] = "Slack"
    _slug: ClassVar[str] = "slack"
    _logo: ClassVar[str] = "tabler:brand-slack"
    _docs_url: ClassVar[str] = "https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks"
    _code_example: ClassVar[str] = """
        from orchestrator.blocks.slack import Slack

        Slack(webhook_url="https://hooks.slack.com/services/T000/B000/XXXX").save("data-team")
        Slack.load("data-team").notify("The **daily** load is done.", subject="Loads")
        """

    webhook_url: SecretAddress | None = Field(
        None, description="Address of an incoming webhook; it is made for one channel. Or give credentials and channel."
    )
    credentials: SlackCredentials | None = Field(None, description="The app to send as, in place of a webhook.")
    channel: str = Field(
        "",
        description="Channel that the app sends to: its id (C024BE91L) or #name. The app must have been invited.",
        json_schema_extra={"x-placeholder": "#data-alerts"},
    )

    @model_validator(mode="after")
    def _one_way(self) -> Slack:
        if bool(self.webhook_url) == bool(self.credentials):
            raise ValueError("give either webhook_url, or credentials and channel")
        if self.credentials and not self.channel.strip():
            raise ValueError("credentials need a channel to send to")
        return self

    def notify(self, body: str, subject: str = "") -> None:
        """Send one message; Slack shows Markdown."""
        message = _message(body, subject)
        if self.credentials:
            message["channel"] = self.channel.strip()
            self.credentials.client(missing=AccessDenied).call("POST", "/chat.postMessage", payload=message)
        else:
            self._webhook().call("POST", payload=message)

    def test(self) -> str:
        """Ask Slack for the token's owner, or send the webhook nothing, which it refuses as such."""
        if self.credentials:
            return f"{self.credentials.test()} Whether it may post in {self.channel} shows with the first message."
        webhook = self._webhook()
        answer = webhook.ask("POST", payload={"text": ""})
        if 200 <= answer.status < 300 or (answer.status == 400 and webhook.said(answer) in _NOTHING_TO_SEND):
            return "The webhook answers; no message was sent."
        raise webhook.refusal(answer)

    def _webhook(self) -> SlackWebhook:
        url = self.webhook_url.get_secret_value() if self.webhook_url else ""
        return SlackWebhook("Slack", url, secrets=(url,), missing=AccessDenied)


def _message(body: str, subject: str) -> dict[str, Any]:
    blocks: list[dict[str, Any]] = []
    if subject.strip():
        title = first_line(subject, _HEADER)
        blocks.append({"type": "header", "text": {"type": "plain_text", "text": title}})
    if body.strip():
        blocks.append({"type": "markdown", "text": cut(body, _BODY)})
    if not blocks:
        raise InvalidInput("the message is empty: give a body or a subject")
    preview = cut(subject.strip() or body, _PREVIEW)
    for sign, escaped in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):  # or <!channel> in it would call everyone
        preview = preview.replace(sign, escaped)
    return {"text": preview, "blocks": blocks}
