"""A mail server and an account of it: what the Email block sends by."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, Literal

from pydantic import Field, SecretStr, model_validator

from orchestrator.block import Block
from orchestrator.errors import AccessDenied, BlockError, InvalidInput, OrchestratorError, Unavailable
from orchestrator.interfaces import Credentials

from .http_messages import masked

_PORTS = {"starttls": 587, "tls": 465, "plain": 25}
# RFC 4954: 530 asks for a login, 534 and 535 refuse one, 538 refuses an unencrypted one.
_DENIED = (530, 534, 535, 538)


class SMTPCredentials(Block, Credentials):
    """A mail server that takes mails (SMTP), and an account of it."""

    _name: ClassVar[str] = "SMTP credentials"
    _slug: ClassVar[str] = "smtp-credentials"
    _logo: ClassVar[str] = "tabler:mail-cog"
    _docs_url: ClassVar[str] = "https://docs.python.org/3/library/smtplib.html"
    _code_example: ClassVar[str] = """
        from orchestrator.blocks.smtp_credentials import SMTPCredentials

        SMTPCredentials(host="smtp.example.com", username="robot@example.com", password="...").save("post")
        """

    host: str = Field(min_length=1, pattern=r"^[^\s/@]+$", description="Name or address of the mail server.")
    port: int | None = Field(None, ge=1, le=65535, description="Empty: 587 with STARTTLS, 465 with TLS, 25 without.")
    security: Literal["starttls", "tls", "plain"] = Field(
        "starttls",
        description="How the connection is encrypted: starttls after its first words, tls from its start, plain never.",
    )
    username: str = Field("", description="Account to log in with; empty: no login.")
    password: SecretStr | None = Field(None, description="The account's password, or one made for this use.")
    ca_file: str | None = Field(
        None, description="File of certificates to trust (PEM), where the server's is not known to the computer."
    )

    @model_validator(mode="after")
    def _whole_login(self) -> SMTPCredentials:
        if bool(self.username) != bool(self.password and self.password.get_secret_value()):
            raise ValueError("username and password go together")
        return self

    def client(self, **options: Any) -> smtplib.SMTP:
        """A connection that is logged in; use it with ``with``. ``options`` are those of ``smtplib.SMTP``.

        Raises:
            Unavailable: The server cannot be reached, or its certificate is not trusted.
            AccessDenied: It refuses the account.
            InvalidInput: It does not do what the fields ask for.
        """
        with self.explained():
            link = self._connect({"timeout": 10, **options})
            try:
                if self.security == "starttls":
                    link.starttls(context=self._context())
                if self.username and self.password:
                    link.login(self.username, self.password.get_secret_value())
                if link.sock:
                    link.sock.settimeout(60)
            except BaseException:
                link.close()
                raise
            return link

    def test(self) -> str:
        """Connect, log in and say nothing (NOOP)."""
        with self.explained(), self.client() as link:
            link.noop()
        login = f", and takes the account {self.username}" if self.username else ""
        return f"{self.host} answers on port {self._port}{login}."

    @property
    def _port(self) -> int:
        return self.port or _PORTS[self.security]

    def _connect(self, options: dict[str, Any]) -> smtplib.SMTP:
        if self.security == "tls":
            return smtplib.SMTP_SSL(self.host, self._port, context=self._context(), **options)
        return smtplib.SMTP(self.host, self._port, **options)

    def _context(self) -> ssl.SSLContext:
        try:
            return ssl.create_default_context(cafile=self.ca_file)
        except OSError as error:
            raise BlockError(f"ca_file {self.ca_file} cannot be read: {error.strerror or error}") from None

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Raise what goes wrong with a connection, and what the server refuses, as our errors."""
        try:
            yield
        except smtplib.SMTPRecipientsRefused as error:
            raise self._refusal(*next(iter(error.recipients.values()))) from None
        except smtplib.SMTPResponseException as error:
            raise self._refusal(error.smtp_code, error.smtp_error) from None
        except smtplib.SMTPNotSupportedError as error:
            raise InvalidInput(f"the mail server {self.host} does not do what is asked: {error}") from None
        except UnicodeEncodeError:
            raise InvalidInput(
                "username and password of a mail account may hold ASCII letters and signs only"
            ) from None
        except (smtplib.SMTPException, OSError) as error:
            why = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise Unavailable(self._masked(f"the mail server {self.host}:{self._port} cannot be used: {why}")) from None

    def _refusal(self, code: int, said: bytes | str) -> OrchestratorError:
        words = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
        text = self._masked(f"the mail server {self.host} answered {code}: {' '.join(words.split())[:300]}")
        if code in _DENIED:
            return AccessDenied(f"{text} (check username and password)")
        return Unavailable(text) if code < 500 else InvalidInput(text)

    def _masked(self, text: str) -> str:
        return masked(text, (self.password.get_secret_value(),) if self.password else ())
