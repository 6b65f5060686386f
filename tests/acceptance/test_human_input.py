"""Flows that wait for people, and hear of others while they run."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.errors import InvalidInput

from ..agents import gone
from ..polling import until
from ..projects import write_flow
from ..stack import Stack

FLOWS = '''(folder: str) -> dict:
    answer = pause_flow_run(Approval.with_initial_data("## Load it?", limit=7), timeout=60)
    return {"approve": answer.approve, "limit": answer.limit, "pid": os.getpid()}


class Approval(RunInput):
    """Shall it be loaded?"""

    approve: bool
    limit: int = 5

    @pydantic.field_validator("limit")
    @classmethod
    def even(cls, value):
        if value % 2:
            raise ValueError("has to be even")
        return value


def tell(folder, name):
    path = os.path.join(folder, name)
    with open(path + ".new", "w") as file:
        file.write(str(os.getpid()))
    os.replace(path + ".new", path)


@flow
def aside(folder: str) -> list:
    tell(folder, "began")
    first = suspend_flow_run(Literal["yes", "no"], key="load", timeout=600)
    second = suspend_flow_run(int, timeout=0.2, default=8)
    tell(folder, "went-on")
    return [first, second, os.getpid()]


@flow
def quick(folder: str) -> str:
    return "quick"


@flow
async def listening(folder: str) -> list:
    tell(folder, "began")
    heard = []
    async for text in receive_input(str, timeout=60):
        if text == "enough":
            break
        heard.append(text)
    number = await receive_input(int, with_metadata=True, timeout=60).next()
    await number.respond("got " + str(number.value))
    return [*heard, number.value]


@flow
def asking(folder: str, other: str) -> str:
    send_input(3, other)
    return receive_input(str, timeout=60).next()


@flow
async def impatient(folder: str) -> list:
    beats = []

    async def beat():
        while True:
            beats.append(1)
            await asyncio.sleep(0.01)

    task = asyncio.create_task(beat())
    found = [await pause_flow_run(int, timeout=0.3, default=4)]
    task.cancel()
    try:
        await pause_flow_run(timeout=0.1)
    except FlowPauseTimedOut as error:
        found.append(type(error).__name__)
    found.append(len(beats) > 5)
    await pause_flow_run(int, timeout=0.1)
'''
HEAD = """import asyncio
import pydantic
from typing import Literal
from orchestrator import (FlowPauseTimedOut, RunInput, pause_flow_run, receive_input, resume_flow_run, send_input,
    suspend_flow_run)
"""


PAGE = Path(__file__).parents[2] / "docs" / "human-input.md"
EXAMPLE = re.compile(r"```python\n(.*?)```", re.DOTALL)


@pytest.fixture(scope="module")
def project(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Deployments of all flows of the project, in a queue of one run at a time; the queue's name."""
    name = f"people-{uuid.uuid4().hex[:6]}"
    folder = write_flow(tmp_path_factory.mktemp("people") / "project", FLOWS, "job")
    file = folder / "flow.py"
    file.write_text(HEAD + file.read_text())
    stack.client.post("work-queues", {"name": name, "concurrency_limit": 1})
    (folder / "page.py").write_text("\n".join(EXAMPLE.findall(PAGE.read_text("utf-8"))))
    words = ["deployment", "build", "./flow.py:job", "-n", name, "-q", name, "-o", "job.yaml", "--apply"]
    built = stack.cli(*words, cwd=folder)
    assert built.returncode == 0, built.stderr
    storage = stack.client.get(f"deployments/job/{name}")["storage"]
    place = {key: storage[key] for key in ("block", "path", "snapshot")}
    for flow in ("aside", "quick", "listening", "asking", "impatient", "load", "guess", "collect", "tell"):
        file_name = "page.py" if flow in ("load", "guess", "collect", "tell") else "flow.py"
        body = {"flow": flow, "name": name, "entrypoint": f"{file_name}:{flow}", "storage": place, "work_queue": name}
        stack.client.post("deployments", body)
    return name


@pytest.fixture(scope="module", autouse=True)
def agent(stack: Stack, project: str) -> Iterator[None]:
    with stack.agent(project, options=("--limit", "2")):
        yield


class Runs:
    """Starts runs of the project, and looks at them."""

    def __init__(self, stack: Stack, name: str, folder: Path) -> None:
        self.stack, self.name, self.folder = stack, name, folder

    def start(self, flow: str, **parameters: Any) -> str:
        body = {"parameters": {"folder": str(self.folder), **parameters}}
        return str(self.stack.client.post(f"deployments/{flow}/{self.name}/runs", body)["id"])

    def state(self, run: str) -> str:
        return str(self.stack.client.get(f"flow-runs/{run}")["state"]["name"])

    def wait_until(self, run: str, state: str) -> None:
        until(lambda: self.state(run) == state, f"{run} to be {state}", 30)

    def pid(self, name: str) -> int:
        path = self.folder / name
        return int(until(lambda: path.exists() and path.read_text(), f"{name} to be told", 30))


@pytest.fixture
def runs(stack: Stack, project: str, tmp_path: Path) -> Runs:
    return Runs(stack, project, tmp_path)


def test_a_paused_flow_is_answered_and_goes_on_in_its_process(stack: Stack, runs: Runs) -> None:
    run = runs.start("job")
    runs.wait_until(run, "Paused")
    behind = runs.start("quick")
    asked = stack.client.get(f"flow-runs/{run}/question")
    assert asked["description"] == "## Load it?"
    assert asked["schema"]["properties"]["limit"]["default"] == 7
    assert "waits until somebody answers" in stack.cli("flow-run", "why", run).stdout
    assert "limit-full" in stack.cli("flow-run", "why", behind).stdout  # it keeps its slot

    with pytest.raises(InvalidInput) as refused:
        stack.client.post(f"flow-runs/{run}/resume", {"input": {"approve": "perhaps"}})
    assert list(refused.value.errors) == ["input.approve"]
    done = stack.cli("flow-run", "resume", run, "--input", "approve=true", "--input", "limit=3")
    assert (done.returncode, "Running" in done.stderr) == (0, True), done.stderr
    # what its own validator refuses is asked for again, with what was wrong
    again = until(lambda: stack.json("flow-run", "question", run), "the flow to ask again")
    assert again["problems"] == {"limit": ["Value error, has to be even"]}
    stack.client.post(f"flow-runs/{run}/resume", {"input": {"approve": True, "limit": 8}})
    ended = stack.wait_for_run(run)
    assert {**ended["result"]["value"], "pid": 0} == {"approve": True, "limit": 8, "pid": 0}, ended["state"]
    assert ended["attempt"] == 1
    assert stack.wait_for_run(behind)["result"] == {"value": "quick"}


def test_a_suspended_flow_frees_process_and_slot_and_goes_on_with_the_answer(stack: Stack, runs: Runs) -> None:
    run = runs.start("aside")
    pid = runs.pid("began")
    runs.wait_until(run, "Suspended")
    until(lambda: gone(pid), "its process to be gone")
    assert stack.wait_for_run(runs.start("quick"))["state"]["type"] == "COMPLETED"
    done = stack.cli("flow-run", "resume", run, "--input-json", '{"value": "perhaps"}')
    assert (done.returncode, "input.value" in done.stderr) == (2, True), done.stderr
    stack.client.post(f"flow-runs/{run}/resume", {"input": {"value": "yes"}})
    ended = stack.wait_for_run(run)
    first, second, last_pid = ended["result"]["value"]
    assert (first, second) == ("yes", 8)
    assert last_pid != pid
    assert ended["attempt"] == 3
    events = stack.client.get("events", {"resource_id": f"orchestrator.flow-run.{run}", "event": "flow-run.paused"})
    assert events["items"][-1]["payload"]["question"]["key"] == "load"
    told = stack.client.get("events", {"resource_id": f"orchestrator.flow-run.{run}", "event": "flow-run.answered"})
    answers = [(item["kind"], item["payload"]["after"]["answer"]) for item in told["items"]]
    assert answers == [("operation", {"value": 8}), ("action", {"value": "yes"})]


def test_flows_hear_of_people_and_of_each_other(stack: Stack, runs: Runs) -> None:
    stack.client.patch(f"work-queues/{runs.name}", {"concurrency_limit": 2})
    run = runs.start("listening")
    runs.pid("began")
    assert stack.cli("flow-run", "send", run, "one").returncode == 0
    stack.client.post(f"flow-runs/{run}/messages", {"value": "two", "key_prefix": "str-auto"})
    other = runs.start("asking", other=run)
    assert stack.cli("flow-run", "send", run, "enough").returncode == 0
    assert stack.wait_for_run(run)["result"] == {"value": ["one", "two", 3]}
    assert stack.wait_for_run(other)["result"] == {"value": "got 3"}
    late = stack.cli("flow-run", "send", run, "late")
    assert (late.returncode, "receives nothing any more" in late.stderr) == (1, True)
    listed = stack.json("flow-run", "messages", run)
    assert [(item["key"], item["value"]) for item in listed] == [
        ("str-auto-1", "one"), ("str-auto-2", "two"), *[(item["key"], item["value"]) for item in listed[2:]],
    ]  # fmt: skip


def test_nobody_answers_in_time(stack: Stack, runs: Runs) -> None:
    run = runs.start("impatient")
    ended = stack.wait_for_run(run)
    assert (ended["state"]["type"], ended["state"]["name"]) == ("FAILED", "TimedOut")
    assert "nobody answered" in ended["state"]["message"]
    asked = stack.client.get(f"flow-runs/{run}/questions")["items"]
    assert [(item["state"], item["answer"]) for item in asked] == [
        ("answered", {"value": 4}), ("timed-out", None), ("timed-out", None),
    ]  # fmt: skip


def test_the_examples_of_the_page_run(stack: Stack, runs: Runs) -> None:
    def start(flow: str, **parameters: Any) -> str:
        return str(stack.client.post(f"deployments/{flow}/{runs.name}/runs", {"parameters": parameters})["id"])

    def answer(run: str, state: str, given: dict[str, Any]) -> None:
        runs.wait_until(run, state)
        stack.client.post(f"flow-runs/{run}/resume", {"input": given})

    stack.client.patch(f"work-queues/{runs.name}", {"concurrency_limit": 2})
    load, collect = start("load", rows=41), start("collect")
    answer(load, "Paused", {"decision": "load", "limit": 40})
    answer(load, "Suspended", {"value": "good"})
    start("tell", run_id=collect)
    assert stack.wait_for_run(collect)["result"] == {"value": ["Ada"]}
    guess = start("guess")
    answer(guess, "Paused", {"value": 3})
    assert stack.wait_for_run(guess)["result"] == {"value": 3}
    ended = stack.wait_for_run(load)
    assert (ended["result"], ended["attempt"]) == ({"value": "loaded 40, which is good"}, 2)


BY_HAND = """
import sys
from orchestrator import flow, pause_flow_run, suspend_flow_run, task
from orchestrator.errors import Conflict

@task
def ask():
    pause_flow_run()

@flow
def by_hand():
    for refused in (ask, suspend_flow_run):
        try:
            refused()
        except Conflict as error:
            print(error, flush=True)
    pause_flow_run(timeout=None)
    return pause_flow_run(int)

print(by_hand(), flush=True)
"""


@pytest.fixture
def by_hand(stack: Stack) -> Iterator[Any]:
    process = subprocess.Popen(
        [sys.executable, "-c", BY_HAND],
        env=stack.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    yield process
    process.kill()
    process.communicate()


def paused(stack: Stack, process: Any) -> str:
    """The run that a process started, once it is paused."""

    def find() -> str | None:
        found = stack.client.pages("flow-runs", {"state_name": "Paused"})
        return next((run["id"] for run in found if run["created_by"]["name"].endswith(f":{process.pid}")), None)

    return until(find, "it to pause", 30)


def test_a_flow_that_was_started_by_hand_is_paused_too(stack: Stack, by_hand: Any) -> None:
    run = paused(stack, by_hand)
    assert stack.json("flow-run", "question", run)["schema"] is None
    stack.client.post(f"flow-runs/{run}/resume")
    asked = until(lambda: stack.json("flow-run", "question", run), "it to ask")
    assert json.dumps(asked["schema"]["required"]) == '["value"]'
    stack.client.post(f"flow-runs/{run}/resume", {"input": {"value": 12}})
    out, err = by_hand.communicate(timeout=30)
    assert by_hand.returncode == 0, err
    assert out.splitlines() == [
        "a task cannot wait for people: call pause_flow_run in the flow itself",
        "a run that was started by hand cannot be suspended, since no agent could take it up again: "
        "use pause_flow_run, or run it by a deployment",
        "12",
    ]
    assert stack.wait_for_run(run)["state"]["type"] == "COMPLETED"


def test_a_paused_flow_is_cancelled(stack: Stack, by_hand: Any) -> None:
    run = paused(stack, by_hand)
    stack.client.post(f"flow-runs/{run}/cancel")
    assert stack.wait_for_run(run)["state"]["type"] == "CANCELLED"
    assert by_hand.wait(30) not in (0, -signal.SIGKILL)
