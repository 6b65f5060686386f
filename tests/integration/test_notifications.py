"""Notifications, the short form of triggers that tell people of runs: what is told, and that it is told once."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import text

from orchestrator.clock import now
from orchestrator.documents.records import State
from orchestrator.errors import Conflict, InvalidInput
from orchestrator.kinds import block_kinds
from orchestrator.server import loops
from orchestrator.server.db import session as db
from orchestrator.server.db.models import ActionTarget, Deployment, FlowRun, WorkQueue
from orchestrator.server.loops import actions as loop
from orchestrator.server.loops.senders import Senders
from orchestrator.server.services.acting import action_outbox, action_results
from orchestrator.server.services.configuring import blocks
from orchestrator.server.services.configuring.block_types import register
from orchestrator.server.services.deploying import block_removal, deployments
from orchestrator.server.services.reacting import evaluation
from orchestrator.server.services.recording import event_cursor, events
from orchestrator.server.services.recording.events import EventRecord
from orchestrator.server.services.running import runs
from orchestrator.server.services.statements import fetch
from orchestrator.states import StateType
from tests.api import ClientAs
from tests.firings import only, outbox, told
from tests.polling import until
from tests.server_rows import ANN, add_run
from tests.standins import messengers
from tests.standins.mail import mail_server

TEAM = {"block": "slack/team"}


@pytest.fixture
def slack(app: object, monkeypatch: pytest.MonkeyPatch) -> Iterator[messengers.Slack]:
    """Slack, its block ``slack/team``, and a loop that has been round once."""
    monkeypatch.setattr(loop, "senders", Senders(loop.send, action_outbox.AT_ONCE, 90))
    with messengers.Slack() as service:
        with db.transaction() as session:
            save(session, "slack", "team", webhook_url=f"{service.url}/services/T0/B0/{service.key}")
        turn()
        yield service


def save(session: Any, slug: str, name: str, **data: Any) -> uuid.UUID:
    register(session, block_kinds.find(slug).type_facts(), ANN, now())
    return blocks.create(session, slug, data, name=name, actor=ANN, now=now()).id


def deploy(*told: dict[str, Any], name: str = "prod", **more: Any) -> Deployment:
    document = {"flow": "etl", "name": name, "entrypoint": "flow.py:etl", "notifications": list(told), **more}
    with db.transaction() as session:
        return deployments.apply(session, document, ANN, now()).deployment


def end(deployment: Deployment, kind: StateType = StateType.FAILED, message: str = "no such table") -> FlowRun:
    """A run of the deployment that came to an end."""
    with db.transaction() as session:
        run = add_run(session, session.get_one(Deployment, deployment.id))
        return runs.move(session, run.id, State(kind, message=message), actor=ANN, now=now())


def turn(at: datetime | None = None) -> None:
    """One round of the loops, and the end of what they began."""
    loops.run("triggers", at or now())
    loops.run("actions", at or now())
    until(loop.senders.idle, "the messages to be sent")


class TestWhatIsTold:
    def test_a_failed_run_once_and_a_completed_one_never(self, slack: messengers.Slack) -> None:
        deployment = deploy(TEAM)
        run = end(deployment)
        end(deployment, StateType.COMPLETED)
        turn()
        turn()
        [message] = slack.messages
        assert f"Failed: etl/prod, run {run.name}" in message.text
        assert "> no such table" in message.text
        assert f"http://127.0.0.1:4200/runs/{run.id}" in message.text
        row = only()
        assert (row.state, row.attempts, row.error, row.target) == ("done", 1, "", "slack/team")

    def test_the_states_and_notifiers_of_the_deployment(self, slack: messengers.Slack, tmp_path: Path) -> None:
        with mail_server(tmp_path, "plain") as post:
            with db.transaction() as session:
                mail = {"host": post.host, "port": post.port, "security": "plain"}
                server = save(session, "smtp-credentials", "post", **mail)
                save(
                    session, "email", "boss", credentials={"$block": str(server)}, sender="robot@example.com",
                    recipients=["boss@example.com"],
                )  # fmt: skip
            deployment = deploy(TEAM, {"block": "email/boss", "on": ["completed"]})
            end(deployment, StateType.COMPLETED, "")
            turn()
            end(deployment, StateType.CRASHED, "its agent was lost")
            turn()
            [mail_sent] = post.mails
        assert mail_sent["Subject"].startswith("Completed: etl/prod")
        [message] = slack.messages
        assert message.text.startswith("Crashed: etl/prod")

    def test_nothing_of_before_it_was_asked_for_nor_of_others(self, slack: messengers.Slack) -> None:
        deployment = deploy()
        end(deployment)
        turn()
        deploy(TEAM)
        end(deploy(name="other"))
        turn()
        assert outbox() == []

    def test_events_that_others_make_up_tell_nothing(self, slack: messengers.Slack) -> None:
        deployment = deploy(TEAM)
        run = end(deployment, StateType.COMPLETED)
        about = {"resource.id": f"orchestrator.flow-run.{run.id}"}
        with db.transaction() as session:
            made_up = {"event": "flow-run.failed", "resource": about}
            assert events.ingest(session, [made_up], now()).refused[0].code == "reserved"
            # What tells people goes by the run's history, whoever may have written the event.
            owner = {"resource.id": f"orchestrator.deployment.{deployment.id}", "resource.role": "deployment"}
            events.record(session, [EventRecord("flow-run.failed", about, [owner])], now())
        turn()
        assert slack.messages == []
        assert (only().state, only().error) == ("skipped", "no run was failed then: its history does not know of it")

    def test_pain_57_a_crash_is_told_exactly_once(self, slack: messengers.Slack) -> None:
        end(deploy(TEAM), StateType.CRASHED, "its agent was lost")
        for _ in range(3):
            turn()
        [message] = slack.messages
        assert message.text.startswith("Crashed: etl/prod")


class TestWhenTheServiceIsAway:
    def test_it_is_given_up_for_all_to_see(self, slack: messengers.Slack, client_as: ClientAs) -> None:
        run = end(deploy(TEAM))
        slack.failing(500, "on fire", times=100)
        turn()
        for _ in range(action_results.TRIES - 1):
            turn(only().next_try)
        row = only()
        assert (row.state, row.attempts, row.next_try) == ("given-up", action_results.TRIES, None)
        [event] = told("action.given-up")
        roles = {item["resource.role"]: item["resource.id"] for item in event.related}
        assert roles["cause"] == f"orchestrator.flow-run.{run.id}"
        assert roles["deployment"] == f"orchestrator.deployment.{run.deployment_id}"
        viewer = client_as("viewer")
        for query in (f"flow_run_id={run.id}", f"deployment_id={run.deployment_id}", "state=given-up"):
            [shown] = viewer.get(f"/api/v1/actions?{query}").json["items"]
            assert shown["error"] == row.error
            assert shown["trigger"]["name"] == "notify slack/team"
        assert viewer.get(f"/api/v1/actions?flow_run_id={uuid.uuid4()}").json["items"] == []

    def test_a_deleted_notifier(self, slack: messengers.Slack) -> None:
        end(deploy(TEAM))
        slack.failing(500, times=20)
        turn()
        with db.transaction() as session, pytest.raises(Conflict, match="deployment etl/prod"):
            block_removal.delete(session, "slack/team", ANN, now())
        with db.transaction() as session:
            block_removal.delete(session, "slack/team", ANN, now(), force=True)
        with db.reading() as session:
            deployment = deployments.get(session, "etl/prod")
            assert deployment.not_ready is None, "its runs do not need it"
            assert deployment.notifications == []
        end(deployment)
        turn(now() + timedelta(minutes=1))
        assert len(slack.messages) == 0


class TestExactlyOnce:
    def test_two_loops_at_once_never_double(self, slack: messengers.Slack) -> None:
        deployment = deploy(TEAM)
        stop = threading.Event()

        def read() -> None:
            while not stop.is_set():
                with db.transaction() as session:
                    evaluation.step(session, now(), 3)

        with ThreadPoolExecutor(4) as pool:
            readers = [pool.submit(read) for _ in range(2)]
            ended = [
                run for runs_of in pool.map(lambda _: [end(deployment) for _ in range(10)], range(2)) for run in runs_of
            ]
            until(lambda: len(outbox()) >= 20, "all of them in the outbox")
            stop.set()
            for reader in readers:
                reader.result(10)
        turn()
        told_of = [row.spec["block"] for row in outbox()]
        assert told_of == ["slack/team"] * len(ended)

    def test_what_commits_late_is_not_left_out(self, slack: messengers.Slack) -> None:
        deployment = deploy(TEAM)
        with db.transaction() as session:
            slow = add_run(session, session.get_one(Deployment, deployment.id))
        with db.transaction() as session:
            runs.move(session, slow.id, State(StateType.FAILED), actor=ANN, now=now())
            quick = end(deployment)
            loops.run("triggers", now())
            assert outbox() == [], "it would step over what is not committed yet"
        turn()
        texts = " ".join(message.text for message in slack.messages)
        assert len(slack.messages) == 2
        assert slow.name in texts
        assert quick.name in texts

    def test_foreign_transactions_hold_nothing_up(self, slack: messengers.Slack, database_url: str) -> None:
        deployment = deploy(TEAM)
        url = db.make_url(database_url).set(drivername="postgresql").render_as_string(False)
        with psycopg.connect(url) as other:
            other.execute("SELECT pg_current_xact_id()")
            end(deployment)
            turn()
            assert len(slack.messages) == 1

    def test_after_a_restore_into_another_cluster(self, slack: messengers.Slack) -> None:
        deployment = deploy(TEAM)
        end(deployment)
        turn()
        end(deployment)
        with db.transaction() as session:
            ahead = "UPDATE event SET xid = (xid::text::bigint + 1000000000)::text::xid8"
            session.execute(text(ahead))
            session.execute(text("UPDATE event_cursor SET cluster = 1, xid = '999999999999'::xid8"))
        turn()
        end(deployment)
        turn()
        turn()
        assert len(outbox()) == len(slack.messages) == 3

    def test_the_next_events_are_found_by_their_index(self, slack: messengers.Slack) -> None:
        wanted = {"xid": 1, "id": uuid.UUID(int=0), "bound": 2, "floor": uuid.UUID(int=0), "limit": 9}
        with db.transaction() as session:
            session.execute(text("SET LOCAL enable_seqscan = off"))
            explain = f"EXPLAIN {event_cursor._NEXT.format(columns='id')}"
            plan = [row[0] for row in fetch(session, explain, wanted)]
        assert any("_xid_id_idx" in line for line in plan)
        assert not any(line.strip().startswith(("->  Sort", "Sort  (")) for line in plan), plan

    def test_ids_of_transactions_get_their_epoch(self) -> None:
        epoch = 1 << 32
        assert event_cursor._whole(5, 7) == 5
        assert event_cursor._whole(5, epoch + 7) == epoch + 5
        assert event_cursor._whole(epoch - 2, epoch + 7) == epoch - 2
        assert event_cursor._whole(3, epoch - 1) == epoch + 3


def test_an_agent_of_the_deployments_queue_is_sent_for_kinds_that_the_server_does_not_have(
    slack: messengers.Slack,
) -> None:
    with db.transaction() as session:
        facts = {**block_kinds.find("webhook").type_facts(), "slug": "our-pager", "import_path": "ours:Pager"}
        register(session, facts, ANN, now())
        blocks.create(session, "our-pager", {"url": "http://127.0.0.1:9/"}, name="duty", actor=ANN, now=now())
    end(deploy({"block": "our-pager/duty"}, work_queue="pagers"), message="it holds {{ blocks.secret.key }}")
    turn()
    row = only()
    assert "{{ blocks.secret.key }}" in row.rendered["body"]
    with db.reading() as session:
        errand = session.get_one(FlowRun, row.errand_id)
        queue = session.get_one(WorkQueue, errand.work_queue_id)
    assert queue.name == "pagers"


class TestDocuments:
    @pytest.mark.parametrize(
        ("told", "problem"),
        [
            ([{"block": "slack/none"}], "notifications.0.block: There is no block slack/none"),
            ([TEAM, {"block": "secret/key"}], "notifications.1.block: Block secret/key is no notifier"),
            ([TEAM, TEAM], "stands there twice"),
            ([TEAM] * 21, "at most 20"),
        ],
    )
    def test_what_cannot_be(self, slack: messengers.Slack, told: list[dict[str, Any]], problem: str) -> None:
        with db.transaction() as session:
            save(session, "secret", "key", value="canary-value")
        with pytest.raises(InvalidInput, match=problem):
            deploy(*told)

    def test_over_rest_with_changes_and_usage(self, slack: messengers.Slack, client_as: ClientAs) -> None:
        editor = client_as("editor")
        document = {"flow": "f", "name": "d", "entrypoint": "a.py:f", "notifications": [TEAM]}
        made = editor.post("/api/v1/deployments", json=document).json["deployment"]
        [shown] = made["notifications"]
        assert (shown["block"], shown["on"]) == ("slack/team", ["failed", "crashed"])
        assert editor.post("/api/v1/deployments", json=document).json["changes"] == []
        usage = editor.get("/api/v1/blocks/slack/team/usage").json["deployments"]
        assert [(item["name"], item["as"]) for item in usage] == [("d", "notifications")]
        document["notifications"] = [{**TEAM, "on": ["cancelled"]}]
        changed = editor.post("/api/v1/deployments", json=document).json
        assert changed["changes"] == ["notifications: slack/team on failed, crashed -> slack/team on cancelled"]
        assert changed["deployment"]["notifications"][0]["on"] == ["cancelled"]
        document["notifications"] = [{**TEAM, "on": ["FAILED"]}]
        assert editor.post("/api/v1/deployments", json=document).status_code == 422
        del document["notifications"]
        assert editor.post("/api/v1/deployments", json=document).json["deployment"]["notifications"] == []


class TestMessagesForATest:
    def ask(self, client_as: ClientAs, ref: str = "slack/team") -> uuid.UUID:
        answer = client_as("editor").post(f"/api/v1/blocks/{ref}/test-message")
        assert answer.status_code == 202
        return uuid.UUID(answer.json["action"])

    def test_one_is_sent_and_says_by_whom(self, slack: messengers.Slack, client_as: ClientAs) -> None:
        action = self.ask(client_as)
        turn()
        [message] = slack.messages
        assert "A test message from Orchestrator" in message.text
        assert "*editor of the tests* sent it by *slack/team*" in message.text.replace("**", "*")
        found = client_as("viewer").get(f"/api/v1/actions/{action}").json
        assert (found["state"], found["moment"], found["error"], found["trigger"]) == ("done", "test", "", None)
        [done] = told("action.done")
        assert done.payload["by"]["name"] == "editor of the tests"

    def test_one_that_is_refused_is_tried_once_and_says_why(self, slack: messengers.Slack, client_as: ClientAs) -> None:
        slack.failing(500, "no_service", times=5)
        action = self.ask(client_as)
        turn()
        turn(now() + timedelta(hours=2))
        found = client_as("viewer").get(f"/api/v1/actions/{action}").json
        assert (found["state"], found["attempts"]) == ("given-up", 1)
        assert "500" in found["error"]

    def test_one_goes_out_though_its_target_rests(self, slack: messengers.Slack, client_as: ClientAs) -> None:
        with db.transaction() as session:
            rest = {"target": "slack/team", "failures": 9, "error": "away", "open_until": now() + timedelta(hours=1)}
            session.add(ActionTarget(**rest, updated=now()))
        self.ask(client_as)
        turn()
        assert len(slack.messages) == 1
        with db.reading() as session:
            assert session.get(ActionTarget, "slack/team") is None, "it is back, so what waits goes out, too"

    def test_what_is_no_notifier_sends_none(self, slack: messengers.Slack, client_as: ClientAs) -> None:
        with db.transaction() as session:
            save(session, "secret", "word", value="x")
        editor = client_as("editor")
        assert editor.post("/api/v1/blocks/secret/word/test-message").status_code == 422
        assert editor.post("/api/v1/blocks/slack/nobody/test-message").status_code == 404
        assert client_as("viewer").post("/api/v1/blocks/slack/team/test-message").status_code == 403
