"""One attempt of one run, watched from outside: output, reports, time-out, cancel, end."""

from __future__ import annotations

import logging
import os
import selectors
import shutil
import signal
import threading
import time
from collections import deque
from collections.abc import Callable
from datetime import timedelta
from typing import Any, cast

from orchestrator.clock import now, to_text
from orchestrator.documents.records import Job, State
from orchestrator.engine.hooks import ENDS
from orchestrator.errors import NotFound, OrchestratorError
from orchestrator.ids import time_of, uuid7, uuid7_from
from orchestrator.interfaces import Elsewhere, LaunchSpec, Running
from orchestrator.masking import Masks
from orchestrator.observing.output_lines import Budget, Lines
from orchestrator.states import TERMINAL, StateType

from . import frames as wire
from . import processes
from .following import Following
from .hosting import Host
from .inbox import PULL, Inbox
from .launcher import Child, LaunchFailed
from .ordering import Marked
from .surroundings import Surroundings
from .verdict import Ask, Facts, verdict

log = logging.getLogger("orchestrator.agent")

#: Seconds that are left to read what an ended process wrote; what still writes then has daemonised.
DRAIN = 0.5
#: Seconds beyond a time-out before the supervisor acts, so that the engine, which counts as well, may be first.
TIMEOUT_SLACK = 0.5
_CHUNK = 1 << 16
#: Chunks read from one stream before the others get their turn.
_TURN = 16


class Supervision:
    """Executes a job and reports for it.

    :meth:`run` occupies the calling thread; the other methods may be called from any thread.

    Args:
        job: What was claimed.
        put: Takes reports, in order; a dict, or the JSON of one.
        around: The agent's part.
        claimed: Monotonic time at which the job was received.
        masks: What is hidden already.
    """

    def __init__(
        self,
        job: Job,
        put: Callable[[dict[str, Any] | bytes], None],
        around: Surroundings,
        claimed: float,
        masks: Masks | None = None,
    ) -> None:
        self.job = job
        self._deliver = put
        self._around = around
        self._claimed = claimed
        self._facts = Facts(around.agent, grace_s=around.grace_s)
        self._budget = Budget()
        #: What is hidden in all that is told of the run.
        self._masks = masks or Masks()
        self._lines = {
            name: Lines(self._emitter(name), around.line_max, self._budget, self._masks.uncut)
            for name in ("stdout", "stderr")
        }
        self._marked = Marked(self._lines["stdout"].feed, self._passed)
        self._inbox: Inbox | None = None
        #: Frames that were read and not attended to, and how many log lines were.
        self._frames: deque[bytes] = deque()
        self._logged = 0
        self._result: dict[str, Any] | None = None
        self._child: Child | None = None
        #: Whether it runs elsewhere.
        self._follows = False
        #: How its process was started.
        self.spec: LaunchSpec | None = None
        #: The hooks for its end that the flow said it has; who calls them in its place, while that goes on.
        self._hooks: frozenset[str] = frozenset()
        self._successor: Supervision | None = None
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
            child, successor = self._child, self._successor
        if child is not None:
            child.notify()
        if successor is not None and what is Ask.LOST:
            successor.ask(what)

    def kill(self) -> None:
        """End it without further grace."""
        self._facts.grace_s = 0.0
        self._hurry = True
        self.ask(Ask.STOP)
        if self._successor is not None:
            self._successor.kill()

    def hand_over(self, successor: Supervision) -> None:
        """Its process is gone; let another one do what is left, and wait for that."""
        with self._lock:
            self._successor = successor
            asked = self._facts.ask
        if asked is Ask.LOST or self._hurry:
            return
        successor.run()

    def hide(self, values: list[Any]) -> None:
        """Mask these values from now on in all that is told of the run."""
        self._masks.add(values)

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
        self._clear()
        return state

    def _clear(self) -> None:
        shutil.rmtree(self._around.runs / f"{self.job.id}-{self.job.attempt}", ignore_errors=True)

    # -- its process

    def _execute(self) -> None:
        try:
            running = self._launch()
            if self._child is not None:
                self._watch(self._child)
            else:
                self._follow(cast(Elsewhere, running))
        finally:
            if self._child is not None:
                self._clean_up(self._child)

    def _launch(self) -> Running:
        job, around = self.job, self._around
        spec = LaunchSpec(
            run_id=job.id,
            attempt=job.attempt,
            name=job.name,
            env={**around.env, "ORCHESTRATOR_API_KEY": job.token, "ORCHESTRATOR_RUN_ID": str(job.id)},
            remote_env=self._remote_environment(),
            grace_s=around.grace_s,
        )
        host = Host(self)
        return around.launch(job, spec, host, host.wanted)

    def _remote_environment(self) -> dict[str, str]:
        return {
            **self._around.remote_env,
            "ORCHESTRATOR_API_URL": self._around.env.get("ORCHESTRATOR_API_URL", ""),
            "ORCHESTRATOR_API_KEY": self.job.token,
            "ORCHESTRATOR_RUN_ID": str(self.job.id),
            "ORCHESTRATOR_RUN_ATTEMPT": str(self.job.attempt),
            # There, the flow has to be gone before all of it is killed from here.
            "ORCHESTRATOR_STOP_GRACE": f"{max(self._around.grace_s * 0.9, 0.1):.3f}",
        }

    def _follow(self, running: Elsewhere) -> None:
        """Watch what runs elsewhere; its program tells the server itself how the flow ended, if it comes to that."""
        self._follows = True
        Following(running, self._facts, self._feed, lambda: self._hurry).watch()
        self._close_log()

    def _feed(self, name: str, data: bytes) -> None:
        self._lines[name].feed(data)

    def begin(self, spec: LaunchSpec) -> Child:
        """Start the process and give it its job."""
        child = self._around.launcher.launch(f"{self.job.id}-{self.job.attempt}")
        self.spec = spec
        with self._lock:
            self._child = child
        waited = (time.monotonic() - self._claimed) * 1000
        job = {**self.job.write(), "starts_in_ms": max(0, round(self.job.starts_in_ms - waited))}
        names = ("env", "working_dir", "python", "requirements", "memory_mb", "cpu_seconds")
        frame = {"kind": wire.JOB, "job": job, **{name: getattr(spec, name) for name in names}}
        frame.update(masks=self._masks.values, **self.orders())
        child.control.settimeout(30.0)
        try:
            child.control.sendall(wire.encode(frame))
        except OSError:
            pass  # it ended at once; the end of its process says how
        child.control.setblocking(False)
        self._inbox = Inbox(child.control, self.hide)
        return child

    def orders(self) -> dict[str, Any]:
        """What its process is told beside the job."""
        return {}

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
                self._take_all(child)
            selector.unregister(child.wake)
            self._drain(selector)
            self._take_all(child)

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
            self._pull()
            if name == "stdout":
                self._marked.take(data)
            else:
                self._lines[name].feed(data)
            if len(data) < _CHUNK:
                return True
        return True

    def _read_control(self, child: Child) -> bool:
        """Read what it said; that is attended to by :meth:`_take_all`."""
        return self._pull(_TURN * _CHUNK)

    def _pull(self, most: int = PULL) -> bool:
        assert self._inbox is not None
        return self._inbox.pull(most)

    def _take_all(self, child: Child) -> None:
        assert self._inbox is not None
        self._frames.extend(self._inbox.take())
        if any(map(wire.is_log, self._frames)):
            # what was printed before these lines is in the pipe by now
            self._read_output(child.out, "stdout")
        while self._frames:
            self._take_next(child)

    def _take_next(self, child: Child) -> None:
        frame = self._frames.popleft()
        self._logged += wire.is_log(frame)
        self._take(frame, child)

    def _passed(self, number: int) -> None:
        """All output before a log line was taken: now it is its turn, and that of what was said before it."""
        if self._inbox is None or self._child is None:
            return
        self._frames.extend(self._inbox.take())
        while self._logged < number and self._frames:
            self._take_next(self._child)

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
        elif data["kind"] == wire.HOOKS:
            self._hooks = frozenset(map(str, data["names"]))
        elif data["kind"] == wire.END:
            self._take_end(data)
        elif not self._is_own_end(data):
            self._put(frame)

    def _take_end(self, data: dict[str, Any]) -> None:
        self._facts.end = State.read(data["state"])
        self._facts.ended_by_itself = self._facts.ask is Ask.NOTHING
        self._result = data.get("result")
        self._timeout_at = None
        # Threads and exit functions of the flow may go on for as long as a stop may take, its hooks for their own time.
        hooks_s = self._around.hook_timeout_s if data.get("hooks") else 0.0
        self._leave_at = time.monotonic() + self._around.grace_s + hooks_s

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
        self._close_log()

    def _close_log(self) -> None:
        if self._facts.ask is Ask.LOST:
            return
        self._marked.close()
        for lines in self._lines.values():
            lines.close()
        if notice := self._budget.notice:
            self._log("stdout", notice, logging.WARNING)

    def _told_end(self) -> State | None:
        """What runs elsewhere may have told how it ended; whatever is told twice counts once."""
        try:
            return self._around.told(self.job, lambda: not self._hurry)
        except NotFound:
            self._facts.ask = Ask.LOST
        except OrchestratorError as error:
            log.warning("how the run %s ended cannot be asked for: %s", self.job.id, error)
        return None

    def verdict(self, facts: Facts) -> State | None:
        """The state to report; None: nothing."""
        return verdict(facts)

    def _report(self) -> State | None:
        if self._follows and (told := self._told_end()) is not None:
            return told
        state = self.verdict(self._facts)
        if state is None:
            return None
        own = state is self._facts.end
        if not own and ENDS.get(state.type) in self._hooks:
            self._clear()
            self._around.call_hooks(self, state)
            if self._facts.ask is Ask.LOST:
                return None
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

    @property
    def is_wanted(self) -> bool:
        """Whether nobody asked it to stop."""
        return self._facts.ask is Ask.NOTHING

    def tell(self, message: str) -> None:
        """Write a line of our own into the run's log."""
        self._log(log.name, message, logging.INFO)

    def _put(self, item: dict[str, Any] | bytes) -> None:
        """Report something; what the process itself reports is bytes, and masked already."""
        self._deliver(item if isinstance(item, bytes) else {**self._masks.item(item)})

    def emit(self, event: str, resource: dict[str, str], payload: dict[str, Any], key: str) -> None:
        """Record an event beside the run; of those with one ``key`` the first counts."""
        # The same id each time that it is told, with a time that the server takes: events are not kept for ever.
        at = max(time_of(self.job.id), now() - timedelta(days=1))
        identifier = uuid7_from(at, f"{self.job.id}\n{key}") if key else uuid7()
        run = {"resource.id": f"orchestrator.flow-run.{self.job.id}", "resource.name": self.job.name}
        document = {
            "id": str(identifier),
            "event": event,
            "occurred": to_text(now()),
            "resource": resource,
            "related": [{**run, "resource.role": "flow-run"}],
            "payload": payload,
            "follows": None,
        }
        self._put({"kind": "event", "event": document})

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
