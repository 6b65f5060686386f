"""Triggers on a real database: each occasion fires once, whoever looks, whenever, and whatever dies meanwhile."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest
from sqlalchemy import select

from orchestrator.clock import now
from orchestrator.errors import Conflict, InvalidInput
from orchestrator.server import loops
from orchestrator.server.db import session as db
from orchestrator.server.db.models import Action, Deployment, Event, Firing, FlowRun, Trigger, TriggerBucket
from orchestrator.server.services.reacting import backtest, evaluation, firings, triggers
from orchestrator.server.services.reacting.evaluation import READER
from orchestrator.server.services.recording import events
from orchestrator.server.services.recording.events import EventRecord
from tests.server_rows import ANN, add_deployment, add_run

pytestmark = pytest.mark.usefixtures("database_url")

START = now().replace(microsecond=0)
DO = [{"do": "emit-event", "event": "done", "resource": {"resource.id": "x"}}]
DONE = {"absent": True, "after": "start", "expect": "end", "within": 60, "for_each": "resource.id"}


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def make(when: Mapping[str, Any], seconds: float = 0, **more: Any) -> uuid.UUID:
    """A trigger, made at a time."""
    document = {"name": "t", "when": when, "then": DO, **more}
    with db.transaction() as session:
        made = triggers.create(session, document, ANN, at(seconds)).id
    step(seconds)
    return made


def send(name: str, seconds: float, received: float | None = None, resource: str = "r", **labels: str) -> uuid.UUID:
    """An event that occurred at a time, and was received then or later."""
    came = at(seconds if received is None else received)
    record = EventRecord(name, {"resource.id": resource, **labels}, occurred=at(seconds), source="key")
    with db.transaction() as session:
        return events.store(session, [record], came)[0].id


def step(seconds: float, batch: int = 500) -> int:
    with db.transaction() as session:
        return evaluation.step(session, at(seconds), batch)


def fired() -> list[Firing]:
    with db.reading() as session:
        return list(session.scalars(select(Firing).order_by(Firing.occurred, Firing.id)))


def times() -> list[tuple[float, str]]:
    return [((row.occurred - START).total_seconds(), row.state) for row in fired()]


def told(name: str) -> list[Event]:
    with db.reading() as session:
        return list(session.scalars(select(Event).where(Event.event == name)))


def count(model: Any) -> int:
    with db.reading() as session:
        return len(session.scalars(select(model)).all())


class TestPain20:
    def test_three_events_within_ten_milliseconds_one_of_them_ahead_fire_three_times(self) -> None:
        make({"expect": "f"})
        ids = {send("f", 10), send("f", 15.005, received=10.005), send("f", 10.009)}

        def turn(_: int) -> None:
            for _ in range(5):
                step(11)

        with ThreadPoolExecutor(2) as evaluators:
            list(evaluators.map(turn, range(2)))
        rows = fired()
        assert {row.event_id for row in rows} == ids
        assert len(rows) == 3 == count(Action)
        assert max(row.occurred for row in rows) == at(10.009)
        assert len({row.occasion for row in rows}) == 3

    def test_an_evaluator_that_dies_midway_loses_and_doubles_nothing(self) -> None:
        make({"expect": "f", "threshold": 2})
        for second in (1, 2, 3):
            send("f", second)

        def die() -> None:
            with db.transaction() as session:
                evaluation.step(session, at(5), 2)
                raise RuntimeError("died")

        with pytest.raises(RuntimeError, match="died"):
            die()
        assert fired() == []
        assert count(TriggerBucket) == 0
        assert step(5, 2) == 2
        assert [row.occasion for row in fired()] != []
        step(5)
        send("f", 4)
        step(6)
        assert times() == [(2, "resolved"), (4, "resolved")]

    def test_two_evaluators_follow_one_another(self) -> None:
        make({"expect": "f"})
        for number in range(40):
            send("f", number / 10)
        ready = threading.Barrier(2)

        def turn(_: int) -> int:
            ready.wait(10)
            return sum(step(10, 3) for _ in range(20))

        with ThreadPoolExecutor(2) as evaluators:
            assert sum(evaluators.map(turn, range(2))) >= 40
        assert len(fired()) == 40


class TestLateCommits:
    def test_an_event_whose_transaction_ends_late_is_not_skipped(self, database_url: str) -> None:
        make({"expect": "f"})
        slow = db.transaction()
        with slow as session:
            events.store(session, [EventRecord("f", {"resource.id": "slow"}, occurred=at(1), source="key")], at(1))
            send("f", 2)
            step(3)
            # What was written later and committed already waits for what may still come before it.
            assert fired() == []
        step(4)
        assert len(fired()) == 2

    def test_absence_is_judged_only_up_to_what_is_read(self) -> None:
        make({"absent": True, "expect": "b", "within": 10})
        slow = db.transaction()
        with slow as session:
            events.store(session, [EventRecord("other", {"resource.id": "slow"}, occurred=at(1), source="key")], at(1))
            send("b", 8)
            step(16)
            assert fired() == []
        step(17)
        assert fired() == []
        step(23)
        assert times() == [(18, "open")]


class TestPain17:
    def test_done_in_time_though_the_event_arrives_late(self) -> None:
        make(DONE)
        send("start", 1)
        step(2)
        send("end", 59, received=65)
        step(65.9)
        step(200)
        assert fired() == []

    def test_never_done_is_exactly_one_miss(self) -> None:
        make(DONE)
        send("start", 1)
        step(65.9)
        assert fired() == []
        step(66)
        step(90)
        assert times() == [(61, "open")]
        assert fired()[0].context["late"] is False

    def test_an_evaluator_that_was_away_notes_one_miss_and_that_it_is_late(self) -> None:
        make(DONE, on_resolve=DO)
        send("start", 1)
        send("end", 400)
        step(500)
        step(501)
        [row] = fired()
        assert (row.occurred, row.state, row.resolved) == (at(61), "resolved", at(500))
        assert row.context["late"] is True
        with db.reading() as session:
            assert sorted(session.scalars(select(Action.moment))) == ["fire", "resolve"]
        assert len(told("trigger.fired")) == len(told("trigger.resolved")) == 1

    def test_it_is_over_with_the_next_and_may_miss_again(self) -> None:
        make({"absent": True, "expect": "b", "within": 10})
        step(16)
        send("b", 20)
        step(21)
        step(40)
        assert times() == [(10, "resolved"), (30, "open")]


class TestPain66:
    @pytest.mark.parametrize("when", [{}, {"expect": "*"}, {"match": {"resource.id": "*"}}, {"expect": "!a"}])
    def test_an_empty_trigger_is_refused(self, when: dict[str, Any]) -> None:
        with pytest.raises(InvalidInput, match="Matches every event"):
            make(when)

    def test_a_chain_that_causes_itself_stops_at_its_depth_with_an_event(self) -> None:
        make({"expect": "trigger.*"})
        with db.transaction() as session:
            triggers.mute(session, "t", None, ANN, at(1))
            triggers.change(session, "t", {"severity": "info"}, ANN, at(1))
        for second in range(2, 40):
            step(second)
        rows = [row for row in fired() if row.chain_id == fired()[-1].chain_id]
        assert [row.depth for row in rows if not row.suppressed] == list(range(10))
        # It hears of being stopped, too, and that is all.
        assert [(row.suppressed, row.depth) for row in rows if row.suppressed] == [("depth", 10), ("depth", 11)]
        [stopped] = told("trigger.stopped")
        assert stopped.payload["why"] == "depth"

    def test_runs_pass_their_chain_on(self) -> None:
        make({"expect": "flow-run.completed"})
        chain = uuid.uuid4()
        with db.transaction() as session:
            run = add_run(session, add_deployment(session))
            session.get_one(FlowRun, run.id).chain_id = chain
            session.get_one(FlowRun, run.id).chain_depth = 4
            child = add_run(session, session.get_one(Deployment, run.deployment_id))
            session.get_one(FlowRun, child.id).parent_flow_run_id = run.id
        send("flow-run.completed", 1, resource=f"orchestrator.flow-run.{child.id}")
        send("flow-run.completed", 2)
        step(3)
        first, second = fired()
        assert (first.chain_id, first.depth) == (chain, 5)
        assert (second.chain_id, second.depth) == (second.id, 0)

    def test_each_trigger_has_a_cap_of_its_rate(self) -> None:
        make({"expect": "f"}, hourly_max=2)
        for second in range(4):
            send("f", second)
        step(10)
        send("f", 11)
        step(12)
        assert [row.suppressed for row in fired()] == ["", "", "rate", "rate", "rate"]
        assert [row.number for row in fired()] == [1, 2, None, None, None]
        assert count(Action) == 2
        assert len(told("trigger.stopped")) == 1


class TestWhatIsSuppressed:
    def test_debounced_by_the_time_of_events(self) -> None:
        make({"expect": "f"}, debounce=60)
        for second in (0, 59, 60):
            send("f", second)
        step(100)
        assert [row.suppressed for row in fired()] == ["", "debounced", ""]

    def test_muted(self) -> None:
        made = make({"expect": "f"})
        with db.transaction() as session:
            triggers.mute(session, made, at(10), ANN, at(1))
        send("f", 2)
        step(9)
        send("f", 3, received=10)
        step(11)
        assert [row.suppressed for row in fired()] == ["muted", ""]


class TestChanges:
    def test_it_hears_what_is_received_since_it_is_there(self) -> None:
        make({"expect": "g"}, name="other")
        send("f", 1)
        make({"expect": "f"}, 2)
        send("f", 0, received=3)
        step(4)
        assert times() == [(0, "resolved")]

    def test_switching_it_off_and_on_begins_anew(self) -> None:
        made = make({"absent": True, "expect": "b", "within": 10})
        step(16)
        with db.transaction() as session:
            triggers.change(session, made, {"active": False}, ANN, at(20))
        assert times() == [(10, "resolved")]
        assert count(TriggerBucket) == 0
        step(100)
        with db.transaction() as session:
            triggers.change(session, made, {"active": True}, ANN, at(100))
        step(114)
        step(115)
        assert times() == [(10, "resolved"), (110, "open")]

    def test_other_parts_are_changed_without_forgetting(self) -> None:
        made = make({"expect": "f", "threshold": 2})
        send("f", 1)
        step(2)
        with db.transaction() as session:
            triggers.change(session, made, {"severity": "critical", "hourly_max": 5}, ANN, at(3))
        send("f", 4)
        step(5)
        assert len(fired()) == 1
        [event] = told("trigger.updated")
        assert event.payload["before"] == {"severity": "warning", "hourly_max": 1000}
        assert event.payload["after"] == {"severity": "critical", "hourly_max": 5}

    def test_names_are_unique_among_the_free(self) -> None:
        make({"expect": "f"})
        with pytest.raises(Conflict, match="already"):
            make({"expect": "f"})
        with db.transaction() as session:
            assert not triggers.put(session, {"name": "t", "when": {"expect": "g"}}, ANN, at(1))[1]
            assert triggers.get(session, "t").condition == {"expect": "g"}

    def test_a_trigger_of_a_deployment_goes_with_it(self) -> None:
        own = {"name": "chain", "when": {"expect": "flow-run.completed"}, "then": DO}
        with db.transaction() as session:
            deployment = add_deployment(session)
            assert triggers.replace_owned(session, deployment, [own], ANN, at(0)) == ["trigger chain: added"]
            assert triggers.replace_owned(session, deployment, [own], ANN, at(0)) == []
            changed = {**own, "severity": "info"}
            assert triggers.replace_owned(session, deployment, [changed], ANN, at(0)) == ["trigger chain: changed"]
            assert triggers.get(session, "etl/prod/chain").severity == "info"
            with pytest.raises(InvalidInput, match=r"triggers\.0\.when: Matches every event"):
                triggers.replace_owned(session, deployment, [{"name": "x", "when": {}}], ANN, at(0))
            selfish = {
                **own, "when": {"expect": "flow-run.*"}, "then": [{"do": "run-deployment", "deployment": "etl/prod"}],
            }  # fmt: skip
            with pytest.raises(InvalidInput, match="start itself"):
                triggers.replace_owned(session, deployment, [selfish], ANN, at(0))
            assert triggers.replace_owned(session, deployment, [], ANN, at(0)) == ["trigger chain: removed"]
        assert count(Trigger) == 0


class TestFirings:
    def test_by_hand(self) -> None:
        make({"absent": True, "expect": "b", "within": 10}, on_resolve=DO)
        step(16)
        [row] = fired()
        with db.transaction() as session:
            assert firings.acknowledge(session, row.id, ANN, at(17)).firing.acknowledged_by == "ann"
            firings.acknowledge(session, row.id, ANN, at(18))
            firings.resolve(session, row.id, ANN, at(19))
            with pytest.raises(Conflict, match="only an open one"):
                firings.resolve(session, row.id, ANN, at(19))
        assert times() == [(10, "resolved")]
        assert count(Action) == 2
        send("b", 20)
        step(21)
        assert count(Action) == 2
        assert len(told("trigger.acknowledged")) == 1

    def test_one_for_each_key(self) -> None:
        make({"expect": "f", "threshold": 2, "for_each": ["resource.id"]})
        for second, resource in enumerate("abba"):
            send("f", second, resource=resource)
        step(9)
        assert [(row.key, row.context["key"]) for row in fired()] == [
            ('["b"]', {"resource.id": "b"}),
            ('["a"]', {"resource.id": "a"}),
        ]


def test_metrics_are_measured_and_are_over() -> None:
    few = {"metric": "payload.rows.last", "expect": "load", "operator": "<", "value": 10}
    make({**few, "range": 600, "firing_for": 30})

    def load(rows: int, second: float) -> None:
        record = EventRecord("load", {"resource.id": "r"}, payload={"rows": rows}, occurred=at(second), source="key")
        with db.transaction() as session:
            events.store(session, [record], at(second))

    load(5, 1)
    for second in (2, 31, 32, 61.5):
        step(second)
    assert times() == [(61.5, "open")]
    load(50, 70)
    step(92)
    assert times() == [(61.5, "resolved")]


def test_a_backtest_tells_what_the_evaluator_did() -> None:
    make(DONE)
    for second, name, resource in ((1, "start", "a"), (2, "start", "b"), (40, "end", "a"), (90, "end", "b")):
        send(name, second, resource=resource)
        step(second + 1)
    step(200)
    with db.reading() as session:
        replay = backtest.run(session, {"name": "x", "when": DONE}, START, at(200))
    assert [(told.at, told.key, told.resolved) for told in replay.firings] == [(at(62), '["b"]', at(90))]
    assert [(row.occurred, row.key) for row in fired()] == [(at(62), '["b"]')]
    assert (replay.events, replay.matching) == (4, 4)


def test_the_loop_goes_round(database_url: str) -> None:
    make({"expect": "f"})
    for _ in range(7):
        send("f", 1)
    assert loops.run("triggers", at(5)) == 7
    assert len(fired()) == 7
    with psycopg.connect(database_url.replace("+psycopg", "")) as link:
        [row] = link.execute("SELECT count(*) FROM event_cursor WHERE reader = %s", [READER]).fetchall()
    assert row == (1,)
