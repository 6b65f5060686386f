"""Orchestrator: a control tower for a data stack.

The public names are loaded when they are first used, so that ``import orchestrator`` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ._version import __version__

if TYPE_CHECKING:
    from . import runtime
    from .arguments import allow_failure, quote
    from .artifacts import (
        Artifact,
        create_image_artifact,
        create_link_artifact,
        create_markdown_artifact,
        create_progress_artifact,
        create_table_artifact,
        update_progress_artifact,
    )
    from .background import BackgroundFuture
    from .block import Block
    from .caching import (
        DEFAULT,
        FLOW_PARAMETERS,
        INPUTS,
        NO_CACHE,
        RUN_ID,
        TASK_SOURCE,
        CachePolicy,
        IsolationLevel,
    )
    from .celery_runner import CeleryRunner
    from .context import tags
    from .dask_runner import DaskRunner
    from .emitting import emit_event
    from .errors import FlowPauseTimedOut, InputTimedOut
    from .flows import Flow, flow
    from .futures import FutureList, TaskFuture, as_completed, unmapped, wait
    from .logs import get_run_logger
    from .pausing import pause_flow_run, resume_flow_run, suspend_flow_run
    from .process_runner import ProcessRunner
    from .results import Cancelled, Completed, Crashed, Failed, State
    from .retries import FAIL, RETRY, after_header, exponential_backoff
    from .run_inputs import AutomaticRunInput, RunInput, receive_input, send_input
    from .serving import serve
    from .slots import concurrency, rate_limit, rate_limit_async
    from .task_runners import ThreadRunner
    from .tasks import Task, task
    from .transactions import CommitMode, Transaction, get_transaction, transaction
    from .trigger_documents import Trigger
    from .variables import Variable

_HOMES = {
    "BackgroundFuture": "background",
    "Artifact": "artifacts",
    "AutomaticRunInput": "run_inputs",
    "Block": "block",
    "CachePolicy": "caching",
    "Cancelled": "results",
    "CommitMode": "transactions",
    "Completed": "results",
    "Crashed": "results",
    "DEFAULT": "caching",
    "FAIL": "retries",
    "FLOW_PARAMETERS": "caching",
    "Failed": "results",
    "Flow": "flows",
    "INPUTS": "caching",
    "IsolationLevel": "caching",
    "NO_CACHE": "caching",
    "RETRY": "retries",
    "RUN_ID": "caching",
    "CeleryRunner": "celery_runner",
    "DaskRunner": "dask_runner",
    "ProcessRunner": "process_runner",
    "FutureList": "futures",
    "FlowPauseTimedOut": "errors",
    "InputTimedOut": "errors",
    "RunInput": "run_inputs",
    "State": "results",
    "TASK_SOURCE": "caching",
    "Task": "tasks",
    "TaskFuture": "futures",
    "ThreadRunner": "task_runners",
    "Transaction": "transactions",
    "Trigger": "trigger_documents",
    "Variable": "variables",
    "after_header": "retries",
    "allow_failure": "arguments",
    "as_completed": "futures",
    "concurrency": "slots",
    "create_image_artifact": "artifacts",
    "create_link_artifact": "artifacts",
    "create_markdown_artifact": "artifacts",
    "create_progress_artifact": "artifacts",
    "create_table_artifact": "artifacts",
    "emit_event": "emitting",
    "exponential_backoff": "retries",
    "flow": "flows",
    "get_run_logger": "logs",
    "get_transaction": "transactions",
    "rate_limit": "slots",
    "rate_limit_async": "slots",
    "serve": "serving",
    "quote": "arguments",
    "pause_flow_run": "pausing",
    "receive_input": "run_inputs",
    "resume_flow_run": "pausing",
    "send_input": "run_inputs",
    "suspend_flow_run": "pausing",
    "tags": "context",
    "task": "tasks",
    "transaction": "transactions",
    "unmapped": "futures",
    "update_progress_artifact": "artifacts",
    "wait": "futures",
}

#: Public modules.
_MODULES = frozenset({"runtime"})

__all__ = [
    "DEFAULT",
    "FAIL",
    "FLOW_PARAMETERS",
    "INPUTS",
    "NO_CACHE",
    "RETRY",
    "RUN_ID",
    "TASK_SOURCE",
    "Artifact",
    "AutomaticRunInput",
    "BackgroundFuture",
    "Block",
    "CachePolicy",
    "Cancelled",
    "CeleryRunner",
    "CommitMode",
    "Completed",
    "Crashed",
    "DaskRunner",
    "Failed",
    "Flow",
    "FlowPauseTimedOut",
    "FutureList",
    "InputTimedOut",
    "IsolationLevel",
    "ProcessRunner",
    "RunInput",
    "State",
    "Task",
    "TaskFuture",
    "ThreadRunner",
    "Transaction",
    "Trigger",
    "Variable",
    "__version__",
    "after_header",
    "allow_failure",
    "as_completed",
    "concurrency",
    "create_image_artifact",
    "create_link_artifact",
    "create_markdown_artifact",
    "create_progress_artifact",
    "create_table_artifact",
    "emit_event",
    "exponential_backoff",
    "flow",
    "get_run_logger",
    "get_transaction",
    "pause_flow_run",
    "quote",
    "rate_limit",
    "rate_limit_async",
    "receive_input",
    "resume_flow_run",
    "runtime",
    "send_input",
    "serve",
    "suspend_flow_run",
    "tags",
    "task",
    "transaction",
    "unmapped",
    "update_progress_artifact",
    "wait",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f".{name}", __name__)
    if (home := _HOMES.get(name)) is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{home}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
