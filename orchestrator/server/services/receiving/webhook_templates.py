"""Templates of webhooks: a delivery in, events out.

They are rendered by processes of their own (:mod:`.template_process`), which are started when they are first needed and
kept. One that takes too long, or too much, is ended and told of; nothing else notices.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import subprocess
import sys
import threading
from typing import Any

from ....errors import OrchestratorError, Unavailable
from ....serializers import dumps, loads
from .template_process import CPU_S

#: Processes at once, and seconds that one waits for a free one.
PROCESSES, PATIENCE_S = 2, 10.0
#: Seconds after which a process is ended in any case: it may be waiting for something.
WALL_S = 20.0
#: Longest template, in characters; most events of one delivery.
TEMPLATE_MAX, EVENTS_MAX = 50_000, 1000

_PROGRAM = (
    "import sys, json; sys.path[:] = json.loads(sys.argv[1]);"
    " from orchestrator.server.services.receiving.template_process import main; main()"
)
#: The only variables of the environment that the processes see.
_ENVIRONMENT = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT")


class TemplateFailed(OrchestratorError):
    """No events can be made of a delivery; the message says why."""

    def __init__(self, message: str, rendered: str = "") -> None:
        super().__init__(message)
        #: What the template wrote, where it is that which cannot be read.
        self.rendered = rendered


def check(template: str) -> None:
    """Raise TemplateFailed, naming the line, when a text is no template."""
    if len(template) > TEMPLATE_MAX:
        raise TemplateFailed(f"it has {len(template):,} characters; at most {TEMPLATE_MAX:,} are taken")
    if not template.strip():
        raise TemplateFailed("it is empty: events are made by it")
    _ask(template, None)


def render(template: str, context: dict[str, Any]) -> str:
    """What a template writes for a delivery.

    Raises:
        TemplateFailed: It fails, or goes over a bound.
        Unavailable: All processes are busy.
    """
    return _ask(template, context)


def read(rendered: str) -> list[Any]:
    """The events that a template wrote: none, one object, or a list. Raises TemplateFailed."""
    text = rendered.strip()
    if not text:
        return []
    try:
        found = loads(text)
    except ValueError as error:
        raise TemplateFailed(f"the template did not write JSON: {error}", rendered) from None
    events = found if isinstance(found, list) else [] if found is None else [found]
    if not all(isinstance(event, dict) for event in events):
        raise TemplateFailed("the template wrote neither an event nor a list of events", rendered)
    if len(events) > EVENTS_MAX:
        raise TemplateFailed(f"the template wrote {len(events):,} events; at most {EVENTS_MAX:,} are taken", rendered)
    return events


class _Process:
    """One process; used by one thread at a time."""

    def __init__(self) -> None:
        environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
        paths = dumps([path or os.getcwd() for path in sys.path]).decode()
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-c", _PROGRAM, paths],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment, cwd="/",
        )  # fmt: skip

    def ask(self, line: bytes) -> bytes:
        """The line that answers; empty when the process ended instead."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        timer = threading.Timer(WALL_S, self._process.kill)
        timer.start()
        try:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.write(line)
                self._process.stdin.flush()
            return self._process.stdout.readline()
        finally:
            timer.cancel()

    def end(self) -> int:
        """End it; returns how it ended."""
        with contextlib.suppress(BrokenPipeError):
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._process.stdout.close()
            self._process.stdin.close()
        try:
            return self._process.wait(1)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    def alive(self) -> bool:
        """Whether it has not ended meanwhile."""
        return self._process.poll() is None

    def disown(self) -> None:
        """Forget it in a forked process, whose child it is not."""
        self._process.returncode = 0


_idle: list[_Process] = []
_lock = threading.Lock()
_places = threading.BoundedSemaphore(PROCESSES)


def _ask(template: str, context: dict[str, Any] | None) -> str:
    line = dumps({"template": template, "context": context}) + b"\n"
    if not _places.acquire(timeout=PATIENCE_S):
        raise Unavailable("all processes that render templates are busy: try again")
    try:
        answer = _answered(line)
    finally:
        _places.release()
    if "error" in answer:
        where = f"line {answer['line']}: " if answer.get("line") else ""
        raise TemplateFailed(f"template: {where}{answer['error']}")
    text: str = answer["text"]
    return text


def _answered(line: bytes) -> dict[str, Any]:
    process = _take()
    said = process.ask(line)
    if not said:
        return {"error": _why(process.end())}
    answer: dict[str, Any] = loads(said)
    if answer["last"]:
        process.end()
    else:
        with _lock:
            _idle.append(process)
    return answer


def _take() -> _Process:
    while True:
        with _lock:
            process = _idle.pop() if _idle else None
        if process is None:
            return _Process()
        if process.alive():
            return process
        process.end()


def _why(code: int) -> str:
    if code == -signal.SIGPROF:
        return f"it takes more than {CPU_S:g} s of computing"
    if code == -signal.SIGKILL:
        return f"it was ended: it took more than {WALL_S:g} s, or too much memory"
    return f"its process ended (code {code}): it probably needs too much memory"


def _end_all() -> None:
    with _lock:
        processes = _idle[:]
        _idle.clear()
    for process in processes:
        process.end()


def _after_fork() -> None:
    global _lock, _places
    for process in _idle:
        process.disown()
    _idle.clear()
    _lock, _places = threading.Lock(), threading.BoundedSemaphore(PROCESSES)


atexit.register(_end_all)
os.register_at_fork(after_in_child=_after_fork)
