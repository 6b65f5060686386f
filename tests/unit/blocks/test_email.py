"""Mails, by a real mail server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from orchestrator.blocks.email import Email
from orchestrator.blocks.smtp_credentials import SMTPCredentials
from orchestrator.errors import AccessDenied, BlockError, InvalidInput, Unavailable

from ...standins.mail import PASSWORD, USER, MailServer, mail_server


def login(server: MailServer, **fields: Any) -> SMTPCredentials:
    given = {"host": server.host, "port": server.port, "username": USER, "password": PASSWORD, **fields}
    return SMTPCredentials(**{"ca_file": server.ca_file, **given})


def mail(server: MailServer, *recipients: str, **fields: Any) -> Email:
    return Email(credentials=login(server, **fields), sender="Robot <robot@example.com>", recipients=[*recipients])


@pytest.mark.parametrize("security", ["starttls", "tls", "plain"])
def test_each_way_to_encrypt(tmp_path: Path, security: str) -> None:
    account = {"username": "", "password": None} if security == "plain" else {}
    with mail_server(tmp_path, security) as server:
        block = mail(server, "team@example.com", security=security, **account)
        assert str(server.port) in block.test()
        assert server.mails == []
        block.notify("body", "subject")
        assert len(server.mails) == 1
        assert bool(server.envelopes[0].smtp_utf8) is False


def test_a_mail_is_text_and_html_with_its_headers(tmp_path: Path) -> None:
    with mail_server(tmp_path) as server:
        block = mail(server, "team@example.com", "Ärzte <praxis@example.com>")
        block.model_copy(update={"reply_to": "people@example.com"}).notify(
            "**Größe** 数据\n\n<script>x</script>\n" + "long " * 400, "Läufe 🚨\r\nBcc: evil@example.com"
        )
        (found,) = server.mails
        assert server.envelopes[0].rcpt_tos == ["team@example.com", "praxis@example.com"]
        assert found["Subject"] == "Läufe 🚨"
        assert found["Bcc"] is None
        assert found["To"] == "team@example.com, Ärzte <praxis@example.com>"
        assert found["Reply-To"] == "people@example.com"
        assert found["Date"]
        assert found["Message-ID"].endswith("@example.com>")
        plain, rich = (found.get_body((kind,)) for kind in ("plain", "html"))
        assert plain is not None
        assert rich is not None
        assert "**Größe** 数据" in plain.get_content()
        assert "<strong>Größe</strong>" in rich.get_content()
        assert "<script>" not in rich.get_content()


def test_some_refused_recipients_do_not_keep_it_from_the_others(tmp_path: Path) -> None:
    with mail_server(tmp_path) as server:
        with pytest.raises(InvalidInput, match=r"nobody@example\.com: 550.*no such mailbox"):
            mail(server, "team@example.com", "nobody@example.com").notify("x")
        assert server.envelopes[0].rcpt_tos == ["team@example.com"]
        with pytest.raises(Unavailable, match="full"):
            mail(server, "team@example.com", "full@example.com").notify("x")
        with pytest.raises(InvalidInput, match="550"):
            mail(server, "nobody@example.com").notify("x")


def test_a_certificate_that_nobody_knows_is_not_trusted(tmp_path: Path) -> None:
    with mail_server(tmp_path) as server:
        with pytest.raises(Unavailable, match=r"certificate verify failed|CERTIFICATE_VERIFY_FAILED"):
            login(server, ca_file=None).test()
        with pytest.raises(BlockError, match=r"nowhere\.pem cannot be read"):
            login(server, ca_file=str(tmp_path / "nowhere.pem")).test()


def test_a_server_that_asks_for_a_login_or_for_encryption_says_so(tmp_path: Path) -> None:
    with mail_server(tmp_path) as server:
        with pytest.raises(AccessDenied, match="530"):
            mail(server, "a@example.com", username="", password=None).notify("x")
        with pytest.raises((AccessDenied, InvalidInput), match=r"530|not supported"):
            mail(server, "a@example.com", security="plain").notify("x")


def test_a_password_that_mail_cannot_carry_is_explained(tmp_path: Path) -> None:
    with mail_server(tmp_path) as server, pytest.raises(InvalidInput, match="ASCII"):
        login(server, password="pässwort").test()


def test_a_client_is_logged_in(tmp_path: Path) -> None:
    with mail_server(tmp_path) as server, login(server).client() as link:
        assert link.noop()[0] == 250


@pytest.mark.parametrize(
    "address", ["", "robot", "robot@", "@example.com", "a@b.c, d@e.f", "a@b.c\nBcc: d@e.f", "a b@c.d", "<>"]
)
def test_what_is_no_address_is_refused(address: str) -> None:
    server = SMTPCredentials(host="localhost")
    with pytest.raises(ValidationError):
        Email(credentials=server, sender=address, recipients=["a@b.c"])
    with pytest.raises(ValidationError):
        Email(credentials=server, sender="a@b.c", recipients=[address])


def test_a_login_is_whole_and_ports_follow_the_encryption() -> None:
    with pytest.raises(ValidationError, match="go together"):
        SMTPCredentials(host="localhost", username="x")
    ports = [SMTPCredentials(host="localhost", security=way)._port for way in ("starttls", "tls", "plain")]
    assert ports == [587, 465, 25]
