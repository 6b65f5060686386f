"""Runs' processes whose flow is a function below, named by the job's entrypoint: the protocol without the engine."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from orchestrator.documents.records import Job, State
from orchestrator.ids import uuid7
from orchestrator.states import StateType
from orchestrator.workers.agent import child

COMPLETED = State(StateType.COMPLETED)


def main(descriptor: int) -> None:
    """What the fork server calls."""
    child.main(descriptor, run)


def run(
    job: Job,
    sink: Any,
    *,
    confirm_running: Callable[[], None],
    announce_timeout: Callable[[float], None],
    **announcements: Callable[..., None],
) -> tuple[State, dict[str, Any] | None]:
    """As :func:`orchestrator.running.runner.run_job`."""
    if job.state.type is not StateType.RUNNING:
        confirm_running()
    if seconds := job.parameters.get("timeout"):
        announce_timeout(seconds)
    return FLOWS[job.entrypoint](job, sink)


def returns(job: Job, sink: Any) -> tuple[State, dict[str, Any] | None]:
    return COMPLETED, {"value": job.parameters.get("value")}


def prints(job: Job, sink: Any) -> tuple[State, None]:
    print("by print")
    os.write(1, b"by os.write\n")
    subprocess.run(["echo", "by a program"], check=True)
    print("to stderr", file=sys.stderr)
    print("no newline", end="")
    sys.stdout.flush()
    return COMPLETED, None


def leaves(job: Job, sink: Any) -> tuple[State, None]:
    for number in range(1000):
        print(f"line {number}")
    os._exit(job.parameters["code"])


def kills_itself(job: Job, sink: Any) -> tuple[State, None]:
    print("last words")
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("unreachable")


def sleeps(job: Job, sink: Any) -> tuple[State, None]:
    Path(job.parameters["pids"]).write_text(str(os.getpid()))
    time.sleep(60)
    return COMPLETED, None


def stubborn(job: Job, sink: Any) -> tuple[State, None]:
    """Ignores SIGTERM, and starts one process in its group and one outside of it."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    inside = subprocess.Popen(["sleep", "600"])
    outside = subprocess.Popen(["sleep", "600"], start_new_session=True)
    path = Path(job.parameters["pids"])
    path.with_suffix(".tmp").write_text(f"{os.getpid()} {inside.pid} {outside.pid}")
    path.with_suffix(".tmp").rename(path)
    while True:
        time.sleep(60)


def daemonises(job: Job, sink: Any) -> tuple[State, None]:
    """Leaves a process behind that holds stdout open."""
    daemon = subprocess.Popen(["sleep", "30"], start_new_session=True)
    inside = subprocess.Popen(["sleep", "30"])
    Path(job.parameters["pids"]).write_text(f"{daemon.pid} {inside.pid}")
    return COMPLETED, None


def draws(job: Job, sink: Any) -> tuple[State, dict[str, Any]]:
    return COMPLETED, {"value": [random.random(), str(uuid7()), os.getpid(), os.getsid(0), threading.active_count()]}


def tells_environment(job: Job, sink: Any) -> tuple[State, dict[str, Any]]:
    names = sorted(name for name in os.environ if name.startswith("ORCHESTRATOR_"))
    return COMPLETED, {"value": {name: os.environ[name] for name in names}, "extra": dict(os.environ)}


def reports(job: Job, sink: Any) -> tuple[State, None]:
    for number in range(job.parameters["items"]):
        sink.put({"kind": "task-run", "id": str(uuid7()), "flow_run_id": str(job.id), "name": f"task-{number}"})
    sink.put({"kind": "flow-run-state", "id": str(job.id), "attempt": job.attempt, "state": COMPLETED.write()})
    return COMPLETED, None


def lingers(job: Job, sink: Any) -> tuple[State, None]:
    threading.Thread(target=time.sleep, args=(600,)).start()
    return COMPLETED, None


def raises(job: Job, sink: Any) -> tuple[State, None]:
    raise RuntimeError("not caught by the engine")


def late(job: Job, sink: Any) -> tuple[State, None]:
    """Completes while it is being stopped."""
    done = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: done.set())
    Path(job.parameters["pids"]).write_text(str(os.getpid()))
    done.wait(60)
    return COMPLETED, None


FLOWS: dict[str, Callable[[Job, Any], Any]] = {
    function.__name__: function
    for function in (
        returns, prints, leaves, kills_itself, sleeps, stubborn, daemonises, draws, tells_environment, reports,
        lingers, raises, late,
    )
}  # fmt: skip


def has_hooks(job: Job, sink: Any) -> tuple[State, None]:
    """Says that it has hooks, and ends as its parameter says."""
    sink.put({"kind": "hooks", "names": ["on_crashed", "on_cancellation"]})
    how = job.parameters["how"]
    if how == "sleeps":
        return sleeps(job, sink)
    if how == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    return State(StateType.CRASHED, message="it says so itself"), None


#: As a deployment's entrypoint, for tests whose hooks are called from a real file.
FLOWS["hooked.py:hooked"] = has_hooks
