"""Events from outside and their lists."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from orchestrator.clock import now, to_text
from orchestrator.errors import NotFound
from orchestrator.ids import uuid7, uuid7_from
from orchestrator.server.db import session as db
from orchestrator.server.db.models import Event
from orchestrator.server.services.recording import events
from orchestrator.server.services.recording.events import EventFilter, EventRecord, Ingested

pytestmark = pytest.mark.usefixtures("database_url")
NOW = now()


def event(**more: Any) -> dict[str, Any]:
    return {"event": "table.written", "resource": {"resource.id": "t.sales"}, **more}


def ingest(*items: Any) -> Ingested:
    with db.transaction() as session:
        return events.ingest(session, items, NOW)


def count() -> int:
    with db.reading() as session:
        return session.scalar(select(func.count()).select_from(Event)) or 0


def test_an_event_is_stored_whole() -> None:
    key, before = uuid7(NOW), uuid7(NOW)
    related = [{"resource.id": "s.1", "resource.role": "source"}]
    told = event(id=str(key), occurred=to_text(NOW - timedelta(days=3)), related=related, payload={"rows": 3},
                 follows=str(before))  # fmt: skip
    assert ingest(told) == Ingested(1, [])
    with db.reading() as session:
        found = events.get(session, key)
        assert (found.event, found.resource_id, found.received) == ("table.written", "t.sales", NOW)
        assert (found.related, found.payload, found.follows) == (related, {"rows": 3}, before)
        assert found.occurred == NOW - timedelta(days=3)
        with pytest.raises(NotFound, match="there is no event"):
            events.get(session, before)


def test_the_same_event_again_is_stored_once() -> None:
    told = event(id=str(uuid7_from(NOW, "kafka:7")))
    assert [ingest(told, told).accepted, ingest(told).accepted] == [2, 1]
    assert count() == 1


def test_kind_source_and_relations_are_kept() -> None:
    relations = [{"target": "t.raw", "role": "reads"}, {"source": "job", "target": "t.sales", "role": "writes"}]
    with db.transaction() as session:
        events.ingest(session, [event(kind="relationship", relations=relations)], NOW, "webhook")
        events.record(session, [EventRecord("agent.started", {"resource.id": "orchestrator.agent.1"})], NOW)
    with db.reading() as session:
        ours, told = events.listing(session).items
        assert (told.kind, told.source) == ("relationship", "webhook")
        assert told.relations == [{"source": "t.sales", **relations[0]}, relations[1]]
        assert (ours.kind, ours.source, ours.relations) == ("operation", "tower", [])


def test_what_is_new_is_told_apart_from_what_was_there() -> None:
    keys = sorted(uuid7(NOW) for _ in range(3))
    records = [EventRecord("a.b", {"resource.id": "x"}, id=key, source="key") for key in (keys[2], keys[0], keys[2])]
    with db.transaction() as session:
        assert [one.id for one in events.store(session, records, NOW)] == [keys[0], keys[2]]
        more = [*records, EventRecord("a.b", {"resource.id": "x"}, id=keys[1], source="key")]
        assert [one.id for one in events.store(session, more, NOW)] == [keys[1]]
        [fresh] = events.store(session, [EventRecord("a.b", {"resource.id": "x"}, source="key")], NOW)
        assert fresh.id is not None


def test_batches_in_different_order_do_not_deadlock() -> None:
    told = [event(id=str(uuid7(NOW))) for _ in range(200)]
    with ThreadPoolExecutor(6) as pool:
        done = list(pool.map(lambda turn: ingest(*told[:: 1 if turn % 2 else -1]).accepted, range(12)))
    assert done == [200] * 12
    assert count() == 200


@pytest.mark.parametrize(
    ("poison", "code", "message"),
    [
        (7, "invalid", "valid dictionary"),
        ({"resource": {"resource.id": "x"}}, "invalid", "event: Field required"),
        (event(event=""), "invalid", "event: "),
        (event(colour="red"), "invalid", "colour: "),
        (event(resource={"resource.name": "x"}), "invalid", "resource: give it an id"),
        (event(resource={"resource.id": "x" * 2001}), "invalid", "resource: its resource.id has more than 2,000 bytes"),
        (event(resource={"resource.id": "x", "n": 3}), "invalid", "resource.n: "),
        (event(related=[{"resource.id": "x"}]), "invalid", "related.0: the label resource.role is missing"),
        (event(occurred="2026-03-01T00:00:00"), "invalid", "occurred: "),
        (event(kind="rumour"), "invalid", "kind: "),
        (event(relations=[{"target": "x"}]), "invalid", "relations.0.role: Field required"),
        (event(relations=[{"target": "", "role": "reads"}]), "invalid", "relations.0.target: "),
        (event(event="flow-run.completed"), "reserved", "names that begin with flow-run. are the server's own"),
        (event(event="Block.deleted"), "reserved", "choose another"),
        (event(payload={"x": "a\x00b"}), "null-character", "U+0000"),
        (event(payload={"a\x00b": 1}), "null-character", "U+0000"),
        (event(payload={"x": "\ud800"}), "invalid", "no JSON form"),
        (event(payload={"x": "y" * 1_500_000}), "too-large", "1,500,000"),
        (event(resource={"resource.id": "x", **{str(n): "" for n in range(500)}}), "invalid", "resource: "),
        (event(id=str(uuid.uuid4())), "id-not-v7", "UUIDv7"),
        (event(id=str(uuid7(NOW + timedelta(minutes=6)))), "id-ahead", "more than 5 minutes ahead"),
        (event(id=str(uuid7(NOW - timedelta(days=30)))), "id-expired", "older than events are kept"),
    ],
    ids=lambda value: value if isinstance(value, str) and " " not in value else "",
)
def test_a_poisoned_event_is_refused_alone(poison: Any, code: str, message: str) -> None:
    outcome = ingest(event(), poison, event())
    assert (outcome.accepted, [(item.index, item.code) for item in outcome.refused]) == (2, [(1, code)])
    assert message in outcome.refused[0].message
    assert count() == 2


def test_numbers_that_json_lacks_do_not_break_a_batch() -> None:
    assert ingest(event(payload={"x": float("inf"), "y": 2**80})).refused == []
    assert count() == 1


def test_lists_are_narrowed() -> None:
    for minutes, name, resource in ((3, "a.x", "r.1"), (2, "a.y", "r.2"), (1, "b", "r.1")):
        key = uuid7(NOW - timedelta(minutes=minutes))
        ingest(event(id=str(key), event=name, resource={"resource.id": resource}))

    def found(oldest_first: bool = False, **wanted: Any) -> list[str]:
        with db.reading() as session:
            page = events.listing(session, EventFilter(**wanted), oldest_first=oldest_first)
            return [row.event for row in page.items]

    assert found() == ["b", "a.y", "a.x"]
    assert found(oldest_first=True) == ["a.x", "a.y", "b"]
    assert found(event="a.*") == ["a.y", "a.x"]
    assert found(event="a.x") == ["a.x"]
    assert found(resource_id="r.1") == ["b", "a.x"]
    assert found(after=NOW - timedelta(seconds=150)) == ["b", "a.y"]
    assert found(before=NOW - timedelta(seconds=150)) == ["a.x"]
    with db.reading() as session:
        first = events.listing(session, limit=2)
        assert first.next is not None
        assert [row.event for row in events.listing(session, cursor=first.next).items] == ["a.x"]
