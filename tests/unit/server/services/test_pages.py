"""What pages show of many runs at once."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy.orm import Session

from orchestrator.clock import now
from orchestrator.ids import uuid7
from orchestrator.server.db import session
from orchestrator.server.db.models import Deployment, Flow, FlowRun, Log, TaskRun, WorkQueue
from orchestrator.server.services.deploying import deployments
from orchestrator.server.services.running import logs, run_briefs, run_details
from orchestrator.server.services.running.logs import LogFilter
from orchestrator.server.services.watching import overview

NOW = now()


def a_deployment(writing: Session, name: str = "d") -> Deployment:
    flow = Flow(id=uuid7(), name=f"flow-of-{name}", tags=[])
    queue = WorkQueue(id=uuid7(), name=f"queue-of-{name}")
    writing.add_all([flow, queue])
    writing.flush()
    made = Deployment(id=uuid7(), flow_id=flow.id, name=name, entrypoint="f.py:f", work_queue_id=queue.id)
    writing.add(made)
    writing.flush()
    return made


def a_run(
    writing: Session, deployment: Deployment, kind: str, ago: float = 0, took: float = 1, name: str = ""
) -> FlowRun:
    """A run that was due ``ago`` seconds ago."""
    due = NOW - timedelta(seconds=ago)
    over = kind in {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
    run = FlowRun(
        id=uuid7(), flow_id=deployment.flow_id, deployment_id=deployment.id, name="r", state_type=kind,
        state_name=name or kind.capitalize(), state_at=due, due=due, work_queue_id=deployment.work_queue_id,
        started=None if kind in {"SCHEDULED", "PENDING"} else due,
        ended=due + timedelta(seconds=took) if over else None, created_by={},
    )  # fmt: skip
    writing.add(run)
    writing.flush()
    return run


def test_history_and_upcoming_are_the_last_and_the_next_of_each(database_url: str) -> None:
    with session.transaction() as writing:
        first, second, bare = (a_deployment(writing, name) for name in "abc")
        past = [a_run(writing, first, "COMPLETED", ago).id for ago in (40, 30, 20)]
        ahead = [a_run(writing, first, "SCHEDULED", -delay).id for delay in (60, 10, 30)]
        other = a_run(writing, second, "FAILED", 5).id
    with session.reading() as reading:
        history = run_briefs.history(reading, [first.id, second.id, bare.id], each=2)
        upcoming = run_briefs.upcoming(reading, [first.id, second.id], each=2)
        assert run_briefs.history(reading, []) == {}
    assert [run.id for run in history[first.id]] == past[1:]
    assert [run.id for run in history[second.id]] == [other]
    assert history[bare.id] == []
    assert [run.id for run in upcoming[first.id]] == [ahead[2], ahead[1]]
    assert upcoming[second.id] == []


def test_the_timeline_tells_what_changed_since(database_url: str) -> None:
    with session.transaction() as writing:
        run = a_run(writing, a_deployment(writing), "RUNNING")
        for index in range(3):
            at = NOW + timedelta(seconds=index)
            writing.add(
                TaskRun(
                    id=uuid7(), flow_run_id=run.id, name=f"t{index}", task_key="t", flow_attempt=1 + (index == 2),
                    state_type="RUNNING", state_name="Running", state_at=at, started=at,
                )
            )  # fmt: skip
            writing.flush()
    with session.reading() as reading:
        assert [row.name for row in run_details.timeline(reading, run.id)] == ["t0", "t1", "t2"]
        assert [row.name for row in run_details.timeline(reading, run.id, flow_attempt=1)] == ["t0", "t1"]
        since = NOW + timedelta(seconds=1)
        assert [row.name for row in run_details.timeline(reading, run.id, since=since)] == ["t1", "t2"]


def test_log_lines_from_the_end_onward_and_backward(database_url: str) -> None:
    with session.transaction() as writing:
        run = a_run(writing, a_deployment(writing), "RUNNING")
        lines = [
            Log(
                id=uuid7(),
                flow_run_id=run.id,
                attempt=1,
                level=40 if n == 3 else 20,
                logger="l",
                message=f"m{n}",
                at=NOW,
            )
            for n in range(6)
        ]
        writing.add_all(lines)
    with session.reading() as reading:

        def ask(wanted: LogFilter, **more: object) -> tuple[list[str], bool]:
            found, rest = logs.tail(reading, wanted, limit=2, **more)  # type: ignore[arg-type]
            return [line.message for line in found], rest

        assert ask(LogFilter(run.id)) == (["m4", "m5"], True)
        assert ask(LogFilter(run.id), before=lines[4].id) == (["m2", "m3"], True)
        assert ask(LogFilter(run.id), before=lines[1].id) == (["m0"], False)
        assert ask(LogFilter(run.id, after=lines[2].id)) == (["m3", "m4"], True)
        assert ask(LogFilter(run.id, after=lines[5].id)) == ([], False)
        assert ask(LogFilter(run.id, level=40)) == (["m3"], False)
        assert ask(LogFilter(run.id, search="M1")) == (["m1"], False)


def test_names_behind_a_run(database_url: str) -> None:
    with session.transaction() as writing:
        deployment = a_deployment(writing)
        parent = a_run(writing, deployment, "RUNNING")
        run = a_run(writing, deployment, "RUNNING")
        run.parent_flow_run_id = parent.id
    with session.reading() as reading:
        found = run_details.context(reading, reading.get_one(FlowRun, run.id))
        assert run_details.tallies(reading, parent.id) == {"artifacts": 0, "subflows": 1}
        assert deployments.full_names(reading) == [(deployment.id, "flow-of-d/d")]
    assert (found.flow.name, found.agent) == ("flow-of-d", None)
    assert found.deployment is not None
    assert found.parent is not None
    assert found.parent.id == parent.id


def test_the_numbers_of_the_home_page(database_url: str) -> None:
    with session.transaction() as writing:
        deployment = a_deployment(writing)
        for kind, ago, name in (
            ("RUNNING", 5, ""), ("PENDING", 400, ""), ("SCHEDULED", 300, "Late"), ("SCHEDULED", 1, ""),
            ("SCHEDULED", -60, ""), ("COMPLETED", 100, ""), ("FAILED", 100, ""), ("FAILED", 90000, ""),
            ("CRASHED", 700, ""),
        ):  # fmt: skip
            a_run(writing, deployment, kind, ago, name=name)
    with session.reading() as reading:
        counts = overview.counts(reading, NOW - timedelta(days=1), NOW)
        attention = overview.attention(reading, NOW - timedelta(days=1), NOW)
        coming = overview.coming(reading, NOW)
        start = NOW - timedelta(seconds=1200)
        buckets = overview.over_time(reading, start, NOW + timedelta(seconds=600), timedelta(seconds=600), NOW)
    assert counts == overview.Counts(
        running=1, between=1, waiting=2, late=1, completed=1, failed=1, crashed=1, cancelled=0
    )  # fmt: skip
    assert [row.run.state_name for row in attention] == ["Pending", "Late", "Failed", "Crashed"]
    assert [row.run.due for row in coming] == [NOW + timedelta(seconds=60)]
    found = {(bucket.index, bucket.state_type): bucket.runs for bucket in buckets}
    assert found == {
        (0, "CRASHED"): 1, (1, "COMPLETED"): 1, (1, "FAILED"): 1, (2, "SCHEDULED"): 3, (2, "RUNNING"): 1,
        (2, "PENDING"): 1,
    }  # fmt: skip
