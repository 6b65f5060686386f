"""Reports: stored in order, once, item by item refused where they must be."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from orchestrator import serializers
from orchestrator.clock import now, to_text
from orchestrator.documents.records import State
from orchestrator.errors import InvalidInput
from orchestrator.ids import uuid7
from orchestrator.server import config
from orchestrator.server.db import session as db
from orchestrator.server.db.models import Artifact, Event, FlowRun, Log, TaskRun, TaskRunState
from orchestrator.server.schemas.reports import read_batches
from orchestrator.server.services.running import claims, logs, reports, runs, task_runs
from orchestrator.settings import Settings
from orchestrator.states import StateType
from tests.server_rows import ANN, add_agent, add_deployment, add_run, token

pytestmark = pytest.mark.usefixtures("database_url")
S = StateType
NOW = now()
PRODUCER = uuid.uuid4()


def state(kind: str, **more: Any) -> dict[str, Any]:
    return {"type": kind, "name": kind.capitalize(), "message": "", "at": to_text(NOW), "details": None, **more}


def flow_run(run_id: uuid.UUID, kind: str = "RUNNING", **more: Any) -> dict[str, Any]:
    return {"kind": "flow-run", "id": run_id, "flow": "hand", "name": "by-hand", "state": state(kind), **more}


def flow_state(run_id: uuid.UUID, kind: str, attempt: int = 1, **more: Any) -> dict[str, Any]:
    return {"kind": "flow-run-state", "id": run_id, "attempt": attempt, "state": state(kind), **more}


def task(task_id: uuid.UUID, run_id: uuid.UUID, kind: str, **more: Any) -> dict[str, Any]:
    return {
        "kind": "task-run", "id": task_id, "flow_run_id": run_id, "flow_attempt": 1, "name": "t", "task_key": "m.t",
        "attempt": 1, "tags": ["a"], "upstream": [], "state": state(kind), **more,
    }  # fmt: skip


def log(run_id: uuid.UUID, message: str = "hello", **more: Any) -> dict[str, Any]:
    return {
        "kind": "log", "flow_run_id": run_id, "attempt": 1, "level": 20, "logger": "l", "message": message,
        "at": to_text(NOW), **more,
    }  # fmt: skip


def report(
    *items: dict[str, Any], first: int = 1, producer: uuid.UUID | None = None, allowed: uuid.UUID | None = None
) -> reports.Outcome:
    body = serializers.dumps({"batches": [{"producer": producer or uuid.uuid4(), "first": first, "items": items}]})
    with db.transaction() as session:
        return reports.ingest(session, read_batches(body), now(), allowed)


def codes(outcome: reports.Outcome) -> list[tuple[int, str]]:
    return [(item.sequence, item.code) for item in outcome.refused]


def hand_run(kind: str = "RUNNING") -> uuid.UUID:
    run_id = uuid7()
    assert report(flow_run(run_id, kind)).refused == []
    return run_id


def count(model: Any) -> int:
    with db.reading() as session:
        return session.scalar(select(func.count()).select_from(model)) or 0


def test_a_whole_run_by_hand_in_one_report() -> None:
    run_id, one, two = uuid7(), uuid7(), uuid7()
    outcome = report(
        flow_run(run_id, parameters={"n": 1}, tags=["x"]),
        task(one, run_id, "RUNNING"),
        log(run_id, task_run_id=one),
        task(one, run_id, "COMPLETED"),
        task(two, run_id, "RUNNING", upstream=[one]),
        task(two, run_id, "FAILED", upstream=[one]),
        {"kind": "event", "event": {"event": "table.written", "resource": {"resource.id": "t.sales"}}},
        {"kind": "artifact", "id": uuid7(), "key": "k", "type": "markdown", "data": "# x", "flow_run_id": run_id,
         "task_run_id": one, "at": to_text(NOW)},
        flow_state(run_id, "FAILED", result={"value": [1]}),
        producer=PRODUCER,
    )  # fmt: skip
    assert outcome.refused == []
    assert outcome.accepted == {PRODUCER: 9}
    with db.reading() as session:
        run = runs.describe(runs.row(session, run_id))
        assert (run.flow.name, run.attempt, run.state.type, run.result) == ("hand", 1, S.FAILED, {"value": [1]})
        tasks = task_runs.listing(session, task_runs.TaskRunFilter(flow_run_id=run_id)).items
        assert [(row.state_type, row.upstream) for row in tasks] == [("COMPLETED", []), ("FAILED", [str(one)])]
        assert [row.type for row in task_runs.states(session, one)] == ["RUNNING", "COMPLETED"]
        assert [row.message for row in logs.listing(session, logs.LogFilter(run_id)).items] == ["hello"]
        assert session.scalars(select(Artifact.data)).one() == "# x"
        named = set(session.scalars(select(Event.event)))
        assert {
            "table.written",
            "task-run.completed",
            "task-run.failed",
            "flow-run.running",
            "flow-run.failed",
        } <= named


def test_the_same_batch_again_changes_nothing() -> None:
    run_id = hand_run()
    for _ in range(2):
        outcome = report(log(run_id), log(run_id), producer=PRODUCER)
        assert (outcome.accepted, outcome.refused) == ({PRODUCER: 2}, [])
    assert count(Log) == 2


def test_a_batch_that_overlaps_is_stored_from_where_it_is_new() -> None:
    run_id = hand_run()
    report(log(run_id, "1"), log(run_id, "2"), producer=PRODUCER)
    outcome = report(log(run_id, "2"), log(run_id, "3"), first=2, producer=PRODUCER)
    assert outcome.accepted == {PRODUCER: 3}
    with db.reading() as session:
        assert [row.message for row in logs.listing(session, logs.LogFilter(run_id)).items] == ["1", "2", "3"]


def test_a_gap_is_refused_and_told() -> None:
    run_id = hand_run()
    outcome = report(log(run_id), first=3, producer=PRODUCER)
    assert codes(outcome) == [(3, "gap")]
    assert outcome.accepted == {PRODUCER: 0}
    assert count(Log) == 0


def test_many_copies_of_a_batch_at_once_are_stored_once() -> None:
    run_id, producer = hand_run(), uuid.uuid4()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: report(*[log(run_id)] * 10, producer=producer), range(8)))
    assert count(Log) == 10


def test_reports_of_the_same_runs_in_different_order_do_not_deadlock() -> None:
    ids = [hand_run() for _ in range(6)]
    tasks = [uuid7() for _ in ids]

    def send(turn: int) -> reports.Outcome:
        pairs = list(zip(tasks, ids, strict=True))[:: 1 if turn % 2 else -1]
        return report(*[task(one, run_id, "RUNNING") for one, run_id in pairs])

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(send, range(24)))
    assert [codes(outcome) for outcome in outcomes] == [[]] * 24
    assert count(TaskRun) == 6


def test_a_bad_item_is_refused_alone() -> None:
    run_id = hand_run()
    outcome = report(
        log(run_id, "before"),
        {"kind": "log"},
        {"kind": "poem"},
        log(run_id, level="loud"),
        task(uuid7(), run_id, "RUNNING", state=state("NONSENSE")),
        {"kind": "event", "event": {"event": "x", "resource": {}}},
        log(uuid7()),
        log(run_id, "after"),
        producer=PRODUCER,
    )
    assert sorted(codes(outcome)) == [
        (2, "invalid"), (3, "invalid"), (4, "invalid"), (5, "invalid"), (6, "invalid"), (7, "unknown-run"),
    ]  # fmt: skip
    assert outcome.accepted == {PRODUCER: 8}
    assert count(Log) == 2


def test_characters_and_numbers_that_postgres_lacks_lose_nothing() -> None:
    run_id = uuid7()
    report(flow_run(run_id, parameters={"big": 0}), log(run_id, "a\x00b"))
    body = serializers.dumps({"batches": [{"producer": uuid.uuid4(), "first": 1, "items": [
        flow_run(uuid7(), parameters={"n\x00": ["\x00"], "v": "HOLE"}),
        flow_state(run_id, "COMPLETED", result={"value": "HOLE"}),
    ]}]})  # fmt: skip
    for number in (b"1e400", b"-1e400", str(2**80).encode()):
        with db.transaction() as session:
            batches = read_batches(body.replace(b'"HOLE"', number))
            assert reports.ingest(session, batches, now()).refused == []
    with db.reading() as session:
        assert [row.message for row in logs.listing(session, logs.LogFilter(run_id)).items] == ["a\ufffdb"]


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b'{"batches": 3}', b'{"batches": [{"producer": "x", "first": 1, "items": []}]}',
        b'{"batches": [{"producer": "00000000-0000-0000-0000-000000000001", "first": 0, "items": []}]}',
        b'{"batches": [], "more": 1}', b'{"batches": ' + b"[" * 5000 + b"]" * 5000 + b"}",
        b'{"batches": [{"\\u0000": "\\ud800"}]}',
    ],
)  # fmt: skip
def test_a_report_that_cannot_be_read_is_refused_in_one_line(body: bytes) -> None:
    with pytest.raises(InvalidInput, match=r"^the report (cannot be read|is no JSON): [^\n]+$"):
        read_batches(body)


def test_a_task_that_ended_stays_so_but_for_a_later_attempt() -> None:
    run_id, one = hand_run(), uuid7()
    report(task(one, run_id, "COMPLETED"))
    assert codes(report(task(one, run_id, "RUNNING"))) == [(1, "terminal")]
    assert codes(report(task(one, run_id, "RUNNING", attempt=2), task(one, run_id, "FAILED", attempt=2))) == []
    with db.reading() as session:
        assert session.get_one(TaskRun, one).state_type == "FAILED"
        assert [row.type for row in task_runs.states(session, one)] == ["COMPLETED", "RUNNING", "FAILED"]


def test_what_is_told_below_an_ended_run_is_ended_until_its_true_end_is_told() -> None:
    run_id, one = hand_run("COMPLETED"), uuid7()
    report(task(one, run_id, "RUNNING"))
    with db.reading() as session:
        assert session.get_one(TaskRun, one).state_type == "CANCELLED"
    report(task(one, run_id, "COMPLETED"))
    with db.reading() as session:
        assert session.get_one(TaskRun, one).state_type == "COMPLETED"
    assert codes(report(task(one, run_id, "FAILED"))) == [(1, "terminal")]


def claimed() -> uuid.UUID:
    with db.transaction() as session:
        run, agent = add_run(session, add_deployment(session), NOW), add_agent(session)
        claims.claim(session, agent.id, ["q"], now=NOW, issue_token=token)
        return run.id


def test_reports_of_an_old_attempt_change_nothing() -> None:
    run_id = claimed()
    with db.transaction() as session:
        runs.move(session, run_id, State(S.CRASHED), attempt=1, actor=ANN, now=NOW)
        runs.retry(session, run_id, ANN, NOW)
        claims.claim(session, add_agent(session).id, ["q"], now=now(), issue_token=token)
    outcome = report(flow_state(run_id, "COMPLETED"), task(uuid7(), run_id, "RUNNING"))
    assert sorted(codes(outcome)) == [(1, "stale-attempt"), (2, "stale-attempt")]
    assert count(TaskRun) == 0
    assert codes(report(flow_state(run_id, "FAILED"))) == [(1, "stale-attempt")]
    with db.reading() as session:
        run = runs.get(session, run_id)
        assert (run.state_type, run.attempt) == ("PENDING", 2)
        [told] = session.scalars(select(Event).where(Event.event == "flow-run.report-refused"))
        assert told.resource_id == f"orchestrator.flow-run.{run_id}"
        assert told.payload["reported"] == {"attempt": 1, "state": "COMPLETED"}
        assert (told.payload["attempt"], told.payload["code"]) == (2, "stale-attempt")


def test_an_end_by_report_gives_the_lease_back() -> None:
    run_id = claimed()
    assert report(flow_state(run_id, "RUNNING"), flow_state(run_id, "COMPLETED")).refused == []
    with db.reading() as session:
        run = runs.get(session, run_id)
        assert (run.state_type, run.lease_until) == ("COMPLETED", None)


def test_a_run_speaks_for_itself_and_its_subflows_only() -> None:
    run_id, sub, other = claimed(), uuid7(), hand_run()
    outcome = report(
        flow_run(sub, parent_flow_run_id=run_id),
        log(sub),
        log(run_id),
        log(other),
        flow_state(other, "FAILED"),
        flow_run(uuid7(), parent_flow_run_id=other),
        flow_run(uuid7()),
        allowed=run_id,
    )
    assert sorted(codes(outcome)) == [(4, "not-yours"), (5, "not-yours"), (6, "not-yours"), (7, "not-yours")]
    assert report(log(sub), allowed=run_id).refused == []


def test_long_lines_are_cut_and_say_so() -> None:
    run_id = hand_run()
    config.use(Settings(log_line_max=10))
    try:
        report(log(run_id, "ä" * 10))
    finally:
        config.use(None)
    with db.reading() as session:
        line = logs.listing(session, logs.LogFilter(run_id)).items[0]
        assert line.message == "ä" * 5 + " ... [10 bytes cut]"


def test_a_result_that_is_too_large_is_left_out_and_says_so() -> None:
    run_id = hand_run()
    report(flow_state(run_id, "COMPLETED", result={"value": "x" * 5000}))
    with db.reading() as session:
        assert "omitted" in (runs.get(session, run_id).result or {})


def test_the_logs_of_a_run_are_searched_and_followed() -> None:
    run_id, one = hand_run(), uuid7()
    report(
        log(run_id, "Alpha", level=10), log(run_id, "beta", level=40, task_run_id=one), log(run_id, "100%", attempt=2)
    )

    def found(**wanted: Any) -> list[str]:
        with db.reading() as session:
            return [row.message for row in logs.listing(session, logs.LogFilter(run_id, **wanted)).items]

    assert found() == ["Alpha", "beta", "100%"]
    assert found(level=30) == ["beta"]
    assert found(search="ALPHA") == ["Alpha"]
    assert found(search="0%") == ["100%"]
    assert found(task_run_id=one) == ["beta"]
    assert found(attempt=2) == ["100%"]
    with db.reading() as session:
        first = logs.listing(session, logs.LogFilter(run_id), limit=1)
        assert first.next is not None
        rest = logs.listing(session, logs.LogFilter(run_id), cursor=first.next)
        assert [row.message for row in rest.items] == ["beta", "100%"]
        after = logs.listing(session, logs.LogFilter(run_id, after=rest.items[0].id))
        assert [row.message for row in after.items] == ["100%"]


def test_a_thousand_tasks_are_stored_whole() -> None:
    run_id, tasks = uuid7(), [uuid7() for _ in range(1000)]
    items = [task(one, run_id, kind) for kind in ("RUNNING", "COMPLETED") for one in tasks]
    assert report(flow_run(run_id), *items, flow_state(run_id, "COMPLETED")).refused == []
    assert (count(TaskRun), count(TaskRunState)) == (1000, 2000)
    with db.reading() as session:
        told = select(func.count()).select_from(Event).where(Event.event == "task-run.completed")
        assert session.scalar(told) == 1000


def test_times_of_clients_do_not_place_rows() -> None:
    run_id = hand_run()
    old = to_text(NOW - timedelta(days=400))
    assert report(log(run_id, at=old), task(uuid7(), run_id, "RUNNING", state=state("RUNNING", at=old))).refused == []
    assert (count(Log), count(TaskRun), count(FlowRun)) == (1, 1, 1)
