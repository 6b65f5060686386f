"""The flow run that a watched command is: its start, the lines of its output, its end."""

from __future__ import annotations

import os
import signal
import socket
import uuid
from collections.abc import Mapping
from typing import Any

from .. import context, names, settings
from ..clock import now, to_text
from ..ids import uuid7
from ..reporting import Reporter, Sink
from ..states import DISPLAY_NAMES, StateType
from . import tracking
from .output_lines import Budget, Lines

INFO, WARNING = 20, 30
#: Lines of output that are logged; the end of longer output stands in the event of the command's end.
LINES_MAX = 10_000


class ShellRun:
    """A command as a flow run: RUNNING from now on.

    Args:
        sink: Where it is reported.
        flow: What the command is called.
        parameters: What is told of how it was called.
        logged: Whether its output goes to the run's log.
    """

    def __init__(self, sink: Sink, flow: str, parameters: Mapping[str, Any], logged: bool) -> None:
        self.id = str(uuid7())
        self.name = names.run_name()
        self._sink = sink
        self._budget = Budget()
        most = settings.load().log_line_max
        self._streams = {name: Lines(self._emitter(name), most, self._budget) for name in ("stdout", "stderr")}
        self._logged, self._lines = logged, 0
        parent = _parent()
        sink.put(
            {
                "kind": "flow-run",
                "id": self.id,
                "flow": flow.replace("/", "-").strip()[:200] or "command",
                "name": self.name,
                "parameters": dict(parameters),
                "tags": ["shell"],
                "parent_flow_run_id": parent,
                "parent_task_run_id": None,
                "process": f"{socket.gethostname()}:{os.getpid()}",
                "state": _state(StateType.RUNNING),
            }
        )
        # of what is part of a run, that run's process says that it goes on
        self._reporter = sink if parent is None and isinstance(sink, Reporter) else None
        if self._reporter is not None:
            self._reporter.keep(self.id)

    @property
    def related(self) -> dict[str, str]:
        """The run, as events of the command name it."""
        return {
            "resource.id": f"orchestrator.flow-run.{self.id}",
            "resource.name": self.name,
            "resource.role": "flow-run",
        }

    def output(self, stream: str, data: bytes) -> None:
        """Bytes that the command wrote; whole lines of them are logged."""
        if self._logged:
            self._streams[stream].feed(data)

    def end(self, code: int, error: str = "") -> None:
        """The command ended with a code; negative: by that signal."""
        for lines in self._streams.values():
            lines.close()
        notices = [self._budget.notice]
        if self._lines > LINES_MAX:
            notices.append(f"{self._lines - LINES_MAX} more lines of output were not kept: see the event of the end")
        for notice in filter(None, notices):
            self._log("stdout", notice, WARNING)
        details: dict[str, Any] = {"exit_code": code if code >= 0 else 128 - code}
        message = error or (f"exit code {code}" if code else "")
        if code < 0:
            details["signal"] = signal.Signals(-code).name
            message = f"ended by {details['signal']}"
        kind = StateType.COMPLETED if code == 0 else StateType.FAILED
        state = _state(kind, message, details)
        self._sink.put({"kind": "flow-run-state", "id": self.id, "attempt": 1, "state": state, "result": None})
        if self._reporter is not None:
            self._reporter.let_go(self.id)

    def _emitter(self, stream: str) -> Any:
        def emit(line: str) -> None:
            self._lines += 1
            if self._lines <= LINES_MAX:
                self._log(stream, line, INFO)

        return emit

    def _log(self, stream: str, line: str, level: int) -> None:
        self._sink.put(
            {
                "kind": "log",
                "flow_run_id": self.id,
                "task_run_id": None,
                "attempt": 1,
                "level": level,
                "logger": stream,
                "message": line,
                "at": to_text(now()),
            }
        )


def _parent() -> str | None:
    """The run that the command is part of: of this process, or of the one that started it."""
    run = context.owner()
    found = run.id if run is not None else os.environ.get(tracking.RUN_ID, "")
    try:
        return str(uuid.UUID(found))
    except ValueError:
        return None


def _state(kind: StateType, message: str = "", details: Mapping[str, Any] | None = None) -> dict[str, Any]:
    return {
        "type": kind.value,
        "name": DISPLAY_NAMES[kind],
        "message": message,
        "at": to_text(now()),
        "details": details,
    }
