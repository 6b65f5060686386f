"""What happens in the process of one run, from the first frame to the exit code.

Nothing here opens a connection: reports, questions and the end go to the supervisor over the control socket. What the
process writes to its own stdout and stderr is read by the supervisor at the other end of two pipes.
"""

from __future__ import annotations

import argparse
import atexit
import os
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any, NoReturn, TextIO

from orchestrator import masking
from orchestrator.pipes import PipeSink, frames
from orchestrator.records import Job, State
from orchestrator.runner import run_job
from orchestrator.states import StateType

from ..start import forget_start_folder
from .frames import CONFIRM, END, GO, JOB, MASKS, TIMEOUT, decode

#: Exit codes: the flow completed, or it did not (its state, which was sent, says how).
DONE, NOT_DONE = 0, 1

Run = Callable[..., "tuple[State, dict[str, Any] | None]"]


class Control:
    """The child's side of the control socket."""

    def __init__(self, link: socket.socket) -> None:
        self._link = link
        self._buffer = bytearray()
        self._ready: list[bytes] = []
        self.sink = PipeSink(link.fileno())
        #: The infrastructure's folder; code is loaded in the run's own, and left for this one when it starts.
        self.working_dir: str | None = None

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
        if self.working_dir:
            os.chdir(self.working_dir)

    def announce_timeout(self, seconds: float) -> None:
        """The flow may take this long from now."""
        self.sink.put({"kind": TIMEOUT, "seconds": seconds})

    def hide(self, values: list[str]) -> None:
        """Have the supervisor mask these; once it was sent, it reaches the supervisor before what is written later."""
        self.sink.put({"kind": MASKS, "values": values})

    def end(self, state: State, result: dict[str, Any] | None) -> None:
        """Say how the flow ended, after all that was reported before."""
        self.sink.flush(60.0)
        self.sink.put({"kind": END, "state": state.write(), "result": result})


def main(descriptor: int, run: Run = run_job) -> NoReturn:
    """Execute the one run whose job comes over the socket ``descriptor``; ends the process."""
    code = NOT_DONE
    try:
        prepare_streams()
        os.set_inheritable(descriptor, False)
        control = Control(socket.socket(fileno=descriptor))
        code = execute(control, run)
        finish()
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def execute(control: Control, run: Run) -> int:
    """Receive the job, run it, send its end. Returns the exit code."""
    frame = control.receive(JOB)
    os.environ.update(frame["env"])
    masking.here.add(frame.get("masks", ()))
    masking.here.told = control.hide
    job = Job.read(frame["job"])
    control.working_dir = frame.get("working_dir")
    try:
        state, result = run(
            job, control.sink, confirm_running=control.confirm, announce_timeout=control.announce_timeout
        )
    except BaseException as error:
        traceback.print_exc()
        state, result = State(StateType.CRASHED, message=f"{type(error).__name__}: {error}"), None
    control.end(state, result)
    return DONE if state.type is StateType.COMPLETED else NOT_DONE


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
    parser.add_argument("lifeline", type=int)
    wanted = parser.parse_args()
    forget_start_folder()
    threading.Thread(target=watch, args=(wanted.lifeline,), name="lifeline", daemon=True).start()
    main(wanted.control)


if __name__ == "__main__":
    spawned()
