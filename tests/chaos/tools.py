"""What the fault tests have in common: deploying a flow, starting runs of it, finding the processes to hurt."""

from __future__ import annotations

import uuid
from pathlib import Path

import psutil

from orchestrator.embedded import state

from ..projects import write_flow
from ..stack import Stack

#: Body of a flow that marks that it began, and ends when it is told to.
HELD = """(marker: str, release: str):
    with open(marker, 'a') as file:
        file.write('x')
    while not os.path.exists(release):
        time.sleep(0.02)"""


def deploy(
    stack: Stack, folder: Path, queue: str, body: str, name: str = "job", imports: str = "import os, time"
) -> str:
    """A deployment of a flow with this body; ``flow/deployment``."""
    write_flow(folder, body, name, imports)
    deployment = f"d-{uuid.uuid4().hex[:8]}"
    done = stack.cli(
        "deployment", "build", "./", "--name", deployment, "--work-queue", queue, "-o", "d.yaml", "--apply", cwd=folder
    )
    assert done.returncode == 0, done.stderr
    return f"{name}/{deployment}"


def create(stack: Stack, deployment: str, count: int = 1, **parameters: object) -> list[str]:
    body = {"parameters": parameters}
    return [stack.client.post(f"deployments/{deployment}/runs", json=body)["id"] for _ in range(count)]


def broker_url(stack: Stack) -> str:
    """Address of the server's own Redis, as an agent is told of it."""
    body = {
        "name": "probe", "hostname": "here", "pid": 1, "version": "0", "transport": "redis",
        "queues": ["probe"], "slots": 1,
    }  # fmt: skip
    registration = stack.client.post("agents", json=body)
    stack.client.delete(f"agents/{registration['agent_id']}")
    return str(registration["broker_url"])


def queue_name() -> str:
    return f"q-{uuid.uuid4().hex[:8]}"


def part(stack: Stack, name: str) -> psutil.Process:
    """A part of the server, by its name."""
    found = state.read(stack.home)
    assert found is not None
    (pid,) = (item.pid for item in found.parts if item.name == name)
    return psutil.Process(pid)
