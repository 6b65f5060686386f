"""Chains: checked, kept in versions, and run to their end by the triggers that stand for their steps."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select, update

from orchestrator import chains as rules
from orchestrator.clock import now
from orchestrator.documents.records import State
from orchestrator.errors import Conflict, InvalidInput
from orchestrator.server.db import session as db
from orchestrator.server.db.models import Action, Agent, Event, EventCursor, Firing, FlowRun, Trigger
from orchestrator.server.services.acting import action_outbox
from orchestrator.server.services.reacting import chains, evaluation
from orchestrator.server.services.reacting import triggers as triggers_service
from orchestrator.server.services.running import claims, runs
from orchestrator.states import StateType

from ..api import ClientAs
from ..evaluated import work
from ..server_rows import ANN, add_agent, add_deployment, token

S = StateType
JOIN: dict[str, Any] = {
    "name": "nightly",
    "steps": {
        "extract": {"deployment": "etl/extract", "parameters": {"day": "mon"}},
        "check": {"deployment": "etl/check"},
        "load": {
            "deployment": "etl/load", "after": ["extract", "check"],
            "parameters": {"source": "{{ steps.extract.id }}", "day": "{{ chain.parameters.day }}"},
        },
        "alarm": {"deployment": "etl/alarm", "after": {"any": ["extract", "check"]}, "on": ["failed", "crashed"]},
        "tell": {"deployment": "etl/tell", "after": "load", "on": "ended"},
    },
}  # fmt: skip


@pytest.fixture
def editor(client_as: ClientAs) -> FlaskClient:
    with db.transaction() as session:
        for name in ("extract", "load", "alarm", "tell"):
            add_deployment(session, name=name)
        picky = {"type": "object", "properties": {}, "additionalProperties": False}
        add_deployment(session, name="check", parameter_schema=picky)
    work()  # from now on events are read
    return client_as("editor")


def apply(client: FlaskClient, document: dict[str, Any] = JOIN) -> dict[str, Any]:
    answer = client.post("/api/v1/chains", json=document)
    assert answer.status_code in (200, 201), answer.json
    found: dict[str, Any] = answer.json
    return found


def start(client: FlaskClient, name: str = "nightly", **parameters: Any) -> str:
    answer = client.post(f"/api/v1/chains/{name}/runs", json={"parameters": parameters})
    assert answer.status_code == 201, answer.json
    return str(answer.json["id"])


def progress(client: FlaskClient, run: str, name: str = "nightly") -> dict[str, Any]:
    found: dict[str, Any] = client.get(f"/api/v1/chains/{name}/runs/{run}").json
    return found


def statuses(client: FlaskClient, run: str) -> dict[str, str]:
    work()
    return {step["name"]: step["status"] for step in progress(client, run)["steps"]}


def end(client: FlaskClient, run: str, step: str, kind: StateType = S.COMPLETED) -> None:
    [found] = [item for item in progress(client, run)["steps"] if item["name"] == step]
    move(uuid.UUID(found["flow_run"]["id"]), kind)


def move(run_id: uuid.UUID, kind: StateType) -> None:
    with db.transaction() as session:
        agent = session.scalar(select(Agent)) or add_agent(session)
        session.execute(update(FlowRun).where(FlowRun.id == run_id).values(priority=100))
        job = claims.claim(session, agent.id, ["q"], now=now(), issue_token=token)
        assert job is not None
        assert job.id == run_id
        for state in (S.RUNNING, kind):
            runs.move(session, run_id, State(state, at=now()), attempt=job.attempt, actor=ANN, now=now())


def test_a_join_waits_for_all_and_a_chain_runs_to_its_end(editor: FlaskClient) -> None:
    assert apply(editor)["change"] == "created"
    run = start(editor, day="tue")
    waiting = {"load": "waiting", "alarm": "waiting", "tell": "waiting"}
    assert statuses(editor, run) == {"extract": "waiting", "check": "waiting", **waiting}
    end(editor, run, "extract")
    assert statuses(editor, run) == {"extract": "done", "check": "waiting", **waiting}
    [load] = [step for step in progress(editor, run)["steps"] if step["name"] == "load"]
    assert (load["flow_run"], load["why"]) == (None, "for check")
    end(editor, run, "check")
    ended = {"extract": "done", "check": "done", "alarm": "skipped"}
    assert statuses(editor, run) == {**ended, "load": "waiting", "tell": "waiting"}
    steps = {step["name"]: step for step in progress(editor, run)["steps"]}
    assert steps["alarm"]["why"] == "extract ended completed, not failed or crashed"
    loaded = editor.get(f"/api/v1/flow-runs/{steps['load']['flow_run']['id']}").json
    assert loaded["parameters"] == {"source": steps["extract"]["flow_run"]["id"], "day": "tue"}
    end(editor, run, "load", S.FAILED)
    assert statuses(editor, run) == {**ended, "load": "failed", "tell": "waiting"}
    end(editor, run, "tell")
    assert progress(editor, run)["status"] == "failed"
    with db.reading() as session:  # one correlation id
        assert set(session.scalars(select(FlowRun.chain_id))) == {uuid.UUID(run)}
        assert set(session.scalars(select(Firing.chain_id))) == {uuid.UUID(run)}


def test_a_failed_step_leaves_unreached_what_waits_for_it_and_a_retry_goes_on(editor: FlaskClient) -> None:
    apply(editor)
    run = start(editor)
    end(editor, run, "extract", S.FAILED)
    end(editor, run, "check")
    found = statuses(editor, run)
    assert found == {"extract": "failed", "check": "done", "load": "skipped", "alarm": "waiting", "tell": "skipped"}
    steps = {step["name"]: step for step in progress(editor, run)["steps"]}
    assert steps["tell"]["why"] == "load was not reached"
    assert steps["alarm"]["flow_run"] is not None
    extract = uuid.UUID(steps["extract"]["flow_run"]["id"])
    with db.transaction() as session:
        runs.retry(session, extract, ANN, now())
    move(extract, S.COMPLETED)
    # its template names a parameter of the chain's run that this one lacks
    found = statuses(editor, run)
    assert (found["extract"], found["load"]) == ("done", "failed")
    assert "could not be started" in {step["name"]: step for step in progress(editor, run)["steps"]}["load"]["why"]


def test_runs_of_a_chain_do_not_meet_nor_do_other_runs_of_its_deployments(editor: FlaskClient) -> None:
    document = {**JOIN, "steps": {**JOIN["steps"], "load": {"deployment": "etl/load", "after": ["extract", "check"]}}}
    apply(editor, document)
    first, second = start(editor), start(editor)
    end(editor, first, "extract")
    end(editor, second, "check")
    move(uuid.UUID(editor.post("/api/v1/deployments/etl/check/runs", json={}).json["id"]), S.COMPLETED)
    for run in (first, second):
        assert statuses(editor, run)["load"] == "waiting"
        assert next(step for step in progress(editor, run)["steps"] if step["name"] == "load")["flow_run"] is None
    with db.reading() as session:
        assert session.scalar(select(func.count()).select_from(Firing)) == 0
    end(editor, first, "check")
    work()
    [load] = [step for step in progress(editor, first)["steps"] if step["name"] == "load"]
    assert load["flow_run"] is not None


def test_each_step_is_started_once_whatever_is_read_or_done_again(editor: FlaskClient) -> None:
    steps = {"a": {"deployment": "etl/extract"}, "b": {"deployment": "etl/load", "after": {"any": ["a"]}}}
    apply(editor, {"name": "nightly", "steps": steps})
    run = start(editor)
    end(editor, run, "a", S.COMPLETED)
    for _ in range(3):  # the events again, from the first, with all that was remembered of them gone
        work()
        with db.transaction() as session:
            session.execute(update(EventCursor).values(event_id=uuid.UUID(int=0), floor=uuid.UUID(int=0)))
            session.query(Firing).delete()
    with db.transaction() as session:
        evaluation.step(session, now(), 500)
        session.execute(update(Action).values(state="waiting", next_try=now()))

    def act(_: int) -> None:
        with db.transaction() as session:
            evaluation.step(session, now(), 500)
            action_outbox.perform(session, now(), 100)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(act, range(8)))
    work()
    with db.reading() as session:
        assert session.scalar(select(func.count()).select_from(FlowRun)) == 2
        assert session.scalar(select(func.count()).where(Action.state == "given-up")) == 0


def test_a_run_keeps_the_version_that_it_began_with(editor: FlaskClient) -> None:
    short = {"name": "nightly", "steps": {"a": {"deployment": "etl/extract"},
             "b": {"deployment": "etl/load", "after": "a"}}}  # fmt: skip
    assert apply(editor, short)["chain"]["version"] == 1
    old = start(editor)
    assert apply(editor, short)["change"] == "unchanged"
    longer = {**short, "steps": {**short["steps"], "b": {"deployment": "etl/tell", "after": "a"}}}
    assert apply(editor, longer)["chain"]["version"] == 2
    new = start(editor)
    for run in (old, new):
        end(editor, run, "a")
    work()
    for run, version, deployment in ((old, 1, "etl/load"), (new, 2, "etl/tell")):
        shown = progress(editor, run)
        assert (shown["version"], shown["steps"][1]["deployment"]) == (version, deployment)
        found = editor.get(f"/api/v1/flow-runs/{shown['steps'][1]['flow_run']['id']}").json
        assert found["deployment"]["name"] == deployment.split("/")[1]
    assert editor.get("/api/v1/chains/nightly?version=1").json["document"]["steps"] == short["steps"]
    with db.reading() as session:
        names = set(session.scalars(select(Trigger.name)))
    assert names == {"chain nightly v1: b", "chain nightly v2: b"}


def test_more_steps_than_firings_may_follow_from_one_another(editor: FlaskClient) -> None:
    steps: dict[str, Any] = {"s0": {"deployment": "etl/load"}}
    for number in range(1, 14):
        steps[f"s{number}"] = {"deployment": "etl/load", "after": f"s{number - 1}"}
    apply(editor, {"name": "nightly", "steps": steps})
    run = start(editor)
    for number in range(14):
        end(editor, run, f"s{number}")
        work()
    assert progress(editor, run)["status"] == "done"


def test_its_triggers_are_changed_and_deleted_with_it_alone(editor: FlaskClient) -> None:
    apply(editor)
    ref = "/api/v1/triggers/chain nightly v1: tell"
    assert editor.patch(ref, json={"active": False}).status_code == 409
    assert editor.delete(ref).status_code == 409
    assert "orchestrator chain apply" in editor.post(f"{ref}/mute", json={"until": None}).json["message"]
    run = start(editor)
    assert editor.delete("/api/v1/chains/nightly").status_code == 204
    assert editor.get("/api/v1/triggers").json["items"] == []
    assert editor.get(f"/api/v1/chains/nightly/runs/{run}").status_code == 404
    with db.reading() as session:
        told = list(session.scalars(select(Event.event).where(Event.event.startswith("chain.")).order_by(Event.id)))
        assert told == ["chain.created", "chain.started", "chain.deleted"]
        assert session.scalar(select(func.count()).select_from(FlowRun)) == 2
        assert triggers_service.listing(session, triggers_service.TriggerFilter(), now()).items == []


@pytest.mark.parametrize(
    ("steps", "field"),
    [
        ({"a": {"deployment": "etl/nope"}}, "steps.a.deployment"),
        ({"a": {"deployment": "etl/load"}, "b": {"deployment": "etl/nope", "after": "a"}}, "steps.b.deployment"),
        ({"a": {"deployment": "etl/load", "after": "a"}}, "steps.a.after"),
        ({"a": {"deployment": "etl/load"}, "b": {"deployment": "etl/load", "after": "x"}}, "steps.b.after"),
        ({"a": {"deployment": "etl/load", "aftr": "x"}}, "steps.a.aftr"),
        ({"a": {"deployment": "etl/load", "on": "failed"}}, "steps.a.on"),
        ({"a": {"deployment": "etl/load", "parameters": {"x": "{{ event.id }}"}}}, "steps.a.parameters"),
        (
            {"a": {"deployment": "etl/load"}, "b": {"deployment": "etl/load", "after": "a",
                                                    "parameters": {"x": "{{ steps.c.id }}"}}},
            "steps.b.parameters",
        ),
        ({}, "steps"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_by_its_field(editor: FlaskClient, steps: Any, field: str) -> None:
    answer = editor.post("/api/v1/chains", json={"name": "nightly", "steps": steps})
    assert (answer.status_code, list(answer.json["errors"])) == (422, [field]), answer.json


def test_circles_and_what_hangs_on_them_are_told() -> None:
    steps = {
        "start": {"deployment": "f/d"},
        "a": {"deployment": "f/d", "after": ["b", "start"]},
        "b": {"deployment": "f/d", "after": "a"},
        "c": {"deployment": "f/d", "after": "b"},
    }
    with pytest.raises(InvalidInput) as caught:
        rules.read({"name": "x", "steps": steps})
    assert caught.value.errors == {
        "steps.a.after": ["Goes in a circle: a after b after a."],
        "steps.b.after": ["Goes in a circle: b after a after b."],
        "steps.c.after": ["Is never reached: b never is."],
    }


def test_a_trigger_starts_a_chain_once(editor: FlaskClient) -> None:
    apply(editor)
    then = [{"do": "run-chain", "chain": "nightly", "parameters": {"day": "{{ event.payload.day }}"}}]
    trigger = {"name": "begin", "when": {"expect": "day.begins"}, "then": then}
    assert editor.post("/api/v1/triggers", json=trigger).status_code == 201
    event = {"event": "day.begins", "resource": {"resource.id": "calendar"}, "payload": {"day": "wed"}}
    assert editor.post("/api/v1/events", json=event).status_code == 202
    work()
    with db.transaction() as session:
        session.execute(update(Action).values(state="waiting", next_try=now()))
    work()
    [run] = editor.get("/api/v1/chains/nightly/runs").json["items"]
    assert run["parameters"] == {"day": "wed"}
    [step] = [step for step in run["steps"] if step["name"] == "extract"]
    assert editor.get(f"/api/v1/flow-runs/{step['flow_run']['id']}").json["parameters"] == {"day": "wed"}
    wrong = {**trigger, "name": "other", "then": [{"do": "run-chain"}]}
    assert list(editor.post("/api/v1/triggers", json=wrong).json["errors"]) == ["then.0.chain"]


def test_a_version_follows_the_one_that_was_meant(editor: FlaskClient) -> None:
    def put(upon: int, name: str = "nightly", **more: Any) -> str:
        with db.transaction() as session:
            return chains.apply(session, {**JOIN, "name": name, **more}, ANN, now(), upon=upon)[1]

    with pytest.raises(Conflict, match="was deleted meanwhile"):
        put(1)
    assert put(0) == "created"
    with pytest.raises(Conflict, match="there is a chain nightly already, now in version 1"):
        put(0, description="Another.")
    assert put(1, description="Another.") == "updated"
    with pytest.raises(Conflict, match="now in version 2"):
        put(1, description="A third.")
    assert editor.get("/api/v1/chains/nightly").json["description"] == "Another."  # type: ignore[index]


def test_looking_at_a_document_writes_nothing(editor: FlaskClient) -> None:
    with db.reading() as session:
        assert list(chains.check(session, JOIN).steps) == list(JOIN["steps"])
        with pytest.raises(InvalidInput) as caught:
            chains.check(session, {"name": "nightly", "steps": {"a": {"deployment": "etl/none"}}})
    assert list(caught.value.errors) == ["steps.a.deployment"]
    assert editor.get("/api/v1/chains").json["items"] == []  # type: ignore[index]


def test_a_name_that_a_page_has_is_refused(editor: FlaskClient) -> None:
    answer = editor.post("/api/v1/chains", json={**JOIN, "name": "new"})
    assert answer.status_code == 422
    assert list(answer.json["errors"]) == ["name"]  # type: ignore[index]
