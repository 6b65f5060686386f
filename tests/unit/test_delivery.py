"""One call for many batches: who is to blame for a refusal, and what is sent again under which number."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.client import Client
from orchestrator.reporting import spool
from orchestrator.reporting.delivery import Away, Delivery, joined
from orchestrator.reporting.spool import Batch

from .reports_server import ReportsServer

P, Q = str(uuid.uuid4()), str(uuid.uuid4())


@pytest.fixture
def server() -> Iterator[ReportsServer]:
    with ReportsServer() as running:
        yield running


@pytest.fixture
def delivery(server: ReportsServer, tmp_path: Path) -> Delivery:
    return Delivery(Client(server.url), tmp_path)


def batch(producer: str, first: int, *names: str) -> Batch:
    return Batch(producer, first, [json.dumps({"kind": "log", "name": name}).encode() for name in names])


def names(server: ReportsServer) -> list[str]:
    return [item["name"] for item in server.items]


def refused(folder: Path) -> list[tuple[Any, str]]:
    lines = (folder / spool.REFUSED).read_text().splitlines()
    return [(entry["code"], entry["item"]["name"]) for entry in map(json.loads, lines)]


def test_batches_that_follow_one_another_become_one() -> None:
    found = joined([batch(P, 1, "a"), batch(Q, 1, "x"), batch(P, 2, "b"), batch(P, 4, "d")])
    assert [(one.producer, one.first, len(one.items)) for one in found] == [(P, 1, 2), (P, 4, 1), (Q, 1, 1)]


def test_nothing_to_say_is_no_call(server: ReportsServer, delivery: Delivery) -> None:
    delivery.deliver([])
    delivery.deliver([Batch(P, 1, [])])
    assert server.calls == 0


def test_several_producers_travel_in_one_call(server: ReportsServer, delivery: Delivery) -> None:
    delivery.deliver([batch(P, 1, "a", "b"), batch(Q, 1, "x")])
    assert (names(server), server.calls) == (["a", "b", "x"], 1)


def test_the_culprit_of_a_refused_call_is_found_and_later_numbers_close_the_gap(
    server: ReportsServer, delivery: Delivery, tmp_path: Path
) -> None:
    server.fail = lambda body: 422 if '"bad"' in json.dumps(body) else None
    delivery.deliver([batch(P, 1, "a", "b", "bad", "c"), batch(Q, 1, "x")])
    delivery.deliver([batch(P, 5, "d")])
    assert sorted(names(server)) == ["a", "b", "c", "d", "x"]
    assert [name for name in names(server) if name != "x"] == ["a", "b", "c", "d"]
    assert server.marks[P] == 4
    assert refused(tmp_path) == [(422, "bad")]


def test_items_refused_by_name_are_settled(server: ReportsServer, delivery: Delivery, tmp_path: Path) -> None:
    server.refuse = lambda item: "terminal" if item["name"] in {"b", "c"} else None
    delivery.deliver([batch(P, 1, "a", "b", "c")])
    assert names(server) == ["a"]
    assert refused(tmp_path) == [("terminal", "b"), ("terminal", "c")]
    assert delivery.refused == 2


def test_a_producer_whose_mark_was_lost_goes_on_under_a_name_that_a_replay_finds_again(
    server: ReportsServer, delivery: Delivery, tmp_path: Path
) -> None:
    delivery.deliver([batch(P, 1, "a", "b")])
    server.marks.clear()
    delivery.deliver([batch(P, 3, "c")])
    delivery.deliver([batch(P, 4, "d")])
    again = Delivery(Client(server.url), tmp_path)
    again.deliver([batch(P, 3, "c")])
    assert names(server) == ["a", "b", "c", "d"]
    assert P not in server.marks


@pytest.mark.parametrize(
    ("status", "words", "retry_after"),
    [
        (401, "check ORCHESTRATOR_API_KEY", 30.0),
        (404, "does API_URL name an Orchestrator server", 30.0),
        (500, "answered 500", None),
        (503, "answered 503", None),
    ],
)
def test_what_is_not_the_batchs_fault_is_the_moments(
    server: ReportsServer, delivery: Delivery, status: int, words: str, retry_after: float | None
) -> None:
    server.fail = lambda body: status
    with pytest.raises(Away, match=words) as away:
        delivery.deliver([batch(P, 1, "a")])
    assert away.value.retry_after == retry_after
    server.fail = lambda body: None
    delivery.deliver([batch(P, 1, "a")])
    assert names(server) == ["a"]


def test_an_api_that_is_not_there_is_away(tmp_path: Path) -> None:
    with ReportsServer() as gone:
        url = gone.url
    with pytest.raises(Away, match=url.removeprefix("http://")):
        Delivery(Client(url), tmp_path).deliver([batch(P, 1, "a")])


def test_a_kept_connection_that_was_closed_is_tried_once_more(server: ReportsServer, delivery: Delivery) -> None:
    answers: list[int | str | None] = [None, "close", None]
    server.fail = lambda body: answers.pop(0)
    delivery.deliver([batch(P, 1, "a")])
    delivery.deliver([batch(P, 2, "b")])
    assert (names(server), answers) == (["a", "b"], [])
