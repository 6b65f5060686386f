"""``python -m orchestrator.workers.fork_server FD``: the template that runs are forked from (Linux).

It is a fresh interpreter with one thread and the SDK loaded; a fork of it reaches user code in a few milliseconds.
The agent talks to it over a socket of messages (one JSON object each):

=============  =======================================  ==========================================================
to us          ``{"op": "spawn", "run": key}``           with three descriptors: control socket, stdout, stderr
to us          ``{"op": "reap", "run": key}``            the agent has done with an ended child: its pid may be reused
from us        ``{"op": "spawned", "run", "pid"}``       or ``{"op": "failed", "run", "error"}``
from us        ``{"op": "exited", "run", "code", "signal"}``
=============  =======================================  ==========================================================

An ended child stays a zombie until ``reap``, so that nobody else gets its pid while its group is being cleaned up. When
the agent's end of the socket closes, for whatever reason, every process below this one is killed, and it ends.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import importlib
import os
import random
import select
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from orchestrator.documents import records
from orchestrator.serializers import dumps, loads

from .agent import processes
from .start import forget_start_folder

#: Loaded before the first fork, beside what the runner imports; each is used by nearly every flow.
PRELOAD = ("asyncio", "concurrent.futures.thread", "decimal", "json", "pathlib", "subprocess", "tempfile", "zoneinfo")
DEFAULT_CHILD = "orchestrator.workers.agent.child:main"
MESSAGE_MAX = 4096
#: Milliseconds between two looks for orphans that ended.
TIDY = 1000
#: Seconds to get rid of everything once the agent is gone.
LAST = 5.0

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36

Child = Callable[[int], None]


def prctl(option: int, value: int) -> None:
    """Set an attribute of this process. Raises OSError."""
    if _LIBC.prctl(option, value, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


_LIBC = ctypes.CDLL(None, use_errno=True)


class Template:
    """Forks children on request and tells how each ended.

    Args:
        link: The socket to the agent.
        child: What a child does, given its control descriptor.
    """

    def __init__(self, link: socket.socket, child: Child) -> None:
        self._link = link
        self._child = child
        self._poll = select.poll()
        self._poll.register(link, select.POLLIN)
        #: pid -> (the agent's key for it, pidfd or -1 once it ended)
        self._runs: dict[int, tuple[str, int]] = {}

    def serve(self) -> None:
        """Work until the agent is gone, then end all that is left."""
        self._tell({"op": "ready", "pid": os.getpid()})
        while True:
            for descriptor, _ in self._poll.poll(TIDY):
                if descriptor == self._link.fileno():
                    if not self._take_message():
                        self._end_all()
                        return
                else:
                    self._tell_exit(descriptor)
            self._tidy()

    def _take_message(self) -> bool:
        try:
            data, descriptors, _, _ = socket.recv_fds(self._link, MESSAGE_MAX, 3)
        except ConnectionResetError:
            return False
        if not data:
            return False
        message = loads(data)
        if message["op"] == "spawn":
            self._spawn(message["run"], descriptors)
        elif message["op"] == "reap":
            self._reap(message["run"])
        return True

    def _spawn(self, key: str, descriptors: list[int]) -> None:
        threads = len(os.listdir("/proc/self/task"))
        assert threads == 1, f"the template has {threads} threads; forking it could deadlock the child"
        try:
            pid = os.fork()
        except OSError as error:
            _close(descriptors)
            self._tell({"op": "failed", "run": key, "error": error.strerror})
            return
        if pid == 0:
            self._become_child(descriptors)
        _close(descriptors)
        pidfd = os.pidfd_open(pid)
        self._runs[pid] = (key, pidfd)
        self._poll.register(pidfd, select.POLLIN)
        self._tell({"op": "spawned", "run": key, "pid": pid})

    def _become_child(self, descriptors: list[int]) -> NoReturn:
        template = os.getppid()
        try:
            os.setsid()
            prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != template:
                os._exit(70)  # it died before the line above could count
            control, out, err = descriptors
            os.dup2(out, 1)
            os.dup2(err, 2)
            self._link.close()
            _close([out, err, *(pidfd for _, pidfd in self._runs.values() if pidfd >= 0)])
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                signal.signal(number, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            # Identifiers draw from the system; this is for user code, which expects runs to differ.
            random.seed()
            gc.enable()
            self._child(control)
        finally:
            os._exit(70)

    def _tell_exit(self, pidfd: int) -> None:
        pid = next(pid for pid, (_, fd) in self._runs.items() if fd == pidfd)
        self._poll.unregister(pidfd)
        os.close(pidfd)
        key = self._runs[pid][0]
        self._runs[pid] = (key, -1)
        ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        assert ended is not None
        exited = ended.si_code == os.CLD_EXITED
        facts = {"code": ended.si_status} if exited else {"signal": ended.si_status}
        self._tell({"op": "exited", "run": key, **facts})

    def _reap(self, key: str) -> None:
        for pid, (other, pidfd) in list(self._runs.items()):
            if other == key and pidfd < 0:
                os.waitpid(pid, 0)
                del self._runs[pid]

    def _tidy(self) -> None:
        """Take leave of orphans that ended: what a run left behind became our child when its own parent ended."""
        for pid in _children():
            if pid not in self._runs:
                try:
                    os.waitpid(pid, os.WNOHANG)
                except ChildProcessError:
                    pass

    def _end_all(self) -> None:
        """Kill everything below us; what loses its parent by that becomes our child, and its turn comes."""
        deadline = time.monotonic() + LAST
        for pid in self._runs:
            processes.send_group(pid, signal.SIGKILL)
        while (children := _children()) and time.monotonic() < deadline:
            for pid in children:
                processes.send(pid, signal.SIGKILL)
            for pid in children:
                try:
                    os.waitpid(pid, 0)
                except ChildProcessError:
                    pass

    def _tell(self, message: dict[str, Any]) -> None:
        try:
            self._link.send(dumps(message))
        except (BrokenPipeError, ConnectionResetError):
            pass  # the agent is gone; the next poll says so


def _close(descriptors: list[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


def _children() -> list[int]:
    """The processes whose parent we are."""
    try:
        return [int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]
    except OSError:  # a kernel without that file
        own = os.getpid()
        return [pid for pid, (parent, _, _) in processes.table().items() if parent == own]


def supported() -> bool:
    """Whether this computer can run the template: Linux with pidfds (5.3)."""
    if not sys.platform.startswith("linux") or not hasattr(os, "pidfd_open"):
        return False
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError:
        return False
    return Path("/proc/self/task").is_dir()


def resolve(name: str) -> Child:
    """``package.module:function`` as the function."""
    module, _, attribute = name.partition(":")
    found = getattr(importlib.import_module(module), attribute)
    assert callable(found), f"{name} is no function"
    return found  # type: ignore[no-any-return]


def main() -> int:
    """Become the template. Returns once the agent is gone."""
    parser = argparse.ArgumentParser(prog="fork_server")
    parser.add_argument("link", type=int, help="descriptor of the socket to the agent")
    parser.add_argument("--child", default=DEFAULT_CHILD, help="what a child executes: module:function")
    wanted = parser.parse_args()
    # A terminal's Ctrl-C and a group's SIGTERM are for the agent, which decides what becomes of its runs.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    prctl(_PR_SET_CHILD_SUBREAPER, 1)
    child = resolve(wanted.child)
    for module in PRELOAD:
        importlib.import_module(module)
    records.learn()
    forget_start_folder()
    # Collecting in the parent would touch, and so copy, every page that the children share.
    gc.collect()
    gc.disable()
    gc.freeze()
    link = socket.socket(fileno=wanted.link)
    Template(link, child).serve()
    return 0


if __name__ == "__main__":
    sys.exit(main())
