"""Commands that run as they are, and are told of: ``orchestrator shell watch -- COMMAND``."""

from __future__ import annotations

import contextlib
import getpass
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import Any, BinaryIO

from ..errors import OrchestratorError
from ..ids import uuid7
from . import emitting, tracking
from .shell_runs import ShellRun

#: Characters of the output that are kept: its end, where the reason stands.
OUTPUT_MAX = 10_000
#: Exit codes of shells for what cannot be executed, and what is not there.
NOT_EXECUTABLE, NOT_FOUND = 126, 127
#: Seconds to wait for output once the command has ended; what it left running may hold the pipe for ever.
DRAIN = 1.0
#: What others send to a command that they want to end, or to talk to.
_FORWARDED = ("SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2")
#: What a terminal sends to everything in its foreground: the command has it already.
_OF_TERMINALS = frozenset({"SIGINT", "SIGQUIT", "SIGHUP"})


@dataclass(frozen=True)
class Told:
    """What events say of a command.

    Attributes:
        name: What the command is called.
        resource_id: Id of what its events are about.
        arguments: Whether its arguments are told: they may hold secrets.
        output: Whether its output is told: its lines in the run's log, its end in the last event.
        run: Whether it is a flow run, beside the events.
        labels: Further labels of the resource.
    """

    name: str
    resource_id: str
    arguments: bool = False
    output: bool = True
    run: bool = True
    labels: Mapping[str, str] | None = None


def told_of(command: Sequence[str], name: str | None = None, resource_id: str | None = None, **more: Any) -> Told:
    """What is told of a command, unless something else is asked for: ``shell.HOST.NAME``."""
    found = name or os.path.basename(command[0]) or command[0]
    return Told(found, resource_id or f"shell.{socket.gethostname()}.{found}", **more)


def watch(command: Sequence[str], told: Told) -> int:
    """Run a command, its input, output and signals passed through, and tell of it: as a flow run, whose log its output
    is, and by events of its start and end.

    That it cannot be told of is one line on stderr: the command runs all the same. Where the output is a terminal the
    command has it for itself, and its end is not kept.

    Returns:
        Its exit code; minus the number of the signal that ended it.
    """
    run, began = str(uuid7()), time.monotonic()
    facts: dict[str, Any] = {"run": run, "program": command[0]}
    if told.arguments:
        facts["arguments"] = list(command[1:])
    observed = _observed(told, facts)
    tail = _Tail(observed.output if observed is not None else None)
    with _Signals() as signals:
        _tell("shell.started", told, facts, observed)
        try:
            with _outputs(told.output, tail) as (out, err):
                process = subprocess.Popen(list(command), stdout=out, stderr=err)
            signals.to(process)
            code = process.wait()
            tail.drain()
        except OSError as error:
            code = NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_EXECUTABLE
            print(f"orchestrator: {command[0]}: {error.strerror or error}", file=sys.stderr)
            facts["error"] = str(error.strerror or error)
        facts["duration_s"] = round(time.monotonic() - began, 3)
        facts["exit_code"] = code if code >= 0 else 128 - code
        if code < 0:
            facts["signal"] = signal.Signals(-code).name
        if text := tail.text():
            facts["output"] = text
        _tell("shell.completed" if code == 0 else "shell.failed", told, facts, observed)
        if observed is not None:
            observed.end(code, facts.get("error", ""))
    return code


def leave_like(code: int) -> int:
    """The exit code for a process that shall end as the command did; one that a signal ended is ended by it here."""
    if code >= 0:
        return code
    sys.stdout.flush()
    sys.stderr.flush()
    if -code not in (signal.SIGKILL, signal.SIGSTOP):
        signal.signal(-code, signal.SIG_DFL)
    if -code in (signal.SIGQUIT, signal.SIGABRT, signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE):
        with contextlib.suppress(ImportError, ValueError, OSError):
            import resource

            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # the core is the command's, not ours
    os.kill(os.getpid(), -code)
    return 128 - code


def _observed(told: Told, facts: Mapping[str, Any]) -> ShellRun | None:
    """The command as a flow run; None where nobody is told, or it is not wanted."""
    parameters = {name: facts[name] for name in ("program", "arguments") if name in facts}
    try:
        sink = tracking.present_sink() if told.run else None
        return None if sink is None else ShellRun(sink, told.name, parameters, told.output)
    except (OrchestratorError, OSError) as error:
        print(f"orchestrator: the command is no flow run: {error}", file=sys.stderr)
        return None


def _tell(event: str, told: Told, facts: Mapping[str, Any], observed: ShellRun | None) -> None:
    labels = {"resource.id": told.resource_id, "resource.name": told.name, "resource.kind": "shell.command"}
    try:
        about = {**labels, "host": socket.gethostname(), "user": getpass.getuser(), **(told.labels or {})}
        related = [observed.related] if observed is not None else []
        emitting.emit_event(event, about, payload=facts, related=related)
    except (OrchestratorError, OSError, KeyError) as error:
        print(f"orchestrator: {event} is not told: {error}", file=sys.stderr)


class _Signals:
    """While the ``with`` lasts, signals that come to us go to the command."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._early: list[int] = []
        self._before: dict[int, Any] = {}

    def __enter__(self) -> _Signals:
        if threading.current_thread() is threading.main_thread():
            for name in _FORWARDED:
                number = getattr(signal, name, None)
                # What was ignored (nohup) stays ignored, for the command inherits that.
                if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._pass)
        return self

    def __exit__(self, *exc: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def to(self, process: subprocess.Popen[bytes]) -> None:
        """From now on signals go to a process; those that came before it was there go now."""
        self._process = process
        for number in self._early:
            process.send_signal(number)

    def _pass(self, number: int, frame: FrameType | None) -> None:
        if self._process is None:
            self._early.append(number)
        elif not (signal.Signals(number).name in _OF_TERMINALS and _in_foreground()):
            self._process.send_signal(number)


class _Tail:
    """Passes output on as it comes, tells of it, and keeps its end."""

    def __init__(self, tell: Callable[[str, bytes], None] | None = None) -> None:
        self._kept = b""
        self._tell = tell
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._ends: list[int] = []

    def pipe(self, onto: BinaryIO, name: str) -> int:
        """The writing end of a pipe whose content goes to ``onto``, and is told of by the stream's name."""
        reading, writing = os.pipe()
        self._ends.append(writing)
        thread = threading.Thread(target=self._copy, args=(reading, onto.fileno(), name), daemon=True)
        thread.start()
        self._threads.append(thread)
        return writing

    def close_writers(self) -> None:
        """Let go of our copies of the writing ends: only the command holds them from now on."""
        for end in self._ends:
            os.close(end)
        self._ends.clear()

    def drain(self) -> None:
        """Wait for what is still in the pipes."""
        deadline = time.monotonic() + DRAIN
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def text(self) -> str:
        """The end of what was passed on."""
        with self._lock:
            return self._kept.decode("utf-8", "replace").replace("\0", "")[-OUTPUT_MAX:]

    def _copy(self, reading: int, onto: int, name: str) -> None:
        with open(reading, "rb", buffering=0) as source:
            while chunk := source.read(64 * 1024):
                with self._lock:
                    self._kept = (self._kept + chunk)[-4 * OUTPUT_MAX :]
                    if self._tell is not None:
                        self._tell(name, chunk)
                try:
                    while chunk:
                        chunk = chunk[os.write(onto, chunk) :]
                except OSError:  # `| head` has gone: closing our end tells the command, as it would be without us
                    return


@contextlib.contextmanager
def _outputs(wanted: bool, tail: _Tail) -> Iterator[tuple[int | None, int | None]]:
    """What the command gets as stdout and stderr: ours, or pipes; one for both where both are the same file."""
    out, err = sys.stdout.buffer, sys.stderr.buffer
    try:
        first = tail.pipe(out, "stdout") if wanted and not out.isatty() else None
        second = tail.pipe(err, "stderr") if wanted and not err.isatty() and not _same(out, err) else None
        yield first, second if second is not None else (first if _same(out, err) else None)
    finally:
        tail.close_writers()


def _same(one: BinaryIO, other: BinaryIO) -> bool:
    first, second = os.fstat(one.fileno()), os.fstat(other.fileno())
    return (first.st_dev, first.st_ino) == (second.st_dev, second.st_ino)


def _in_foreground() -> bool:
    """Whether a terminal's keys reach us, and with us the command."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)
