"""Kinds of action, each upon the real thing."""

from __future__ import annotations

import uuid
from typing import Any

from sqlalchemy import select

from orchestrator.clock import now
from orchestrator.documents.records import State
from orchestrator.ids import uuid7
from orchestrator.server.db import session as db
from orchestrator.server.db.models import (
    Action,
    Deployment,
    Firing,
    FlowQuestion,
    FlowRun,
    ResourceLimit,
    Trigger,
    WorkQueue,
)
from orchestrator.server.loops.senders import Senders
from orchestrator.server.services.acting import actions
from orchestrator.server.services.running import claims, questions, runs
from orchestrator.states import StateType
from tests.acting import all_runs, deploy, save, turn
from tests.firings import add_firing, fire, outbox, told
from tests.server_rows import ANN, add_agent, add_run, token


class TestTheOtherKinds:
    """Each acts upon the real thing, by the services that people use."""

    def act(self, document: dict[str, Any], **event: Any) -> Action:
        fire(document, **event)
        turn()
        return outbox()[-1]

    def run_of(self, deployment_id: uuid.UUID, state: StateType | None = None) -> FlowRun:
        with db.transaction() as session:
            run = add_run(session, session.get_one(Deployment, deployment_id))
            if state is not None:
                runs.move(session, run.id, State(state), actor=ANN, now=now())
            return run

    def test_stopping_and_starting(self, senders: Senders) -> None:
        identifier = deploy(schedules=[{"slug": "nightly", "cron": "0 3 * * *"}])
        with db.transaction() as session:
            session.add(Trigger(id=uuid7(), name="other", condition={"expect": ["x"]}))

        def look() -> tuple[bool, bool, bool, bool]:
            with db.reading() as session:
                deployment = session.get_one(Deployment, identifier)
                trigger = session.scalars(select(Trigger).where(Trigger.name == "other")).one()
                return deployment.paused, deployment.schedules[0].active, deployment.work_queue.paused, trigger.active

        parts = (
            {"deployment": "etl/prod"}, {"schedule": "etl/prod/nightly"}, {"work_queue": "default"},
            {"trigger": "other"},
        )  # fmt: skip
        for part in parts:
            assert self.act({"do": "pause", **part}).error == ""
        assert look() == (True, False, True, False)
        for part in parts:
            assert self.act({"do": "resume", **part}).state == "done"
        assert look() == (False, True, False, True)
        assert told("deployment.paused")[0].payload["by"]["type"] == "trigger"

    def test_the_deployments_that_touch_a_resource(self, senders: Senders) -> None:
        block_id = save("string", "shared", value="x")
        identifier = deploy(parameters={"a": "{{ blocks.string.shared }}"})
        other = deploy(name="other")
        about = {"resource.id": f"orchestrator.block.{block_id}"}
        row = self.act({"do": "pause", "touching": "{{ event.resource.id }}"}, resource=about)
        assert row.result == {"deployment_ids": [str(identifier)]}
        row = self.act({"do": "run-deployment", "touching": "{{ event.resource.id }}"}, resource=about)
        assert [run.deployment_id for run in all_runs()] == [identifier]
        assert row.result == {"run_id": str(all_runs()[0].id)}
        row = self.act({"do": "pause", "touching": "{{ event.resource.id }}"}, resource={"resource.id": "*"})
        assert (row.state, row.error) == (
            "given-up", "pause.touching: A template cannot give a pattern: name the resource.",
        )  # fmt: skip
        row = self.act({"do": "pause", "touching": {"resource.id": "nobody.knows"}})
        assert (row.state, row.error) == ("skipped", "no deployment touches it")
        with db.reading() as session:
            assert not session.get_one(Deployment, other).paused

    def test_limits(self, senders: Senders) -> None:
        deploy()
        save("sql-database", "db", connection_url="sqlite:///x.db", max_connections=5)
        assert self.act({"do": "set-limit", "work_queue": "default", "slots": 2}).error == ""
        assert self.act({"do": "set-limit", "limit": "block/sql-database/db", "slots": 1}).error == ""
        with db.reading() as session:
            assert session.scalars(select(WorkQueue.concurrency_limit)).one() == 2
            assert session.scalars(select(ResourceLimit.slots)).one() == 1
        row = self.act({"do": "set-limit", "limit": "block/sql-database/db", "slots": 0})
        assert (row.state, row.error) == ("given-up", "slots: 0 is too few")

    def test_a_run_that_asks_is_answered(self, senders: Senders) -> None:
        schema = {
            "type": "object",
            "properties": {"value": {"type": "integer", "minimum": 1}},
            "required": ["value"],
        }
        identifier = deploy()
        run = self.run_of(identifier)
        with db.transaction() as session:
            agent = add_agent(session, queues=["default"])
            assert claims.claim(session, agent.id, ["default"], now=now(), issue_token=token) is not None
            runs.move(session, run.id, State(StateType.RUNNING), attempt=1, actor=ANN, now=now())
            wanted = questions.Asked(key="k", schema=schema)
            questions.ask(session, run.id, wanted, attempt=1, actor=ANN, now=now())
        about = {"resource.id": f"orchestrator.flow-run.{run.id}"}
        row = self.act({"do": "resume-run", "input": "{{ event.payload.most }}"}, resource=about, payload={"most": 0})
        assert (row.state, "value" in row.error) == ("given-up", True)
        row = self.act({"do": "resume-run", "input": "{{ event.payload.most }}"}, resource=about, payload={"most": 7})
        assert (row.error, row.result) == ("", {"resumed": str(run.id)})
        with db.reading() as session:
            assert session.get_one(FlowRun, run.id).state_type == "RUNNING"
            assert session.scalars(select(FlowQuestion.answer)).one() == {"value": 7}

    def test_runs_of_events(self, senders: Senders) -> None:
        identifier = deploy()
        run = self.run_of(identifier)
        about = {"resource.id": f"orchestrator.flow-run.{run.id}"}
        suspended = self.act({"do": "suspend-run", "for": "1h"}, resource=about)
        assert (suspended.error, suspended.result) == ("", {"suspended": str(run.id)})
        with db.reading() as session:
            found = session.get_one(FlowRun, run.id)
            assert (found.state_name, found.suspended_until is not None) == ("Suspended", True)
        row = self.act({"do": "suspend-run"}, resource=about)
        assert (row.state, row.error) == ("skipped", "the run is Suspended already")
        row = self.act({"do": "suspend-run", "for": "1h", "until": "2099-01-01T00:00:00Z"}, resource=about)
        assert row.state == "skipped"
        assert self.act({"do": "resume-run"}, resource=about).result == {"resumed": str(run.id)}
        with db.reading() as session:
            found = session.get_one(FlowRun, run.id)
            assert (found.state_type, found.chain_id is not None) == ("SCHEDULED", True)
        row = self.act({"do": "resume-run"}, resource=about)
        assert (row.state, row.error) == ("skipped", "the run is Scheduled, not suspended")
        assert self.act({"do": "cancel-run"}, resource=about).result == {"cancelled": str(run.id)}
        row = self.act({"do": "cancel-run"}, resource=about)
        assert (row.state, row.error) == ("skipped", "the run ended as Cancelled already")
        failed = self.run_of(identifier, StateType.FAILED)
        row = self.act({"do": "retry-run", "run": "{{ event.payload.run }}"}, payload={"run": str(failed.id)})
        assert row.error == ""
        with db.reading() as session:
            again = session.get_one(FlowRun, failed.id)
        assert (again.state_type, again.chain_depth, again.chain_id is None) == ("SCHEDULED", 0, False)
        row = self.act({"do": "change-state", "run": str(failed.id), "type": "FAILED", "message": "{{ key }}"})
        assert (row.error, row.result) == ("", {"state": "FAILED"})
        row = self.act({"do": "change-state", "type": "FAILED"})
        assert (row.state, row.error) == ("given-up", "the event names no flow run")

    def test_acknowledging(self, senders: Senders) -> None:
        firing_id = fire({"do": "acknowledge"}, {"do": "acknowledge"})
        turn()
        with db.reading() as session:
            firing = session.get_one(Firing, firing_id)
        assert firing.acknowledged is not None
        assert [row.state for row in outbox()] == ["done", "skipped"]
        assert len(told("trigger.acknowledged")) == 1

    def test_what_did_not_happen_has_the_labels_of_its_key(self, senders: Senders) -> None:
        document = {"do": "emit-event", "event": "beat.gone", "resource": "{{ labels.resource.id }}"}
        with db.transaction() as session:
            trigger = Trigger(id=uuid7(), name="beat", condition={}, actions=[document])
            session.add(trigger)
            session.flush()
            firing = add_firing(session, trigger, None)
            firing.context = {"key": {"resource.id": "ping.backup"}}
            actions.queue(session, firing, "fire", [document], now())
        turn()
        assert [event.resource_id for event in told("beat.gone")] == ["ping.backup"]
