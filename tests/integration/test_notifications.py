"""Notifications on a real database and real services: what is told, that it is told once, and what failures become."""

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
from sqlalchemy import select, text, update

from orchestrator import block_kinds
from orchestrator.clock import now
from orchestrator.errors import Conflict, InvalidInput
from orchestrator.records import State
from orchestrator.server import loops
from orchestrator.server.db import session as db
from orchestrator.server.db.models import Deployment, Event, FlowRun, Notification
from orchestrator.server.loops import notifications as loop
from orchestrator.server.loops.senders import Senders
from orchestrator.server.services import (
    agents,
    blocks,
    claims,
    deployments,
    event_cursor,
    events,
    notifications,
    runs,
    tokens,
)
from orchestrator.server.services.block_types import register
from orchestrator.server.services.statements import fetch
from orchestrator.states import StateType
from tests.api import ClientAs
from tests.polling import until
from tests.server_rows import ANN, add_run
from tests.standins import messengers
from tests.standins.mail import mail_server

TEAM = {"block": "slack/team"}


@pytest.fixture
def slack(app: object, monkeypatch: pytest.MonkeyPatch) -> Iterator[messengers.Slack]:
    """Slack, its block ``slack/team``, and a loop that has been round once."""
    monkeypatch.setattr(loop, "senders", Senders(loop.send, notifications.AT_ONCE, 90))
    with messengers.Slack() as service:
        with db.transaction() as session:
            save(session, "slack", "team", webhook_url=f"{service.url}/services/T0/B0/{service.key}")
        turn()
        yield service


def save(session: Any, slug: str, name: str, **data: Any) -> uuid.UUID:
    register(session, block_kinds.find(slug).type_facts(), ANN, now())
    return blocks.create(session, slug, data, name=name, actor=ANN, now=now()).id


def deploy(*told: dict[str, Any], name: str = "prod") -> Deployment:
    document = {"flow": "etl", "name": name, "entrypoint": "flow.py:etl", "notifications": list(told)}
    with db.transaction() as session:
        return deployments.apply(session, document, ANN, now()).deployment


def end(deployment: Deployment, kind: StateType = StateType.FAILED, message: str = "no such table") -> FlowRun:
    """A run of the deployment that came to an end."""
    with db.transaction() as session:
        run = add_run(session, session.get_one(Deployment, deployment.id))
        return runs.move(session, run.id, State(kind, message=message), actor=ANN, now=now())


def turn(at: datetime | None = None) -> None:
    """One round of the loop, and the end of what it began."""
    loops.run("notifications", at or now())
    until(loop.senders.idle, "the messages to be sent")


def outbox() -> list[Notification]:
    with db.reading() as session:
        return list(session.scalars(select(Notification).order_by(Notification.id)))


def told(name: str) -> list[Event]:
    with db.reading() as session:
        return list(session.scalars(select(Event).where(Event.event == name)))


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
        [row] = outbox()
        assert (row.state, row.attempts, row.error, row.block) == ("sent", 1, "", "slack/team")
        assert row.sent is not None

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
        run = end(deploy(TEAM), StateType.COMPLETED)
        with db.transaction() as session:
            for about in (
                f"orchestrator.flow-run.{run.id}",
                "orchestrator.flow-run.x",
                "orchestrator.flow-run." + "-" * 36,
            ):
                made_up = {"event": "flow-run.failed", "resource": {"resource.id": about}}
                assert [item.code for item in events.ingest(session, [made_up], now()).refused] == ["reserved"]
                # ... and even had it been taken:
                events.store(
                    session, [events.EventRecord("flow-run.failed", {"resource.id": about}, source="key")], now()
                )
        turn()
        assert outbox() == []


class TestWhenTheServiceIsAway:
    def test_it_is_tried_again_until_it_is_taken(self, slack: messengers.Slack) -> None:
        end(deploy(TEAM))
        slack.failing(500, "on fire", times=20)
        turn()
        [row] = outbox()
        assert (row.state, row.attempts) == ("waiting", 1)
        assert "500" in row.error
        assert slack.key not in row.error
        assert row.next_try is not None
        assert row.next_try > now()
        slack.faults.clear()
        turn()
        assert slack.messages == [], "not before its time"
        turn(row.next_try)
        assert len(slack.messages) == 1
        assert outbox()[0].state == "sent"

    def test_it_is_given_up_for_all_to_see(self, slack: messengers.Slack, client_as: ClientAs) -> None:
        run = end(deploy(TEAM))
        slack.failing(500, "on fire", times=100)
        for _ in range(notifications.TRIES):
            turn((outbox() or [None])[0].next_try if outbox() else None)
        [row] = outbox()
        assert (row.state, row.attempts, row.next_try) == ("given-up", notifications.TRIES, None)
        [event] = told("notification.failed")
        assert event.resource_id == f"orchestrator.flow-run.{run.id}"
        assert event.payload["error"] == row.error
        assert {item["resource.role"] for item in event.related} == {"notifier", "deployment"}
        viewer = client_as("viewer")
        [shown] = viewer.get("/api/v1/notifications?state=given-up").json["items"]
        assert shown["flow_run"] == {"id": str(run.id), "name": run.name}
        assert shown["error"] == row.error
        assert viewer.get(f"/api/v1/notifications/{row.id}").json == shown
        assert viewer.get("/api/v1/notifications?state=sent").json["items"] == []
        turn(now() + timedelta(days=1))
        assert outbox()[0].attempts == notifications.TRIES

    def test_one_that_hangs_keeps_nobody_waiting(
        self, slack: messengers.Slack, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        release = threading.Event()
        kind = block_kinds.find("discord")
        monkeypatch.setattr(kind, "notify", lambda *_: release.wait(60))
        with db.transaction() as session:
            save(session, "discord", "slow", webhook_url="http://127.0.0.1:9/api/webhooks/1/x-x-x-x")
        deployment = deploy({"block": "discord/slow"}, TEAM)
        for _ in range(3):
            end(deployment)
        loops.run("notifications", now())
        until(lambda: len(slack.messages) == 2, "the first messages of the other notifier")
        until(lambda: len(loop.senders._busy) == 2, "their threads to end")
        loops.run("notifications", now())
        until(lambda: len(slack.messages) == 3, "all messages of the other notifier")
        until(lambda: len(loop.senders._busy) == 2, "its thread to end")
        monkeypatch.setattr(loop.senders, "_time_out", 0.0)
        loops.run("notifications", now() + notifications.TIME_OUT)
        errors = {row.error for row in outbox() if row.block == "discord/slow"}
        assert errors == {"no answer within 90 s", "an earlier message to it still hangs"}
        release.set()
        until(loop.senders.idle, "the threads to come back")
        states = [row.state for row in outbox() if row.block == "discord/slow"]
        assert sorted(states) == ["sent", "sent", "waiting"], "a late answer counts"

    def test_a_deleted_notifier_and_a_dead_process(self, slack: messengers.Slack) -> None:
        end(deploy(TEAM))
        slack.failing(500, times=20)
        turn()
        with db.transaction() as session:
            session.execute(update(Notification).values(state="sending", next_try=now() + notifications.TIME_OUT))
        turn(now() + notifications.TIME_OUT)
        [row] = outbox()
        assert (row.state, row.error) == ("waiting", "no answer within 90 s")
        with db.transaction() as session, pytest.raises(Conflict, match="deployment etl/prod"):
            blocks.delete(session, "slack/team", ANN, now())
        with db.transaction() as session:
            blocks.delete(session, "slack/team", ANN, now(), force=True)
        turn(row.next_try)
        [row] = outbox()
        assert (row.state, row.error) == ("given-up", "the block slack/team was deleted")
        with db.reading() as session:
            deployment = deployments.get(session, "etl/prod")
            assert deployment.not_ready is None, "its runs do not need it"
            assert deployment.notifications == []


class TestExactlyOnce:
    def test_two_loops_at_once_never_double(self, slack: messengers.Slack) -> None:
        deployment = deploy(TEAM)
        stop = threading.Event()

        def collect() -> None:
            while not stop.is_set():
                with db.transaction() as session:
                    notifications.collect(session, now(), 3)

        with ThreadPoolExecutor(4) as pool:
            readers = [pool.submit(collect) for _ in range(2)]
            ended = [
                run for runs_of in pool.map(lambda _: [end(deployment) for _ in range(15)], range(2)) for run in runs_of
            ]
            until(lambda: len(outbox()) >= 30, "all of them in the outbox")
            stop.set()
            for reader in readers:
                reader.result(10)
        with db.transaction() as session:
            assert notifications.collect(session, now(), 1000) == 0
        assert sorted(row.flow_run_id for row in outbox()) == sorted(run.id for run in ended)

    def test_what_commits_late_is_not_left_out(self, slack: messengers.Slack) -> None:
        deployment = deploy(TEAM)
        with db.transaction() as session:
            slow = add_run(session, session.get_one(Deployment, deployment.id))
        with db.transaction() as session:
            runs.move(session, slow.id, State(StateType.FAILED), actor=ANN, now=now())
            quick = end(deployment)
            loops.run("notifications", now())
            assert outbox() == [], "it would step over what is not committed yet"
        turn()
        assert {row.flow_run_id for row in outbox()} == {slow.id, quick.id}

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


class TestKindsThatTheServerDoesNotHave:
    @pytest.fixture
    def custom(self, slack: messengers.Slack) -> Deployment:
        with db.transaction() as session:
            facts = {**block_kinds.find("webhook").type_facts(), "slug": "our-pager", "import_path": "ours:Pager"}
            register(session, facts, ANN, now())
            data = {"url": "http://127.0.0.1:9/"}
            blocks.create(session, "our-pager", data, name="duty", actor=ANN, now=now())
        return deploy({"block": "our-pager/duty"})

    def test_an_agent_of_the_deployments_queue_is_sent(self, custom: Deployment, client_as: ClientAs) -> None:
        end(custom, message="it holds {{ blocks.secret.key }}")
        turn()
        [row] = outbox()
        assert (row.state, row.attempts) == ("sending", 1)
        with db.transaction() as session:
            agent = agents.register(
                session, name="a", hostname="h", pid=1, version="1", transport="redis", queues=["default"], slots=1,
                now=now(),
            )  # fmt: skip
            job = claims.claim(session, agent.id, ["default"], now=now(), issue_token=tokens.issue)
        assert job is not None
        assert (job.id, job.entrypoint) == (row.errand_id, "orchestrator.errands:notify")
        client, headers = client_as(""), {"Authorization": f"Bearer {job.token}"}
        message = client.get(f"/api/v1/notifications/{row.id}", headers=headers)
        assert "{{ blocks.secret.key }}" in message.json["body"]
        with db.transaction() as session:
            runs.move(session, job.id, State(StateType.RUNNING), attempt=1, actor=ANN, now=now())
            failed = State(StateType.FAILED, message="the pager is off")
            runs.move(session, job.id, failed, attempt=1, actor=ANN, now=now())
        turn()
        [row] = outbox()
        assert (row.state, row.error) == ("waiting", "the pager is off")
        assert client.get(f"/api/v1/notifications/{row.id}", headers=headers).status_code in (401, 403)
        assert row.next_try is not None
        turn(row.next_try)
        with db.transaction() as session:
            job = claims.claim(session, agent.id, ["default"], now=row.next_try, issue_token=tokens.issue)
            assert job is not None
            for kind in (StateType.RUNNING, StateType.COMPLETED):
                runs.move(session, job.id, State(kind), attempt=1, actor=ANN, now=row.next_try)
        turn()
        assert outbox()[0].state == "sent"

    def test_without_an_agent_it_is_tried_again(self, custom: Deployment) -> None:
        end(custom)
        turn()
        errand = outbox()[0].errand_id
        turn(now() + notifications.AGENT_TIME_OUT)
        [row] = outbox()
        assert row.state == "waiting"
        assert "needs an agent" in row.error
        with db.reading() as session:
            assert session.get_one(FlowRun, errand).state_type == "CANCELLED"


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
        [told] = made["notifications"]
        assert (told["block"], told["on"]) == ("slack/team", ["failed", "crashed"])
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
