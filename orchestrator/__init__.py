"""Orchestrator: a control tower for a data stack.

The public names are loaded when they are first used, so that ``import orchestrator`` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ._version import __version__

if TYPE_CHECKING:
    from .artifacts import create_link_artifact, create_markdown_artifact, create_table_artifact
    from .block import Block
    from .context import tags
    from .emitting import emit_event
    from .errors import FlowPauseTimedOut, InputTimedOut
    from .flows import Flow, flow
    from .futures import TaskFuture, as_completed, unmapped, wait
    from .logs import get_run_logger
    from .pausing import pause_flow_run, resume_flow_run, suspend_flow_run
    from .results import Cancelled, Completed, Crashed, Failed, State
    from .retries import exponential_backoff
    from .run_inputs import AutomaticRunInput, RunInput, receive_input, send_input
    from .task_runners import ThreadRunner
    from .tasks import Task, task
    from .trigger_documents import Trigger
    from .variables import Variable

_HOMES = {
    "AutomaticRunInput": "run_inputs",
    "Block": "block",
    "Cancelled": "results",
    "Completed": "results",
    "Crashed": "results",
    "Failed": "results",
    "Flow": "flows",
    "FlowPauseTimedOut": "errors",
    "InputTimedOut": "errors",
    "RunInput": "run_inputs",
    "State": "results",
    "Task": "tasks",
    "TaskFuture": "futures",
    "ThreadRunner": "task_runners",
    "Trigger": "trigger_documents",
    "Variable": "variables",
    "as_completed": "futures",
    "create_link_artifact": "artifacts",
    "create_markdown_artifact": "artifacts",
    "create_table_artifact": "artifacts",
    "emit_event": "emitting",
    "exponential_backoff": "retries",
    "flow": "flows",
    "get_run_logger": "logs",
    "pause_flow_run": "pausing",
    "receive_input": "run_inputs",
    "resume_flow_run": "pausing",
    "send_input": "run_inputs",
    "suspend_flow_run": "pausing",
    "tags": "context",
    "task": "tasks",
    "unmapped": "futures",
    "wait": "futures",
}

__all__ = [
    "AutomaticRunInput",
    "Block",
    "Cancelled",
    "Completed",
    "Crashed",
    "Failed",
    "Flow",
    "FlowPauseTimedOut",
    "InputTimedOut",
    "RunInput",
    "State",
    "Task",
    "TaskFuture",
    "ThreadRunner",
    "Trigger",
    "Variable",
    "__version__",
    "as_completed",
    "create_link_artifact",
    "create_markdown_artifact",
    "create_table_artifact",
    "emit_event",
    "exponential_backoff",
    "flow",
    "get_run_logger",
    "pause_flow_run",
    "receive_input",
    "resume_flow_run",
    "send_input",
    "suspend_flow_run",
    "tags",
    "task",
    "unmapped",
    "wait",
]


def __getattr__(name: str) -> Any:
    if (home := _HOMES.get(name)) is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{home}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
