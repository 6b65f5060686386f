"""In which order runs are handed out, and to whom: labels, waterfall, ageing, sharing, prefixes, draining (pain 68)."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from orchestrator.clock import now
from orchestrator.documents.records import Job, State
from orchestrator.server import waiters
from orchestrator.server.db import session as db
from orchestrator.server.db.models import Deployment
from orchestrator.server.services.running import agents, claims, runs, waiting, work_queues
from orchestrator.states import StateType
from tests.polling import until
from tests.server_rows import ANN, add_deployment, add_run, token

from ..api import ClientAs

pytestmark = pytest.mark.usefixtures("database_url")
NOW = now()


def agent(queues: Sequence[str] = ("q",), **more: Any) -> uuid.UUID:
    with db.transaction() as session:
        facts = {"name": "a", "hostname": "h", "pid": 1, "version": "1", "transport": "http", "slots": 9}
        return agents.register(session, queues=queues, now=NOW, **facts, **more).id  # type: ignore[arg-type]


def claim(agent_id: uuid.UUID, *queues: str, at: float = 0, **more: Any) -> Job | None:
    when = NOW + timedelta(seconds=at)
    with db.transaction() as session:
        return claims.claim(session, agent_id, queues or ("q",), now=when, issue_token=token, **more)


def run(name: str = "prod", queue: str = "q", flow: str = "etl", **facts: Any) -> uuid.UUID:
    due = NOW + timedelta(seconds=facts.pop("due", 0))
    labels = facts.pop("labels", [])
    with db.transaction() as session:
        found = session.scalar(select(Deployment).where(Deployment.name == name))
        deployment = found or add_deployment(session, flow, name, queue, labels=labels)
        return add_run(session, deployment, NOW, due=due, **facts).id


def end(job: Job) -> None:
    with db.transaction() as session:
        runs.move(session, job.id, State(StateType.COMPLETED), attempt=job.attempt, actor=ANN, now=NOW)


def change(queue: str = "q", **values: Any) -> None:
    with db.transaction() as session:
        work_queues.change(session, queue, values, ANN, NOW)


def status(queue: str = "q", at: float = 0) -> str:
    with db.reading() as session:
        return work_queues.row(session, queue, NOW + timedelta(seconds=at)).status


def names(found: Sequence[Job | None]) -> list[str]:
    return [job.deployment.name for job in found if job and job.deployment]


def test_a_run_goes_to_an_agent_that_has_all_labels_it_requires() -> None:
    wanted = run(labels=["gpu", "region=eu"])
    assert claim(agent()) is None
    assert claim(agent(labels=["gpu"])) is None
    job = claim(agent(labels=["region=eu", "gpu", "fast"]))
    assert job is not None
    assert job.id == wanted


def test_what_requires_labels_does_not_stand_in_the_way_of_others() -> None:
    run(labels=["gpu"], priority=9)
    plain = run("plain")
    assert [job and job.id for job in (claim(agent()), claim(agent()))] == [plain, None]


def test_a_run_that_no_agent_has_the_labels_for_says_so() -> None:
    run_id = run(labels=["gpu", "region=eu"])
    agent(labels=["gpu"])

    def why() -> Any:
        with db.reading() as session:
            return waiting.why(session, run_id, NOW)

    told = (
        "No agent of work queue q has the labels that deployment prod requires: "
        "start one with `orchestrator agent start -q q --label gpu --label region=eu`."
    )
    assert (why().code, why().message) == ("no-agent-with-labels", told)
    agent(labels=["gpu", "region=eu"])
    assert why().code == "any-moment"


def test_who_waits_for_work_is_not_woken_by_what_others_have_to_take() -> None:
    run(labels=["gpu"])
    ahead = timedelta(seconds=2)
    assert waiters.wait_for_work(["q"], 5, wish=waiters.Wish(frozenset({"gpu"}), ahead))
    found: list[bool] = []
    thread = threading.Thread(target=lambda: found.append(waiters.wait_for_work(["q"], 30)))
    thread.start()
    until(lambda: len(waiters._room._waiters) == 1, what="somebody to wait")
    run("plain")
    waiters.wake()
    thread.join(20)
    assert found == [True]
    until(lambda: waiters._room._thread is None, what="the thread to go home")


@pytest.mark.parametrize(("waterfall", "order"), [(True, ["first", "first", "second"]), (False, ["second", "first"])])
def test_queues_in_the_order_of_their_names_on_the_command_line(waterfall: bool, order: list[str]) -> None:
    run("second", "second", priority=9)
    run("first", "first")
    run("first", "first")
    ours = agent(["first", "second"], waterfall=waterfall)
    assert names([claim(ours, "first", "second") for _ in order]) == order


def test_queues_by_prefix_also_those_made_later() -> None:
    ours = agent([], prefixes=["team-"])
    run("other", "x")
    assert claim(ours, "none", prefixes=["team-"]) is None
    run("new", "team-b")
    assert status("team-b") == "READY"
    with db.transaction() as session:
        job = claims.claim(session, ours, [], prefixes=["team-"], now=NOW, issue_token=token)
    assert job is not None
    assert job.work_queue == "team-b"


def test_a_prefix_is_no_pattern() -> None:
    run("other", "team")
    assert claim(agent([], prefixes=["t%"]), "none", prefixes=["t%"]) is None


def test_without_prefetch_a_run_is_taken_when_it_is_due_and_not_before() -> None:
    run(due=1.5)
    eager, patient = agent(), agent(prefetch_s=0)
    assert claim(patient) is None
    assert claim(patient, at=1.4) is None
    assert claim(patient, at=1.5) is not None
    run(due=1.5)
    assert claim(eager) is not None


def test_under_constant_load_a_run_of_low_priority_starts_within_the_ageing_bound() -> None:
    """Pain 68: 10 is above 0 for 10 steps of 60 s."""
    run("low", due=-601)
    run("low", due=-1)
    ours = agent()
    run("high", priority=10)
    assert names([claim(ours)]) == ["high"], "without ageing, priority is all that counts"
    change(ageing_s=60)
    run("high", priority=10)
    run("high", priority=11)
    assert names([claim(ours) for _ in range(4)]) == ["high", "low", "high", "low"]


def test_ageing_counts_between_queues() -> None:
    run("low", "slow", due=-601)
    run("high", "fast", priority=5)
    ours = agent(["slow", "fast"])
    change("slow", ageing_s=60)
    assert names([claim(ours, "slow", "fast") for _ in range(2)]) == ["low", "high"]


@pytest.mark.parametrize("key", ["deployment", "flow"])
def test_the_key_with_the_fewest_active_runs_comes_first(key: str) -> None:
    for _ in range(6):
        run("greedy", flow="greedy", priority=3)
    for _ in range(2):
        run("modest", flow="modest")
    change(share_by=key)
    ours = agent()
    found = [claim(ours) for _ in range(5)]
    assert names(found) == ["greedy", "modest", "greedy", "modest", "greedy"]
    for job in found:
        if job:
            end(job)
    run("modest", flow="modest")
    assert sorted(names([claim(ours), claim(ours)])) == ["greedy", "modest"]


def test_sharing_by_the_tag_that_begins_so() -> None:
    for number, team in enumerate(["team-a"] * 4 + ["team-b"] * 2):
        run(tags=[team, "nightly"], due=number - 9)
    run(tags=["nightly"])
    change(share_by="tag:team-")
    ours = agent()
    teams = []
    for _ in range(7):
        job = claim(ours)
        assert job is not None
        teams.append(next((tag for tag in job.tags if tag.startswith("team-")), ""))
    assert teams == ["team-a", "team-b", "", "team-a", "team-b", "team-a", "team-a"]


def test_a_queue_that_is_drained_ends_what_it_has() -> None:
    ours, first, later = agent(), run(due=-1), run(due=60)
    with db.transaction() as session:
        work_queues.change(session, "q", {"draining": True}, ANN, NOW)
    with db.transaction() as session:
        deployment = session.scalars(select(Deployment)).one()
        new = add_run(session, deployment, NOW + timedelta(seconds=1)).id
    assert status() == "DRAINING"
    job = claim(ours, at=90)
    assert job is not None
    assert job.id == first
    assert claim(ours, at=90) is None
    assert status(at=90) == "DRAINING"
    end(job)
    assert status(at=90) == "DRAINED"
    with db.reading() as session:
        reasons = [waiting.why(session, run_id, NOW + timedelta(seconds=90)) for run_id in (later, new)]
    assert [reason.code for reason in reasons if reason] == ["queue-draining"] * 2
    change(draining=False)
    assert [job and job.id for job in (claim(ours, at=90), claim(ours, at=90))] == [new, later]


def test_how_a_queue_does_is_computed_when_it_is_read() -> None:
    run()
    assert status() == "NO_AGENTS"
    agent()
    assert status() == "READY"
    assert status(at=16) == "BEHIND"
    assert status(at=31) == "NO_AGENTS", "the agent is silent"
    change(paused=True)
    assert status() == "PAUSED"


def test_order_and_drain_over_rest(client_as: ClientAs) -> None:
    editor: FlaskClient = client_as("editor")
    body = {"name": "q", "ageing_s": 60, "share_by": "tag:team-"}
    made = editor.post("/api/v1/work-queues", json=body).json
    assert (made["ageing_s"], made["share_by"], made["status"], made["agents"]) == (60, "tag:team-", "NO_AGENTS", 0)
    drained = editor.patch("/api/v1/work-queues/q", json={"draining": True, "ageing_s": None, "share_by": "flow"}).json
    assert (drained["status"], drained["ageing_s"], drained["share_by"]) == ("DRAINED", None, "flow")
    again = editor.patch("/api/v1/work-queues/q", json={"draining": True}).json
    assert again["draining"] == drained["draining"], "since the first time"
    assert editor.patch("/api/v1/work-queues/q", json={"draining": False}).json["draining"] is None
    for field, wrong in (("ageing_s", 0), ("share_by", "tag:"), ("share_by", "team")):
        refused = editor.patch("/api/v1/work-queues/q", json={field: wrong})
        assert (refused.status_code, list(refused.json["errors"])) == (422, [field])


def test_agents_tell_what_they_were_started_with(client_as: ClientAs) -> None:
    client: FlaskClient = client_as("admin")
    facts = {"name": "a", "hostname": "h", "pid": 1, "version": "1", "transport": "http", "slots": 1}
    options = {"prefixes": ["team-"], "labels": ["gpu"], "waterfall": True, "prefetch_s": 0.0}
    answer = client.post("/api/v1/agents", json={**facts, "queues": ["z", "a"], **options})
    shown = client.get(f"/api/v1/agents/{answer.json['agent_id']}").json
    assert {name: shown[name] for name in options} == options
    assert shown["queues"] == ["z", "a"]
    refused = client.post("/api/v1/agents", json={**facts, "queues": []})
    assert (refused.status_code, list(refused.json["errors"])) == (422, ["queues"])
    url = f"/api/v1/agents/{answer.json['agent_id']}/claim"
    assert client.post(url, json={"queues": [], "prefixes": ["team-"], "wait_s": 0.2}).status_code == 204
