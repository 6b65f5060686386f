"""A warm process that parts of a server are forked from (Linux), so that they share what they all have loaded.

An interpreter with the server's libraries takes 110 MB. Four that were started one by one take that four times; forks
of one that loaded them take it once, and each what it changes. The template is itself a fork of the supervisor, made
while that has one thread, and has one thread as long as it lives. They talk over a socket, one JSON object a message:

=============  ========================================================  ===========================================
to us          ``{"op": "start", "name", "entry", "words", "cwd", "env"}``, answered by ``{"pid"}`` or ``{"error"}``
               with the log file's descriptor
to us          ``{"op": "call", "name", "argument"}`` with a              answered by ``{"pid"}`` or ``{"error"}``
               descriptor that the result is written to
to us          ``{"op": "end", "pid"}``: it has ended                     answered by ``{"code"}``, as ``Popen`` has it
=============  ========================================================  ===========================================

On Linux the kernel ends a part when the template ends, and the template when the supervisor does.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import logging
import os
import random
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NoReturn

from .. import errors
from . import linux

#: Bytes of a message: a part's whole environment is in one.
_MESSAGE_MAX = 1 << 17
#: Seconds that an answer may take.
_PATIENCE_S = 20.0

_log = logging.getLogger(__name__)

Call = Callable[[Any], Any]


class Gone(Exception):
    """The template cannot start anything; the reason. Parts can be started without it."""


class Forked:
    """A part that was forked from the template, as :class:`subprocess.Popen` would have it.

    Attributes:
        pid: Its process id, and that of its process group.
        returncode: Its exit code, or minus the signal that ended it; None while it runs.
    """

    def __init__(self, template: Template, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._template = template
        # It ends no sooner than we asked for its code, so this is never another process.
        self._descriptor = os.pidfd_open(pid)

    def poll(self) -> int | None:
        """Its exit code, if it has ended."""
        return self._look(0.0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end. Raises subprocess.TimeoutExpired after ``timeout`` seconds."""
        code = self._look(timeout)
        if code is None:
            raise subprocess.TimeoutExpired("a part", timeout or 0.0)
        return code

    def _look(self, timeout: float | None) -> int | None:
        if self.returncode is None:
            waiting = select.poll()
            waiting.register(self._descriptor, select.POLLIN)
            if waiting.poll(None if timeout is None else timeout * 1000):
                self.returncode = self._template.code(self.pid)
                os.close(self._descriptor)
        return self.returncode


class Template:
    """The supervisor's end of a template process. For one thread at a time.

    Args:
        calls: What :meth:`call` may call.
    """

    def __init__(self, calls: Mapping[str, Call]) -> None:
        self._lock = threading.Lock()
        self._link: socket.socket | None
        self._link, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for end in (self._link, theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _MESSAGE_MAX * 2)
        _flush()
        self.pid = os.fork()
        if self.pid == 0:
            self._link.close()
            _serve(theirs, calls)
        theirs.close()
        self._link.settimeout(_PATIENCE_S)

    def start(
        self, name: str, entry: str, words: Sequence[str], *, cwd: Path, env: Mapping[str, str], log: IO[bytes]
    ) -> Forked:
        """Start a part.

        Args:
            name: What it is called in lists of processes.
            entry: ``module:function``, called without arguments; what it returns is the exit code.
            words: What follows the name of the program on its command line.
            cwd: Its working folder.
            env: Its whole environment.
            log: Where its output goes.

        Raises:
            Gone: It cannot.
        """
        message = {"op": "start", "name": name, "entry": entry, "words": list(words), "cwd": str(cwd), "env": dict(env)}
        answer = self._ask(message, [log.fileno()])
        if "pid" not in answer:
            raise Gone(answer["error"])
        return Forked(self, answer["pid"])

    def call(self, name: str, argument: Any) -> Any:
        """What a function gives in a fork that ends with it, so that what it needs is not in this process for ever.

        Raises:
            Gone: It cannot be called, or did not come to an end.
            OrchestratorError: What it raised.
        """
        reading, writing = os.pipe()
        with open(reading, "rb") as answers:
            try:
                started = self._ask({"op": "call", "name": name, "argument": argument}, [writing])
            finally:
                os.close(writing)
            if "pid" not in started:
                raise Gone(started["error"])
            data = answers.read()
        self.code(started["pid"])
        if not data:
            raise Gone(f"{name} did not come to an end")
        answer = json.loads(data)
        if "error" in answer:
            raise getattr(errors, answer["error"], errors.OrchestratorError)(answer["message"])
        return answer["result"]

    def code(self, pid: int) -> int:
        """The exit code of a part that has ended; after it, its number may be another's."""
        try:
            return int(self._ask({"op": "end", "pid": pid})["code"])
        except Gone:
            return -signal.SIGKILL  # by the kernel, with the template

    def stop(self) -> None:
        """End it, and by that what still runs of its parts."""
        link, self._link = self._link, None
        if link is not None:
            link.close()
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)

    def _ask(self, message: Mapping[str, Any], descriptors: Sequence[int] = ()) -> dict[str, Any]:
        data = json.dumps(message).encode()
        with self._lock:
            if self._link is None:
                raise Gone("it has ended")
            if len(data) > _MESSAGE_MAX:
                raise Gone("the environment is too large")
            try:
                socket.send_fds(self._link, [data], descriptors)
                if answer := self._link.recv(_MESSAGE_MAX):
                    return dict(json.loads(answer))
            except OSError as error:
                _log.debug("the template: %s", error)
        self.stop()  # it is gone, or hangs: then so shall its parts be
        raise Gone("it has ended")


def begin(warm: Sequence[str], calls: Mapping[str, Call]) -> Template | None:
    """A template, where this computer and this process can have one: Linux, and no thread but the main one.

    Args:
        warm: Modules that are loaded before, and functions of modules (``module:function``) that are called.
        calls: What :meth:`Template.call` may call.
    """
    if not (sys.platform == "linux" and hasattr(os, "pidfd_open")):
        return None
    # By main thread, since the kernel ends a fork with the thread that made it.
    if threading.current_thread() is not threading.main_thread() or _threads() != 1:
        return None
    for name in warm:
        module, _, function = name.partition(":")
        loaded = importlib.import_module(module)
        if function:
            getattr(loaded, function)()
    # What is there by now is never looked through for garbage again: that writes to it, and so would copy it.
    gc.collect()
    linux.keep_memory_together()
    gc.freeze()
    return Template(calls) if _threads() == 1 else None


# What follows runs in the template, and in what it forks.


def _serve(link: socket.socket, calls: Mapping[str, Call]) -> NoReturn:
    """Fork on request until the supervisor is gone."""
    code = 1
    try:
        # A terminal's Ctrl-C is for the supervisor, which ends the parts in their order.
        os.setsid()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        linux.end_with_parent(os.getppid())
        linux.set_title("template")
        while _take(link, calls):
            pass
        code = 0
    except BaseException:
        _log.exception("the template failed")
    finally:
        _flush()
        os._exit(code)


def _take(link: socket.socket, calls: Mapping[str, Call]) -> bool:
    """One message; False when there is nobody to send any more."""
    try:
        data, descriptors, _, _ = socket.recv_fds(link, _MESSAGE_MAX, 1)
    except ConnectionResetError:
        return False
    if not data:
        return False
    message = json.loads(data)
    answer = _end(message["pid"]) if message["op"] == "end" else _fork(link, message, descriptors[0], calls)
    with contextlib.suppress(BrokenPipeError):
        link.send(json.dumps(answer).encode())
    return True


def _fork(link: socket.socket, message: dict[str, Any], descriptor: int, calls: Mapping[str, Call]) -> dict[str, Any]:
    try:
        if (threads := _threads()) != 1:
            return {"error": f"it has {threads} threads, and a fork of it could hang"}
        _flush()
        template = os.getpid()
        pid = os.fork()
        if pid == 0:
            link.close()
            _begin(message, descriptor, calls, template)
        return {"pid": pid}
    except OSError as error:
        return {"error": str(error)}
    finally:
        os.close(descriptor)


def _end(pid: int) -> dict[str, Any]:
    try:
        return {"code": os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])}
    except ChildProcessError:
        return {"code": -signal.SIGKILL}


def _begin(message: dict[str, Any], descriptor: int, calls: Mapping[str, Call], template: int) -> NoReturn:
    """Be the part, or make the call."""
    code = 70
    try:
        os.setsid()
        linux.end_with_parent(template)
        if message["op"] == "call":
            code = _answer(calls[message["name"]], message["argument"], descriptor)
        else:
            _settle(message, descriptor)
            code = _run(message["entry"])
    finally:
        logging.shutdown()
        _flush()
        os._exit(code)


def _answer(function: Call, argument: Any, descriptor: int) -> int:
    try:
        answer = {"result": function(argument)}
    except errors.OrchestratorError as error:
        answer = {"error": type(error).__name__, "message": str(error)}
    with open(descriptor, "wb") as answers:
        answers.write(json.dumps(answer).encode())
    return 0


def _settle(message: dict[str, Any], log: int) -> None:
    """Make the fork's surroundings those of a process of its own."""
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if sys.path and sys.path[0] == os.getcwd():
        del sys.path[0]  # ``-m`` put it there; what lies where a person happened to be is no part of the server
    os.chdir(message["cwd"])
    os.environ.clear()
    os.environ.update(message["env"])
    time.tzset()
    random.seed()
    sys.argv = [message["name"], *message["words"]]
    linux.set_title(" ".join(sys.argv), over_environment=True)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]


def _run(entry: str) -> int:
    """Call ``module:function`` as a program; the exit code."""
    module, _, name = entry.partition(":")
    try:
        function: Callable[[], Any] = getattr(importlib.import_module(module), name)
        result = function()
    except SystemExit as leaving:
        result = leaving.code
    except BaseException:
        sys.excepthook(*sys.exc_info())
        return 1
    if result is None or isinstance(result, int):
        return result or 0
    print(result, file=sys.stderr)
    return 1


def _threads() -> int:
    return len(os.listdir("/proc/self/task"))


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
