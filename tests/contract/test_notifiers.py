"""What every notifier promises, held against each of them and a local service that behaves like its own."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from orchestrator.block import Block
from orchestrator.blocks.apprise import Apprise
from orchestrator.blocks.discord import Discord
from orchestrator.blocks.email import Email
from orchestrator.blocks.mattermost import Mattermost
from orchestrator.blocks.opsgenie import Opsgenie
from orchestrator.blocks.pagerduty import PagerDuty
from orchestrator.blocks.slack import Slack
from orchestrator.blocks.slack_credentials import SlackCredentials
from orchestrator.blocks.smtp_credentials import SMTPCredentials
from orchestrator.blocks.teams import Teams
from orchestrator.blocks.telegram import Telegram
from orchestrator.blocks.twilio import Twilio
from orchestrator.blocks.webhook import Webhook
from orchestrator.errors import AccessDenied, InvalidInput, OrchestratorError, Unavailable

from ..polling import free_port
from ..standins import messengers
from ..standins.mail import PASSWORD, USER, MailServer, mail_server

# Apprise loads all its services, one of which uses a module that Python is about to drop.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")

WRONG = "canary-wrong-key-0123456789"


@dataclass
class Kind:
    """How a notifier is made for its stand-in."""

    service: Callable[[], messengers.Messenger]
    make: Callable[[str, str], Any]
    #: A key of the right form that the service does not know.
    wrong: str = WRONG
    #: The service may take a title of its own, which is looked for in one text here.
    note: str = "cut:"


KINDS = {
    "slack": Kind(messengers.Slack, lambda url, key: Slack(webhook_url=f"{url}/services/T0/B0/{key}")),
    "slack-app": Kind(
        messengers.Slack,
        lambda url, key: Slack(credentials=SlackCredentials(token=key, api_url=f"{url}/api"), channel="#loads"),
    ),
    "discord": Kind(messengers.Discord, lambda url, key: Discord(webhook_url=f"{url}/api/webhooks/1/{key}")),
    "mattermost": Kind(messengers.Mattermost, lambda url, key: Mattermost(webhook_url=f"{url}/hooks/{key}")),
    "teams": Kind(messengers.Teams, lambda url, key: Teams(webhook_url=f"{url}/workflows/1?sp=%2Frun&sig={key}")),
    "pagerduty": Kind(messengers.PagerDuty, lambda url, key: PagerDuty(routing_key=key, api_url=url), "f" * 32),
    "opsgenie": Kind(messengers.Opsgenie, lambda url, key: Opsgenie(api_key=key, api_url=url)),
    "twilio": Kind(
        messengers.Twilio,
        lambda url, key: Twilio(
            account_sid="AC123", auth_token=key, sender="+15005550006", recipients=["+1 500 555-0009"], api_url=url
        ),
    ),
    "telegram": Kind(
        messengers.Telegram,
        lambda url, key: Telegram(token=key, chat="-100", api_url=url),
        "123456:canary-wrong-0123456789",
    ),
    "webhook": Kind(messengers.Endpoint, lambda url, key: Webhook(url=f"{url}/hooks/{key}")),
    "apprise": Kind(
        messengers.Endpoint, lambda url, key: Apprise(url=f"json://user:{key}@{url.partition('//')[2]}/loads"),
    ),
}  # fmt: skip
HTTP = [name for name in KINDS if name != "apprise"]  # Apprise makes its requests itself, and does not wait


@dataclass
class Given:
    """A notifier whose stand-in runs."""

    notifier: Any
    taken: Callable[[], list[str]]
    wrong: Any
    away: Any
    key: str
    wrong_key: str
    service: messengers.Messenger | None = None


@pytest.fixture
def given(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Given]:
    if request.param == "email":
        with mail_server(tmp_path) as server:
            yield given_email(server)
        return
    kind = KINDS[request.param]
    with kind.service() as service:
        away = f"http://127.0.0.1:{free_port()}"
        yield Given(
            kind.make(service.url, service.key),
            lambda: [message.text for message in service.messages],
            kind.make(service.url, kind.wrong),
            kind.make(away, service.key),
            service.key,
            kind.wrong,
            service,
        )


def given_email(server: MailServer) -> Given:
    def make(port: int, password: str) -> Email:
        login = SMTPCredentials(
            host=server.host, port=port, username=USER, password=password, ca_file=server.ca_file, security="starttls"
        )
        return Email(credentials=login, sender="Robot <robot@example.com>", recipients=["team@example.com"])

    def taken() -> list[str]:
        texts = []
        for mail in server.mails:
            part = mail.get_body(("plain",))
            assert part is not None
            texts.append(f"{mail['Subject']}\n{part.get_content()}")
        return texts

    return Given(make(server.port, PASSWORD), taken, make(server.port, WRONG), make(free_port(), PASSWORD),
                 PASSWORD, WRONG)  # fmt: skip


every = pytest.mark.parametrize("given", [*KINDS, "email"], indirect=True)
every_by_http = pytest.mark.parametrize("given", HTTP, indirect=True)


def secrets_in(error: BaseException, given: Given) -> bool:
    shown = "".join(traceback.format_exception(error)) + repr(error) + str(error)
    return given.key in shown or given.wrong_key in shown


def refused(given: Given, notifier: Any, kind: type[OrchestratorError]) -> OrchestratorError:
    with pytest.raises(kind) as caught:
        notifier.notify("The load is late.", "Loads")
    error = caught.value
    assert not secrets_in(error, given)
    assert len(str(error).splitlines()) == 1
    return error


@every
def test_body_and_subject_are_delivered_once(given: Given) -> None:
    given.notifier.notify("The daily load is done.", subject="Loads")
    (text,) = given.taken()
    assert "Loads" in text
    assert "The daily load is done." in text
    assert text.index("Loads") < text.index("The daily")


@every
def test_a_message_needs_no_subject(given: Given) -> None:
    given.notifier.notify("The daily load is done.")
    assert "The daily load is done." in given.taken()[0]


@every
def test_any_script_and_markup_arrive(given: Given) -> None:
    body = "**Größe** 数据 🚀 `a < b & c` [link](https://example.com/?a=1&b=2)\n\n- one\n- two\n\n<script>x</script>"
    given.notifier.notify(body, subject="Läufe 🚨 <b>")
    (text,) = given.taken()
    for piece in ("Größe", "数据", "🚀", "a < b & c", "one", "two", "Läufe 🚨"):
        assert piece in text


@every
def test_what_is_too_long_is_cut_and_says_so(given: Given) -> None:
    given.notifier.notify("🚀 début " + "long words " * 200_000, subject="A long one")
    (text,) = given.taken()
    assert "🚀 début long words" in text
    assert "cut: " in text
    assert "more characters" in text


@every
def test_a_long_subject_does_not_keep_the_message_from_arriving(given: Given) -> None:
    given.notifier.notify("body", subject="subject\r\nX-Evil: header " * 300)
    (text,) = given.taken()
    assert text.startswith(("subject", "#### subject", "**subject"))


@every
def test_wrong_credentials_are_access_denied(given: Given) -> None:
    error = refused(given, given.wrong, AccessDenied)
    assert "40" in str(error) or "refuses" in str(error) or "535" in str(error) or "know" in str(error)
    assert given.taken() == []


@every
def test_a_service_that_is_away_is_unavailable(given: Given) -> None:
    refused(given, given.away, Unavailable)


@every
def test_no_secret_is_shown_by_the_block_itself(given: Given) -> None:
    assert given.key not in repr(given.notifier)
    assert given.key not in str(given.notifier)
    held = given.notifier.credentials if getattr(given.notifier, "credentials", None) else given.notifier
    assert isinstance(held, Block)
    assert given.key not in str(held.type_facts())
    assert given.key in str(held.to_document())


@every
def test_the_test_says_what_it_saw_and_sends_nothing(given: Given) -> None:
    said = given.notifier.test()
    assert said.endswith(".")
    assert given.key not in said
    assert given.taken() == []


@every_by_http
@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_an_error_of_the_service_is_unavailable(given: Given, status: int) -> None:
    assert given.service is not None
    given.service.failing(status, "<html>oops</html>", Content_Type="text/html")
    error = refused(given, given.notifier, Unavailable)
    assert str(status) in str(error)
    assert "html" not in str(error)


@every_by_http
@pytest.mark.parametrize("status", [429, 503])
def test_a_service_that_asks_to_wait_is_asked_again(given: Given, status: int) -> None:
    assert given.service is not None
    given.service.failing(status, {"message": "slow down"}, times=2, Retry_After="0")
    given.notifier.notify("The load is late.", "Loads")
    assert len(given.taken()) == 1
    assert len(given.service.requests) == 3


@every_by_http
def test_nobody_waits_for_long(given: Given) -> None:
    assert given.service is not None
    given.service.failing(429, {"message": "slow down"}, Retry_After="3600")
    assert "3600 s" in str(refused(given, given.notifier, Unavailable))
    assert len(given.service.requests) == 1


@every_by_http
def test_a_refused_message_is_invalid_input_in_the_services_words(given: Given) -> None:
    assert given.service is not None
    given.service.failing(400, {"message": f"the field is wrong {given.key}", "ok": False})
    error = refused(given, given.notifier, InvalidInput)
    assert "the field is wrong ********" in str(error)


@pytest.mark.parametrize("given", ["email"], indirect=True)
def test_an_email_server_that_is_busy_is_unavailable(given: Given, tmp_path: Path) -> None:
    with mail_server(tmp_path) as server:
        busy = given_email(server)
        server.refusals.append("451 4.3.0 try again later")
        refused(busy, busy.notifier, Unavailable)
        server.refusals.append("554 5.6.0 looks like spam")
        assert "looks like spam" in str(refused(busy, busy.notifier, InvalidInput))


def test_apprise_tells_an_error_of_the_service_from_a_refusal() -> None:
    kind = KINDS["apprise"]
    with kind.service() as service:
        notifier = kind.make(service.url, service.key)
        service.failing(500)
        with pytest.raises(Unavailable):
            notifier.notify("x")
        service.failing(400)
        with pytest.raises(InvalidInput):
            notifier.notify("x")
