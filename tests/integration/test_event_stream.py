"""Following events: over the API, by the feed itself, and by the command."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient

from orchestrator.client import Client
from orchestrator.clock import now
from orchestrator.ids import uuid7
from orchestrator.server import event_feed
from orchestrator.server.api import event_streams, holding
from orchestrator.server.db import session as db
from orchestrator.server.services.recording import events
from orchestrator.server.services.recording.events import EventFilter, EventRecord

from ..api import ClientAs
from ..live_api import Api
from ..polling import until

pytestmark = pytest.mark.usefixtures("database_url")
LONG = 60.0


def tell(*names: str, **more: Any) -> None:
    with db.transaction() as session:
        records = [EventRecord(name, {"resource.id": "x"}, source="key", **more) for name in names]
        events.store(session, records, now())


def follow(start: event_feed.Place | None = None, seconds: float = LONG, **wanted: Any) -> Iterator[Any]:
    return event_feed.follow(start, EventFilter(**wanted), 0.1, time.monotonic() + seconds)


def taken(following: Iterator[Any], many: int) -> list[tuple[str, event_feed.Place]]:
    """The names of the next events, each with the place behind it."""
    found: list[tuple[str, event_feed.Place]] = []
    deadline = time.monotonic() + LONG
    while len(found) < many:
        assert time.monotonic() < deadline, found
        rows, _ = next(following)
        found += [(row.event, event_feed.key(row)) for row in rows]
    return found


@pytest.fixture
def following() -> Iterator[Any]:
    made = follow()
    next(made)
    yield made
    made.close()


def test_events_come_as_they_are_stored(following: Any) -> None:
    tell("a.one")
    tell("a.two", "a.three")
    assert sorted(name for name, _ in taken(following, 3)) == ["a.one", "a.three", "a.two"]


def test_one_that_commits_late_is_not_passed_over(following: Any) -> None:
    with db.transaction() as slow:
        events.store(slow, [EventRecord("late.one", {"resource.id": "x"}, source="key")], now())
        tell("quick.one")
        rows, _ = next(following)
        assert list(rows) == [], "what comes behind an open transaction waits for it"
    assert [name for name, _ in taken(following, 2)] == ["late.one", "quick.one"]


def test_who_comes_again_goes_on_where_it_was() -> None:
    tell(*(f"a.{number:03}" for number in range(40)))
    since = now() - timedelta(minutes=1)
    with db.reading() as session:
        start = event_feed.place_since(session, since)
    seen: list[str] = []
    place: event_feed.Place | None = start
    for many in (1, 7, 20):
        made = follow(place)
        some = taken(made, many)[:many]
        made.close()
        seen += [name for name, _ in some]
        with db.reading() as session:
            place = event_feed.read_place(session, str(some[-1][1]))
    tell("a.last")
    made = follow(place)
    while seen[-1] != "a.last":
        seen += [name for name, _ in taken(made, 1)]
    made.close()
    assert sorted(seen) == [f"a.{number:03}" for number in range(40)] + ["a.last"], "none is missing, none twice"


def test_what_memory_holds_no_more_is_read(monkeypatch: pytest.MonkeyPatch, following: Any) -> None:
    monkeypatch.setattr(event_feed, "KEPT", 5)
    monkeypatch.setattr(event_feed, "PAGE", 7)
    for number in range(6):
        tell(*(f"a.{number}.{index}" for index in range(9)))
    with db.reading() as session:
        feed, last = event_feed._current(), event_feed.now_place(session)
    until(lambda: feed.place >= last, "all is in the feed")
    assert len(feed.rows) == 5
    names = [name for name, _ in taken(following, 54)]
    assert sorted(names) == sorted(f"a.{number}.{index}" for number in range(6) for index in range(9))


def test_many_follow_while_many_write() -> None:
    with ThreadPoolExecutor(8) as pool:
        followers = [follow() for _ in range(3)]
        for one in followers:
            next(one)
        writers = [pool.submit(tell, *(f"w.{writer}.{index}" for index in range(25))) for writer in range(4)]
        for writer in writers:
            writer.result()
        results = [sorted(name for name, _ in taken(one, 100)) for one in followers]
        for one in followers:
            one.close()
    assert results == [sorted(f"w.{writer}.{index}" for writer in range(4) for index in range(25))] * 3


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"event": ["a.*"]}, ["a.one", "a.two"]),
        ({"event": ["a.one", "b.*"]}, ["a.one", "b.one"]),
        ({"event": "*.one"}, ["a.one", "b.one"]),
        ({"kind": "heartbeat"}, ["b.one"]),
        ({"source": "run"}, ["a.two"]),
        ({"resource_id": "y"}, ["a.two"]),
    ],
    ids=str,
)
def test_filters_say_the_same_in_memory_and_in_the_table(wanted: dict[str, Any], found: list[str]) -> None:
    live = follow(**wanted)
    _, start = next(live)
    with db.transaction() as session:
        told = [
            EventRecord("a.one", {"resource.id": "x"}, source="key"),
            EventRecord("b.one", {"resource.id": "x"}, source="key", kind="heartbeat"),
            EventRecord("a.two", {"resource.id": "y"}, source="run"),
        ]
        events.store(session, told, now())
    assert sorted(name for name, _ in taken(live, len(found))) == found
    live.close()
    with db.reading() as session:
        rows = event_feed.read(session, start, event_feed.now_place(session), EventFilter(**wanted), 10)
    assert sorted(row.event for row in rows) == found


def test_places_are_read_back() -> None:
    key = uuid7(now())
    with db.transaction() as session:
        events.store(session, [EventRecord("a.b", {"resource.id": "x"}, id=key, source="key")], now())
    with db.reading() as session:
        place = event_feed.read_place(session, str(key))
        assert place.id == key
        assert event_feed.read_place(session, str(place)) == place
        gone = event_feed.read_place(session, str(uuid7(now() - timedelta(days=1))))
        assert gone < place
        far = event_feed.Place(place.xid + 10**9, key)
        assert event_feed.read_place(session, str(far)) == place, "another cluster's transaction"
        for text in ("", "x", "1.x", f"x.{key}"):
            with pytest.raises(ValueError, match=r"UUID|invalid literal"):
                event_feed.read_place(session, text)


class TestOverHttp:
    def test_places_are_taken_and_given_back(self, client_as: ClientAs, monkeypatch: pytest.MonkeyPatch) -> None:
        one = threading.BoundedSemaphore(1)
        monkeypatch.setattr(holding, "places", lambda threads, share: one if share == 4 else threading.Semaphore())
        viewer = client_as("viewer")
        first = viewer.get("/api/v1/events/stream")
        assert (first.status_code, first.mimetype) == (200, "text/event-stream")
        full = viewer.get("/api/v1/events/stream")
        assert (full.status_code, full.headers["Retry-After"]) == (503, "2")
        first.close()
        again = viewer.get("/api/v1/events/stream")
        assert again.status_code == 200
        again.close()

    @pytest.mark.parametrize("query", ["after=x", "kind=rumour", "source=x", "since=yesterday", "colour=red"])
    def test_what_cannot_be_read_is_refused(self, client_as: ClientAs, query: str) -> None:
        answer = client_as("viewer").get(f"/api/v1/events/stream?{query}")
        assert answer.status_code == 422
        assert query.partition("=")[0] in answer.json["message"]

    def test_a_key_is_needed(self, client_as: ClientAs) -> None:
        assert client_as("").get("/api/v1/events/stream").status_code == 401


def test_a_client_follows_leaves_and_comes_back(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_streams, "IDLE_S", 0.1)
    client = Client.from_settings()
    first = client.follow("events/stream", {"event": ["a.*"]})
    assert next(first)[1] is None, "it begins with its place"
    tell("b.one", "a.one")
    place, one = next(item for item in first if item[1] is not None)
    first.close()
    tell("a.two")
    second = client.follow("events/stream", {"event": ["a.*"]}, place)
    _, two = next(item for item in second if item[1] is not None)
    second.close()
    assert (one["event"], two["event"]) == ("a.one", "a.two")
    until(lambda: event_feed._current()._followers == 0, "the server noticed that nobody follows any more")


def test_a_histogram_counts_by_time_and_kind(client_as: ClientAs) -> None:
    viewer: FlaskClient = client_as("viewer")
    at = now()
    with db.transaction() as session:
        for minutes, kind in ((50, "operation"), (49, "heartbeat"), (5, "operation"), (90, "operation")):
            key = uuid7(at - timedelta(minutes=minutes))
            events.store(session, [EventRecord("a.b", {"resource.id": "x"}, id=key, kind=kind, source="key")], at)
    times = {"after": (at - timedelta(hours=1)).isoformat(), "before": at.isoformat(), "buckets": 6}
    found = viewer.get("/api/v1/events/histogram", query_string={**times, "event": "a.*"}).json
    assert (found["total"], found["cut"], found["seconds"]) == (3, False, 600.0)
    assert [bucket["total"] for bucket in found["buckets"]] == [0, 2, 0, 0, 0, 1]
    assert found["buckets"][1]["kinds"] == {"operation": 1, "heartbeat": 1}
    assert viewer.get("/api/v1/events/histogram", query_string={**times, "kind": "heartbeat"}).json["total"] == 1
    assert len(viewer.get("/api/v1/events/histogram").json["buckets"]) == 60
    refused = viewer.get("/api/v1/events/histogram", query_string={"after": at.isoformat(), "before": at.isoformat()})
    assert (refused.status_code, list(refused.json["errors"])) == (422, ["after"])


@pytest.mark.parametrize(
    ("event", "code"),
    [({"event": "x"}, 422), ({"event": "x", "resource": {"resource.id": "y"}, "payload": {"x": "y" * 1_500_000}}, 413)],
    ids=["invalid", "too large"],
)
def test_one_event_alone_is_refused_with_a_status(client_as: ClientAs, event: dict[str, Any], code: int) -> None:
    editor = client_as("editor")
    answer = editor.post("/api/v1/events", json=event)
    assert answer.status_code == code
    assert "was not taken" in answer.json["message"]
    many = editor.post("/api/v1/events", json=[event])
    assert (many.status_code, len(many.json["refused"])) == (202, 1)
