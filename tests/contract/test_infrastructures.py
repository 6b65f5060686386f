"""What every infrastructure promises: the same flows, unchanged, run in each of them."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from orchestrator.block import Block
from orchestrator.blocks.docker_container import DockerContainer
from orchestrator.blocks.kubernetes_cluster import KubernetesCluster
from orchestrator.blocks.kubernetes_job import KubernetesJob
from orchestrator.blocks.process import Process
from orchestrator.server.services.internal import FLOW_ID
from tests.agents import System, system
from tests.polling import until
from tests.standins import kubernetes, podman

FLOWS = """
import os, signal, sys, time
from pathlib import Path
from orchestrator import Flow, State, flow, get_run_logger, task

@task
def double(x):
    return 2 * x

@flow
def adds(x: int = 1) -> int:
    print("adding", x)
    print("beside", file=sys.stderr)
    get_run_logger().info("logged")
    return double(x) + 1

@flow
def fails():
    raise ValueError("no such luck")

@flow
def is_killed():
    print("before the kill")
    os.kill(os.getpid(), signal.SIGKILL)

@flow
def waits(begun: str):
    Path(begun).write_text(str(os.getpid()))
    while True:
        time.sleep(0.1)

@flow
def is_deaf(begun: str):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    Path(begun).write_text(str(os.getpid()))
    while True:
        time.sleep(0.1)

def note(flow, flow_run, state):
    with open(flow_run.parameters["marker"], "a") as file:
        file.write(state.type.value + " ")
    print("by the hook")

@flow(on_crashed=[note], on_cancellation=[note])
def hooked(begun: str, marker: str):
    print("begun", flush=True)
    waits.fn(begun)

@flow(timeout_seconds=1)
def takes_too_long():
    while True:
        time.sleep(60)
"""


KINDS: dict[str, type[Block]] = {kind._slug: kind for kind in (Process, DockerContainer, KubernetesJob)}


@dataclass
class Place:
    """A server with an agent, and the infrastructure block that runs are executed in."""

    served: System
    kind: str
    block: str
    #: A folder that flows can write to from there.
    shared: Path
    #: Ends all of a run from outside, given its id and a process id that its flow told.
    kill: Callable[[str, int], None]
    #: What the reason of that end has to name.
    killed: str

    def start(self, flow: str, **parameters: Any) -> str:
        document = {
            "flow": flow,
            "name": self.kind,
            "entrypoint": f"flows.py:{flow}",
            "storage": {"path": str(self.served.project)},
            "infrastructure": {"block": self.block},
            "work_queue": self.served.queue,
        }
        deployment = self.served.client.post("deployments", document)["deployment"]["id"]
        return self.served.run(deployment, **parameters)

    def end_of(self, run: str) -> dict[str, Any]:
        return self.served.end_of(run, timeout=60)

    def explain(self, run: str) -> str:
        state = self.served.client.get(f"flow-runs/{run}")["state"]
        return f"{state}\n{self.served.lines(run)}\n{self.served.logs()}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("infrastructures")


@pytest.fixture(scope="module", params=list(KINDS))
def place(request: pytest.FixtureRequest, module_database_url: str, redis_url: str, folder: Path) -> Iterator[Place]:
    home = folder / request.param
    home.mkdir()
    with ExitStack() as stack:
        data: dict[str, Any] = {}
        kill: Callable[[str, int], None] = lambda run, pid: os.kill(pid, signal.SIGKILL)  # noqa: E731
        killed = "SIGKILL"
        if request.param == "docker-container":
            data, kill = docker_data(stack, folder, home)
        if request.param == "kubernetes-job":
            data, kill = kubernetes_data(stack, home)
            killed = "OOMKilled"
        served = stack.enter_context(system(home, module_database_url, redis_url, ORCHESTRATOR_STOP_GRACE="2s"))
        (served.project / "flows.py").write_text(FLOWS)
        served.client.post("block-types", KINDS[request.param].type_facts())
        if kubeconfig := data.pop("kubeconfig", ""):
            data["cluster"] = {"$block": save_cluster(served, kubeconfig)}
        body = {"type": request.param, "name": "test", "data": data}
        served.client.post("blocks", body)
        stack.enter_context(served.agent("--limit", "2"))
        yield Place(served, request.param, f"{request.param}/test", home, kill, killed)


Made = tuple[dict[str, Any], Callable[[str, int], None]]


def docker_data(stack: ExitStack, folder: Path, home: Path) -> Made:
    if missing := podman.why_not():
        pytest.skip(missing)
    engine = stack.enter_context(podman.engine(folder / "engine"))

    def kill(run: str, pid: int) -> None:
        found = engine.podman("ps", "--quiet", "--filter", f"label=orchestrator.flow-run.id={run}").split()
        engine.podman("kill", "--signal", "KILL", *found)

    data = {
        "image": podman.IMAGE,
        "pull_policy": "never",
        "docker_host": engine.url,
        "network": "host",
        "python": sys.executable,
        "volumes": [*podman.volumes(), f"{home}:{home}"],
        "env": {**podman.environment(), "ORCHESTRATOR_HEARTBEAT": "1s"},
    }
    return data, kill


def kubernetes_data(stack: ExitStack, home: Path) -> Made:
    cluster = stack.enter_context(kubernetes.cluster(home / "cluster"))

    def kill(run: str, pid: int) -> None:
        pods = [pod["metadata"] for pod in cluster.of_kind("pods")]
        (name,) = [pod["name"] for pod in pods if pod["labels"]["orchestrator.flow-run.id"] == run]
        cluster.kill(name)

    data = {
        "image": "flows:1",
        "namespace": "flows",
        "kubeconfig": cluster.kubeconfig,
        "python": sys.executable,
        "env": {
            "ORCHESTRATOR_HOME": str(home / "pod-home"),
            "ORCHESTRATOR_HEARTBEAT": "1s",
            # The pods of the stand-in find the code under test as this process does.
            "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry),
        },
        "patches": [{"op": "add", "path": "/spec/template/spec/hostNetwork", "value": True}],
    }
    return data, kill


def save_cluster(served: System, kubeconfig: str) -> str:
    served.client.post("block-types", KubernetesCluster.type_facts())
    body = {"type": "kubernetes-cluster", "name": "stub", "data": {"kubeconfig": kubeconfig}}
    return str(served.client.post("blocks", body)["id"])


def test_a_flow_completes_with_its_result_tasks_and_logs(place: Place) -> None:
    run = place.start("adds", x=20)
    ended = place.end_of(run)
    assert ended["state"]["type"] == "COMPLETED", place.explain(run)
    assert ended["result"] == {"value": 41}
    (task,) = place.served.client.get("task-runs", {"flow_run_id": run})["items"]
    assert task["state"]["type"] == "COMPLETED"
    wanted = {"adding 20", "beside", "logged"}
    until(lambda: wanted <= set(place.served.lines(run)), f"the log, which is {place.served.lines(run)}")
    states = [item["type"] for item in place.served.client.get(f"flow-runs/{run}/states")["items"]]
    assert states == ["SCHEDULED", "PENDING", "RUNNING", "COMPLETED"]


def test_a_flow_fails_with_its_error(place: Place) -> None:
    run = place.start("fails")
    state = place.end_of(run)["state"]
    assert state["type"] == "FAILED", place.explain(run)
    assert "no such luck" in state["message"]


def test_a_killed_flow_is_a_crash_with_its_reason(place: Place) -> None:
    run = place.start("is_killed")
    state = place.end_of(run)["state"]
    assert state["type"] == "CRASHED", place.explain(run)
    assert "SIGKILL" in state["message"]
    until(lambda: "before the kill" in place.served.lines(run), "the log")


def test_all_of_it_killed_from_outside_is_a_crash_with_its_reason(place: Place) -> None:
    begun = place.shared / "killed"
    run = place.start("waits", begun=str(begun))
    until(lambda: begun.exists() and begun.read_text(), "the flow to begin", timeout=60)
    place.kill(run, int(begun.read_text()))
    state = place.end_of(run)["state"]
    assert state["type"] == "CRASHED", place.explain(run)
    assert place.killed in state["message"]


def test_a_cancel_stops_the_flow(place: Place) -> None:
    begun = place.shared / "cancelled"
    run = place.start("waits", begun=str(begun))
    until(begun.exists, f"the flow to begin {place.explain(run)}", timeout=60)
    place.served.client.post(f"flow-runs/{run}/cancel")
    state = place.end_of(run)["state"]
    assert (state["type"], state["message"]) == ("CANCELLED", "cancelled"), place.explain(run)


def test_a_suspended_flow_is_stopped_and_begins_anew_when_it_is_resumed(place: Place) -> None:
    begun = place.shared / "suspended"
    run = place.start("waits", begun=str(begun))
    until(begun.exists, f"the flow to begin {place.explain(run)}", timeout=60)
    client = place.served.client
    client.post(f"flow-runs/{run}/suspend")
    until(lambda: client.get(f"flow-runs/{run}")["state"]["name"] == "Suspended", "the run to be suspended", timeout=60)
    begun.unlink()
    client.post(f"flow-runs/{run}/resume")
    until(begun.exists, f"the flow to begin anew {place.explain(run)}", timeout=60)
    client.post(f"flow-runs/{run}/cancel")
    ended = place.end_of(run)
    assert (ended["state"]["type"], ended["attempt"]) == ("CANCELLED", 2), place.explain(run)


def test_what_ignores_a_cancel_is_killed(place: Place) -> None:
    begun = place.shared / "deaf"
    run = place.start("is_deaf", begun=str(begun))
    until(begun.exists, "the flow to begin", timeout=60)
    place.served.client.post(f"flow-runs/{run}/cancel")
    assert place.end_of(run)["state"]["type"] == "CANCELLED", place.explain(run)


def test_a_flow_over_its_time_out_is_ended(place: Place) -> None:
    run = place.start("takes_too_long")
    state = place.end_of(run)["state"]
    assert (state["type"], state["name"]) == ("FAILED", "TimedOut"), place.explain(run)


@pytest.mark.parametrize("kind", ["CRASHED", "CANCELLED"])
def test_hooks_of_what_was_ended_from_outside_are_called_once(place: Place, kind: str) -> None:
    begun, marker = place.shared / f"hooked-{kind}", place.shared / f"marker-{kind}"
    run = place.start("hooked", begun=str(begun), marker=str(marker))
    until(lambda: "begun" in place.served.lines(run) and begun.exists() and begun.read_text(), place.explain(run), 60)
    if kind == "CRASHED":
        place.kill(run, int(begun.read_text()))
    else:
        place.served.client.post(f"flow-runs/{run}/cancel")
    assert place.end_of(run)["state"]["type"] == kind, place.explain(run)
    until(lambda: "by the hook" in place.served.lines(run), "the hook", 60)
    sent = {"flow_id": str(FLOW_ID), "parent_flow_run_id": run}
    until(lambda: all(one["ended"] for one in place.served.client.pages("flow-runs", sent)), "who was sent", 60)
    assert marker.read_text().split() == [kind], place.explain(run)
