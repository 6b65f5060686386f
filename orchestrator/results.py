"""States that carry what a run returned or raised, and what of it is kept."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Union

from . import serializers
from .documents import records
from .errors import CancelledRun, CrashedRun, FailedRun, OrchestratorError, TimedOut, UnfinishedRun
from .states import TERMINAL, StateType
from .values.jsonable import jsonable

#: Longest traceback kept in a state, in characters.
TRACEBACK_MAX = 16_000

#: Frames of these modules at the head of a traceback are ours, and of no interest to whom the code belongs.
_OURS = frozenset(f"orchestrator.{name}" for name in ("engine", "flows", "keeping", "kept_calls", "steps", "tasks"))

_NOTHING = object()
#: Whatever can be logged to.
Log = Union[logging.Logger, "logging.LoggerAdapter[Any]"]


class State(records.State):
    """A state of a run in this process: besides what is reported, it holds the run's value or exception."""

    _value: Any = _NOTHING
    _error: BaseException | None = None
    #: The task run or flow run that it belongs to; empty for a state made by hand.
    run_id: str = ""

    def result(self, raise_on_failure: bool = True) -> Any:
        """What the run returned.

        Args:
            raise_on_failure: Whether a run that did not complete raises what it raised; else its exception is returned.

        Raises:
            FailedRun, CrashedRun, CancelledRun, TimedOut: The run did not complete and raised nothing itself.
            UnfinishedRun: The run has not ended.
        """
        if self.type is StateType.COMPLETED:
            return None if self._value is _NOTHING else self._value
        if self.type not in TERMINAL:
            raise UnfinishedRun(f"the run is {self.name}: it has no result yet")
        error = self._error if self._error is not None else run_error(self)
        if raise_on_failure:
            raise error
        return error if self._value is _NOTHING else self._value

    def anew(self) -> State:
        """The same state, of now and of no run yet; it holds what this one holds."""
        value, error = self._value, self._error
        return State(self.type, self.name, self.message, details=self.details).holding(value, error)

    def holding(self, value: Any = _NOTHING, error: BaseException | None = None, run_id: str = "") -> State:
        """Attach a value, an exception, the run's id; returns the state itself."""
        if value is not _NOTHING:
            object.__setattr__(self, "_value", value)
        if error is not None:
            object.__setattr__(self, "_error", error)
        if run_id:
            object.__setattr__(self, "run_id", run_id)
        return self


def Completed(message: str = "", *, name: str = "", data: Any = None) -> State:
    """A COMPLETED state for a flow or task to return; ``data`` is its value."""
    return State(StateType.COMPLETED, name, message).holding(data)


def Failed(message: str = "", *, name: str = "", error: BaseException | None = None, data: Any = None) -> State:
    """A FAILED state for a flow or task to return.

    Args:
        message: Why, in one line.
        name: A name of your own for it.
        error: What its caller gets raised.
        data: The same, where it is an exception; anything else is what ``result(raise_on_failure=False)`` gives.
    """
    return _ended_badly(StateType.FAILED, message, name, error, data)


def Crashed(message: str = "", *, name: str = "", error: BaseException | None = None, data: Any = None) -> State:
    """A CRASHED state for a flow or task to return: the world, not the code, was at fault. As :func:`Failed`."""
    return _ended_badly(StateType.CRASHED, message, name, error, data)


def Cancelled(message: str = "", *, name: str = "", error: BaseException | None = None, data: Any = None) -> State:
    """A CANCELLED state for a flow or task to return. As :func:`Failed`."""
    return _ended_badly(StateType.CANCELLED, message, name, error, data)


def _ended_badly(kind: StateType, message: str, name: str, error: BaseException | None, data: Any) -> State:
    if error is None and isinstance(data, BaseException):
        error, data = data, None
    return State(kind, name, message).holding(_NOTHING if data is None else data, error)


def failure(error: BaseException) -> State:
    """The FAILED state of an exception: its type and text as the message, its traceback as a detail."""
    if isinstance(error, TimedOut):
        return State(StateType.FAILED, "TimedOut", str(error)).holding(error=error)
    return State(StateType.FAILED, "", describe(error), details=details(error)).holding(error=error)


def describe(error: BaseException) -> str:
    """An exception in one line; never raises, whatever its ``__str__`` does."""
    try:
        text = str(error)
    except Exception:
        text = "(its text cannot be made)"
    first = text.strip().splitlines()[0] if text.strip() else ""
    name = "" if isinstance(error, OrchestratorError) else type(error).__name__
    return f"{name}: {first}" if name and first else name or first or type(error).__name__


def details(error: BaseException) -> dict[str, Any]:
    """The traceback of an exception, cut in its middle when it is very long."""
    try:
        trace = error.__traceback__
        while trace is not None and trace.tb_frame.f_globals.get("__name__") in _OURS:
            trace = trace.tb_next
        text = "".join(traceback.format_exception(type(error), error, trace or error.__traceback__))
    except Exception:
        text = f"{type(error).__name__} (its traceback cannot be formatted)"
    if len(text) > TRACEBACK_MAX:
        half = TRACEBACK_MAX // 2
        text = f"{text[:half]}\n... {len(text) - 2 * half} characters left out ...\n{text[-half:]}"
    return {"traceback": text}


def run_error(state: records.State) -> Exception:
    """The exception that stands for a state that is not COMPLETED."""
    message = state.message or f"the run is {state.name}"
    if state.name == "TimedOut":
        return TimedOut(message)
    return {StateType.CRASHED: CrashedRun, StateType.CANCELLED: CancelledRun}.get(state.type, FailedRun)(message)


@dataclass(frozen=True)
class Elsewhere:
    """Where a result goes that is too large to be kept with its run.

    Attributes:
        file: On this machine, for flows that persist their results.
        block: What people call the storage block that ``store`` writes to.
        store: Stores the JSON form; what the run keeps of it. None: there is no storage block.
    """

    file: Path
    block: str = ""
    store: Callable[[bytes], dict[str, Any]] | None = None


def keep(value: Any, most: int, log: Log, persist: bool | None, elsewhere: Elsewhere) -> dict[str, Any] | None:
    """What of a return value goes to the server: ``{"value": ...}`` when it is small JSON, ``{"block": id, "path",
    "size"}`` when a storage block took it; else None and a log line. It never raises.

    Args:
        value: What the run returned.
        most: Largest JSON form to send, in bytes; 0: none.
        log: Where to tell what was not stored.
        persist: False: keep nothing; True: what is too large to send, and no block takes, is written to a file.
        elsewhere: Where what is too large goes.
    """
    if persist is False or (most <= 0 and (value is None or not (persist or elsewhere.store))):
        return None
    try:
        data = serializers.dumps(value, default=jsonable)
    except Exception as error:  # jsonable runs serializers of the user's own types
        log.warning("the result, a %s, was not stored: it has no JSON form (%s)", type(value).__name__, describe(error))
        return None
    if len(data) <= most:
        return {"value": serializers.loads(data)}
    if elsewhere.store is not None:
        stored = _to_block(data, elsewhere.store, elsewhere.block, log)
        if stored is not None or not persist:
            return stored
    if persist:
        _to_file(data, elsewhere.file, log)
        return None
    log.warning("the result was not stored: it takes %d bytes, and ORCHESTRATOR_RESULTS_INLINE_MAX is %d; "
                "name a storage block for results in the deployment, or in ORCHESTRATOR_RESULT_STORAGE",
                len(data), most)  # fmt: skip
    return None


def _to_block(data: bytes, store: Callable[[bytes], dict[str, Any]], block: str, log: Log) -> dict[str, Any] | None:
    try:
        stored = store(data)
    except Exception as error:  # the run did its work, whatever its storage says
        log.warning("the result, %d bytes, was not stored in the block %s: %s", len(data), block, describe(error))
        return None
    log.info("the result, %d bytes, is kept in the block %s as %s", len(data), block, stored["path"])
    return stored


def _to_file(data: bytes, path: Path, log: Log) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.write_bytes(data)
    except OSError as error:
        log.warning("the result was not stored in %s: %s", path, error)
    else:
        log.info("the result, %d bytes, is kept in %s", len(data), path)
