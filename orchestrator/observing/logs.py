"""Logs of runs: the run logger, a handler for everything else that logs, and captured prints."""

from __future__ import annotations

import io
import json
import logging
import os
import sys
import threading
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, TextIO

from .. import context
from ..clock import real_time as time
from ..clock import to_text
from ..context import FlowRun, TaskRun
from ..masking import here as masks
from ..reporting import is_sender

if TYPE_CHECKING:
    _Adapter = logging.LoggerAdapter[logging.Logger]
else:  # not generic at run time before Python 3.11
    _Adapter = logging.LoggerAdapter

FLOW_LOGGER = "orchestrator.flow_runs"
TASK_LOGGER = "orchestrator.task_runs"
STDOUT = "stdout"


class RunLogger(_Adapter):
    """A logger bound to the run that it was made in: its lines belong there, whatever thread writes them."""

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        """Add the run to each record."""
        kwargs["extra"] = {**(self.extra or {}), **(kwargs.get("extra") or {})}
        return msg, kwargs


def get_run_logger() -> RunLogger:
    """The logger of the present task run or flow run; outside of any, an ordinary logger.

    Its lines go to the run's log where the run is tracked, and, for a run by hand, to the terminal.
    """
    task, run = context.task_run(), context.owner()
    name = TASK_LOGGER if task is not None else FLOW_LOGGER
    if run is None and task is None:
        return RunLogger(logging.getLogger("orchestrator"), {})
    return RunLogger(logging.getLogger(name), {"flow_run": run, "task_run": task})


#: What every record has, and what ours carry beside: anything else came with ``extra={...}``.
_USUAL = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "flow_run", "task_run"}
#: Characters of one extra field that are shown.
FIELD_MAX = 500


class LineFormatter(logging.Formatter):
    """Shows the extra fields of a record behind its message: ``loaded | table=orders rows=3``."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        """The message, with the fields."""
        text = super().formatMessage(record)
        names = vars(record).keys() - _USUAL
        if not names:
            return text
        return f"{text} | {' '.join(f'{name}={_shown(vars(record)[name])}' for name in vars(record) if name in names)}"


def _shown(value: Any) -> str:
    """A field's value: as it is where it is one word, else in quotes; never an exception."""
    try:
        text = value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
        if isinstance(value, str) and (not text or any(letter.isspace() or letter in '"=|' for letter in text)):
            text = json.dumps(text, ensure_ascii=False)
    except Exception:
        text = f"<{type(value).__name__}>"
    return text if len(text) <= FIELD_MAX else f"{text[:FIELD_MAX]}... [{len(text) - FIELD_MAX} characters dropped]"


class RunHandler(logging.Handler):
    """Turns log records into log items of the run that they belong to."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(LineFormatter())

    def emit(self, record: logging.LogRecord) -> None:
        """Report a record; records outside of runs, and those of the reporter itself, are none of its business."""
        run: FlowRun | None = getattr(record, "flow_run", None) or context.owner()
        if (run is None or not run.supervised) and self._alone(record.name):
            _last_resort(record)
        if is_sender() or run is None or run.sink is None:
            return
        try:
            task: TaskRun | None = getattr(record, "task_run", None) or context.task_run()
            put_line(run, task, record.levelno, record.name, self.format(record), _moment(record.created))
        except Exception:
            self.handleError(record)

    def _alone(self, name: str) -> bool:
        """Whether nobody else handles a logger: its warnings then go to standard error, as they do without us."""
        logger: logging.Logger | None = logging.getLogger(name)
        while logger is not None:
            if any(handler is not self for handler in logger.handlers):
                return False
            logger = logger.parent if logger.propagate else None
        return True


def _moment(created: float) -> float:
    """When a record was made; now, where it was made by a clock that code had replaced."""
    at = time.time()
    return created if abs(created - at) < 86_400 else at


def _last_resort(record: logging.LogRecord) -> None:
    handler = logging.lastResort
    if handler is not None and record.levelno >= handler.level:
        handler.handle(record)


def put_line(run: FlowRun, task: TaskRun | None, level: int, logger: str, message: str, at: float) -> None:
    """Report one log line; a very long one is cut, and what was dropped is named."""
    run.put(
        {
            "kind": "log",
            "flow_run_id": run.id,
            "task_run_id": task.id if task is not None else None,
            "attempt": run.attempt,
            "level": level,
            "logger": logger,
            "message": cut(masks.text(message), run.settings.log_line_max),
            "at": to_text(datetime.fromtimestamp(at, timezone.utc)),
        }
    )


def cut(message: str, most: int) -> str:
    """The message, at most about ``most`` bytes long, with the number of bytes that were dropped."""
    if len(message) * 4 <= most:
        return message
    data = message.encode("utf-8", "replace")
    if len(data) <= most:
        return message
    return f"{data[:most].decode('utf-8', 'ignore')}... [{len(data) - most} bytes dropped]"


class Tee(io.TextIOBase):
    """Stands in for ``sys.stdout`` during tracked runs by hand: writes through, and reports whole lines."""

    def __init__(self, original: TextIO) -> None:
        self.original = original
        self._parts: dict[tuple[str, str], list[str]] = {}
        self._lock = threading.Lock()
        #: Held by who writes through: the same thread may do so again, from a signal handler.
        self.writing = threading.RLock()

    def write(self, text: str) -> int:
        """Write through; lines of a run that captures prints become log items."""
        with self.writing:
            written = self.original.write(text)
        run, task = context.owner(), context.task_run()
        if run is not None and run.sink is not None and (task.log_prints if task is not None else run.log_prints):
            self._collect(run, task, text)
        return written if isinstance(written, int) else len(text)

    def _collect(self, run: FlowRun, task: TaskRun | None, text: str) -> None:
        key = (run.id, task.id if task is not None else "")
        with self._lock:
            parts = self._parts.setdefault(key, [])
            parts.append(text)
            if "\n" not in text:
                return
            *lines, rest = "".join(parts).split("\n")
            if rest:
                self._parts[key] = [rest]
            else:
                del self._parts[key]
        moment = datetime.now(timezone.utc).timestamp()
        for line in lines:
            put_line(run, task, logging.INFO, STDOUT, line, moment)

    def finish(self, run: FlowRun) -> None:
        """Report what a run printed without ending its last line."""
        with self._lock:
            rest = [key for key in self._parts if key[0] == run.id]
            texts = ["".join(self._parts.pop(key)) for key in rest]
        for text in texts:
            put_line(run, None, logging.INFO, STDOUT, text, datetime.now(timezone.utc).timestamp())

    def after_fork(self) -> None:
        """In a copy of the process: forget who held what."""
        self._lock, self.writing = threading.Lock(), threading.RLock()

    def flush(self) -> None:
        """Flush the original."""
        with self.writing:
            self.original.flush()

    def writable(self) -> bool:
        """Always."""
        return True

    def isatty(self) -> bool:
        """As the original."""
        return self.original.isatty()

    def fileno(self) -> int:
        """As the original."""
        return self.original.fileno()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.original, name)


class _Terminal(logging.Handler):
    """Writes the lines of run loggers to whatever ``sys.stderr`` is now; steps back where the user set up logging."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(LineFormatter("%(asctime)s | %(levelname)-7s | %(message)s", "%H:%M:%S"))

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line, unless an agent watches the run: what it reads from standard error would come twice."""
        run: FlowRun | None = getattr(record, "flow_run", None)
        others = [handler for handler in logging.getLogger().handlers if not isinstance(handler, RunHandler)]
        if others or (run is not None and run.supervised):
            return
        try:
            sys.stderr.write(self.format(record) + "\n")
        except Exception:
            self.handleError(record)


_handler, _terminal = RunHandler(), _Terminal()
_lock = threading.Lock()
_captures = 0
#: The stand-in for ``sys.stdout`` that the forking thread holds.
_held: list[Tee] = []


def _hold() -> None:
    """Before a fork: let nobody be in the midst of a line. Files of Python have locks, which a copy would keep for ever
    where a thread held one: that thread is not in the copy.
    """
    _terminal.acquire()
    if isinstance(sys.stdout, Tee):
        sys.stdout.writing.acquire()
        _held.append(sys.stdout)


def _go_on() -> None:
    while _held:
        _held.pop().writing.release()
    _terminal.release()


def _go_on_in_child() -> None:
    """The copy has one thread; handlers have new locks already, as :mod:`logging` sees to."""
    _held.clear()
    if isinstance(sys.stdout, Tee):
        sys.stdout.after_fork()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(before=_hold, after_in_parent=_go_on, after_in_child=_go_on_in_child)


def _set_up(level: str) -> None:
    for name in (FLOW_LOGGER, TASK_LOGGER):
        logger = logging.getLogger(name)
        if logger.level == logging.NOTSET:
            logger.setLevel(level)
        if not any(isinstance(handler, _Terminal) for handler in logger.handlers):
            logger.addHandler(_terminal)


@contextmanager
def captured(run: FlowRun) -> Iterator[None]:
    """While the ``with`` lasts, what is logged, and by hand what is printed, reaches the logs of runs."""
    global _captures
    with _lock:
        _captures += 1
        _set_up(run.settings.log_level)
        root = logging.getLogger()
        if run.sink is not None and _handler not in root.handlers:
            root.addHandler(_handler)
        if run.supervised and root.level == logging.WARNING:
            root.setLevel(run.settings.log_level)
        if run.sink is not None and not run.supervised and not isinstance(sys.stdout, Tee):
            sys.stdout = Tee(sys.stdout)
    try:
        yield
    finally:
        tee = sys.stdout
        if isinstance(tee, Tee):
            tee.finish(run)
        with _lock:
            _captures -= 1
            if _captures == 0:
                logging.getLogger().removeHandler(_handler)
                if isinstance(sys.stdout, Tee):
                    sys.stdout = sys.stdout.original
