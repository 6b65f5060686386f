"""Hooks for the end of a run whose agent is gone, frozen or cut off: called once, by whoever is there."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from orchestrator.server.services.internal import FLOW_ID
from tests.agents import System, gone, read_pids, system
from tests.polling import until

HOOKED = """
import os, time
from pathlib import Path

from orchestrator import flow, get_run_logger


def note(flow, flow_run, state):
    with open(flow_run.parameters["marker"], "a") as file:
        file.write(f"{state.type.value} {flow.name} {flow_run.id} {flow_run.attempt}\\n")
    get_run_logger().info("logged by the hook")
    print("printed by the hook")


@flow(on_crashed=[note], on_cancellation=[note], on_failure=[note])
def hooked(marker: str, release: str = "", pid: str = ""):
    print("begun", flush=True)
    if pid:
        Path(pid + ".tmp").write_text(str(os.getpid()))
        os.rename(pid + ".tmp", pid)
    while not os.path.exists(release):
        time.sleep(0.02)
    raise ValueError("released")
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, module_database_url: str, redis_url: str) -> Iterator[System]:
    settings = {"STOP_GRACE": "2s", "HEARTBEAT": "1s", "LEASE": "3s", "SWEEP": "1s"}
    environment = {f"ORCHESTRATOR_{name}": value for name, value in settings.items()}
    with system(tmp_path_factory.mktemp("system"), module_database_url, redis_url, **environment) as found:
        (found.project / "hooked.py").write_text(HOOKED)
        yield found


@dataclass(frozen=True)
class Held:
    """A run that an agent executes, in the midst of it."""

    system: System
    agent: subprocess.Popen[bytes]
    run: str
    pid: int
    folder: Path

    def release(self) -> None:
        (self.folder / "release").touch()

    def ended(self, kind: str) -> None:
        state = self.system.end_of(self.run, 40)["state"]
        assert state["type"] == kind, state

    def calls(self) -> list[list[str]]:
        """What the hooks wrote down: type of the state, flow, run, attempt."""
        marker = self.folder / "marker"
        return [line.split() for line in marker.read_text().splitlines()] if marker.exists() else []

    def errands(self) -> list[str]:
        """How those stand who were sent for the hooks."""
        found = self.system.client.pages("flow-runs", {"flow_id": str(FLOW_ID), "parent_flow_run_id": self.run})
        return [run["state"]["type"] for run in found]

    def called_by_another(self, kind: str) -> None:
        """The hook was called once, by the one who was sent for it."""
        until(lambda: self.errands() == ["COMPLETED"], f"the hooks: {self.errands()}", 40)
        assert self.calls() == [[kind, "hooked", self.run, "1"]]
        lines = self.system.lines(self.run)
        assert [line for line in lines if line.endswith("by the hook")] == ["logged by the hook", "printed by the hook"]
        assert any("its agent could not call" in line for line in lines)


@pytest.fixture
def held(served: System, tmp_path: Path) -> Iterator[Held]:
    document = served.document("hooked") | {"entrypoint": "hooked.py:hooked"}
    deployment = served.client.post("deployments", document)["deployment"]["id"]
    with served.agent() as agent:
        names = {name: str(tmp_path / name) for name in ("marker", "release", "pid")}
        run = served.run(deployment, **names)
        (pid,) = read_pids(tmp_path / "pid")
        until(lambda: "begun" in served.lines(run), "its first reports")
        yield Held(served, agent, run, pid, tmp_path)


def die(agent: subprocess.Popen[bytes]) -> None:
    """As its whole computer does: it and all that it started, at once."""
    family = [psutil.Process(agent.pid), *psutil.Process(agent.pid).children(recursive=True)]
    for process in family:
        process.suspend()
    for process in family:
        process.kill()
    agent.wait()


def test_another_agent_calls_the_hooks_of_a_run_whose_computer_died(held: Held) -> None:
    die(held.agent)
    with held.system.agent():
        held.ended("CRASHED")
        held.called_by_another("CRASHED")


def test_a_run_that_is_cancelled_while_its_agent_is_dead(held: Held) -> None:
    die(held.agent)
    assert held.system.client.post(f"flow-runs/{held.run}/cancel")["state"]["type"] == "CANCELLING"
    with held.system.agent():
        held.ended("CANCELLED")
        held.called_by_another("CANCELLED")


def test_an_agent_that_comes_back_calls_nothing_again(held: Held) -> None:
    """Its flow ended by itself while it was frozen, and has a hook for that, too."""
    os.kill(held.agent.pid, signal.SIGSTOP)
    with held.system.agent():
        held.ended("CRASHED")
        held.release()
        held.called_by_another("CRASHED")
        os.kill(held.agent.pid, signal.SIGCONT)
        until(lambda: gone(held.pid), "the end of the flow's process", 20)
        held.agent.send_signal(signal.SIGTERM)  # all that it still has to do is done before it ends
        assert held.agent.wait(30) == 0, held.system.logs()
        assert len(held.calls()) == 1


def test_an_agent_that_comes_back_to_a_dead_process_calls_nothing_again(held: Held) -> None:
    os.kill(held.agent.pid, signal.SIGSTOP)
    os.kill(held.pid, signal.SIGKILL)
    with held.system.agent():
        held.ended("CRASHED")
        held.called_by_another("CRASHED")
        os.kill(held.agent.pid, signal.SIGCONT)
        held.agent.send_signal(signal.SIGTERM)
        assert held.agent.wait(30) == 0, held.system.logs()
        assert len(held.calls()) == 1


def test_one_that_is_there_calls_them_itself(held: Held) -> None:
    os.kill(held.pid, signal.SIGKILL)
    held.ended("CRASHED")
    assert held.calls() == [["CRASHED", "hooked", held.run, "1"]]
    assert held.errands() == []
