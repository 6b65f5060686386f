"""Messages of a Telegram bot."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field, SecretStr, field_validator

from orchestrator.block import Block
from orchestrator.errors import AccessDenied, InvalidInput
from orchestrator.interfaces import Notifier

from .http_messages import Api, HttpAddress, cut, telegram_html, titled, utf16_units

# core.telegram.org/bots/api: POST /bot<token>/sendMessage -> {"ok": true, "result"}, or {"ok": false, "error_code",
# "description", "parameters": {"retry_after"}}; `text` has 1 to 4,096 characters after its entities are parsed.
_LIMIT = 4_096


class Telegram(Block, Notifier):
    """Sends messages to a chat, group or channel of Telegram as a bot."""

    _name: ClassVar[str] = "Telegram"
    _slug: ClassVar[str] = "telegram"
    _logo: ClassVar[str] = "tabler:brand-telegram"
    _docs_url: ClassVar[str] = "https://core.telegram.org/bots/api#sendmessage"
    _code_example: ClassVar[str] = """
        from orchestrator.blocks.telegram import Telegram

        Telegram(token="123456:ABC-DEF", chat="-1001234567890").save("data-team")
        Telegram.load("data-team").notify("The **daily** load is done.", subject="Loads")
        """

    token: SecretStr = Field(description="Token of the bot, as BotFather gave it.")
    chat: str = Field(min_length=1, description="Id of the chat, or @name of a public channel; the bot must be in it.")
    thread: int | None = Field(None, description="Topic of a forum group; empty: the general one.")
    silent: bool = Field(False, description="Deliver without a sound.")
    api_url: HttpAddress = Field("https://api.telegram.org", description="Address of the Bot API.")

    @field_validator("token")
    @classmethod
    def _whole(cls, token: SecretStr) -> SecretStr:
        # It becomes part of the address.
        text = token.get_secret_value().strip()
        if not text or not all(char.isascii() and (char.isalnum() or char in ":_-") for char in text):
            raise ValueError("the token has the form 123456:ABC-DEF")
        return SecretStr(text)

    def notify(self, body: str, subject: str = "") -> None:
        """Send one message; Markdown is turned into the markup that Telegram knows."""
        text = telegram_html(cut(titled(body, subject, "**", "\n\n"), _LIMIT, utf16_units))
        if not text:
            raise InvalidInput("the message is empty: give a body or a subject")
        message: dict[str, Any] = {"chat_id": self.chat, "text": text, "parse_mode": "HTML"}
        if self.thread is not None:
            message["message_thread_id"] = self.thread
        if self.silent:
            message["disable_notification"] = True
        self._api().call("POST", "/sendMessage", payload=message)

    def test(self) -> str:
        """Ask Telegram who the bot is, and whether it sees the chat."""
        bot = self._api().call("GET", "/getMe").json()["result"]
        chat = self._api().call("POST", "/getChat", payload={"chat_id": self.chat}).json()["result"]
        return f"The bot @{bot.get('username')} sees the chat {chat.get('title') or chat.get('username') or self.chat}."

    def _api(self) -> Api:
        token = self.token.get_secret_value()
        return Api("Telegram", f"{self.api_url.rstrip('/')}/bot{token}", secrets=(token,), missing=AccessDenied)
