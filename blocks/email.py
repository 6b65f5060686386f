"""Mails."""

from __future__ import annotations

from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import formatdate, make_msgid, parseaddr
from typing import ClassVar

from pydantic import Field, field_validator

from orchestrator.block import Block
from orchestrator.errors import InvalidInput, Unavailable
from orchestrator.interfaces import Notifier

from .http_messages import cut, first_line, html
from .smtp_credentials import SMTPCredentials

# Servers take some 10 MB; nobody reads more than this. A subject has one line, of at most 998 bytes (RFC 5322).
_LIMIT, _SUBJECT = 1_000_000, 240


class Email(Block, Notifier):
    """Sends mails by a mail server, as text and as HTML."""

    _name: ClassVar[str] = "Email"
    _slug: ClassVar[str] = "email"
    _logo: ClassVar[str] = "tabler:mail"
    _docs_url: ClassVar[str] = "https://www.rfc-editor.org/rfc/rfc5321"
    _code_example: ClassVar[str] = """
        from orchestrator.blocks.email import Email
        from orchestrator.blocks.smtp_credentials import SMTPCredentials

        server = SMTPCredentials.load("post")
        Email(credentials=server, sender="robot@example.com", recipients=["team@example.com"]).save("team")
        Email.load("team").notify("The **daily** load is done.", subject="Loads")
        """

    credentials: SMTPCredentials = Field(description="The mail server and account to send by.")
    sender: str = Field(description="Address that mails come from, with a name or without: Robot <robot@example.com>.")
    recipients: list[str] = Field(min_length=1, max_length=500, description="Addresses that mails go to.")
    reply_to: str = Field("", description="Address that answers go to; empty: the sender.")

    @field_validator("sender", "reply_to")
    @classmethod
    def _one_address(cls, text: str) -> str:
        return _checked(text) if text else text

    @field_validator("sender")
    @classmethod
    def _given(cls, text: str) -> str:
        return _checked(text)

    @field_validator("recipients")
    @classmethod
    def _addresses(cls, texts: list[str]) -> list[str]:
        return [_checked(text) for text in texts]

    def notify(self, body: str, subject: str = "") -> None:
        """Send one mail to all recipients. Where some are refused the others have it, and the error names them."""
        message = self._message(body, subject)
        with self.credentials.explained(), self.credentials.client() as link:
            refused = link.send_message(message)
        if refused:
            told = [f"{address}: {code} {said.decode('utf-8', 'replace')}" for address, (code, said) in refused.items()]
            kind = Unavailable if all(code < 500 for code, _ in refused.values()) else InvalidInput
            raise kind(f"the mail server refuses some recipients, the others have the mail: {'; '.join(told)}")

    def test(self) -> str:
        """Connect and log in; no mail is sent."""
        return f"{self.credentials.test()} No mail was sent."

    def _message(self, body: str, subject: str) -> EmailMessage:
        message = EmailMessage()
        message["From"] = self.sender
        message["To"] = ", ".join(self.recipients)
        message["Subject"] = first_line(subject, _SUBJECT) or first_line(body, _SUBJECT) or "Message"
        if self.reply_to:
            message["Reply-To"] = self.reply_to
        message["Date"] = formatdate(localtime=False)
        message["Message-ID"] = make_msgid(domain=parseaddr(self.sender)[1].rpartition("@")[2] or None)
        message["Auto-Submitted"] = "auto-generated"  # keeps absence notices from being answered to
        text = cut(body, _LIMIT)
        # Quoted-printable passes servers that take seven bits only, and long lines.
        message.set_content(text, cte="quoted-printable")
        message.add_alternative(html(text), subtype="html", cte="quoted-printable")
        return message


def _checked(text: str) -> str:
    text = text.strip()
    name, address = parseaddr(text)
    local, at, domain = address.rpartition("@")
    try:
        whole = bool(at and local and domain) and not any(ord(char) < 32 or char in ",;" for char in text)
        Address(name, addr_spec=address)
    except (ValueError, MessageError, IndexError):
        whole = False
    if not whole:
        raise ValueError(f"{text!r} is no mail address: write name@example.com, or Name <name@example.com>")
    return text
