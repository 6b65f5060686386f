"""What does not happen is told: a run at nine, also when the tower was down then; a heartbeat; a table goes stale."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import urllib3

from orchestrator.clock import from_text, now, to_text

from ..paths import traversable_folder
from ..polling import free_port, until
from ..stack import Stack
from ..standins import mail, messengers
from ..stories import deploy, events_of, new_name, save

BODY = """() -> None:
    return None
"""


@contextmanager
def people(folder: Path) -> Iterator[tuple[mail.MailServer, messengers.Slack]]:
    """A mail server and Slack."""
    with mail.mail_server(folder, "plain") as post, messengers.Slack() as slack:
        yield post, slack


def reach(stack: Stack, name: str, post: mail.MailServer, slack: messengers.Slack) -> None:
    """The blocks ``email/<name>`` and ``slack/<name>``, by which people are reached."""
    save(stack, f"slack/{name}", webhook_url=f"{slack.url}/services/T0/B0/{slack.key}")
    server = save(stack, f"smtp-credentials/{name}", host=post.host, port=post.port, security="plain")
    save(stack, f"email/{name}", credentials=server, sender="tower@example.com", recipients=["team@example.com"])


def nine_o_clock(name: str, at: datetime) -> dict[str, Any]:
    """An expectation of a run of ``job/<name>`` each day at the time of ``at``: in a second, with a second's grace."""
    return {
        "name": name, "run": {"deployment": f"job/{name}"}, "every": {"interval": 86_400, "anchor": to_text(at)},
        "by": 1, "grace": 1, "severity": "critical",
        "then": [{"do": "notify", "block": f"email/{name}"}, {"do": "notify", "block": f"slack/{name}"}],
    }  # fmt: skip


def missed(stack: Stack, name: str) -> list[dict[str, Any]]:
    return [*stack.client.pages(f"expectations/{name}/occurrences", {"status": "missed"})]


def test_the_nine_o_clock_run_does_not_happen(stack: Stack, tmp_path: Path) -> None:
    name = new_name("nine")
    with people(tmp_path) as (post, slack):
        reach(stack, name, post, slack)
        deploy(stack, tmp_path / "project", name, BODY)
        nine = now() + timedelta(seconds=2)
        stack.client.post("expectations", nine_o_clock(name, nine))
        until(lambda: post.mails and slack.messages, "the mail and the message", 120)
        [occurrence] = missed(stack, name)
    assert from_text(occurrence["deadline"]) - nine <= timedelta(seconds=2)
    [one], [other] = post.mails, slack.messages
    assert name in str(one["Subject"])
    assert f"{name}: missed; expected by" in other.text
    [event] = [item for item in events_of(stack, "expectation.missed") if item["resource"]["resource.name"] == name]
    assert event["source"] == "tower"
    stack.client.delete(f"expectations/{name}")


def test_the_tower_was_down_across_nine(tmp_path: Path) -> None:
    name = "nine"
    with traversable_folder() as home, people(tmp_path) as (post, slack):
        stack = Stack(home, free_port(), {"ORCHESTRATOR_STOP_GRACE": "5s"})
        with up(stack):
            reach(stack, name, post, slack)
            deploy(stack, tmp_path / "project", name, BODY)
            nine = now() + timedelta(seconds=12)
            stack.client.post("expectations", nine_o_clock(name, nine))
        until(lambda: now() > nine + timedelta(seconds=2), "nine and its grace")
        begun = now()
        with up(stack):
            until(lambda: post.mails and slack.messages, "the mail and the message", 120)
            [occurrence] = missed(stack, name)
    assert from_text(occurrence["deadline"]) < begun < from_text(occurrence["judged"])
    late = from_text(occurrence["judged"]) - from_text(occurrence["deadline"])
    assert occurrence["judged_late"] is (late > timedelta(seconds=70))
    assert (len(post.mails), len(slack.messages)) == (1, 1)


@contextmanager
def up(stack: Stack) -> Iterator[None]:
    """The server, from when it is ready until it is asked to stop."""
    with stack.process("server", "start", "--port", str(stack.port)) as server:

        def ready() -> bool:
            assert server.poll() is None, server.log.read_text()
            return stack.cli("server", "status", "--output", "json").returncode == 0

        until(ready, "the server to be ready", 90)
        yield


def test_a_heartbeat_stops(stack: Stack, tmp_path: Path) -> None:
    name = new_name("beat")
    with people(tmp_path) as (post, slack):
        reach(stack, name, post, slack)
        ping = stack.client.post("pings", {"name": name})
        document = {
            "name": name, "severity": "critical",
            "when": {
                "absent": True, "expect": "ping.succeeded", "match": {"resource.id": f"ping.{name}"},
                "for_each": "resource.id", "within": 2,
            },
            "then": [{"do": "notify", "block": f"slack/{name}", "subject": "No word of {{ labels.resource.id }}"}],
            "on_resolve": [{"do": "notify", "block": f"slack/{name}", "subject": "Back: {{ labels.resource.id }}"}],
        }  # fmt: skip
        trigger = stack.client.post("triggers", document)
        beat(ping["url"])
        until(lambda: slack.messages, "word of the silence", 90)
        assert f"No word of ping.{name}" in slack.messages[0].text
        [firing] = [*stack.client.pages("firings", {"trigger_id": trigger["id"]})]
        [heard] = events_of(stack, "ping.succeeded", f"ping.{name}")
        assert (firing["state"], firing["context"]["key"]) == ("open", {"resource.id": f"ping.{name}"})
        assert from_text(firing["occurred"]) - from_text(heard["occurred"]) == timedelta(seconds=2)

        beat(ping["url"])
        until(lambda: len(slack.messages) >= 2, "word of its return", 90)
        assert f"Back: ping.{name}" in slack.messages[1].text
        stack.client.delete(f"triggers/{trigger['id']}")


def beat(url: str) -> None:
    assert urllib3.request("POST", url).status == 204


def test_a_table_that_nobody_orchestrates_goes_stale(stack: Stack, tmp_path: Path) -> None:
    name, file = new_name("stale"), tmp_path / "shop.db"
    fill(file, "CREATE TABLE orders (id INTEGER PRIMARY KEY)", "INSERT INTO orders VALUES (1)")
    with people(tmp_path) as (post, slack), stack.agent("default"):
        reach(stack, name, post, slack)
        save(stack, f"sql-database/{name}", connection_url=f"sqlite:///{file}")
        look(stack, name)
        [table] = [*stack.client.pages("resources", {"source": f"sql-database/{name}", "kind": "sql.table"})]
        document = {
            "name": name, "within": 2, "on": {"match": {"resource.id": table["id"]}, "expect": ["sql.table.grew"]},
            "then": [{"do": "notify", "block": f"slack/{name}"}],
            "on_resolve": [{"do": "notify", "block": f"slack/{name}", "subject": "Fresh: {{ expectation.name }}"}],
        }  # fmt: skip
        stack.client.post("expectations", document)
        until(lambda: slack.messages, "word of the stale table", 120)
        assert len(missed(stack, name)) == 1
        assert name in slack.messages[0].text

        fill(file, "INSERT INTO orders VALUES (2), (3)")
        look(stack, name)
        until(lambda: len(slack.messages) >= 2, "word of its return", 120)
        assert f"Fresh: {name}" in slack.messages[1].text
        stack.client.delete(f"expectations/{name}")


def fill(file: Path, *statements: str) -> None:
    with closing(sqlite3.connect(file)) as link:
        for statement in statements:
            link.execute(statement)
        link.commit()


def look(stack: Stack, name: str) -> None:
    done = stack.cli("block", "discover", f"sql-database/{name}")
    assert done.returncode == 0, done.stderr
