"""Agents: who is there, and the heartbeat by which they keep what they hold; long-polls; the home page's numbers."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from sqlalchemy import delete, select, update

from orchestrator.clock import now
from orchestrator.documents.records import State
from orchestrator.errors import NotFound
from orchestrator.server import waiters
from orchestrator.server.db import session as db
from orchestrator.server.db.models import Agent, Event, FlowRun, WorkQueue
from orchestrator.server.services.running import agents, claims, runs
from orchestrator.states import StateType
from tests.server_rows import ANN, add_agent, add_deployment, add_run, token

pytestmark = pytest.mark.usefixtures("database_url")
S = StateType
NOW = now()


@pytest.fixture(autouse=True)
def nobody_left(database_url: str) -> Iterator[None]:
    """The thread that looks for those who wait has gone home before the database does."""
    yield
    deadline = time.monotonic() + 10
    while waiters._room._thread is not None:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def held(count: int = 1, name: str = "prod") -> tuple[uuid.UUID, list[tuple[uuid.UUID, int]]]:
    """An agent and the runs it holds."""
    with db.transaction() as session:
        deployment, agent = add_deployment(session, name=name), add_agent(session)
        for _ in range(count):
            add_run(session, deployment, NOW)
        jobs = [claims.claim(session, agent.id, ["q"], now=NOW, issue_token=token) for _ in range(count)]
        return agent.id, [(job.id, job.attempt) for job in jobs if job]


def beat(agent_id: uuid.UUID, running: list[tuple[uuid.UUID, int]], seconds: float = 10) -> agents.Heartbeat:
    with db.transaction() as session:
        return agents.heartbeat(session, agent_id, running, NOW + timedelta(seconds=seconds))


def test_an_agent_that_registers_makes_its_queues_and_an_event() -> None:
    with db.transaction() as session:
        session.add(WorkQueue(name="old"))
        agent = add_agent(session, ["new", "old", "new"])
    with db.reading() as session:
        assert set(session.scalars(select(WorkQueue.name))) == {"new", "old"}
        event = session.scalars(select(Event).where(Event.event == "agent.started")).one()
        assert event.resource_id == f"orchestrator.agent.{agent.id}"
        assert [row["resource.name"] for row in event.related] == ["new", "old"]


def test_a_heartbeat_renews_all_leases_that_it_names() -> None:
    agent_id, running = held(3)
    assert beat(agent_id, running[:2]) == agents.Heartbeat()
    with db.reading() as session:
        leases = [runs.get(session, run_id).lease_until for run_id, _ in running]
    assert leases == [NOW + timedelta(seconds=s) for s in (40, 40, 30)]


def test_a_heartbeat_with_nothing_to_say_is_heard() -> None:
    agent_id, _ = held()
    assert beat(agent_id, []).known


def test_a_heartbeat_tells_what_to_stop_and_what_is_lost() -> None:
    agent_id, running = held(4)
    kept, cancelled, ended, superseded = running
    with db.transaction() as session:
        runs.cancel(session, cancelled[0], ANN, NOW)
        runs.move(session, ended[0], State(S.CRASHED), actor=ANN, now=NOW)
    stranger = (uuid.uuid4(), 1)
    answer = beat(agent_id, [kept, cancelled, ended, (superseded[0], 0), stranger])
    assert answer.cancel == [cancelled]
    assert sorted(answer.lost) == sorted([ended, (superseded[0], 0), stranger])


def test_the_runs_of_another_agent_are_lost() -> None:
    _, running = held()
    with db.transaction() as session:
        other = add_agent(session)
    assert beat(other.id, running).lost == running


def test_an_agent_that_is_not_known_is_told() -> None:
    agent_id, running = held()
    assert beat(uuid.uuid4(), running) == agents.Heartbeat(lost=running, known=False)
    with db.transaction() as session:
        agents.goodbye(session, agent_id, NOW)
        agents.goodbye(session, agent_id, NOW)
    assert beat(agent_id, []).known is False
    with db.transaction() as session, pytest.raises(NotFound, match="there is no agent"):
        agents.goodbye(session, uuid.uuid4(), NOW)


@pytest.mark.parametrize("gone", ["deleted", "stopped"])
def test_an_agent_that_registered_anew_keeps_its_attempts(gone: str) -> None:
    """And nobody else's: neither those of an agent that is there, nor attempts that were superseded."""
    former, running = held()
    theirs, others = held(name="other")
    with db.transaction() as session:
        if gone == "deleted":
            session.execute(delete(Agent).where(Agent.id == former))
        else:
            agents.goodbye(session, former, NOW)
        present = add_agent(session).id
    ((run_id, attempt),) = running
    told = beat(present, [*running, *others])
    assert told.lost == others
    assert beat(present, [(run_id, attempt + 1)]).lost == [(run_id, attempt + 1)]
    assert beat(present, running) == agents.Heartbeat()
    assert beat(theirs, others) == agents.Heartbeat()
    with db.reading() as session:
        run = session.get(FlowRun, run_id)
        assert run is not None
        assert run.agent_id == present
        assert run.lease_until is not None
        assert run.lease_until > NOW


def test_status_is_computed_when_asked() -> None:
    agent_id, _ = held(2)
    with db.reading() as session:
        agent = agents.get(session, agent_id)
        seen = agent.last_heartbeat
        assert [agents.status(agent, seen + timedelta(seconds=s)) for s in (30, 31)] == ["ONLINE", "OFFLINE"]
        assert [(row.agent.id, row.status, row.running) for row in agents.listing(session, seen)] == [
            (agent_id, "ONLINE", 2)
        ]
        assert agents.row(session, agent_id, seen).running == 2
    with db.transaction() as session:
        agents.goodbye(session, agent_id, NOW)
        assert agents.row(session, agent_id, NOW).status == "STOPPED"


class Waiting(threading.Thread):
    """A request that long-polls."""

    def __init__(self, *queues: str, agent_id: uuid.UUID | None = None) -> None:
        super().__init__(daemon=True)
        self._ask: Callable[[], bool] = lambda: waiters.wait_for_work(queues, 20, agent_id)
        self.answer: bool | None = None
        self.start()

    def run(self) -> None:
        self.answer = self._ask()

    def done(self) -> bool | None:
        self.join(15)
        return self.answer


def in_wait(count: int) -> None:
    deadline = time.monotonic() + 10
    while len(waiters._room._waiters) < count:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_those_who_wait_are_told_of_work_in_their_queues_alone() -> None:
    with db.transaction() as session:
        here, there = add_deployment(session), add_deployment(session, name="there", queue="p")
    one, both, other = Waiting("q"), Waiting("q", "p"), Waiting("p")
    in_wait(3)
    with db.transaction() as session:
        add_run(session, here)
    assert (one.done(), both.done()) == (True, True)
    assert other.answer is None
    with db.transaction() as session:
        add_run(session, there)
    assert other.done() is True


def test_a_wait_for_nothing_ends_in_its_time() -> None:
    assert waiters.wait_for_work(["q"], 0.01) is False


def test_work_that_cannot_be_claimed_wakes_nobody() -> None:
    with db.transaction() as session:
        add_run(session, add_deployment(session))
        session.execute(update(WorkQueue).values(concurrency_limit=0))
    assert waiters.wait_for_work(["q"], 0.5) is False


def test_a_cancel_ends_the_wait_of_its_agent() -> None:
    agent_id, running = held()
    waiting = Waiting("q", agent_id=agent_id)
    in_wait(1)
    with db.transaction() as session:
        runs.cancel(session, running[0][0], ANN, now())
    assert waiting.done() is False


def test_a_goodbye_ends_the_wait_of_its_agent() -> None:
    """An agent that is being stopped waits for the claim that is held for it."""
    agent_id, _ = held()
    waiting, other = Waiting("q", agent_id=agent_id), Waiting("q")
    in_wait(2)
    with db.transaction() as session:
        agents.goodbye(session, agent_id, now())
    assert waiting.done() is False
    assert other.answer is None
    with db.transaction() as session:
        add_run(session, add_deployment(session, name="more"))
    assert other.done() is True


def test_a_heartbeat_tells_that_work_waits_and_when_that_is_an_ailment() -> None:
    with db.transaction() as session:
        agent_id = add_agent(session).id
        add_run(session, add_deployment(session), NOW - timedelta(minutes=5))
        add_deployment(session, name="other", queue="elsewhere")

    def told(age: float, free: int = 1) -> tuple[bool, bool, str]:
        pulling = agents.Pulling(timedelta(seconds=age), free)
        with db.transaction() as session:
            answer = agents.heartbeat(session, agent_id, [], NOW, pulling)
        with db.reading() as session:
            return answer.waiting, bool(answer.unhealthy), agents.row(session, agent_id, NOW).status

    assert told(9) == (False, False, "ONLINE"), "it has just asked"
    assert told(11) == (True, False, "ONLINE")
    assert told(61) == (True, True, "UNHEALTHY")
    assert told(61, free=0) == (False, False, "ONLINE"), "it has no room"
    assert told(61) == (True, True, "UNHEALTHY")
    with db.reading() as session:
        assert agents.row(session, agent_id, NOW + timedelta(seconds=31)).status == "OFFLINE"
    with db.transaction() as session:
        session.execute(update(WorkQueue).values(paused=True))
    assert told(3600) == (False, False, "ONLINE"), "nothing can be claimed"


def test_an_agent_that_does_not_tell_how_it_claims_is_healthy() -> None:
    with db.transaction() as session:
        agent_id = add_agent(session).id
        add_run(session, add_deployment(session), NOW - timedelta(minutes=5))
    assert beat(agent_id, []) == agents.Heartbeat()


def test_what_requires_labels_that_an_agent_has_not_does_not_make_it_ill() -> None:
    with db.transaction() as session:
        agent_id = add_agent(session).id
        add_run(session, add_deployment(session, labels=["gpu"]), NOW - timedelta(minutes=5))
        pulling = agents.Pulling(timedelta(hours=1), 1)
        assert agents.heartbeat(session, agent_id, [], NOW, pulling) == agents.Heartbeat()
