"""One attempt of one run, watched from outside: output, reports, time-out, cancel, end."""

from __future__ import annotations

import logging
import os
import selectors
import shutil
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.clock import now, to_text
from orchestrator.interfaces import LaunchSpec, ProcessHost, Running
from orchestrator.pipes import frames
from orchestrator.records import Job, State
from orchestrator.states import TERMINAL, StateType

from . import frames as wire
from . import processes
from .launcher import Child, Launcher, LaunchFailed
from .output import Budget, Lines
from .verdict import Ask, Facts, verdict

log = logging.getLogger("orchestrator.agent")

#: Seconds that are left to read what an ended process wrote; what still writes then has daemonised.
DRAIN = 0.5
#: Seconds beyond a time-out before the supervisor acts, so that the engine, which counts as well, may be first.
TIMEOUT_SLACK = 0.5
_CHUNK = 1 << 16
#: Chunks read from one stream before the others get their turn.
_TURN = 16


@dataclass(frozen=True)
class Surroundings:
    """What an agent gives to each of its supervisions.

    Attributes:
        agent: The agent's name.
        launcher: Starts the process.
        launch: Starts it in the run's infrastructure: ``(job, spec, host, wanted)``; waits while the API is away and
            ``wanted()`` is true.
        confirm: Asks the server whether user code may start; waits while the API is away. Given the job and a
            function that tells whether the answer is still wanted; returns what the supervisor shall do.
        env: Environment of every run.
        grace_s: Seconds from SIGTERM to SIGKILL.
        line_max: Bytes of an output line that are kept.
        runs: Folder of the runs' scratch folders.
    """

    agent: str
    launcher: Launcher
    launch: Callable[[Job, LaunchSpec, ProcessHost, Callable[[], bool]], Running]
    confirm: Callable[[Job, Callable[[], bool]], Ask]
    env: dict[str, str]
    grace_s: float
    line_max: int
    runs: Path


class Supervision:
    """Executes a job and reports for it.

    :meth:`run` occupies the calling thread; the other methods may be called from any thread.

    Args:
        job: What was claimed.
        put: Takes reports, in order; a dict, or the JSON of one.
        around: The agent's part.
        claimed: Monotonic time at which the job was received.
    """

    def __init__(
        self, job: Job, put: Callable[[dict[str, Any] | bytes], None], around: Surroundings, claimed: float
    ) -> None:
        self.job = job
        self._put = put
        self._around = around
        self._claimed = claimed
        self._facts = Facts(around.agent, grace_s=around.grace_s)
        self._budget = Budget()
        self._lines = {name: Lines(self._emitter(name), around.line_max, self._budget) for name in ("stdout", "stderr")}
        self._buffer = bytearray()
        self._result: dict[str, Any] | None = None
        self._child: Child | None = None
        self._lock = threading.Lock()
        #: Monotonic times: of SIGKILL, once SIGTERM was sent; of the time-out; by when an ended flow has to be gone.
        self._kill_at: float | None = None
        self._timeout_at: float | None = None
        self._leave_at: float | None = None
        self._hurry = self._hurried = False
        #: Processes to end that may have left the group.
        self._tree: set[processes.Proc] = set()

    def ask(self, what: Ask) -> None:
        """Take the run down, for a reason."""
        with self._lock:
            if what > self._facts.ask:
                self._facts.ask = what
            child = self._child
        if child is not None:
            child.notify()

    def kill(self) -> None:
        """End it without further grace."""
        self._facts.grace_s = 0.0
        self._hurry = True
        self.ask(Ask.STOP)

    def run(self) -> State | None:
        """Execute to the end. Returns the terminal state, which was put; None when there was nothing to tell."""
        try:
            self._execute()
        except LaunchFailed as error:
            self._facts.error = str(error)
        except Exception as error:
            # Whatever it was, the run must not stay RUNNING with nobody watching it.
            log.exception("supervising the run %s failed", self.job.id)
            self._facts.error = repr(error)
        state = self._report()
        shutil.rmtree(self._around.runs / f"{self.job.id}-{self.job.attempt}", ignore_errors=True)
        return state

    # -- its process

    def _execute(self) -> None:
        try:
            self._launch()
            if self._child is not None:
                self._watch(self._child)
        finally:
            if self._child is not None:
                self._clean_up(self._child)

    def _launch(self) -> None:
        spec = LaunchSpec(run_id=self.job.id, attempt=self.job.attempt, name=self.job.name, env=self._environment())
        self._around.launch(self.job, spec, _Host(self), lambda: self._facts.ask is Ask.NOTHING)

    def _environment(self) -> dict[str, str]:
        return {**self._around.env, "ORCHESTRATOR_API_KEY": self.job.token}

    def begin(self, spec: LaunchSpec) -> Child:
        """Start the process and give it its job."""
        child = self._around.launcher.launch(f"{self.job.id}-{self.job.attempt}")
        with self._lock:
            self._child = child
        waited = (time.monotonic() - self._claimed) * 1000
        job = {**self.job.write(), "starts_in_ms": max(0, round(self.job.starts_in_ms - waited))}
        frame = {"kind": wire.JOB, "job": job, "env": spec.env, "working_dir": spec.working_dir}
        child.control.settimeout(30.0)
        try:
            child.control.sendall(wire.encode(frame))
        except OSError:
            pass  # it ended at once; the end of its process says how
        child.control.setblocking(False)
        return child

    # -- while it runs

    def _watch(self, child: Child) -> None:
        with selectors.DefaultSelector() as selector:
            for descriptor, read in self._readers(child):
                selector.register(descriptor, selectors.EVENT_READ, read)
            while not child.ended:
                self._act(child)
                # Output before control: what a flow printed before it reported stands before the report.
                ready = sorted(selector.select(self._pause()), key=lambda item: item[0].fd == child.control.fileno())
                for key, _ in ready:
                    if not key.data():
                        selector.unregister(key.fileobj)
            selector.unregister(child.wake)
            self._drain(selector)

    def _readers(self, child: Child) -> list[tuple[Any, Callable[[], bool]]]:
        return [
            (child.out, lambda: self._read_output(child.out, "stdout")),
            (child.err, lambda: self._read_output(child.err, "stderr")),
            (child.wake, lambda: bool(os.read(child.wake, 4096))),
            (child.control, lambda: self._read_control(child)),
        ]

    def _pause(self) -> float | None:
        """Seconds until something is due."""
        due = [at for at in (self._kill_at, self._leave_at, self._timeout_at) if at is not None]
        return max(0.0, min(due) - time.monotonic()) if due else None

    def _act(self, child: Child) -> None:
        """Do what was asked for, and what is due."""
        at = time.monotonic()
        if self._timeout_at is not None and at >= self._timeout_at:
            self._timeout_at = None
            self.ask(Ask.TIMEOUT)
        if child.pid is None:
            return
        overstays = self._leave_at is not None and at >= self._leave_at
        if (overstays or self._facts.ask is not Ask.NOTHING) and self._kill_at is None:
            self._timeout_at = self._leave_at = None
            self._kill_at = at + self._around.grace_s
            if self._facts.ask is not Ask.LOST:
                self._signal(child, signal.SIGTERM)
        hurry = self._kill_at is not None and not self._hurried and (self._hurry or self._facts.ask is Ask.LOST)
        if self._kill_at is not None and (hurry or at >= self._kill_at):
            self._hurried = True
            self._facts.killed = True
            self._kill_at = at + 1.0
            self._signal(child, signal.SIGKILL)

    def _signal(self, child: Child, number: int) -> None:
        """Signal the group, and what descends from the process but left the group."""
        assert child.pid is not None
        self._tree |= processes.descendants(child.pid)
        processes.send_group(child.pid, number)
        processes.signal_all(self._tree, number)

    def _read_output(self, descriptor: int, name: str) -> bool:
        for _ in range(_TURN):
            try:
                data = os.read(descriptor, _CHUNK)
            except BlockingIOError:
                return True
            if not data:
                return False
            self._lines[name].feed(data)
            if len(data) < _CHUNK:
                return True
        return True

    def _read_control(self, child: Child) -> bool:
        for _ in range(_TURN):
            try:
                data = child.control.recv(_CHUNK)
            except BlockingIOError:
                return True
            except OSError:
                return False
            if not data:
                return False
            self._buffer += data
            for frame in frames(self._buffer):
                self._take(frame, child)
        return True

    @staticmethod
    def _drain(selector: selectors.BaseSelector) -> None:
        """Read what is left, without waiting for processes that hold the pipes open."""
        deadline = time.monotonic() + DRAIN
        while time.monotonic() < deadline and (ready := selector.select(0)):
            for key, _ in ready:
                if not key.data():
                    selector.unregister(key.fileobj)

    # -- what it says

    def _take(self, frame: bytes, child: Child) -> None:
        if wire.is_plain_report(frame):
            self._put(frame)
            return
        try:
            data = wire.decode(frame)
        except ValueError as error:
            log.warning("run %s sent what is no report: %s", self.job.id, error)
            return
        if data["kind"] == wire.CONFIRM:
            threading.Thread(target=self._confirm, args=(child,), name=f"confirm-{self.job.name}", daemon=True).start()
        elif data["kind"] == wire.TIMEOUT:
            self._facts.timeout_s = float(data["seconds"])
            self._timeout_at = time.monotonic() + self._facts.timeout_s + TIMEOUT_SLACK
        elif data["kind"] == wire.END:
            self._take_end(data)
        elif not self._is_own_end(data):
            self._put(frame)

    def _take_end(self, data: dict[str, Any]) -> None:
        self._facts.end = State.read(data["state"])
        self._facts.ended_by_itself = self._facts.ask is Ask.NOTHING
        self._result = data.get("result")
        self._timeout_at = None
        # Threads and exit functions of the flow may go on for as long as a stop may take.
        self._leave_at = time.monotonic() + self._around.grace_s

    def _is_own_end(self, data: dict[str, Any]) -> bool:
        """Whether the process reports its own run as ended, which is the supervisor's to tell."""
        if data["kind"] != "flow-run-state" or data.get("id") != str(self.job.id):
            return False
        return StateType(data["state"]["type"]) in TERMINAL

    def _confirm(self, child: Child) -> None:
        what = self._around.confirm(self.job, lambda: self._facts.ask is Ask.NOTHING and not child.ended)
        if what is not Ask.NOTHING:
            self.ask(what)
            return
        try:
            child.control.sendall(wire.encode({"kind": wire.GO}))
        except OSError:
            pass  # it ended meanwhile

    # -- its end

    def _clean_up(self, child: Child) -> None:
        """End what the process left in its group; after a stop, also what left the group. Then let go of it."""
        self._facts.code, self._facts.signal, self._facts.error = child.code, child.signal, child.error
        if child.pid is not None:
            processes.send_group(child.pid, signal.SIGKILL)
        if self._facts.ask is not Ask.NOTHING:
            processes.signal_all(self._tree, signal.SIGKILL)
        self._around.launcher.reap(child)
        child.close()
        if self._facts.ask is not Ask.LOST:
            for lines in self._lines.values():
                lines.close()
            if notice := self._budget.notice:
                self._log("stdout", notice, logging.WARNING)

    def _report(self) -> State | None:
        state = verdict(self._facts)
        if state is None:
            return None
        own = state is self._facts.end
        self._put(
            {
                "kind": "flow-run-state",
                "id": str(self.job.id),
                "attempt": self.job.attempt,
                "state": state.write(),
                "result": self._result if own else None,
            }
        )
        return state

    # -- its log

    def _emitter(self, name: str) -> Callable[[str], None]:
        return lambda line: self._log(name, line, logging.INFO)

    def _log(self, name: str, message: str, level: int) -> None:
        self._put(
            {
                "kind": "log",
                "flow_run_id": str(self.job.id),
                "task_run_id": None,
                "attempt": self.job.attempt,
                "level": level,
                "logger": name,
                "message": message,
                "at": to_text(now()),
            }
        )


class _Host:
    """Lends a supervised process to an infrastructure."""

    def __init__(self, supervision: Supervision) -> None:
        self._supervision = supervision

    def start(self, spec: LaunchSpec) -> Running:
        return _Running(self._supervision, self._supervision.begin(spec))


class _Running:
    """The process as an infrastructure sees it."""

    def __init__(self, supervision: Supervision, child: Child) -> None:
        self._supervision = supervision
        self._child = child

    @property
    def identifier(self) -> str:
        return str(self._child.pid or "")

    def poll(self) -> int | None:
        if not self._child.ended:
            return None
        return self._child.code if self._child.code is not None else -(self._child.signal or 0)

    def terminate(self) -> None:
        self._supervision.ask(Ask.STOP)

    def kill(self) -> None:
        self._supervision.kill()
