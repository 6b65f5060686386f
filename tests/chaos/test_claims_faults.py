"""Faults around who executes what: doubled hints, long runs, starved processes, late reports (pains 2, 8, 9, 25)."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest
import redis
from celery import Celery

from orchestrator.clock import now, to_text
from orchestrator.errors import Conflict, NotFound, TransitionRefused

from ..polling import until
from ..stack import Stack
from .tools import HELD, broker_url, create, deploy, queue_name


def hint(url: str, queue: str, run_id: str) -> None:
    """Put a message into the queue's list, as the server does it."""
    app = Celery(broker=url, set_as_current=False)
    with app.connection_for_write() as connection:
        message = app.amqp.as_task_v2(str(uuid.uuid4()), "orchestrator.run", [run_id], ignore_result=True)
        producer = app.amqp.Producer(connection, auto_declare=False)
        key = f"orchestrator.run.{queue}"
        producer.publish(
            message.body,
            exchange="",
            routing_key=key,
            serializer="json",
            headers=message.headers,
            **message.properties,
        )


def test_a_hint_that_is_delivered_again_starts_nothing_twice(stack: Stack, tmp_path: Path) -> None:
    queue, marker, release = queue_name(), tmp_path / "marker", tmp_path / "release"
    deployment, url = deploy(stack, tmp_path / "p", queue, HELD), broker_url(stack)
    with stack.agent(queue), stack.agent(queue), redis.Redis.from_url(url, socket_timeout=5) as link:
        (run,) = create(stack, deployment, marker=str(marker), release=str(release))
        until(marker.exists, "the run to begin")
        for _ in range(5):
            hint(url, queue, run)
        until(lambda: link.llen(f"orchestrator.run.{queue}") == 0, "the hints to be taken")
        release.touch()
        ended = stack.wait_for_run(run)
        for _ in range(5):
            hint(url, queue, run)
        until(lambda: link.llen(f"orchestrator.run.{queue}") == 0, "the late hints to be taken")
        # What the agents made of them shows at the latest when they have done something else.
        again = create(stack, deployment, 2, marker=str(tmp_path / "other"), release=str(release))
        assert {stack.wait_for_run(other)["state"]["type"] for other in again} == {"COMPLETED"}
    assert (ended["state"]["type"], ended["attempt"]) == ("COMPLETED", 1)
    assert marker.read_text() == "x"
    assert stack.client.get(f"flow-runs/{run}")["attempt"] == 1


def test_short_runs_do_not_wait_behind_a_long_one(stack: Stack, tmp_path: Path) -> None:
    queue, marker, release = queue_name(), tmp_path / "marker", tmp_path / "release"
    short = deploy(stack, tmp_path / "short", queue, "():\n    time.sleep(1)")
    long = deploy(stack, tmp_path / "long", queue, HELD, "long")
    with stack.agent(queue, options=("--limit", "1")), stack.agent(queue, options=("--limit", "1")):
        (held,) = create(stack, long, marker=str(marker), release=str(release))
        runs = create(stack, short, 5)
        assert {stack.wait_for_run(run, 30)["state"]["type"] for run in runs} == {"COMPLETED"}
        assert stack.client.get(f"flow-runs/{held}")["state"]["type"] == "RUNNING"
        release.touch()
        assert stack.wait_for_run(held)["state"]["type"] == "COMPLETED"


def test_a_flow_that_lets_no_other_thread_run_is_not_given_up(stack: Stack, tmp_path: Path) -> None:
    """It holds the interpreter's lock for longer than a lease (4 s): the heartbeat is its supervisor's."""
    queue = queue_name()
    body = "():\n    ctypes.PyDLL(None).sleep(7)\n    return 1"
    deployment = deploy(stack, tmp_path / "p", queue, body, imports="import ctypes")
    with stack.agent(queue):
        (run,) = create(stack, deployment)
        ended = stack.wait_for_run(run)
    assert (ended["state"]["type"], ended["attempt"]) == ("COMPLETED", 1)


def test_a_report_of_an_earlier_attempt_changes_nothing(stack: Stack, tmp_path: Path) -> None:
    queue, marker, release = queue_name(), tmp_path / "marker", tmp_path / "release"
    fails_first = "    if open(marker).read() == 'x':\n        raise ValueError('the first attempt')\n    while not"
    body = HELD.replace("    while not", fails_first)
    deployment = deploy(stack, tmp_path / "p", queue, body)
    with stack.agent(queue):
        (run,) = create(stack, deployment, marker=str(marker), release=str(release))
        assert stack.wait_for_run(run)["state"]["type"] == "FAILED"
        stack.client.post(f"flow-runs/{run}/retry")
        until(lambda: stack.client.get(f"flow-runs/{run}")["state"]["type"] == "RUNNING", "the second attempt")
        until(lambda: marker.read_text() == "xx", "its code to begin")
        before = stack.client.get(f"flow-runs/{run}/states")
        with pytest.raises(TransitionRefused) as refused:
            stack.client.post(f"flow-runs/{run}/state", {"type": "COMPLETED", "attempt": 1})
        assert refused.value.code == "stale-attempt"
        state = {"type": "CRASHED", "name": "Crashed", "message": "late", "at": to_text(now()), "details": None}
        item = {"kind": "flow-run-state", "id": run, "attempt": 1, "state": state, "result": None}
        batch = {"producer": str(uuid.uuid4()), "first": 1, "items": [item]}
        answer = stack.client.post("reports", {"batches": [batch]})
        assert [one["code"] for one in answer["refused"]] == ["stale-attempt"]
        assert stack.client.get(f"flow-runs/{run}/states") == before
        release.touch()
        ended = stack.wait_for_run(run)
    assert (ended["state"]["type"], ended["attempt"]) == ("COMPLETED", 2)


def test_an_agent_outlives_the_deletion_of_its_run(stack: Stack, tmp_path: Path) -> None:
    queue, marker, release = queue_name(), tmp_path / "marker", tmp_path / "release"
    deployment = deploy(stack, tmp_path / "p", queue, HELD)
    with stack.agent(queue) as agent:
        (run,) = create(stack, deployment, marker=str(marker), release=str(release))
        until(marker.exists, "the run to begin")
        with pytest.raises(Conflict):
            stack.client.delete(f"flow-runs/{run}")
        stack.client.post(f"flow-runs/{run}/cancel")
        stack.wait_for_run(run)
        stack.client.delete(f"flow-runs/{run}")
        with pytest.raises(NotFound):
            stack.client.get(f"flow-runs/{run}")
        release.touch()
        (after,) = create(stack, deployment, marker=str(tmp_path / "other"), release=str(release))
        assert stack.wait_for_run(after)["state"]["type"] == "COMPLETED"
        assert agent.poll() is None
