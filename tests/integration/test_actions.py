"""Actions on a real database: done once, tried again, given up for all to see, done again by hand."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import OperationalError

from orchestrator.clock import now
from orchestrator.errors import InvalidInput
from orchestrator.kinds import block_kinds
from orchestrator.server import loops
from orchestrator.server.db import session as db
from orchestrator.server.db.models import (
    Action,
    ActionTarget,
    Event,
    Firing,
    FlowRun,
)
from orchestrator.server.loops import actions as loop
from orchestrator.server.loops.senders import Senders
from orchestrator.server.services.acting import action_kinds, action_outbox, action_results, actions
from orchestrator.server.services.configuring import blocks
from orchestrator.server.services.configuring.block_types import register
from orchestrator.server.services.deploying import block_removal
from orchestrator.server.services.identity import tokens
from orchestrator.server.services.running import agents, claims, runs
from orchestrator.states import StateType
from tests.acting import all_runs, deploy, save, turn
from tests.api import ClientAs
from tests.firings import EVENT, fire, only, outbox, told
from tests.polling import until
from tests.server_rows import ANN
from tests.standins import messengers
from tests.standins.trackers import Jira

RUN = {"do": "run-deployment", "deployment": "etl/prod", "parameters": {"key": "{{ event.payload.key }}"}}
TELL = {"do": "notify", "block": "slack/team", "subject": "{{ event.name }}", "body": "{{ resource.name }} is there"}


@pytest.fixture
def slack(senders: Senders) -> Iterator[messengers.Slack]:
    """Slack, and its block ``slack/team``."""
    with messengers.Slack() as service:
        save("slack", "team", webhook_url=f"{service.url}/services/T0/B0/{service.key}")
        yield service


class TestWhatIsDoneHere:
    def test_a_run_with_parameters_of_the_event_in_the_chain_of_its_cause(self, senders: Senders) -> None:
        deploy()
        firing_id = fire(RUN, depth=3)
        turn()
        turn()
        [run] = all_runs()
        assert run.parameters == {"key": "sales/2026-01-31.csv"}
        assert run.created_by["type"] == "trigger"
        with db.reading() as session:
            firing = session.get_one(Firing, firing_id)
        assert (run.chain_id, run.chain_depth) == (firing.chain_id, 3)
        row = only()
        assert (row.state, row.attempts, row.error, row.result) == ("done", 1, "", {"run_id": str(run.id)})
        assert row.rendered["parameters"] == run.parameters
        [event] = told("action.done")
        roles = {labels["resource.role"]: labels for labels in event.related}
        assert roles["started"]["resource.id"] == f"orchestrator.flow-run.{run.id}"
        assert roles["chain"] == {
            "resource.id": f"orchestrator.chain.{firing.chain_id}", "resource.role": "chain", "chain.depth": "3",
        }  # fmt: skip
        assert roles["cause"]["resource.id"] == EVENT["resource"]["resource.id"]
        assert event.payload["by"]["type"] == "trigger"

    def test_a_run_later(self, senders: Senders) -> None:
        deploy()
        fire({**RUN, "delay": "1h"})
        at = now()
        turn(at)
        [run] = all_runs()
        assert run.due == at + timedelta(hours=1)

    def test_an_event_that_follows_and_knows_its_chain(self, senders: Senders) -> None:
        document = {
            "do": "emit-event", "event": "sales.ready", "resource": "{{ resource.id }}",
            "payload": {"rows": "{{ event.payload.rows }}"},
        }  # fmt: skip
        fire(document)
        turn()
        [event] = told("sales.ready")
        [cause] = told("file.landed")
        assert event.payload == {"rows": 12}
        assert event.resource_id == EVENT["resource"]["resource.id"]
        assert event.follows == cause.id
        assert [labels["resource.role"] for labels in event.related] == ["chain"]

    def test_what_was_asked_for_is_not_asked_for_twice(self, senders: Senders) -> None:
        deploy()
        firing_id = fire(RUN)
        with db.transaction() as session:
            assert actions.queue(session, session.get_one(Firing, firing_id), "fire", [RUN], now()) == []
            assert len(actions.queue(session, session.get_one(Firing, firing_id), "resolve", [RUN], now())) == 1
        turn()
        assert len(all_runs()) == 2

    def test_two_loops_at_once_never_double(self, senders: Senders) -> None:
        deploy()
        for _ in range(10):
            fire(RUN)
        stop = threading.Event()

        def work() -> None:
            while not stop.is_set():
                with db.transaction() as session:
                    action_outbox.perform(session, now(), 3)

        with ThreadPoolExecutor(3) as pool:
            workers = [pool.submit(work) for _ in range(3)]
            until(lambda: all(row.state == "done" for row in outbox()), "all of them", 60)
            stop.set()
            for worker in workers:
                worker.result(30)
        assert len(all_runs()) == 10
        assert {row.attempts for row in outbox()} == {1}


class TestManyAtOnce:
    def test_bad_ones_among_them_are_given_up_and_the_others_done(self, senders: Senders) -> None:
        deploy()
        for number in range(3):
            fire(RUN, payload={"key": f"k{number}"})
        fire({**RUN, "deployment": "etl/gone"})
        fire({**RUN, "parameters": {"key": "{{ event.payload.kee }}"}})
        fire({"do": "emit-event", "event": "x", "resource": {"name": "y"}})
        fire({"do": "emit-event", "event": "x", "resource": "y"})
        turn()
        assert [row.state for row in outbox()] == ["done"] * 3 + ["given-up"] * 3 + ["done"]
        assert {row.attempts for row in outbox()} == {1}
        keys = {str(run.id): run.parameters["key"] for run in all_runs()}
        assert [keys[row.result["run_id"]] for row in outbox()[:3]] == ["k0", "k1", "k2"]
        assert len(told("action.done")) == 4
        assert len(told("action.given-up")) == 3

    def test_one_that_the_database_refuses_does_not_undo_the_others(
        self, senders: Senders, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        deploy()
        for number in range(3):
            fire(RUN, payload={"key": f"k{number}"})
        insert = runs.insert

        def refuses(session: Any, drafts: Any) -> Any:
            made = insert(session, drafts)
            if any(draft.row["parameters"]["key"] == "k1" for draft in drafts):
                raise OperationalError("x", {}, Exception("deadlock"))
            return made

        with monkeypatch.context() as patch:
            patch.setattr(runs, "insert", refuses)
            turn()
        assert [row.state for row in outbox()] == ["done", "waiting", "done"]
        assert sorted(run.parameters["key"] for run in all_runs()) == ["k0", "k2"]
        turn(outbox()[1].next_try)
        assert [row.attempts for row in outbox()] == [1, 2, 1]
        assert len(all_runs()) == 3


class TestWhatCannotBeDone:
    @pytest.mark.parametrize(
        ("document", "error"),
        [
            ({**RUN, "deployment": "etl/gone"}, "there is no deployment etl/gone"),
            ({**RUN, "parameters": {"key": "{{ event.payload.kee }}"}}, "run-deployment.parameters.key: the template"),
            ({**RUN, "delay": "{{ event.payload.key }}"}, "run-deployment.delay"),
            ({**RUN, "parameters": {"key": "{{ event.payload.secret }}"}}, "Templates are looked up only where"),
            ({"do": "run-deployment", "inferred": True}, "the event names no deployment"),
            ({"do": "emit-event", "event": "x", "resource": {"name": "y"}}, "resource: give it an id"),
        ],
    )
    def test_it_is_given_up_at_once_and_says_why(self, senders: Senders, document: Any, error: str) -> None:
        deploy()
        fire(document, payload={**EVENT["payload"], "secret": "{{ blocks.secret.key }}"})
        turn()
        row = only()
        assert (row.state, row.attempts, row.next_try) == ("given-up", 1, None)
        assert error in row.error
        assert all_runs() == []
        [event] = told("action.given-up")
        assert event.payload["error"] == row.error

    def test_what_may_go_better_is_tried_again_and_leaves_nothing_behind(
        self, senders: Senders, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        deploy()
        fire(RUN)
        kind = action_kinds.get("run-deployment")
        act = type(kind).act

        def fails(*given: Any) -> Any:
            act(*given)
            raise OperationalError("x", {}, Exception("deadlock"))

        with monkeypatch.context() as patch:
            patch.setattr(type(kind), "act", fails)
            turn()
        row = only()
        assert (row.state, row.attempts) == ("waiting", 1)
        assert "deadlock" in row.error
        assert all_runs() == []
        turn(row.next_try)
        assert only().state == "done"
        assert len(all_runs()) == 1
        assert len(told("action.failed")) == 1

    def test_it_is_done_again_by_hand(self, senders: Senders, client_as: ClientAs) -> None:
        fire(RUN)
        turn()
        row = only()
        assert row.state == "given-up"
        deploy()
        editor = client_as("editor")
        assert client_as("viewer").post(f"/api/v1/actions/{row.id}/redo").status_code == 403
        shown = editor.post(f"/api/v1/actions/{row.id}/redo").json
        assert (shown["state"], shown["attempts"]) == ("waiting", 0)
        assert editor.post(f"/api/v1/actions/{row.id}/redo").status_code == 409
        turn()
        assert only().state == "done"
        [listed] = editor.get("/api/v1/actions?state=done&kind=run-deployment").json["items"]
        assert listed["result"] == {"run_id": str(all_runs()[0].id)}
        assert editor.get(f"/api/v1/actions/{row.id}").json == listed
        assert editor.get("/api/v1/actions?state=given-up").json["items"] == []
        assert len(told("action.redone")) == 1

    def test_the_kinds_are_told(self, client_as: ClientAs) -> None:
        found = client_as("viewer").get("/api/v1/action-kinds").json
        assert {"run-deployment", "emit-event", "notify"} <= {item["name"] for item in found["items"]}
        assert "event" in found["names"]


class TestWhatIsNamedAtSave:
    def test_unknown_things(self, senders: Senders) -> None:
        documents = [
            {"do": "run-deployment", "deployment": "etl/prod"},
            {"do": "notify", "block": "slack/none"},
            {"do": "create-ticket", "block": "string/x", "title": "y"},
        ]
        save("string", "x", value="1")
        with db.reading() as session, pytest.raises(InvalidInput) as caught:
            action_kinds.check(documents, "then", session)
        assert sorted(caught.value.errors) == ["then.0.deployment", "then.1.block", "then.2.block"]
        assert "is no ticket" in caught.value.errors["then.2.block"][0]
        deploy()
        with db.reading() as session:
            action_kinds.check(documents[:1], "then", session)


class TestWhatGoesOut:
    def test_a_message_with_texts_of_its_own(self, slack: messengers.Slack) -> None:
        fire(TELL)
        turn()
        [message] = slack.messages
        assert "file.landed" in message.text
        assert "2026-01-31.csv is there" in message.text
        row = only()
        assert (row.state, row.target) == ("done", "slack/team")

    def test_without_texts_it_tells_of_the_firing(self, slack: messengers.Slack) -> None:
        fire({"do": "notify", "block": "slack/team"})
        fire({"do": "notify", "block": "slack/team"}, moment="resolve")
        turn()
        first, second = sorted((message.text for message in slack.messages), reverse=True)
        assert first.startswith("Warning: t-")
        assert "Why: it came" in first
        assert second.startswith("Over: t-")

    def test_pain_56_failing_twice_then_done_once(self, slack: messengers.Slack) -> None:
        fire(TELL)
        slack.failing(500, "on fire", times=2)
        for _ in range(3):
            turn(only().next_try)
        assert len(slack.messages) == 1
        assert (only().state, only().attempts) == ("done", 3)
        assert len(told("action.failed")) == 2

    def test_pain_56_always_failing_is_given_up_for_all_to_see(
        self, slack: messengers.Slack, client_as: ClientAs
    ) -> None:
        fire(TELL)
        slack.failing(500, "on fire", times=1000)
        for _ in range(action_results.TRIES):
            turn(only().next_try)
        row = only()
        assert (row.state, row.attempts, row.next_try) == ("given-up", action_results.TRIES, None)
        assert "on fire" in row.error
        assert slack.key not in row.error
        [event] = told("action.given-up")
        assert event.payload["error"] == row.error
        assert {"trigger", "target", "cause", "chain"} == {item["resource.role"] for item in event.related}
        [shown] = client_as("viewer").get("/api/v1/actions?state=given-up").json["items"]
        assert shown["error"] == row.error
        turn(now() + timedelta(days=1))
        assert only().attempts == action_results.TRIES

    def test_a_target_that_fails_again_and_again_rests(self, slack: messengers.Slack) -> None:
        for _ in range(10):
            fire(TELL)
        slack.failing(500, times=1000)
        at = now()
        for _ in range(4):
            turn(at)
        with db.reading() as session:
            target = session.get_one(ActionTarget, "slack/team")
        assert target.open_until is not None
        tried = sum(row.attempts for row in outbox())
        turn(at)
        assert sum(row.attempts for row in outbox()) == tried, "it rests"
        assert any("rests after" in row.error for row in outbox())
        turn(target.open_until)
        assert sum(row.attempts for row in outbox()) == tried + 1, "one tries whether it is back"
        slack.faults.clear()
        later = now() + timedelta(hours=2)
        for _ in range(8):
            turn(later)
        assert {row.state for row in outbox()} == {"done"}
        with db.reading() as session:
            assert session.get(ActionTarget, "slack/team") is None

    def test_a_webhook_knows_the_action_and_the_chain(self, senders: Senders) -> None:
        with messengers.Endpoint() as service:
            save("webhook", "ours", url=f"{service.url}/hook/{service.key}")
            firing_id = fire(
                {"do": "call-webhook", "block": "webhook/ours", "body": {"rows": "{{ event.payload.rows }}"}}
            )
            turn()
            [request] = service.requests
        with db.reading() as session:
            firing = session.get_one(Firing, firing_id)
        assert request.json() == {"rows": 12}
        assert request.headers["Idempotency-Key"] == str(only().id)
        assert request.headers["X-Orchestrator-Chain"] == f"{firing.chain_id};0"
        assert (only().state, only().result) == ("done", {"answer": {"taken": 1}})

    def test_a_ticket_in_jira(self, senders: Senders) -> None:
        with Jira() as tracker:
            save(
                "jira", "ops", api_url=tracker.url, email="robot@example.com", api_token=tracker.key, project="OPS",
                issue_type="Task",
            )  # fmt: skip
            fire({
                "do": "create-ticket", "block": "jira/ops", "title": "Late:\n{{ resource.name }}",
                "description": "It has {{ event.payload.rows }} rows.", "labels": ["data"],
            })  # fmt: skip
            turn()
            assert only().error == ""
            [issue] = tracker.issues.values()
        assert issue.title == "Late: 2026-01-31.csv"
        assert issue.labels == ["data"]
        assert only().result["ticket"] == "OPS-11"

    def test_one_that_hangs_keeps_nobody_waiting(
        self, slack: messengers.Slack, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        release = threading.Event()
        monkeypatch.setattr(block_kinds.find("discord"), "notify", lambda *_: release.wait(60))
        save("discord", "slow", webhook_url="http://127.0.0.1:9/api/webhooks/1/x-x-x-x")
        for _ in range(3):
            fire({**TELL, "block": "discord/slow"}, TELL)
        loops.run("actions", now())
        until(lambda: len(slack.messages) == 2, "the first messages of the other notifier")
        until(lambda: len(loop.senders._busy) == 2, "their threads to end")
        loops.run("actions", now())
        until(lambda: len(slack.messages) == 3, "all messages of the other notifier")
        until(lambda: len(loop.senders._busy) == 2, "its thread to end")
        monkeypatch.setattr(loop.senders, "_time_out", 0.0)
        loops.run("actions", now() + action_outbox.TIME_OUT)
        errors = {row.error for row in outbox() if row.target == "discord/slow"}
        assert errors == {"no answer within 90 s", "an earlier one still hangs"}
        release.set()
        until(loop.senders.idle, "the threads to come back")
        states = [row.state for row in outbox() if row.target == "discord/slow"]
        assert sorted(states) == ["done", "done", "waiting"], "a late answer counts"

    def test_a_deleted_block_and_a_dead_process(self, slack: messengers.Slack) -> None:
        fire(TELL)
        slack.failing(500, times=20)
        turn()
        with db.transaction() as session:
            session.execute(update(Action).values(state="running", next_try=now() + action_outbox.TIME_OUT))
        turn(now() + action_outbox.TIME_OUT)
        row = only()
        assert (row.state, row.error) == ("waiting", "no answer within 90 s")
        with db.transaction() as session:
            block_removal.delete(session, "slack/team", ANN, now(), force=True)
        turn(row.next_try)
        assert (only().state, only().error) == ("given-up", "the block slack/team was deleted")


class TestKindsOfBlockThatTheServerDoesNotHave:
    @pytest.fixture
    def pager(self, slack: messengers.Slack) -> None:
        with db.transaction() as session:
            facts = {**block_kinds.find("webhook").type_facts(), "slug": "our-pager", "import_path": "ours:Pager"}
            register(session, facts, ANN, now())
            blocks.create(session, "our-pager", {"url": "http://127.0.0.1:9/"}, name="duty", actor=ANN, now=now())
        fire(
            {**TELL, "block": "our-pager/duty", "body": "{{ event.payload.key }}"}, payload={"key": "{{ blocks.x.y }}"}
        )

    def test_an_agent_is_sent_and_reads_its_own_action_alone(self, pager: None, client_as: ClientAs) -> None:
        turn()
        row = only()
        assert (row.state, row.attempts) == ("running", 1)
        with db.transaction() as session:
            agent = agents.register(
                session, name="a", hostname="h", pid=1, version="1", transport="redis", queues=["default"], slots=1,
                now=now(),
            )  # fmt: skip
            job = claims.claim(session, agent.id, ["default"], now=now(), issue_token=tokens.issue)
        assert job is not None
        assert job.entrypoint == "orchestrator.running.errands:act"
        fire(TELL)
        client = client_as("")
        headers = {"Authorization": f"Bearer {job.token}"}
        shown = client.get(f"/api/v1/actions/{row.id}", headers=headers).json
        assert shown["rendered"]["body"] == "{{ blocks.x.y }}", "what an event holds is no template"
        assert client.get(f"/api/v1/actions/{outbox()[-1].id}", headers=headers).status_code == 403
        with db.transaction() as session:
            session.execute(
                update(FlowRun).where(FlowRun.id == row.errand_id).values(
                    state_type=StateType.COMPLETED.value, ended=now(), lease_until=None, result={"value": {"n": 1}}
                )
            )  # fmt: skip
        turn()
        assert (outbox()[0].state, outbox()[0].result) == ("done", {"n": 1})

    def test_nobody_comes(self, pager: None) -> None:
        turn()
        turn(now() + action_outbox.AGENT_TIME_OUT)
        row = only()
        assert row.state == "waiting"
        assert "needs an agent, and none took it within 10 minutes" in row.error
        with db.reading() as session:
            assert session.get(ActionTarget, "our-pager/duty") is None, "the block is not to blame"


def test_events_of_actions_are_few(senders: Senders) -> None:
    deploy()
    fire(RUN)
    turn()
    with db.reading() as session:
        names = session.scalars(select(Event.event).where(Event.event.startswith("action."))).all()
    assert list(names) == ["action.done"]
