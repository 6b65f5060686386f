"""One attempt of one run, watched from outside: its process, what it says, what is asked of it, its end."""

from __future__ import annotations

import logging
import shutil
import threading
import time
from collections.abc import Callable
from typing import Any, cast

from orchestrator.documents.records import Job, State
from orchestrator.engine.hooks import ENDS
from orchestrator.errors import NotFound, OrchestratorError
from orchestrator.interfaces import Elsewhere, LaunchSpec, Running
from orchestrator.masking import Masks
from orchestrator.states import TERMINAL, StateType

from . import frames as wire
from .ending import Ending
from .following import Following
from .hearing import Hearing
from .hosting import Host
from .inbox import Inbox
from .launcher import Child, LaunchFailed
from .surroundings import Surroundings
from .telling import Telling
from .verdict import Ask, Facts, verdict

log = logging.getLogger("orchestrator.agent")


class Supervision:
    """Executes a job and reports for it.

    :meth:`run` occupies the calling thread; the other methods may be called from any thread.

    Args:
        job: What was claimed.
        put: Takes reports, in order; a dict, or the JSON of one.
        around: The agent's part.
        claimed: Monotonic time at which the job was received.
        masks: What is hidden already.
        call_hooks: Has another process call the hooks of a run for the end that it came to without saying so.
    """

    def __init__(
        self,
        job: Job,
        put: Callable[[dict[str, Any] | bytes], None],
        around: Surroundings,
        claimed: float,
        masks: Masks | None = None,
        call_hooks: Callable[[Supervision, State], None] = lambda supervision, state: None,
    ) -> None:
        self.job = job
        self.telling = Telling(job, put, around.line_max, masks)
        self.around = around
        self._claimed = claimed
        self._call_hooks = call_hooks
        self._facts = Facts(around.agent, grace_s=around.grace_s)
        self.ending = Ending(self._facts, around.grace_s)
        self._hearing: Hearing | None = None
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

    # -- what is asked of it

    @property
    def is_wanted(self) -> bool:
        """Whether nobody asked it to stop."""
        return self._facts.ask is Ask.NOTHING

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
        self.ending.hurry = True
        self.ask(Ask.STOP)
        if self._successor is not None:
            self._successor.kill()

    def hand_over(self, successor: Supervision) -> None:
        """Its process is gone; let another one do what is left, and wait for that."""
        with self._lock:
            self._successor = successor
            asked = self._facts.ask
        if asked is Ask.LOST or self.ending.hurry:
            return
        successor.run()

    def hide(self, values: list[Any]) -> None:
        """Mask these values from now on in all that is told of the run."""
        self.telling.masks.add(values)

    def tell(self, message: str) -> None:
        """Write a line of our own into the run's log."""
        self.telling.note(message)

    def emit(self, event: str, resource: dict[str, str], payload: dict[str, Any], key: str) -> None:
        """Record an event beside the run; of those with one ``key`` the first counts."""
        self.telling.event(event, resource, payload, key)

    # -- its way

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
        shutil.rmtree(self.around.runs / f"{self.job.id}-{self.job.attempt}", ignore_errors=True)

    def _execute(self) -> None:
        try:
            running = self._launch()
            if self._child is not None and self._hearing is not None:
                self._hearing.listen(self._act, self.ending.pause)
            else:
                self._follow(cast(Elsewhere, running))
        finally:
            if self._child is not None:
                self._clean_up(self._child)

    def _launch(self) -> Running:
        job, around = self.job, self.around
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
            **self.around.remote_env,
            "ORCHESTRATOR_API_URL": self.around.env.get("ORCHESTRATOR_API_URL", ""),
            "ORCHESTRATOR_API_KEY": self.job.token,
            "ORCHESTRATOR_RUN_ID": str(self.job.id),
            "ORCHESTRATOR_RUN_ATTEMPT": str(self.job.attempt),
            # There, the flow has to be gone before all of it is killed from here.
            "ORCHESTRATOR_STOP_GRACE": f"{max(self.around.grace_s * 0.9, 0.1):.3f}",
        }

    def _follow(self, running: Elsewhere) -> None:
        """Watch what runs elsewhere; its program tells the server itself how the flow ended, if it comes to that."""
        self._follows = True
        Following(running, self._facts, self.telling.output, lambda: self.ending.hurry).watch()
        self._close_log()

    def begin(self, spec: LaunchSpec) -> Child:
        """Start the process and give it its job."""
        child = self.around.launcher.launch(f"{self.job.id}-{self.job.attempt}")
        self.spec = spec
        with self._lock:
            self._child = child
        waited = (time.monotonic() - self._claimed) * 1000
        job = {**self.job.write(), "starts_in_ms": max(0, round(self.job.starts_in_ms - waited))}
        names = ("env", "working_dir", "python", "requirements", "memory_mb", "cpu_seconds")
        frame = {"kind": wire.JOB, "job": job, **{name: getattr(spec, name) for name in names}}
        frame.update(masks=self.telling.masks.values, **self.orders())
        child.control.settimeout(30.0)
        try:
            child.control.sendall(wire.encode(frame))
        except OSError:
            pass  # it ended at once; the end of its process says how
        child.control.setblocking(False)
        self._hearing = Hearing(child, Inbox(child.control, self.hide), self.telling.output, self._take)
        return child

    def orders(self) -> dict[str, Any]:
        """What its process is told beside the job."""
        return {}

    def _act(self) -> None:
        """Do what is due while its process lives."""
        if self.ending.is_timed_out():
            self.ask(Ask.TIMEOUT)
        if self._child is not None and self._child.pid is not None:
            self.ending.act(self._child.pid)

    # -- what it says

    def _take(self, frame: bytes) -> None:
        if wire.is_plain_report(frame):
            self.telling.put(frame)
            return
        try:
            data = wire.decode(frame)
        except ValueError as error:
            log.warning("run %s sent what is no report: %s", self.job.id, error)
            return
        if data["kind"] == wire.CONFIRM:
            threading.Thread(target=self._confirm, name=f"confirm-{self.job.name}", daemon=True).start()
        elif data["kind"] == wire.TIMEOUT:
            self._facts.timeout_s = float(data["seconds"])
            self.ending.time_out(self._facts.timeout_s)
        elif data["kind"] == wire.HOOKS:
            self._hooks = frozenset(map(str, data["names"]))
            self.telling.hooks(sorted(self._hooks))
        elif data["kind"] == wire.TAKE_HOOKS:
            threading.Thread(target=self._take_hooks, name=f"hooks-{self.job.name}", daemon=True).start()
        elif data["kind"] == wire.END:
            self._take_end(data)
        elif not self._is_own_end(data):
            self.telling.put(frame)

    def _take_end(self, data: dict[str, Any]) -> None:
        self._facts.end = State.read(data["state"])
        self._facts.ended_by_itself = self._facts.ask is Ask.NOTHING
        self._result = data.get("result")
        # Threads and exit functions of the flow may go on for as long as a stop may take, its hooks for their own time.
        self.ending.leave(self.around.grace_s + (self.around.hook_timeout_s if data.get("hooks") else 0.0))

    def _is_own_end(self, data: dict[str, Any]) -> bool:
        """Whether the process reports its own run as ended, which is the supervisor's to tell."""
        if data["kind"] != "flow-run-state" or data.get("id") != str(self.job.id):
            return False
        return StateType(data["state"]["type"]) in TERMINAL

    def _confirm(self) -> None:
        child = cast(Child, self._child)
        what = self.around.confirm(self.job, lambda: self._facts.ask is Ask.NOTHING and not child.ended)
        if what is not Ask.NOTHING:
            self.ask(what)
            return
        try:
            child.control.sendall(wire.encode({"kind": wire.GO}))
        except OSError:
            pass  # it ended meanwhile

    def _take_hooks(self) -> None:
        child = cast(Child, self._child)
        call = self.around.take_hooks(self.job, lambda: self._facts.ask is not Ask.LOST and not child.ended)
        try:
            child.control.sendall(wire.encode({"kind": wire.HOOKS_TAKEN, "call": call}))
        except OSError:
            pass  # it ended meanwhile

    # -- its end

    def may_call_hooks(self) -> bool:
        """Ask whether hooks for the end are to be called by us, for as long as hooks may take and the run is ours."""
        deadline = time.monotonic() + self.around.hook_timeout_s
        return self.around.take_hooks(
            self.job,
            lambda: self._facts.ask is not Ask.LOST and not self.ending.hurry and time.monotonic() < deadline,
        )

    def _clean_up(self, child: Child) -> None:
        """End what the process left behind. Then let go of it."""
        self._facts.code, self._facts.signal, self._facts.error = child.code, child.signal, child.error
        self.ending.sweep(child.pid)
        self.around.launcher.reap(child)
        child.close()
        self._close_log()

    def _close_log(self) -> None:
        if self._facts.ask is Ask.LOST:
            return
        if self._hearing is not None:
            self._hearing.close()
        self.telling.close_output()

    def _told_end(self) -> State | None:
        """What runs elsewhere may have told how it ended; whatever is told twice counts once."""
        try:
            return self.around.told(self.job, lambda: not self.ending.hurry)
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
            self._call_hooks(self, state)
            if self._facts.ask is Ask.LOST:
                return None
        self.telling.end(state, self._result if own else None)
        return state
