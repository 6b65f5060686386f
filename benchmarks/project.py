"""A project of trivial flows, deployed the way users do it: a snapshot in a storage block."""

from __future__ import annotations

import time
from pathlib import Path

from orchestrator.block import use_store
from orchestrator.blocks.local_file_system import LocalFileSystem
from orchestrator.projects import snapshots
from orchestrator.stored.block_store import ApiBlockStore

from .stack import Stack

QUEUE = "bench"
_FLOWS = """
import time

from orchestrator import CeleryRunner, flow, task


@flow
def note(path: str) -> None:
    at = time.monotonic()
    with open(path, "w") as file:
        file.write(repr(at))


@flow
def nothing() -> None:
    pass


@task
def number(given: int) -> int:
    return given


@flow(task_runner=CeleryRunner(2, prefetch=50))
def maps(upto: int, path: str) -> None:
    number.map(range(50)).result()  # the workers are there
    began = time.monotonic()
    found = number.map(range(upto)).result()
    took = time.monotonic() - began
    assert found == list(range(upto))
    with open(path, "w") as file:
        file.write(repr(took))


@flow
def lasts(seconds: float) -> None:
    time.sleep(seconds)


@flow
def sleeps(path: str) -> None:
    note.fn(path)
    time.sleep(600)
"""


def deploy(stack: Stack, flow: str) -> str:
    """Deploy one of the flows on :data:`QUEUE`; the deployment's id."""
    project, store = stack.home / "project", stack.home / "store"
    if not project.exists():
        project.mkdir()
        store.mkdir()
        (project / "flows.py").write_text(_FLOWS)
    client = stack.client()
    storage = LocalFileSystem(basepath=str(store))
    with use_store(ApiBlockStore(client)):
        storage.save("bench", overwrite=True)
    snapshot = snapshots.upload(project, storage, "bench")
    document = {
        "flow": flow,
        "name": "bench",
        "entrypoint": f"flows.py:{flow}",
        "storage": {"block": "local-file-system/bench", "path": "bench", "snapshot": snapshot},
        "work_queue": QUEUE,
    }
    return str(client.post("deployments", document)["deployment"]["id"])


def noted(path: Path, timeout: float = 30.0) -> float:
    """The monotonic time that ``note`` wrote, once it has. Raises TimeoutError."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        try:
            if text := path.read_text():
                return float(text)
        except (FileNotFoundError, ValueError):
            pass
        time.sleep(0.001)
    raise TimeoutError(f"nothing was written to {path}")


def ended(stack: Stack, run_id: str, timeout: float = 30.0) -> str:
    """The type of a run's terminal state, once it has one. Raises TimeoutError."""
    client, deadline = stack.client(), time.monotonic() + timeout
    while time.monotonic() < deadline:
        run = client.get(f"flow-runs/{run_id}")
        if run["ended"]:
            return str(run["state"]["type"])
        time.sleep(0.01)
    raise TimeoutError(f"run {run_id} did not end")
