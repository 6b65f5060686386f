"""What events tell of resources, relations and states."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from orchestrator.clock import now, to_text
from orchestrator.errors import InvalidInput, NotFound
from orchestrator.ids import uuid7
from orchestrator.server import config
from orchestrator.server.db import session as db
from orchestrator.server.db.models import Relation, Resource, ResourceState
from orchestrator.server.loops import resources as loop
from orchestrator.server.loops import retention
from orchestrator.server.services.mapping import resource_edits, resource_rules, resources
from orchestrator.server.services.mapping.resources import ResourceFilter
from orchestrator.server.services.recording import events, observing, resource_states
from orchestrator.settings import Settings
from orchestrator.states import StateType
from tests.server_rows import ANN, add_deployment, add_run

pytestmark = pytest.mark.usefixtures("database_url")
NOW = now()


def ago(**time: float) -> datetime:
    return NOW - timedelta(**time)


def event(name: str = "table.written", key: str = "db://t", related: Any = (), **more: Any) -> dict[str, Any]:
    labels = {"resource.id": key, **more.pop("labels", {})}
    ends = [{"resource.id": end, "resource.role": role} for end, role in related]
    return {"event": name, "resource": labels, "related": ends, **more}


def ingest(*items: Any) -> None:
    with db.transaction() as session:
        assert events.ingest(session, items, NOW).refused == []


def rows(model: Any = Resource) -> dict[Any, Any]:
    with db.reading() as session:
        found = session.scalars(select(model)).all()
        return {(row.id if model is Resource else (row.source, row.target, row.role)): row for row in found}


def states(key: str) -> list[tuple[str, datetime, datetime | None]]:
    with db.reading() as session:
        return [(row.state, row.since, row.until) for row in resource_states.intervals(session, key).items]


def test_events_make_the_resources_and_relations_that_they_name() -> None:
    labels = {"resource.name": "t", "resource.kind": "table", "env": "prod"}
    ingest(
        event(labels=labels, related=[("db://house", "part-of"), ("x", "input")], occurred=to_text(ago(hours=2))),
        event("table.read", occurred=to_text(ago(hours=1)), related=[("db://house", "part-of")]),
        event("old", occurred=to_text(ago(hours=3)), relations=[{"target": "y", "role": "output"}]),
    )
    found = rows()
    assert set(found) == {"db://t", "db://house", "x", "y"}
    table = found["db://t"]
    assert (table.name, table.kind, table.labels, table.origin) == ("t", "table", {"env": "prod"}, "event")
    assert (table.first_seen, table.last_seen) == (ago(hours=3), ago(hours=1))
    assert (table.last_event, table.last_event_at) == ("table.read", ago(hours=1))
    assert (found["db://house"].kind, found["db://house"].name) == ("db", "db://house")
    assert (found["x"].kind, found["x"].last_event) == ("other", None)
    links = rows(Relation)
    assert set(links) == {("db://t", "db://house", "part-of"), ("db://t", "x", "reads"), ("db://t", "y", "writes")}
    ingest(event("table.read", occurred=to_text(NOW), related=[("db://house", "part-of")]))
    again = rows(Relation)["db://t", "db://house", "part-of"]
    assert (again.weight, again.first_seen, again.last_seen) == (2, ago(hours=2), NOW)
    assert rows()["db://t"].labels == {"env": "prod"}


def test_an_event_that_is_stored_already_tells_nothing_again() -> None:
    key = str(uuid7(NOW))
    ingest(event("a.failed", id=key))
    with db.transaction() as session:
        resource_edits.drop(session, ["db://t"])
    ingest(event("a.failed", id=key))
    assert rows() == {}


def test_batches_in_opposite_order_do_not_deadlock() -> None:
    told = [event(key=f"r{n}", related=[(f"r{(n * 7 + 1) % 150}", "reads")]) for n in range(150)]

    def send(turn: int) -> None:
        some = told[:: 1 if turn % 2 else -1]
        with db.transaction() as session:  # as a report with several batches does
            for place in range(0, 150, 30):
                events.ingest(session, some[place : place + 30], NOW + timedelta(minutes=2 * turn))

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(send, range(18)))
    assert len(rows()) == 150
    assert len(rows(Relation)) == len({(n, (n * 7 + 1) % 150) for n in range(150) if n != (n * 7 + 1) % 150})


def test_runs_stand_for_their_deployments_and_circumstances_are_no_relations() -> None:
    with db.transaction() as session:
        deployment = add_deployment(session)
        run = add_run(session, deployment)
    about, own = f"orchestrator.flow-run.{run.id}", f"orchestrator.deployment.{deployment.id}"
    ends = [(about, "flow-run"), (f"orchestrator.task-run.{run.id}", "task-run"), ("orchestrator.tag.x", "tag")]
    ingest(
        event(related=ends),
        event("loaded", about, [("db://u", "writes")]),
        event("loaded", "orchestrator.flow-run.nonsense", [("db://v", "writes")]),
        event("loaded", about, relations=[{"target": "db://w", "role": "reads"}]),
    )
    assert set(rows(Relation)) == {(own, "db://t", "reports"), (own, "db://u", "writes"), (own, "db://w", "reads")}
    assert set(rows()) == {"db://t", "db://u", "db://v", "db://w"}


def test_ids_that_are_too_long_are_not_kept_and_labels_are_bounded() -> None:
    many = {f"label {n}": "x" for n in range(300)}
    ingest(event(key="é" * 600), event(key="é" * 500, labels={**many, "long": "x" * 2000}))
    found = rows()
    assert set(found) == {"é" * 500}
    assert len(found["é" * 500].labels) == observing.LABELS_MAX


def test_states_are_intervals_and_what_is_told_late_takes_its_place() -> None:
    for name, hours in (("check.passed", 5), ("check.failed", 3), ("check.failed", 2), ("check.passed", 1)):
        ingest(event(name, occurred=to_text(ago(hours=hours))))
    assert states("db://t") == [
        ("healthy", ago(hours=1), None), ("failing", ago(hours=3), ago(hours=1)),
        ("healthy", ago(hours=5), ago(hours=3)),
    ]  # fmt: skip
    ingest(event("written", labels={"resource.state": "Slow"}, occurred=to_text(ago(hours=4))))
    assert states("db://t")[2:] == [
        ("slow", ago(hours=4), ago(hours=3)), ("healthy", ago(hours=5), ago(hours=4)),
    ]  # fmt: skip
    assert (rows()["db://t"].state, rows()["db://t"].state_since) == ("healthy", ago(hours=1))
    with db.reading() as session:
        first = resource_states.intervals(session, "db://t", 2)
        rest = resource_states.intervals(session, "db://t", 2, first.next)
        assert [row.state for row in rest.items] == ["slow", "healthy"]
        assert rest.items[0].until == ago(hours=3)


def test_a_list_as_of_a_time() -> None:
    ingest(event("made", "a", occurred=to_text(ago(hours=9))), event("a.failed", "b", occurred=to_text(ago(hours=5))))
    ingest(event("a.passed", "b", occurred=to_text(ago(hours=1))))
    ingest(event("table.deleted", "a", occurred=to_text(ago(hours=2))))

    def there(**wanted: Any) -> list[str]:
        with db.reading() as session:
            return [row.id for row in resources.listing(session, ResourceFilter(**wanted)).items]

    assert there() == ["b"]
    assert there(vanished=True) == ["a"]
    assert there(as_of=ago(hours=3)) == ["a", "b"]
    assert there(as_of=ago(hours=8)) == ["a"]
    assert there(as_of=ago(hours=10)) == []
    assert there(as_of=ago(hours=1.5), vanished=True) == ["a"]
    assert there(as_of=ago(hours=3), state="failing") == ["b"]
    assert there(state="failing") == []
    assert there(as_of=ago(hours=3), state="unknown") == ["a"]
    with db.reading() as session:
        assert resources.states_at(session, ["a", "b"], ago(hours=3)) == {"b": ("failing", ago(hours=5))}
    ingest(event("table.created", "a", occurred=to_text(ago(minutes=5))))
    assert there() == ["a", "b"]
    assert there(as_of=ago(hours=1.5)) == ["b"], "it was gone then"


def test_merged_resources_are_one_from_then_on() -> None:
    ingest(event("a.failed", "lineage", [("x", "reads"), ("kept", "same")], occurred=to_text(ago(hours=2))))
    ingest(event("made", "kept", [("x", "reads")], occurred=to_text(ago(hours=1))))
    with db.transaction() as session:
        resource_edits.change(session, "lineage", {"owner": "team", "labels": {"a": "b"}}, actor=ANN, now=NOW)
        merged = resource_edits.merge(session, "lineage", "kept", actor=ANN, now=NOW)
        assert (merged.owner, merged.own_labels, merged.state) == ("team", {"a": "b"}, "failing")
    assert set(rows()) == {"kept", "x"}
    assert rows(Relation)["kept", "x", "reads"].weight == 2
    ingest(event("a.passed", "lineage", [("y", "writes")], labels={"resource.name": "other"}))
    assert set(rows()) == {"kept", "x", "y"}
    assert rows()["kept"].name == "kept"
    assert set(rows(Relation)) == {("kept", "x", "reads"), ("kept", "y", "writes")}
    assert [state for state, *_ in states("kept")] == ["healthy", "failing"]
    ingest(event(key="third"))
    with db.transaction() as session:
        resource_edits.merge(session, "kept", "third", actor=ANN, now=NOW)
        assert {row.pattern: row.target for row in resource_rules.listing(session).items} == {
            "lineage": "third", "kept": "third",
        }  # fmt: skip
    ingest(event(key="lineage"))
    assert set(rows()) == {"third", "x", "y"}


@pytest.mark.parametrize(
    ("pattern", "target", "field"),
    [
        ("*", None, "pattern"), ("orchestrator.*", None, "pattern"), ("orch*", None, "pattern"),
        ("a", "a", "target"), ("a", "b*", "target"), ("b", "c", "target"), ("z*", "left-out", "target"),
    ],
)  # fmt: skip
def test_rules_that_cannot_be(pattern: str, target: str | None, field: str) -> None:
    with db.transaction() as session:
        resource_rules.save(session, "c", "b", actor=ANN, now=NOW)
        resource_rules.save(session, "left-out", None, actor=ANN, now=NOW)
    with db.transaction() as session, pytest.raises(InvalidInput) as raised:
        resource_rules.save(session, pattern, target, actor=ANN, now=NOW)
    assert set(raised.value.errors) == {field}


def test_rules_leave_out_and_merge_what_comes_and_what_is_there() -> None:
    ingest(event(key="tmp.1", related=[("x", "reads")]), event(key="tmp_1"), event(key="old.a"), event(key="old.b"))
    with db.transaction() as session:
        ignore, _ = resource_rules.save(session, "tmp.*", None, actor=ANN, now=NOW)
        resource_rules.save(session, "old.*", "new", actor=ANN, now=NOW)
    ingest(event(key="tmp.2"), event(key="y", related=[("tmp.3", "reads")]))
    with db.transaction() as session:
        loop.step(session, NOW)
    assert set(rows()) == {"tmp_1", "x", "y", "new"}
    assert rows(Relation) == {}
    with db.transaction() as session:
        resource_rules.remove(session, ignore.id, actor=ANN, now=NOW)
        with pytest.raises(NotFound):
            resource_rules.remove(session, ignore.id, actor=ANN, now=NOW)
    ingest(event(key="tmp.4"))
    assert "tmp.4" in rows()


def test_our_own_things_are_resources_and_deployments_are_as_their_last_run() -> None:
    with db.transaction() as session:
        deployment = add_deployment(session)
        loop.step(session, NOW)
        key = f"orchestrator.deployment.{deployment.id}"
    own = rows()
    assert (own[key].name, own[key].kind, own[key].origin) == ("etl/prod", "deployment", "own")
    assert {row.kind for row in own.values()} >= {"deployment", "flow", "work-queue"}
    for kind in (StateType.FAILED, StateType.COMPLETED):
        with db.transaction() as session:
            run = add_run(session, deployment)
            run.state_type, run.state_name, run.ended = kind.value, kind.value.title(), now()
        with db.transaction() as session:
            loop.step(session, now())
            loop.step(session, now())
    assert [state for state, *_ in states(key)] == ["healthy", "failing"]
    with db.transaction() as session:
        session.delete(session.get_one(type(deployment), deployment.id))
    with db.transaction() as session:
        loop.step(session, now())
    assert rows()[key].vanished is not None
    assert rows()[key].state == "vanished"


def test_what_fell_silent_is_forgotten_and_what_people_edited_stays() -> None:
    ingest(*(event(key=key, occurred=to_text(ago(days=100)), related=[("x", "reads")]) for key in ("old", "mine")))
    ingest(
        event("a.failed", "x", occurred=to_text(ago(days=99))), event("a.passed", "x", occurred=to_text(ago(days=95)))
    )
    ingest(event(key="x"))
    with db.transaction() as session:
        resource_edits.change(session, "mine", {"owner": "me"}, actor=ANN, now=NOW)
    with db.transaction() as session:
        retention.step(session, NOW)
    assert set(rows()) == {"mine", "x"}
    assert rows(Relation) == {}
    with db.reading() as session:
        assert [row.state for row in session.scalars(select(ResourceState))] == ["healthy"]


def test_there_are_never_more_than_the_setting_allows() -> None:
    config.use(Settings(resources_max=20))
    try:
        ingest(*(event(key=f"r{n:02}", occurred=to_text(ago(minutes=n))) for n in range(25)))
        observing._rooms.clear()
        ingest(event(key="new"), event("b", key="r01"))
        assert "new" not in rows(), "there is no room"
        assert rows()["r01"].last_event == "b", "what is known goes on"
        with db.transaction() as session:
            retention.step(session, NOW)
        observing._rooms.clear()
        ingest(event(key="new"))
        assert len(rows()) == 19
        assert {"new", "r00", "r01"} <= set(rows())
    finally:
        config.use(None)


def test_edits_name_what_is_wrong() -> None:
    ingest(event(key="a"), event(key="b"))
    with db.transaction() as session:
        for key, into in (("a", "a"), ("a", "orchestrator.flow.x"), ("orchestrator.flow.x", "a")):
            with pytest.raises(InvalidInput):
                resource_edits.merge(session, key, into, actor=ANN, now=NOW)
        with pytest.raises(NotFound):
            resource_edits.merge(session, "a", "nowhere", actor=ANN, now=NOW)
        with pytest.raises(InvalidInput):
            resource_edits.change(session, "a", {"labels": {"resource.kind": "x"}}, actor=ANN, now=NOW)
        with pytest.raises(NotFound):
            resource_edits.change(session, "nowhere", {"owner": "x"}, actor=ANN, now=NOW)
        row = resource_edits.change(session, "a", {"labels": {"x": "1", "y": "2"}}, actor=ANN, now=NOW)
        row = resource_edits.change(session, "a", {"labels": {"x": None}, "owner": ""}, actor=ANN, now=NOW)
        assert (row.own_labels, row.owner) == ({"y": "2"}, None)
