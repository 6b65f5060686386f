"""Running claimed jobs: the code of the snapshot, confirmed starts, and every way to end."""

from __future__ import annotations

import os
import sys
import textwrap
import time
import uuid
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from orchestrator.documents.records import Job, State, Storage
from orchestrator.running import runner
from orchestrator.serializers import dumps, loads
from orchestrator.states import StateType

FLOW = """
from orchestrator import flow, task, get_run_logger
import sys, os, time, asyncio

@task
def double(number):
    return 2 * number

@flow
def good(number: int = 3):
    get_run_logger().info("working in %s", os.getcwd())
    print("printed")
    open("written", "w").close()
    return [double(number), double.submit(1).result()]

@flow(log_prints=True, timeout_seconds=5, retries=1, retry_delay_seconds=0.01)
def flaky():
    if not os.path.exists("again"):
        open("again", "w").close()
        raise ValueError("first")
    return "second"

@flow
async def later():
    await asyncio.sleep(0)
    return "later"

@flow
def bad():
    raise ValueError("bad")

@flow
def stops():
    raise KeyboardInterrupt

@flow(retries=5, retry_delay_seconds=600)
def far(number: int = 0):
    raise ValueError("later")

def tell(flow, run, state):
    print(f"{state.name} of {flow.name}: {run.name} {run.parameters} {os.path.basename(os.getcwd())}")

@flow(on_completion=[tell], on_failure=[tell], on_crashed=[tell])
def hooked(number: int = 0):
    if number == 1:
        raise ValueError("one")
    if number == 2:
        raise KeyboardInterrupt
    return number

@hooked.on_cancellation
async def gone(flow, run, state):
    await asyncio.sleep(0)
    tell(flow, run, state)
    raise ValueError("broken hook")
"""


class Recording:
    """A sink that keeps what it is given."""

    def __init__(self) -> None:
        self.items: list[Any] = []

    def put(self, item: Mapping[str, Any]) -> None:
        self.items.append(item)

    def flush(self, timeout: float) -> bool:
        return True


def in_child(job: Job, output: Path, report: Path, hooks_for: State | None = None) -> None:
    """Run a job in a forked process, as it changes its process for good; its output and report go to files."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid:
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        return
    sys.stdout = output.open("w")
    sink, told = Recording(), list[tuple[str, Any]]()
    if hooks_for is not None:
        runner.call_hooks(job, sink, hooks_for, lambda: told.append(("ready", None)))
        state, result = hooks_for, None
    else:
        state, result = runner.run_job(
            job,
            sink,
            confirm_running=lambda: told.append(("confirm", time.time())),
            announce_timeout=lambda seconds: told.append(("timeout", seconds)),
            announce_hooks=lambda names: told.append(("hooks", names)),
            announce_end=lambda state, result: told.append(("end", [state.name, result, os.fstat(1).st_size])),
        )
    sys.stdout.close()
    report.write_bytes(dumps({"state": state.write(), "result": result, "items": sink.items, "told": told}))
    os._exit(0)


@pytest.fixture
def execute(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    project = tmp_path / "project"
    project.mkdir()
    (project / "work.py").write_text(textwrap.dedent(FLOW))

    def run(flow: str, hooks_for: State | None = None, **more: Any) -> dict[str, Any]:
        facts = {"entrypoint": f"work.py:{flow}", "storage": {"block_id": None, "path": str(project)}, **more}
        job = {"id": str(uuid.uuid4()), "attempt": 4, "name": "the-run", "flow": flow, "token": "t",
               "state": {"type": "PENDING", "name": "Pending"}, **facts}  # fmt: skip
        output, report = tmp_path / "output", tmp_path / "report"
        report.unlink(missing_ok=True)
        in_child(Job.read(job), output, report, hooks_for)
        return {**loads(report.read_bytes()), "stdout": output.read_text(), "project": project}

    return run


def test_a_job_runs_in_its_folder_and_leaves_the_end_to_the_supervisor(execute: Callable[..., dict[str, Any]]) -> None:
    found = execute("good", parameters={"number": "4"}, tags=["nightly"])
    assert found["state"]["type"] == "COMPLETED"
    assert found["result"] == {"value": [8, 2]}
    assert [kind for kind, _ in found["told"]] == ["confirm"]
    assert found["stdout"] == "printed\n"
    kinds = [item["kind"] for item in found["items"]]
    assert set(kinds) == {"log", "task-run"}
    logs = [item for item in found["items"] if item["kind"] == "log"]
    assert [item["message"] for item in logs] == [f"working in {found['project']}"]
    assert {item.get("flow_attempt", item["attempt"]) for item in found["items"]} == {4}


def test_async_flows_run_too(execute: Callable[..., dict[str, Any]]) -> None:
    assert execute("later")["result"] == {"value": "later"}


def test_retries_keep_the_slot_and_the_time_out_covers_them(execute: Callable[..., dict[str, Any]]) -> None:
    found = execute("flaky")
    assert found["result"] == {"value": "second"}
    assert found["told"][1][0] == "timeout"
    assert found["told"][1][1] == pytest.approx(10.01)
    states = [item["state"]["type"] for item in found["items"] if item["kind"] == "flow-run-state"]
    assert states == ["RUNNING", "RUNNING"]


def test_a_far_off_try_is_left_to_another_process(execute: Callable[..., dict[str, Any]]) -> None:
    state = execute("far")["state"]
    assert (state["type"], state["name"]) == ("SCHEDULED", "AwaitingRetry")
    assert "try 2 of 6 begins in 600 s, after: ValueError: later" in state["message"]
    assert (state["details"]["tries"], state["details"]["wait_s"]) == (1, 600)
    assert execute("far", tries=4)["state"]["details"]["tries"] == 5
    assert execute("far", tries=5)["state"]["type"] == "FAILED"


@pytest.mark.parametrize(
    ("number", "state", "result"), [(0, "Completed", {"value": 0}), (1, "Failed", None), (2, "Crashed", None)]
)
def test_hooks_are_called_after_the_end_is_known(
    execute: Callable[..., dict[str, Any]], number: int, state: str, result: Any
) -> None:
    found = execute("hooked", parameters={"number": number})
    told = dict(found["told"])
    assert told["hooks"] == ["on_completion", "on_failure", "on_crashed", "on_cancellation"]
    assert told["end"][:2] == [state, result]
    assert found["stdout"] == f"{state} of hooked: the-run {{'number': {number}}} project\n"
    assert (found["state"]["name"], found["result"]) == (state, result)


def test_parameters_that_do_not_fit_call_the_hook_for_failures(execute: Callable[..., dict[str, Any]]) -> None:
    found = execute("hooked", parameters={"number": "x"})
    assert found["state"]["type"] == "FAILED"
    assert found["stdout"] == "Failed of hooked: the-run {'number': 'x'} project\n"


@pytest.mark.parametrize("kind", [StateType.CANCELLED, StateType.CRASHED, StateType.FAILED])
def test_hooks_alone(execute: Callable[..., dict[str, Any]], kind: StateType) -> None:
    found = execute("hooked", State(kind, message="from outside"), parameters={"number": "7"})
    assert found["told"] == [["ready", None]]
    assert found["stdout"] == f"{kind.value.capitalize()} of hooked: the-run {{'number': 7}} project\n"
    lines = [item["message"] for item in found["items"] if item["kind"] == "log"]
    assert len(lines) == (kind is StateType.CANCELLED)
    assert all("ValueError: broken hook" in line for line in lines)


def test_failures_come_back_as_states(execute: Callable[..., dict[str, Any]]) -> None:
    bad = execute("bad")
    assert (bad["state"]["type"], bad["state"]["message"], bad["result"]) == ("FAILED", "ValueError: bad", None)
    assert "work.py" in bad["state"]["details"]["traceback"]
    assert execute("stops")["state"]["type"] == "CRASHED"


@pytest.mark.parametrize(
    ("change", "kind", "told"),
    [
        ({"entrypoint": "work.py:nothing"}, "FAILED", "its flows are bad, far, flaky, good, hooked, later, stops"),
        ({"entrypoint": "gone.py:good"}, "FAILED", "gone.py"),
        ({"parameters": {"number": "many"}}, "FAILED", "number"),
        ({"parameters": {"other": 1}}, "FAILED", "other"),
        ({"storage": None}, "FAILED", "--storage-block"),
        ({"storage": {"block_id": None, "path": "/nowhere/at/all"}}, "FAILED", "/nowhere/at/all"),
        ({"storage": {"block_id": str(uuid.uuid4()), "path": "x", "snapshot": "abc"}}, "CRASHED", "API"),
    ],
)
def test_what_cannot_start_says_why_and_asks_for_no_start(
    execute: Callable[..., dict[str, Any]], change: dict[str, Any], kind: str, told: str
) -> None:
    found = execute("good", **change)
    assert found["state"]["type"] == kind
    assert told in found["state"]["message"]
    assert found["told"] == []


def test_it_starts_on_the_dot(execute: Callable[..., dict[str, Any]]) -> None:
    before = time.time()
    found = execute("good", starts_in_ms=1500)
    assert found["told"][0][1] - before >= 1.5


def test_a_run_that_is_running_already_is_not_confirmed(execute: Callable[..., dict[str, Any]]) -> None:
    assert execute("good", state={"type": "RUNNING", "name": "Running"})["told"] == []


def test_storage_that_is_away_crashes_the_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ORCHESTRATOR_API_URL", "http://127.0.0.1:9")
    before = os.getcwd()
    storage = Storage(uuid.uuid4(), "x", "abc")
    facts = {"entrypoint": "work.py:good", "storage": storage.write(), "state": {"type": "PENDING"}}
    job = Job.read({"id": uuid.uuid4(), "attempt": 1, "name": "n", "flow": "f", "token": "t", **facts})
    monkeypatch.setattr("orchestrator.client.RETRIES", 0)
    monkeypatch.setattr(runner, "patiently", lambda call: call())
    try:
        state, result = runner.run_job(job, None, confirm_running=pytest.fail, announce_timeout=pytest.fail)  # type: ignore[arg-type]
    finally:
        os.chdir(before)
    assert (state.type, result) == (StateType.CRASHED, None)
    assert "does not answer" in state.message
