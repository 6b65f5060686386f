"""Questions of runs and messages to them: what is asked, who answers, and what becomes of what nobody answers."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, update

from orchestrator.clock import now, to_text
from orchestrator.documents.records import Actor, State
from orchestrator.errors import Conflict, InvalidInput, TransitionRefused
from orchestrator.server import answers, loops
from orchestrator.server.db import session as db
from orchestrator.server.db.models import Deployment, Event, FlowQuestion, FlowRun
from orchestrator.server.services import ticks
from orchestrator.server.services.identity import tokens
from orchestrator.server.services.running import agents, claims, messages, questions, runs, waiting, work_queues
from orchestrator.server.services.running.questions import Asked
from orchestrator.states import StateType
from tests.polling import until
from tests.server_rows import ANN, add_agent, add_deployment, add_run, token

from ..api import ClientAs

S = StateType
NOW = now()
SCHEMA = {
    "type": "object",
    "properties": {"approve": {"type": "boolean"}, "limit": {"type": "integer", "minimum": 1, "default": 5}},
    "required": ["approve"],
    "additionalProperties": False,
}
PROCESS = Actor("process")


@pytest.fixture(autouse=True)
def nobody_left(database_url: str) -> Iterator[None]:
    """The thread that looks for those who wait has gone home before the database does."""
    yield
    until(lambda: answers._room._thread is None, "nobody to wait")


def running() -> tuple[uuid.UUID, uuid.UUID]:
    """A run that an agent executes: its id and the agent's."""
    with db.transaction() as session:
        deployment = session.scalar(select(Deployment)) or add_deployment(session)
        run, agent = add_run(session, deployment, NOW), add_agent(session, at=NOW)
        claims.claim(session, agent.id, ["q"], now=NOW, issue_token=token)
        runs.move(session, run.id, State(S.RUNNING, at=NOW), attempt=1, actor=Actor("agent"), now=NOW)
    return run.id, agent.id


def ask(run_id: uuid.UUID, attempt: int = 1, at: Any = NOW, **asked: Any) -> FlowQuestion:
    wanted = Asked(**{"key": "k", "schema": SCHEMA, **asked})
    with db.transaction() as session:
        return questions.ask(session, run_id, wanted, attempt=attempt, actor=PROCESS, now=at)


def resume(run_id: uuid.UUID, given: Any = None, at: Any = NOW) -> FlowRun:
    with db.transaction() as session:
        return runs.resume(session, run_id, ANN, at, given)


def suspended(**asked: Any) -> uuid.UUID:
    """A run that asked, and was stopped to wait."""
    run_id, _ = running()
    ask(run_id, suspends=True, **asked)
    tell(run_id, State(S.PAUSED, "Suspended", at=NOW))
    return run_id


def tell(run_id: uuid.UUID, state: State, attempt: int = 1) -> None:
    with db.transaction() as session:
        runs.move(session, run_id, state, attempt=attempt, actor=PROCESS, now=NOW)


def look(run_id: uuid.UUID) -> tuple[str, str]:
    with db.reading() as session:
        run = runs.get(session, run_id)
        return run.state_type, run.state_name


def question(run_id: uuid.UUID) -> FlowQuestion:
    with db.reading() as session:
        return session.scalars(select(FlowQuestion).where(FlowQuestion.flow_run_id == run_id)).one()


def events(name: str) -> list[Event]:
    with db.reading() as session:
        return list(session.scalars(select(Event).where(Event.event == f"flow-run.{name}").order_by(Event.id)))


def sweep(at: Any) -> None:
    with db.transaction() as session:
        ticks.record(session, ticks.API, at)
        ticks.record(session, ticks.API_SINCE, NOW - timedelta(hours=1))
    loops.run("leases", at)


class TestAPausedRun:
    def test_keeps_its_lease_and_its_slot(self) -> None:
        run_id, agent_id = running()
        ask(run_id, description="# Load it?\n\nNow.", timeout_s=60)
        with db.transaction() as session:
            run = runs.get(session, run_id)
            assert (run.state_name, run.state_message) == ("Paused", "Waits for an answer: Load it?")
            assert run.lease_until is not None
            heard = agents.heartbeat(session, agent_id, [(run_id, 1)], NOW + timedelta(seconds=5))
            assert (heard.lost, heard.cancel) == ([], [])
            assert work_queues.listing(session, NOW).items[0].running == 1
            assert agents.row(session, agent_id, NOW).running == 1
            with pytest.raises(Conflict):
                runs.delete(session, run_id, ANN, NOW)
            work_queues.change(session, "q", {"concurrency_limit": 1}, ANN, NOW)
            add_run(session, session.scalars(select(Deployment)).one(), NOW)
            assert claims.claim(session, agent_id, ["q"], now=NOW, issue_token=token) is None
            reason = waiting.why(session, run_id, NOW)
            assert reason is not None
            assert reason.code == "asks"
            until_text = to_text(NOW + timedelta(seconds=60))
            assert reason.message == f"It waits until somebody answers, and fails at {until_text} if nobody does."

    def test_the_question_is_in_the_event(self) -> None:
        run_id, _ = running()
        made = ask(run_id)
        told = events("paused")[-1]
        assert told.kind == "operation"
        asked = told.payload["question"]
        assert (asked["id"], asked["key"], asked["schema"], asked["deadline"]) == (str(made.id), "k", SCHEMA, None)

    def test_goes_on_when_it_is_answered(self) -> None:
        run_id, _ = running()
        ask(run_id)
        run = resume(run_id, {"approve": True})
        assert (run.state_type, run.state_message) == ("RUNNING", "Answered by ann.")
        made = question(run_id)
        assert (made.state, made.answer, made.answered_by["name"]) == ("answered", {"approve": True}, "ann")
        [told] = events("answered")
        assert (told.kind, told.payload["by"]["name"]) == ("action", "ann")
        assert told.payload["after"]["answer"] == {"approve": True}
        with pytest.raises(TransitionRefused):
            resume(run_id, {"approve": True})

    @pytest.mark.parametrize(
        ("given", "field"),
        [
            (None, "input.approve"),
            ({"approve": "yes"}, "input.approve"),
            ({"approve": True, "limit": 0}, "input.limit"),
            ({"approve": True, "other": 1}, "input.other"),
            (["approve"], "input"),
            ({"approve": "x" * 70_000}, "input"),
        ],
    )
    def test_takes_no_answer_that_does_not_fit(self, given: Any, field: str) -> None:
        run_id, _ = running()
        ask(run_id)
        with pytest.raises(InvalidInput) as refused:
            resume(run_id, given)
        assert list(refused.value.errors) == [field]
        assert (look(run_id), question(run_id).state) == (("PAUSED", "Paused"), "pending")

    def test_that_asks_for_nothing_takes_nothing(self) -> None:
        run_id, _ = running()
        ask(run_id, schema=None)
        with pytest.raises(InvalidInput):
            resume(run_id, {"approve": True})
        assert resume(run_id).state_type == "RUNNING"

    def test_what_it_said_before_does_not_end_its_pause(self) -> None:
        run_id, _ = running()
        ask(run_id)
        tell(run_id, State(S.RUNNING, "Retrying", "try 2 of 3", NOW))
        assert look(run_id) == ("PAUSED", "Paused")

    def test_asks_one_thing_at_a_time_and_the_same_again(self) -> None:
        run_id, _ = running()
        made = ask(run_id)
        assert ask(run_id).id == made.id
        with pytest.raises(Conflict, match="ask one after the other"):
            ask(run_id, key="other")
        resume(run_id, {"approve": True})
        assert ask(run_id).answer == {"approve": True}
        assert look(run_id) == ("RUNNING", "Running")
        again = ask(run_id, problems={"approve": ["has to be false"]})
        assert (again.id, again.state, again.answer) == (made.id, "pending", None)
        assert look(run_id) == ("PAUSED", "Paused")

    def test_of_another_attempt_is_not_heard(self) -> None:
        run_id, _ = running()
        with pytest.raises(TransitionRefused) as refused:
            ask(run_id, attempt=2)
        assert refused.value.code == "stale-attempt"

    @pytest.mark.parametrize(
        "asked",
        [
            {"schema": {"type": "string"}},
            {"schema": {"type": 5}},
            {"schema": {"type": "object", "properties": {"key": {"type": "string", "writeOnly": True}}}},
            {"description": "x" * 70_000},
        ],
    )
    def test_asks_nothing_that_cannot_be_answered(self, asked: dict[str, Any]) -> None:
        run_id, _ = running()
        with pytest.raises(InvalidInput) as refused:
            ask(run_id, **asked)
        assert list(refused.value.errors) == ["schema"]

    def test_is_cancelled_as_a_running_one(self) -> None:
        run_id, _ = running()
        ask(run_id)
        with db.transaction() as session:
            runs.cancel(session, run_id, ANN, NOW)
        assert look(run_id) == ("CANCELLING", "Cancelling")
        with db.reading() as session:
            assert questions.standing(session, question(run_id)) == ("withdrawn", S.CANCELLING)
            assert questions.pending(session, run_id) is not None
        tell(run_id, State(S.PAUSED, "Suspended", at=NOW))
        assert look(run_id) == ("CANCELLED", "Cancelled")

    def test_is_crashed_when_its_agent_is_silent(self) -> None:
        run_id, _ = running()
        ask(run_id, timeout_s=3600)
        sweep(NOW + timedelta(minutes=5))
        assert look(run_id) == ("CRASHED", "Crashed")
        with db.reading() as session:
            assert questions.pending(session, run_id) is None

    def test_is_suspended_by_a_person_and_still_asks(self) -> None:
        run_id, _ = running()
        ask(run_id)
        with db.transaction() as session:
            runs.suspend(session, run_id, ANN, NOW)
        assert look(run_id) == ("CANCELLING", "Suspending")
        tell(run_id, State(S.CANCELLED, at=NOW))
        assert look(run_id) == ("PAUSED", "Suspended")
        with pytest.raises(InvalidInput):
            resume(run_id)
        assert resume(run_id, {"approve": False}).state_type == "SCHEDULED"


class TestASuspendedRun:
    def test_is_stopped_first_and_asks_then(self) -> None:
        run_id, _ = running()
        ask(run_id, suspends=True, description="Load it?")
        assert look(run_id) == ("CANCELLING", "Suspending")
        with pytest.raises(TransitionRefused):
            resume(run_id, {"approve": True})
        tell(run_id, State(S.PAUSED, "Suspended", at=NOW))
        with db.reading() as session:
            run = runs.get(session, run_id)
            assert (run.state_name, run.lease_until) == ("Suspended", None)
            assert run.state_message == "Waits for an answer: Load it?"
        assert events("paused")[-1].payload["question"]["key"] == "k"

    def test_gives_its_next_attempt_the_answer(self) -> None:
        run_id = suspended()
        assert resume(run_id, {"approve": True}).state_type == "SCHEDULED"
        with db.transaction() as session:
            agent = add_agent(session, at=NOW)
            job = claims.claim(session, agent.id, ["q"], now=NOW, issue_token=token)
            assert job is not None
            assert job.attempt == 2
        tell(run_id, State(S.RUNNING, at=NOW), attempt=2)
        assert ask(run_id, attempt=2, suspends=True).answer == {"approve": True}
        assert look(run_id) == ("RUNNING", "Running")

    def test_started_by_hand_or_as_a_subflow_is_refused(self) -> None:
        run_id, _ = running()
        with db.transaction() as session:
            session.execute(update(FlowRun).values(work_queue_id=None, deployment_id=None))
        with pytest.raises(TransitionRefused) as refused:
            ask(run_id, suspends=True)
        assert refused.value.code == "not-deployed"
        with db.reading() as session:
            assert questions.listing(session, run_id) == []


class TestTimeUp:
    LATER = NOW + timedelta(seconds=11)

    def test_a_paused_run_is_told(self) -> None:
        run_id, agent_id = running()
        ask(run_id, timeout_s=10)
        with db.transaction() as session:
            agents.heartbeat(session, agent_id, [(run_id, 1)], self.LATER)
            assert not questions.expire(session, run_id, PROCESS, NOW)
        sweep(self.LATER)
        assert look(run_id) == ("RUNNING", "Running")
        assert question(run_id).state == "timed-out"

    def test_a_suspended_run_fails(self) -> None:
        run_id = suspended(timeout_s=10)
        sweep(self.LATER)
        assert look(run_id) == ("FAILED", "SuspensionTimedOut")
        assert question(run_id).state == "timed-out"

    def test_a_default_holds(self) -> None:
        run_id = suspended(timeout_s=10, has_default=True, default={"approve": False})
        sweep(self.LATER)
        assert look(run_id) == ("SCHEDULED", "Scheduled")
        assert (question(run_id).state, question(run_id).answer) == ("answered", {"approve": False})
        [told] = events("answered")
        assert (told.kind, told.payload["by"]["type"]) == ("operation", "server")

    def test_a_default_that_nobody_can_take_up_fails(self) -> None:
        run_id = suspended(timeout_s=10, has_default=True, default={"approve": False})
        with db.transaction() as session:
            session.execute(update(FlowRun).values(deployment_id=None))
        sweep(self.LATER)
        assert look(run_id) == ("FAILED", "SuspensionTimedOut")


class TestMessages:
    def send(self, run_id: uuid.UUID, value: Any, actor: Actor = PROCESS) -> str:
        with db.transaction() as session:
            made = messages.send(session, run_id, value, key_prefix=None, sender=None, actor=actor, now=NOW)
            return f"{made.key_prefix}-{made.position}"

    def test_are_numbered_and_read_in_order(self) -> None:
        run_id, _ = running()
        sent = [self.send(run_id, value) for value in ("a", 1, None, [2], {"b": 3}, True, "c")]
        prefixes = ("str", "int", "none", "list", "dict", "bool", "str")
        assert sent == [f"{name}-auto-{number}" for number, name in enumerate(prefixes, 1)]
        with db.reading() as session:
            assert [one.value for one in messages.listing(session, run_id, "str-auto")] == ["a", "c"]
            assert [one.value for one in messages.listing(session, run_id, "str-auto", after=1)] == ["c"]
            assert [one.value for one in messages.listing(session, run_id, after=2, limit=2)] == [None, [2]]

    def test_of_people_are_told(self) -> None:
        run_id, _ = running()
        self.send(run_id, 1)
        self.send(run_id, 2, ANN)
        assert [told.payload["after"]["value"] for told in events("message-sent")] == [2]

    def test_are_limited(self, monkeypatch: pytest.MonkeyPatch) -> None:
        run_id, _ = running()
        with pytest.raises(InvalidInput, match=r"65,538 bytes of 65,536 at most"):
            self.send(run_id, "x" * 65_536)
        monkeypatch.setattr(messages, "MESSAGES_MAX", 1)
        self.send(run_id, 1)
        with pytest.raises(Conflict, match="may be sent no more"):
            self.send(run_id, 2)

    def test_go_with_their_run(self) -> None:
        run_id, _ = running()
        self.send(run_id, 1)
        ask(run_id)
        tell(run_id, State(S.FAILED, at=NOW))
        with pytest.raises(Conflict, match="receives nothing any more"):
            self.send(run_id, 2)
        with db.transaction() as session:
            runs.delete(session, run_id, ANN, NOW)
            assert session.scalars(select(FlowQuestion)).all() == []


class TestOverRest:
    @pytest.fixture
    def client(self, app: Flask, client_as: ClientAs) -> FlaskClient:
        return client_as("editor")

    def of_run(self, app: Flask, run_id: uuid.UUID) -> FlaskClient:
        client = app.test_client()
        client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {tokens.issue(run_id, 1)}"
        return client

    def waits(self, call: Callable[[], Any]) -> tuple[threading.Thread, list[Any]]:
        """A call in a thread of its own, once it waits."""
        found: list[Any] = []
        thread = threading.Thread(target=lambda: found.append(call().json))
        thread.start()
        until(lambda: bool(answers._room._waiters), "it to wait")
        return thread, found

    def test_a_question_is_asked_waited_for_and_answered(self, app: Flask, client: FlaskClient) -> None:
        run_id, _ = running()
        path = f"/api/v1/flow-runs/{run_id}"
        own = self.of_run(app, run_id)
        assert client.get(f"{path}/question").status_code == 404
        asked = own.post(f"{path}/questions", json={"key": "k", "attempt": 1, "schema": SCHEMA, "timeout_s": 3600}).json
        assert (asked["state"], asked["run_state"]) == ("pending", "PAUSED")
        assert client.get(f"{path}/question").json["id"] == asked["id"]
        thread, found = self.waits(lambda: own.get(f"{path}/questions/{asked['id']}?wait_s=30"))
        refused = client.post(f"{path}/resume", json={"input": {"approve": 3}})
        assert (refused.status_code, refused.json["errors"]) == (
            422, {"input.approve": ["Must be of type boolean."]},
        )  # fmt: skip
        assert client.post(f"{path}/resume", json={"input": {"approve": True}}).json["state"]["type"] == "RUNNING"
        thread.join(10)
        assert (found[0]["state"], found[0]["answer"]) == ("answered", {"approve": True})
        assert found[0]["answered_by"]["name"] == "editor of the tests"
        assert [item["key"] for item in client.get(f"{path}/questions").json["items"]] == ["k"]

    def test_who_looks_when_the_time_is_up_sees_it(self, client: FlaskClient) -> None:
        run_id, _ = running()
        with db.transaction() as session:
            wanted = Asked(key="k", timeout_s=0.2, has_default=True)
            made = questions.ask(session, run_id, wanted, attempt=1, actor=PROCESS, now=now())
        path = f"/api/v1/flow-runs/{run_id}/questions/{made.id}"
        found = client.get(f"{path}?wait_s=30").json
        assert (found["state"], found["answer"], found["answered_by"]["type"]) == ("answered", None, "server")
        assert look(run_id) == ("RUNNING", "Running")

    def test_a_message_is_waited_for(self, app: Flask, client: FlaskClient) -> None:
        run_id, _ = running()
        path = f"/api/v1/flow-runs/{run_id}/messages"
        own = self.of_run(app, run_id)
        thread, found = self.waits(lambda: own.get(f"{path}?wait_s=30&key_prefix=k&after=1"))
        client.post(path, json={"value": 1, "key_prefix": "k"})
        client.post(path, json={"value": 2})
        assert client.post(path, json={"value": 3, "key_prefix": "k"}).json["key"] == "k-3"
        thread.join(10)
        assert [(item["key"], item["value"], item["sender"]) for item in found[0]["items"]] == [("k-3", 3, None)]
        began = time.monotonic()
        assert client.get(f"{path}?after=3&wait_s=0.1").json == {"items": []}
        assert time.monotonic() - began >= 0.1

    def test_a_run_speaks_for_itself_and_writes_to_others(self, app: Flask, client: FlaskClient) -> None:
        (first, _), (second, _) = running(), running()
        own = self.of_run(app, first)
        assert own.post(f"/api/v1/flow-runs/{second}/questions", json={"key": "k", "attempt": 1}).status_code == 404
        assert own.get(f"/api/v1/flow-runs/{second}/messages").status_code == 404
        sent = own.post(f"/api/v1/flow-runs/{second}/messages", json={"value": 1})
        assert (sent.status_code, sent.json["sender"]) == (201, f"orchestrator.flow-run.{first}")
        ask(second, schema=None)
        assert own.post(f"/api/v1/flow-runs/{second}/resume").json["state"]["type"] == "RUNNING"
        with db.transaction() as session:
            session.execute(update(FlowRun).where(FlowRun.id == second).values(parent_flow_run_id=first))
        assert own.get(f"/api/v1/flow-runs/{second}/messages").status_code == 200
