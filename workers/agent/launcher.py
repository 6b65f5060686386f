"""Starting the process of a run: by a fork of the template (Linux) or as a fresh interpreter (elsewhere)."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from typing import Any, Protocol

from orchestrator.errors import OrchestratorError
from orchestrator.serializers import dumps, loads

from .. import fork_server
from . import processes

log = logging.getLogger("orchestrator.agent")

#: Settings that belong to the agent or the server, and that no run's process inherits.
PRIVATE = (
    "API_KEY", "DATABASE_URL", "REDIS_URL", "SECRET_KEY", "SECRET_KEY_FILE", "SECRET_KEY_COMMAND", "MIGRATION_URL",
)  # fmt: skip
#: Seconds that the template may take to load the SDK.
READY_WITHIN = 60.0


class LaunchFailed(OrchestratorError):
    """No process can be started for the run."""


class Ended(Exception):
    """The template is gone."""


class Child:
    """A started process, as its supervisor holds it.

    Attributes:
        control: Our end of the control socket.
        out, err: Descriptors to read its stdout and stderr from.
        wake: Becomes readable when :attr:`ended` changes, or on :meth:`notify`.
        pid: Its process id and process group; None until it is known.
        code, signal: How it ended; one of them is set once :attr:`ended`.
    """

    def __init__(self, key: str) -> None:
        self.key = key
        self.control, self._control_child = socket.socketpair()
        # Celery sets a default time-out for all sockets while it closes connections; the child's end waits.
        self._control_child.setblocking(True)
        self.out, self._out_child = os.pipe()
        self.err, self._err_child = os.pipe()
        self.wake, self._waker = os.pipe()
        for descriptor in (self.out, self.err, self.wake, self._waker):
            os.set_blocking(descriptor, False)
        self.pid: int | None = None
        self.code: int | None = None
        self.signal: int | None = None
        self.error: str | None = None
        self.ended = False
        self._lock = threading.Lock()

    @property
    def theirs(self) -> list[int]:
        """The child's ends: control, stdout, stderr."""
        return [self._control_child.fileno(), self._out_child, self._err_child]

    def handed_over(self) -> None:
        """The child has its ends: close our copies, so that an end of stream is seen."""
        self._control_child.close()
        os.close(self._out_child)
        os.close(self._err_child)

    def has_pid(self, pid: int) -> None:
        """It runs."""
        self.pid = pid
        self.notify()

    def has_ended(self, code: int | None = None, signal: int | None = None, error: str | None = None) -> None:
        """It ended, or (``error``) never began."""
        self.code, self.signal, self.error, self.ended = code, signal, error, True
        self.notify()

    def notify(self) -> None:
        """Wake its supervisor; from any thread."""
        with self._lock, contextlib.suppress(OSError):
            os.write(self._waker, b".")

    def close(self) -> None:
        """Give back the descriptors."""
        self.control.close()
        with self._lock:
            for descriptor in (self.out, self.err, self.wake, self._waker):
                with contextlib.suppress(OSError):
                    os.close(descriptor)
            self._waker = -1


class Launcher(Protocol):
    """Starts processes of runs."""

    def start(self) -> None:
        """Get ready. Called once, before any thread. Raises LaunchFailed."""

    def launch(self, key: str) -> Child:
        """Start a process that waits for its job on its control socket. Raises LaunchFailed."""

    def reap(self, child: Child) -> None:
        """The supervisor has done with an ended child."""

    def stop(self) -> None:
        """End everything that was started."""


def environment() -> dict[str, str]:
    """The environment that processes of runs begin with."""
    private = {f"ORCHESTRATOR_{name}" for name in PRIVATE}
    return {name: value for name, value in os.environ.items() if name not in private}


class ForkLauncher:
    """Forks runs from a template process; one that dies is replaced.

    Args:
        child: What a forked process executes (``module:function``).
    """

    def __init__(self, child: str = fork_server.DEFAULT_CHILD) -> None:
        self._child = child
        self._lock = threading.Lock()
        self._children: dict[str, Child] = {}
        self._link: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: threading.Thread | None = None
        self._stopping = False

    def start(self) -> None:
        """Start the template and wait until it is loaded."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            theirs.setblocking(True)  # whatever default time-out is set just now
            command = [sys.executable, "-m", "orchestrator.workers.fork_server", str(theirs.fileno())]
            command += ["--child", self._child]
            # A session of its own: what is sent to the agent's group must not end it before it has cleaned up.
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
                env=environment(),
            )
        ours.settimeout(READY_WITHIN)
        try:
            message = ours.recv(fork_server.MESSAGE_MAX)
        except OSError:
            message = b""
        if not message:
            ours.close()
            self._process.kill()
            self._process.wait()
            raise LaunchFailed("the fork server did not start; its error is above")
        ours.settimeout(None)
        self._link = ours
        # One reader a template: it ends with the template it reads.
        self._reader = threading.Thread(target=self._read, args=(ours, self._process), name="fork-server", daemon=True)
        self._reader.start()

    def launch(self, key: str) -> Child:
        """Have a child forked."""
        child = Child(key)
        with self._lock:
            if self._link is None and not self._stopping:
                log.warning("the fork server ended; starting another")
                try:
                    self.start()
                except LaunchFailed:
                    child.handed_over()
                    child.close()
                    raise
            self._children[key] = child
            try:
                assert self._link is not None
                socket.send_fds(self._link, [dumps({"op": "spawn", "run": key})], child.theirs)
            except (OSError, AssertionError):
                del self._children[key]
                child.handed_over()
                child.close()
                raise LaunchFailed("the fork server is gone") from None
        child.handed_over()
        return child

    def reap(self, child: Child) -> None:
        """Let the template wait for it."""
        with self._lock:
            self._children.pop(child.key, None)
            if self._link is not None:
                with contextlib.suppress(OSError):
                    self._link.send(dumps({"op": "reap", "run": child.key}))

    def stop(self) -> None:
        """Close the template's socket, upon which it ends all that is below it."""
        self._stopping = True
        link, process = self._link, self._process
        if link is not None:
            with contextlib.suppress(OSError):
                link.shutdown(socket.SHUT_RDWR)
        if process is not None:
            try:
                process.wait(fork_server.LAST + 1)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if self._reader is not None:
            self._reader.join(5)

    def _read(self, link: socket.socket, process: subprocess.Popen[bytes]) -> None:
        while True:
            try:
                data = link.recv(fork_server.MESSAGE_MAX)
            except OSError:
                data = b""
            if not data:
                break
            self._take(loads(data))
        self._lost(link, process)

    def _take(self, message: dict[str, Any]) -> None:
        child = self._children.get(message.get("run", ""))
        if child is None:
            return
        if message["op"] == "spawned":
            child.has_pid(message["pid"])
        elif message["op"] == "exited":
            child.has_ended(message.get("code"), message.get("signal"))
        elif message["op"] == "failed":
            child.has_ended(error=message["error"])

    def _lost(self, link: socket.socket, process: subprocess.Popen[bytes]) -> None:
        """The template is gone; its children were killed with it (by the kernel, if it could not do so itself)."""
        with self._lock:
            self._link = None
            left = [child for child in self._children.values() if not child.ended]
            link.close()
        for child in left:
            if child.pid is not None:
                processes.send_group(child.pid, signal.SIGKILL)
            child.has_ended(signal=signal.SIGKILL)
        if not self._stopping:
            process.wait()


class SpawnLauncher:
    """Starts a fresh interpreter for each run: slower, and the same everywhere."""

    def __init__(self, command: Sequence[str] = ("-m", "orchestrator.workers.agent.child")) -> None:
        self._command = [sys.executable, *command]
        self._processes: dict[str, tuple[Child, subprocess.Popen[bytes]]] = {}
        self._lifeline, self._held = os.pipe()

    def start(self) -> None:
        """Nothing to get ready."""

    def launch(self, key: str) -> Child:
        """Start an interpreter."""
        child = Child(key)
        control, out, err = child.theirs
        try:
            process = subprocess.Popen(
                [*self._command, str(control), str(self._lifeline)],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                pass_fds=[control, self._lifeline],
                start_new_session=True,
                env=environment(),
            )
        except OSError as error:
            child.handed_over()
            child.close()
            raise LaunchFailed(f"cannot start {sys.executable}: {error.strerror}") from None
        child.handed_over()
        self._processes[key] = (child, process)
        child.has_pid(process.pid)
        threading.Thread(target=self._wait, args=(child, process), name=f"wait-{process.pid}", daemon=True).start()
        return child

    def reap(self, child: Child) -> None:
        """Wait for the process, which has ended."""
        _, process = self._processes.pop(child.key, (child, None))
        if process is not None:
            process.wait()

    def stop(self) -> None:
        """Kill the groups of all that still run."""
        for child, _ in list(self._processes.values()):
            if child.pid is not None:
                processes.send_group(child.pid, signal.SIGKILL)
        os.close(self._held)

    @staticmethod
    def _wait(child: Child, process: subprocess.Popen[bytes]) -> None:
        if hasattr(os, "waitid"):
            # Not reaped yet: its number must stay its own until its group has been cleaned up.
            ended = os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
            assert ended is not None
            code = ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status
        else:
            # A Python on macOS may lack it. There, numbers are given anew only once all have had their turn, and a
            # group keeps its number as long as anybody is in it.
            code = process.wait()
        if code >= 0:
            child.has_ended(code=code)
        else:
            child.has_ended(signal=-code)


def best_launcher() -> Launcher:
    """The quickest launcher that this computer has."""
    return ForkLauncher() if fork_server.supported() else SpawnLauncher()
