"""One run, watched from outside: real processes, forked by the real template."""

from __future__ import annotations

import os
import signal
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator.clock import now
from orchestrator.documents.records import Job, State, Storage
from orchestrator.interfaces import LaunchSpec
from orchestrator.serializers import loads
from orchestrator.states import StateType
from orchestrator.workers.agent import hook_calls, processes
from orchestrator.workers.agent.launcher import Child, ForkLauncher, Launcher, LaunchFailed, SpawnLauncher
from orchestrator.workers.agent.supervision import Supervision
from orchestrator.workers.agent.surroundings import Surroundings
from orchestrator.workers.agent.verdict import Ask

SPAWNED = ["-c", "import sys; import fake_child; fake_child.main(int(sys.argv[1]))"]


def poll(condition: Callable[[], Any], timeout: float = 15.0) -> Any:
    deadline = time.monotonic() + timeout
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not within {timeout} s"
        time.sleep(0.01)
    return found


def gone(pid: int) -> bool:
    facts = processes.look(pid)
    return facts is None or facts[2] in "ZX"


@pytest.fixture(scope="module")
def forking() -> Iterator[ForkLauncher]:
    launcher = ForkLauncher("fake_child:main")
    launcher.start()
    yield launcher
    launcher.stop()


@pytest.fixture
def spawning() -> Iterator[SpawnLauncher]:
    launcher = SpawnLauncher(SPAWNED)
    yield launcher
    launcher.stop()


@pytest.fixture
def spawning_without_waitid(spawning: SpawnLauncher, monkeypatch: pytest.MonkeyPatch) -> SpawnLauncher:
    """As with a Python that lacks it, such as some on macOS."""
    monkeypatch.delattr(os, "waitid")
    return spawning


class Watched:
    """A supervision under test, and what it reported."""

    def __init__(self, launcher: Launcher, tmp_path: Path, entrypoint: str, grace: float = 1.0, **parameters: Any):
        self.items: list[dict[str, Any]] = []
        self.confirmed: list[int] = []
        self.answer = Ask.NOTHING
        self.pids = tmp_path / "pids"
        facts = parameters.pop("facts", {})
        state = State(facts.pop("state", StateType.PENDING), at=now())
        parameters["pids"] = str(self.pids)
        self.job = Job(
            uuid.uuid4(), 3, "brave-test", "test", state, entrypoint, token="run_secret", parameters=parameters, **facts
        )
        around = Surroundings(
            agent="tester",
            launcher=launcher,
            launch=parameters.pop("launch", lambda job, spec, host, wanted: host.start(spec)),
            confirm=self._confirm,
            env={"ORCHESTRATOR_API_URL": "http://127.0.0.1:1"},
            grace_s=grace,
            line_max=1000,
            runs=tmp_path / "runs",
        )
        self.it = Supervision(self.job, self._put, around, time.monotonic())

    def _put(self, item: dict[str, Any] | bytes) -> None:
        self.items.append(loads(item) if isinstance(item, bytes) else item)

    def _confirm(self, job: Job, wanted: Callable[[], bool]) -> Ask:
        self.confirmed.append(job.attempt)
        return self.answer

    def start(self) -> threading.Thread:
        thread = threading.Thread(target=self.it.run)
        thread.start()
        return thread

    def read_pids(self) -> list[int]:
        poll(self.pids.exists)
        return [int(pid) for pid in poll(lambda: self.pids.read_text().split())]

    @property
    def end(self) -> dict[str, Any]:
        assert self.items[-1]["kind"] == "flow-run-state", "the end comes last"
        assert [i["kind"] for i in self.items].count("flow-run-state") == 1
        assert self.items[-1]["attempt"] == 3
        return self.items[-1]

    def lines(self, logger: str | None = None) -> list[str]:
        return [i["message"] for i in self.items if i["kind"] == "log" and logger in (None, i["logger"])]


@pytest.fixture
def watch(forking: ForkLauncher, tmp_path: Path) -> Callable[..., Watched]:
    return lambda entrypoint, **parameters: Watched(forking, tmp_path, entrypoint, **parameters)


def test_a_run_completes_with_its_result(watch: Callable[..., Watched]) -> None:
    run = watch("returns", value=[1, "two"])
    state = run.it.run()
    assert state == State.read(run.end["state"])
    assert state.type is StateType.COMPLETED, run.lines()
    assert run.end["result"] == {"value": [1, "two"]}
    assert run.confirmed == [3]


def test_a_run_that_is_running_already_is_not_confirmed(watch: Callable[..., Watched]) -> None:
    run = watch("returns", facts={"state": StateType.RUNNING})
    run.it.run()
    assert run.end["state"]["type"] == "COMPLETED"
    assert run.confirmed == []


@pytest.mark.parametrize("launcher", ["forking", "spawning", "spawning_without_waitid"])
def test_everything_written_is_logged_with_its_stream(
    launcher: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """Pain 46: print, os.write, a program's output and stderr; a last line without newline too."""
    run = Watched(request.getfixturevalue(launcher), tmp_path, "prints")
    run.it.run()
    assert run.lines("stdout") == ["by print", "by os.write", "by a program", "no newline"]
    assert run.lines("stderr") == ["to stderr"]
    assert run.end["state"]["type"] == "COMPLETED"


@pytest.mark.parametrize("launcher", ["forking", "spawning", "spawning_without_waitid"])
def test_leaving_early_keeps_every_line(launcher: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """Pain 23."""
    run = Watched(request.getfixturevalue(launcher), tmp_path, "leaves", code=1)
    run.it.run()
    assert run.lines() == [f"line {number}" for number in range(1000)]
    assert run.end["state"]["type"] == "CRASHED"
    assert "exited with code 1" in run.end["state"]["message"]
    assert run.end["state"]["details"] == {"exit_code": 1}


@pytest.mark.parametrize("launcher", ["forking", "spawning", "spawning_without_waitid"])
def test_a_killed_process_is_told_as_such(launcher: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """Pain 10."""
    run = Watched(request.getfixturevalue(launcher), tmp_path, "kills_itself")
    run.it.run()
    assert run.lines() == ["last words"]
    assert run.end["state"]["type"] == "CRASHED"
    assert "SIGKILL" in run.end["state"]["message"]
    assert "out of memory" in run.end["state"]["message"]
    assert run.end["state"]["details"] == {"signal": "SIGKILL"}


def test_a_cancel_leaves_no_process(watch: Callable[..., Watched]) -> None:
    """Pain 7: SIGTERM is ignored, one process is in the group and one left it."""
    run = watch("stubborn", grace=0.3)
    thread = run.start()
    pids = run.read_pids()
    run.it.ask(Ask.CANCEL)
    thread.join(15)
    assert run.end["state"]["type"] == "CANCELLED"
    assert "was killed" in run.end["state"]["message"]
    for pid in pids:
        poll(lambda pid=pid: gone(pid))


def test_a_cancel_that_is_honoured_needs_no_kill(watch: Callable[..., Watched]) -> None:
    run = watch("sleeps", grace=60)
    thread = run.start()
    run.read_pids()
    run.it.ask(Ask.CANCEL)
    thread.join(15)
    assert run.end["state"]["type"] == "CANCELLED"
    assert run.end["state"]["message"] == "cancelled"


def test_a_time_out_is_enforced_from_outside(watch: Callable[..., Watched]) -> None:
    """Pain 24: the code blocks in a way that nothing inside could interrupt."""
    run = watch("stubborn", grace=0.2, timeout=0.3)
    run.it.run()
    assert (run.end["state"]["type"], run.end["state"]["name"]) == ("FAILED", "TimedOut")
    assert "0.3 s" in run.end["state"]["message"]
    for pid in run.read_pids():
        poll(lambda pid=pid: gone(pid))


def test_a_lost_run_is_ended_and_not_reported(watch: Callable[..., Watched]) -> None:
    """Pain 41: the attempt was superseded."""
    run = watch("stubborn", grace=60)
    thread = run.start()
    pids = run.read_pids()
    run.it.ask(Ask.LOST)
    thread.join(15)
    assert [item["kind"] for item in run.items] == []
    for pid in pids:
        poll(lambda pid=pid: gone(pid))


def test_user_code_does_not_start_when_it_must_not(watch: Callable[..., Watched]) -> None:
    run = watch("sleeps", grace=60)
    run.answer = Ask.CANCEL
    run.it.run()
    assert run.end["state"]["type"] == "CANCELLED"
    assert not run.pids.exists()


def test_a_stop_at_once(watch: Callable[..., Watched]) -> None:
    run = watch("stubborn", grace=60)
    thread = run.start()
    run.read_pids()
    run.it.ask(Ask.STOP)
    run.it.kill()
    thread.join(15)
    assert run.end["state"]["type"] == "CRASHED"
    assert "the agent tester was stopped" in run.end["state"]["message"]


def test_completing_while_being_cancelled_is_completing(watch: Callable[..., Watched]) -> None:
    run = watch("late", grace=60)
    thread = run.start()
    run.read_pids()
    run.it.ask(Ask.CANCEL)
    thread.join(15)
    assert run.end["state"]["type"] == "COMPLETED"


def test_the_end_does_not_wait_for_a_daemon(watch: Callable[..., Watched]) -> None:
    run = watch("daemonises")
    run.it.run()
    daemon, inside = run.read_pids()
    try:
        assert run.end["state"]["type"] == "COMPLETED"
        assert not gone(daemon), "what left the group is a daemon on purpose"
        poll(lambda: gone(inside))
    finally:
        os.kill(daemon, signal.SIGKILL)


def test_a_thread_left_behind_is_given_the_grace(watch: Callable[..., Watched]) -> None:
    run = watch("lingers", grace=0.2)
    run.it.run()
    assert run.end["state"]["type"] == "COMPLETED"


def test_what_the_engine_did_not_catch_is_a_crash_with_its_traceback(watch: Callable[..., Watched]) -> None:
    run = watch("raises")
    run.it.run()
    assert run.end["state"]["type"] == "CRASHED"
    assert run.end["state"]["message"] == "RuntimeError: not caught by the engine"
    assert any("Traceback" in line for line in run.lines("stderr"))


def test_runs_differ_in_what_they_draw_and_are_alone(watch: Callable[..., Watched]) -> None:
    values = []
    for _ in range(2):
        run = watch("draws")
        run.it.run()
        values.append(run.end["result"]["value"])
    for first, second in zip(values[0][:3], values[1][:3], strict=True):
        assert first != second
    for _, _, pid, session, threads in values:
        assert session == pid, "a session of its own"
        assert threads == 1


def test_reports_pass_in_order_and_its_own_end_is_the_supervisors(watch: Callable[..., Watched]) -> None:
    run = watch("reports", items=500)
    run.it.run()
    assert [i["name"] for i in run.items if i["kind"] == "task-run"] == [f"task-{n}" for n in range(500)]
    assert run.end["state"]["type"] == "COMPLETED"


def test_the_process_gets_the_runs_key_and_none_of_the_agents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pain 13."""
    monkeypatch.setenv("ORCHESTRATOR_API_KEY", "the-agents-key")
    monkeypatch.setenv("ORCHESTRATOR_SECRET_KEY", "the-servers-key")
    launcher = ForkLauncher("fake_child:main")
    launcher.start()
    try:
        run = Watched(launcher, tmp_path, "tells_environment")
        run.it.run()
        seen = run.end["result"]["value"]
        assert seen["ORCHESTRATOR_API_KEY"] == "run_secret"
        assert "ORCHESTRATOR_SECRET_KEY" not in seen
        assert launcher._process is not None
        environ = Path(f"/proc/{launcher._process.pid}/environ").read_bytes()
        assert b"the-agents-key" not in environ
        assert b"run_secret" not in Path(f"/proc/{launcher._process.pid}/cmdline").read_bytes()
    finally:
        launcher.stop()


def test_the_scratch_folder_is_removed(watch: Callable[..., Watched], tmp_path: Path) -> None:
    run = watch("returns")
    folder = tmp_path / "runs" / f"{run.job.id}-3"
    folder.mkdir(parents=True)
    run.it.run()
    assert not folder.exists()


def test_no_process_is_a_crash_with_the_reason(watch: Callable[..., Watched]) -> None:
    def launch(job: Job, spec: LaunchSpec, host: Any, wanted: Any) -> Any:
        raise LaunchFailed("its infrastructure block cannot be used: no such block")

    run = watch("returns", launch=launch)
    run.it.run()
    assert run.end["state"]["type"] == "CRASHED"
    assert "no such block" in run.end["state"]["message"]


def test_a_killed_template_crashes_its_runs_and_is_replaced(tmp_path: Path) -> None:
    launcher = ForkLauncher("fake_child:main")
    launcher.start()
    try:
        run = Watched(launcher, tmp_path, "sleeps")
        thread = run.start()
        (pid,) = run.read_pids()
        assert launcher._process is not None
        os.kill(launcher._process.pid, signal.SIGKILL)
        thread.join(15)
        assert run.end["state"]["type"] == "CRASHED"
        poll(lambda: gone(pid))
        again = Watched(launcher, tmp_path, "returns")
        again.it.run()
        assert again.end["state"]["type"] == "COMPLETED"
    finally:
        launcher.stop()


def test_the_template_ignores_sigterm_and_ends_all_with_its_agent(tmp_path: Path) -> None:
    launcher = ForkLauncher("fake_child:main")
    launcher.start()
    run = Watched(launcher, tmp_path, "stubborn")
    thread = run.start()
    pids = run.read_pids()
    assert launcher._process is not None
    os.kill(launcher._process.pid, signal.SIGTERM)
    child: Child = next(iter(launcher._children.values()))
    assert not child.ended
    launcher.stop()
    thread.join(15)
    assert launcher._process.returncode == 0
    for pid in pids:
        poll(lambda pid=pid: gone(pid))


HOOKED = """
import os, time

from orchestrator import flow


def note(flow, flow_run, state):
    print("hook of", flow.name, state.name, os.environ["ORCHESTRATOR_API_KEY"], flush=True)
    print("ready", flush=True)
    time.sleep(float(os.environ.get("HOOK_SLEEPS", 0)))


@flow(on_crashed=[note], on_cancellation=[note])
def hooked(how: str, pids: str):
    raise AssertionError("the flow itself is not called")
"""


@pytest.fixture
def hooked(watch: Callable[..., Watched], tmp_path: Path) -> Callable[..., Watched]:
    """A run whose flow has hooks in a real project; ``how`` it ends."""
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "hooked.py").write_text(HOOKED)

    def make(how: str, sleeps: float = 0.0, timeout: float = 30.0) -> Watched:
        run = watch("hooked.py:hooked", how=how, facts={"storage": Storage(None, str(tmp_path / "project"))})
        env = {"ORCHESTRATOR_API_URL": "http://127.0.0.1:1", "ORCHESTRATOR_HOME": str(tmp_path / "home")}
        env["HOOK_SLEEPS"] = str(sleeps)
        run.it.around, run.it._call_hooks = replace(run.it.around, env=env, hook_timeout_s=timeout), hook_calls.call
        return run

    return make


def test_hooks_of_a_killed_run_are_called_elsewhere_before_its_end_is_told(hooked: Callable[..., Watched]) -> None:
    run = hooked("killed")
    state = run.it.run()
    assert state is not None
    assert (state.type, run.end["state"]["type"]) == (StateType.CRASHED, "CRASHED")
    assert "SIGKILL" in state.message
    assert run.lines("stdout") == ["hook of hooked Crashed run_secret", "ready"]
    assert run.lines("stderr") == []
    assert not (run.it.around.runs / f"{run.job.id}-3").exists()


def test_hooks_of_a_cancelled_run(hooked: Callable[..., Watched]) -> None:
    run = hooked("sleeps")
    thread = run.start()
    run.read_pids()
    run.it.ask(Ask.CANCEL)
    thread.join(20)
    assert run.end["state"]["type"] == "CANCELLED"
    assert run.lines("stdout")[-2:] == ["hook of hooked Cancelled run_secret", "ready"]


def test_a_run_that_tells_its_end_itself_has_called_its_hooks(hooked: Callable[..., Watched]) -> None:
    run = hooked("tells")
    run.it.run()
    assert run.end["state"]["message"] == "it says so itself"
    assert run.lines() == []


def test_hooks_that_take_too_long_are_stopped(hooked: Callable[..., Watched]) -> None:
    run = hooked("killed", sleeps=600, timeout=0.5)
    run.it.run()
    assert run.end["state"]["type"] == "CRASHED"
    assert any("took longer than 0.5 s" in line for line in run.lines())


def test_a_run_that_is_lost_during_its_hooks_is_not_told_of(hooked: Callable[..., Watched]) -> None:
    run = hooked("killed", sleeps=600)
    thread = run.start()
    poll(lambda: "ready" in run.lines("stdout"))
    run.it.ask(Ask.LOST)
    thread.join(20)
    assert [item for item in run.items if item["kind"] == "flow-run-state"] == []


def test_an_agent_in_a_hurry_waits_for_no_hooks(hooked: Callable[..., Watched]) -> None:
    run = hooked("killed", sleeps=600)
    thread = run.start()
    poll(lambda: "ready" in run.lines("stdout"))
    run.it.kill()
    thread.join(20)
    assert run.end["state"]["type"] == "CRASHED"
