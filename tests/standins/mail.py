"""A real mail server: STARTTLS or TLS from the start, logins, refused recipients."""

from __future__ import annotations

import email
import email.policy
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from ..polling import free_port

USER, PASSWORD = "robot@example.com", "canary-mail-password"


@dataclass
class MailServer:
    """What a running mail server took."""

    host: str
    port: int
    ca_file: str
    envelopes: list[Envelope] = field(default_factory=list)
    #: Said in place of taking the next mail.
    refusals: list[str] = field(default_factory=list)

    @property
    def mails(self) -> list[EmailMessage]:
        """The mails that were taken."""
        return [email.message_from_bytes(one.content or b"", policy=email.policy.default) for one in self.envelopes]  # type: ignore[arg-type,misc]


class _Handler:
    def __init__(self, server: MailServer) -> None:
        self.server = server

    async def handle_RCPT(self, smtp: SMTP, session: Session, envelope: Envelope, address: str, options: Any) -> str:
        if address.startswith("nobody"):
            return "550 5.1.1 no such mailbox"
        if address.startswith("full"):
            return "452 4.2.2 mailbox full"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, smtp: SMTP, session: Session, envelope: Envelope) -> str:
        if self.server.refusals:
            return self.server.refusals.pop()
        self.server.envelopes.append(envelope)
        return "250 OK"


def _login(server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
    known = isinstance(data, LoginPassword) and (data.login, data.password) == (USER.encode(), PASSWORD.encode())
    return AuthResult(success=known, handled=False)


@contextmanager
def mail_server(folder: Path, security: str = "starttls") -> Iterator[MailServer]:
    """A mail server on a port of its own; ``security`` is starttls, tls or plain (which asks for no login)."""
    ca, ca_file = trustme.CA(), folder / "ca.pem"
    ca.cert_pem.write_to_path(str(ca_file))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ca.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    server = MailServer("127.0.0.1", free_port(), str(ca_file))
    options: dict[str, Any] = {"authenticator": _login, "auth_required": security == "starttls"}
    if security == "starttls":
        options |= {"tls_context": context, "require_starttls": True}
    if security == "tls":
        options |= {"ssl_context": context, "auth_require_tls": False}
    controller = Controller(_Handler(server), hostname=server.host, port=server.port, **options)
    controller.start()
    try:
        yield server
    finally:
        controller.stop()
