"""What every tracker promises, held against each of them and a local service that behaves like its own."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from orchestrator.blocks.github_credentials import GitHubCredentials
from orchestrator.blocks.github_issues import GitHubIssues
from orchestrator.blocks.jira import Jira
from orchestrator.blocks.monday import Monday
from orchestrator.errors import AccessDenied, InvalidInput, NotFound, OrchestratorError, Unavailable

from ..polling import free_port
from ..standins import trackers

WRONG = "canary-wrong-key-0123456789"


@dataclass
class Given:
    """A tracker whose stand-in runs."""

    tickets: Any
    wrong: Any
    away: Any
    service: trackers.Tracker

    def issue(self, ticket_id: str) -> trackers.Issue:
        return self.service.issues[int(ticket_id.rpartition("-")[2])]


KINDS: dict[str, tuple[type[trackers.Tracker], Callable[[str, str], Any]]] = {
    "jira": (
        trackers.Jira,
        lambda url, key: Jira(api_url=url, email="robot@example.com", api_token=key, project="OPS", labels=["load"]),
    ),
    "github": (
        trackers.GitHub,
        lambda url, key: GitHubIssues(
            credentials=GitHubCredentials(token=key, api_url=url), repository="example/warehouse", labels=["load"]
        ),
    ),
    "monday": (trackers.Monday, lambda url, key: Monday(api_url=f"{url}/v2", api_token=key, board="77")),
}


@pytest.fixture(params=KINDS)
def given(request: pytest.FixtureRequest) -> Iterator[Given]:
    service, make = KINDS[request.param]
    with service() as running:
        away = f"http://127.0.0.1:{free_port()}"
        yield Given(make(running.url, running.key), make(running.url, WRONG), make(away, running.key), running)


def refused(given: Given, kind: type[OrchestratorError], verb: Callable[[], Any]) -> str:
    with pytest.raises(kind) as caught:
        verb()
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    assert given.service.key not in shown
    assert WRONG not in shown
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def test_a_ticket_is_opened_commented_and_closed(given: Given) -> None:
    ticket = given.tickets.open("The load is late", "Nothing since **noon**.", ["daily load"])
    assert ticket.url.startswith("http")
    assert given.tickets.is_open(ticket.id)
    issue = given.issue(ticket.id)
    assert issue.title == "The load is late"
    assert "noon" in trackers.text_of(issue.body)
    given.tickets.comment(ticket.id, "Still nothing.")
    assert "Still nothing." in trackers.text_of(issue.comments[0])
    given.tickets.close(ticket.id, "It came.")
    assert not given.tickets.is_open(ticket.id)
    assert "It came." in trackers.text_of(issue.comments[1])


def test_labels_are_kept(given: Given) -> None:
    issue = given.issue(given.tickets.open("t", "b", ["daily load"]).id)
    kept = " ".join(issue.labels) + trackers.text_of(issue.body)
    assert "daily" in kept
    if issue.labels:
        assert "load" in issue.labels


def test_a_closed_ticket_stays_closed_and_hears_no_more(given: Given) -> None:
    ticket = given.tickets.open("t", "b")
    given.tickets.close(ticket.id)
    given.tickets.close(ticket.id, "again")
    assert not given.tickets.is_open(ticket.id)
    assert given.issue(ticket.id).comments == []


def test_any_script_and_markup_arrive(given: Given) -> None:
    body = (
        "# Größe\n\n**bold** *it* ~~old~~ `code` [link](https://example.com)\nmore\n\n- 数据\n  - deep\n\n1. 🚀\n\n"
        "> said\n\n```sql\nSELECT 1\n```\n\n---\n\n<script>x</script> ![picture](https://example.com/a.png)\n\n```\n```"
    )
    ticket = given.tickets.open("Läufe 🚨", body)
    issue = given.issue(ticket.id)
    assert issue.title == "Läufe 🚨"
    for piece in ("Größe", "bold", "code", "数据", "deep", "🚀", "SELECT 1", "said"):
        assert piece in trackers.text_of(issue.body)
    given.tickets.comment(ticket.id, body)
    assert "SELECT 1" in trackers.text_of(issue.comments[0])


def test_what_is_too_long_is_cut_and_says_so(given: Given) -> None:
    ticket = given.tickets.open("A long\ntitle " * 100, "long words " * 20_000)
    issue = given.issue(ticket.id)
    assert issue.title.startswith("A long")
    assert "more characters" in trackers.text_of(issue.body)
    given.tickets.comment(ticket.id, "long words " * 20_000)
    assert "more characters" in trackers.text_of(issue.comments[0])


def test_a_ticket_may_lack_a_body_but_no_title(given: Given) -> None:
    assert given.tickets.is_open(given.tickets.open("title alone", "").id)
    refused(given, InvalidInput, lambda: given.tickets.open("  ", ""))


@pytest.mark.parametrize("verb", ["is_open", "close", "comment"])
def test_a_ticket_that_is_not_there_is_not_found(given: Given, verb: str) -> None:
    known = given.tickets.open("t", "b").id
    unknown = known[:-2] + "99999"
    refused(given, NotFound, lambda: getattr(given.tickets, verb)(unknown, *(["x"] if verb == "comment" else [])))


@pytest.mark.parametrize("ticket_id", ["", "../user", "1/../../x", "OPS 1", "1?x=2", "é"])
def test_what_cannot_be_a_ticket_is_never_asked_for(given: Given, ticket_id: str) -> None:
    refused(given, InvalidInput, lambda: given.tickets.is_open(ticket_id))
    refused(given, InvalidInput, lambda: given.tickets.comment(ticket_id, "x"))
    refused(given, InvalidInput, lambda: given.tickets.close(ticket_id))
    assert given.service.requests == []


def test_wrong_credentials_are_access_denied(given: Given) -> None:
    refused(given, AccessDenied, lambda: given.wrong.open("t", "b"))
    refused(given, AccessDenied, given.wrong.test)
    assert given.service.issues == {}


def test_a_tracker_that_is_away_or_broken_is_unavailable(given: Given) -> None:
    refused(given, Unavailable, lambda: given.away.open("t", "b"))
    given.service.failing(502, "<html>bad gateway</html>", Content_Type="text/html")
    assert "502" in refused(given, Unavailable, lambda: given.tickets.open("t", "b"))


def test_a_tracker_that_asks_to_wait_is_asked_again(given: Given) -> None:
    given.service.failing(429, {"message": "slow down"}, times=2, Retry_After="0")
    assert given.tickets.open("t", "").id
    assert len(given.service.requests) == 3
    assert len(given.service.issues) == 1


def test_a_refused_ticket_is_invalid_input_in_the_trackers_words(given: Given) -> None:
    given.service.failing(400, {"message": f"the field is wrong {given.service.key}"})
    assert "the field is wrong ********" in refused(given, InvalidInput, lambda: given.tickets.open("t", "b"))


def test_no_secret_is_shown_and_the_test_says_what_it_saw(given: Given) -> None:
    assert given.service.key not in repr(given.tickets)
    said = given.tickets.test()
    assert said.endswith(".")
    assert given.service.key not in said
    assert given.service.issues == {}
