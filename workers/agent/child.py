"""What happens in the process of one run, from the first frame to the exit code.

Nothing here opens a connection: reports, questions and the end go to the supervisor over the control socket. What the
process writes to its own stdout and stderr is read by the supervisor at the other end of two pipes.
"""

from __future__ import annotations

import argparse
import atexit
import os
import resource
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn, TextIO

from orchestrator import masking, settings
from orchestrator.documents.records import Job, State
from orchestrator.errors import OrchestratorError
from orchestrator.reporting.pipes import frames
from orchestrator.running.runner import call_hooks, fetch_project, run_job
from orchestrator.serializers import dumps, loads
from orchestrator.states import StateType

from ..start import forget_start_folder
from . import environments
from .frames import CONFIRM, END, GO, HOOKS, HOOKS_TAKEN, JOB, MASKS, TAKE_HOOKS, TIMEOUT, decode
from .ordering import OrderedSink

#: Exit codes: the flow completed, or it did not (its state, which was sent, says how).
DONE, NOT_DONE = 0, 1

Run = Callable[..., "tuple[State, dict[str, Any] | None]"]


class Control:
    """The child's side of the control socket."""

    def __init__(self, link: socket.socket, lifeline: int | None = None) -> None:
        self._link = link
        self.descriptor, self.lifeline = link.fileno(), lifeline
        self._buffer = bytearray()
        self._ready: list[bytes] = []
        self.sink = OrderedSink(link.fileno())
        #: The infrastructure's folder; code is loaded in the run's own, and left for this one when it starts.
        self.working_dir: str | None = None
        self._ended = False

    def receive(self, kind: str) -> dict[str, Any]:
        """Wait for the next frame, which has to be of ``kind``. Raises EOFError when the supervisor is gone."""
        while not self._ready:
            data = self._link.recv(1 << 16)
            if not data:
                raise EOFError("the supervisor is gone")
            self._buffer += data
            self._ready += frames(self._buffer)
        frame = decode(self._ready.pop(0))
        if frame.get("kind") != kind:
            raise ValueError(f"expected a frame {kind}, got {frame.get('kind')}")
        return frame

    def confirm(self) -> None:
        """Ask whether user code may start, and wait for it; where it may not, the supervisor ends this process."""
        self.sink.put({"kind": CONFIRM})
        self.receive(GO)
        self.enter_folder()

    def enter_folder(self) -> None:
        """Leave the folder of the code for that of the infrastructure, where it has one."""
        if self.working_dir:
            os.chdir(self.working_dir)

    def announce_timeout(self, seconds: float) -> None:
        """The flow may take this long from now."""
        self.sink.put({"kind": TIMEOUT, "seconds": seconds})

    def announce_hooks(self, names: list[str]) -> None:
        """The flow has these hooks for its end."""
        self.sink.put({"kind": HOOKS, "names": names})

    def take_hooks(self) -> bool:
        """Ask whether the hooks for the end that was told are to be called here, and wait for the answer."""
        self.sink.put({"kind": TAKE_HOOKS})
        try:
            return bool(self.receive(HOOKS_TAKEN)["call"])
        except (EOFError, OSError):  # the supervisor is gone: the server will send somebody
            return False

    def hide(self, values: list[str]) -> None:
        """Have the supervisor mask these; once it was sent, it reaches the supervisor before what is written later."""
        self.sink.put({"kind": MASKS, "values": values})

    def end(self, state: State, result: dict[str, Any] | None, hooks: bool = False) -> None:
        """Say how the flow ended, after all that was reported before; the first call counts.

        Args:
            hooks: Whether hooks are called after this.
        """
        self.sink.flush(60.0)
        if not self._ended:
            self._ended = True
            self.sink.put({"kind": END, "state": state.write(), "result": result, "hooks": hooks})

    def end_before_hooks(self, state: State, result: dict[str, Any] | None) -> None:
        """Say how the flow ended; its hooks are called now."""
        self.end(state, result, hooks=True)


def main(descriptor: int, run: Run = run_job, lifeline: int | None = None, frame: int | None = None) -> NoReturn:
    """Execute the one run whose job comes over the socket ``descriptor``; ends the process.

    Args:
        descriptor: Our end of the control socket.
        run: Executes a job.
        lifeline: The pipe that :func:`watch` reads, where there is one.
        frame: A file with the job, which another interpreter received and handed over.
    """
    code = NOT_DONE
    try:
        prepare_streams()
        os.set_inheritable(descriptor, False)
        control = Control(socket.socket(fileno=descriptor), lifeline)
        code = execute(control, run, None if frame is None else _handed_over(frame))
        finish()
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def execute(control: Control, run: Run, frame: dict[str, Any] | None = None) -> int:
    """Receive the job, run it, send its end. Returns the exit code."""
    received = time.monotonic()
    if frame is None:
        frame = control.receive(JOB)
    os.environ.update(frame["env"])
    masking.here.add(frame.get("masks", ()))
    masking.here.told = control.hide
    control.working_dir = frame.get("working_dir")
    try:
        if frame.get("python") or frame.get("requirements"):
            _change_interpreter(control, frame, received)
        limit(frame.get("memory_mb"), frame.get("cpu_seconds"))
        if frame.get("hooks_for"):
            return _call_hooks(control, frame)
        state, result = run(
            Job.read(frame["job"]),
            control.sink,
            confirm_running=control.confirm,
            announce_timeout=control.announce_timeout,
            announce_hooks=control.announce_hooks,
            announce_end=control.end_before_hooks,
            take_hooks=control.take_hooks,
        )
    except OrchestratorError as error:
        state, result = State(StateType.CRASHED, message=str(error)), None
    except BaseException as error:
        traceback.print_exc()
        state, result = State(StateType.CRASHED, message=f"{type(error).__name__}: {error}"), None
    control.end(state, result)
    return DONE if state.type is StateType.COMPLETED else NOT_DONE


def _call_hooks(control: Control, frame: dict[str, Any]) -> int:
    """The run has ended; what is left to do are its hooks."""
    try:
        call_hooks(Job.read(frame["job"]), control.sink, State.read(frame["hooks_for"]), control.enter_folder)
    except OrchestratorError as error:
        print(f"the hooks cannot be called: {error}", file=sys.stderr)
        return NOT_DONE
    finally:
        control.sink.flush(60.0)
    return DONE


def _change_interpreter(control: Control, frame: dict[str, Any], received: float) -> None:
    """Go on in the interpreter that the infrastructure names, with what the project requires; returns where the
    agent's own will do.
    """
    python = environments.find_interpreter(frame["python"]) if frame.get("python") else Path(sys.executable)
    if frame.get("requirements"):
        found = settings.load()
        project = fetch_project(Job.read(frame["job"]), found)
        made = environments.ensure(project, python, found.path("cache", "environments"))
        if made is None and not frame.get("python"):
            return
        python = made or python
    waited = round((time.monotonic() - received) * 1000)
    job = {**frame["job"], "starts_in_ms": max(0, frame["job"].get("starts_in_ms", 0) - waited)}
    handed = {**frame, "job": job, "python": None, "requirements": False}
    environments.become(python, control.descriptor, control.lifeline, dumps(handed))


def _handed_over(descriptor: int) -> dict[str, Any]:
    with open(descriptor, "rb") as file:
        frame: dict[str, Any] = loads(file.read())
    return frame


def limit(memory_mb: int | None, cpu_seconds: int | None) -> None:
    """Bound what this process, and each that it starts, may use.

    Memory is what the process may write to, where the system can tell that apart (Linux), else its address space: more
    is refused, which is a MemoryError. Processor time beyond the limit ends the process by SIGXCPU.
    """
    if memory_mb is not None:
        kind = resource.RLIMIT_DATA if sys.platform.startswith("linux") else resource.RLIMIT_AS
        resource.setrlimit(kind, (memory_mb << 20, memory_mb << 20))
    if cpu_seconds is not None:
        resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds + 5))


def prepare_streams() -> None:
    """Write every line out as it ends: a process that is killed, or leaves by ``os._exit``, then loses none.

    The streams are made anew: those of the template remember what its own descriptors were.
    """
    sys.stdout = sys.__stdout__ = _line_stream(1)  # type: ignore[misc, assignment]
    sys.stderr = sys.__stderr__ = _line_stream(2)  # type: ignore[misc, assignment]
    # The same for programs in Python that the flow starts.
    os.environ.setdefault("PYTHONUNBUFFERED", "1")


def _line_stream(descriptor: int) -> TextIO:
    return open(descriptor, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)


def finish() -> None:
    """What an interpreter does at its end, short of taking itself apart: join threads, call exit functions, flush."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            pass


def watch(lifeline: int) -> None:
    """Kill our process group when the other end of ``lifeline`` closes: the agent is gone."""
    while os.read(lifeline, 1):
        pass
    os.killpg(0, signal.SIGKILL)


def spawned() -> NoReturn:
    """Entry of a fresh interpreter, where there is no template to fork from."""
    parser = argparse.ArgumentParser(prog="child")
    parser.add_argument("control", type=int)
    parser.add_argument("lifeline", type=int, help="-1: none")
    parser.add_argument("--frame", type=int, help="file with the job, which another interpreter received")
    wanted = parser.parse_args()
    forget_start_folder()
    lifeline = wanted.lifeline if wanted.lifeline >= 0 else None
    if lifeline is not None:
        threading.Thread(target=watch, args=(lifeline,), name="lifeline", daemon=True).start()
    main(wanted.control, lifeline=lifeline, frame=wanted.frame)


if __name__ == "__main__":
    spawned()
