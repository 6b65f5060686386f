"""Orchestrator: a control tower for a data stack.

The public names are loaded when they are first used, so that ``import orchestrator`` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ._version import __version__

if TYPE_CHECKING:
    from . import runtime
    from .asking.pausing import pause_flow_run, resume_flow_run, suspend_flow_run
    from .asking.run_inputs import AutomaticRunInput, RunInput, receive_input, send_input
    from .background import BackgroundFuture
    from .block import Block
    from .context import tags
    from .engine.arguments import allow_failure, quote
    from .engine.task_runners import ThreadRunner
    from .engine.transactions import CommitMode, Transaction, get_transaction
    from .errors import FlowPauseTimedOut, InputTimedOut
    from .flows import Flow, flow
    from .futures import FutureList, TaskFuture, as_completed, unmapped, wait
    from .keeping.caching import (
        DEFAULT,
        FLOW_PARAMETERS,
        INPUTS,
        NO_CACHE,
        RUN_ID,
        TASK_SOURCE,
        CachePolicy,
        IsolationLevel,
    )
    from .keeping.result_storage import read_result, read_task_result
    from .keeping.transacting import transaction
    from .observing.emitting import emit_event
    from .observing.logs import get_run_logger
    from .projects.trigger_documents import Trigger
    from .results import Cancelled, Completed, Crashed, Failed, State
    from .serving import serve
    from .slots import concurrency, rate_limit, rate_limit_async
    from .stored.artifacts import (
        Artifact,
        create_image_artifact,
        create_link_artifact,
        create_markdown_artifact,
        create_progress_artifact,
        create_table_artifact,
        update_progress_artifact,
    )
    from .stored.variables import Variable
    from .task_runners.celery_runner import CeleryRunner
    from .task_runners.dask_runner import DaskRunner
    from .task_runners.process_runner import ProcessRunner
    from .tasks import Task, task
    from .timing.retries import FAIL, RETRY, after_header, exponential_backoff

_HOMES = {
    "BackgroundFuture": "background",
    "Artifact": "stored.artifacts",
    "AutomaticRunInput": "asking.run_inputs",
    "Block": "block",
    "CachePolicy": "keeping.caching",
    "Cancelled": "results",
    "CommitMode": "engine.transactions",
    "Completed": "results",
    "Crashed": "results",
    "DEFAULT": "keeping.caching",
    "FAIL": "timing.retries",
    "FLOW_PARAMETERS": "keeping.caching",
    "Failed": "results",
    "Flow": "flows",
    "INPUTS": "keeping.caching",
    "IsolationLevel": "keeping.caching",
    "NO_CACHE": "keeping.caching",
    "RETRY": "timing.retries",
    "RUN_ID": "keeping.caching",
    "CeleryRunner": "task_runners.celery_runner",
    "DaskRunner": "task_runners.dask_runner",
    "ProcessRunner": "task_runners.process_runner",
    "FutureList": "futures",
    "FlowPauseTimedOut": "errors",
    "InputTimedOut": "errors",
    "RunInput": "asking.run_inputs",
    "State": "results",
    "TASK_SOURCE": "keeping.caching",
    "Task": "tasks",
    "TaskFuture": "futures",
    "ThreadRunner": "engine.task_runners",
    "Transaction": "engine.transactions",
    "Trigger": "projects.trigger_documents",
    "Variable": "stored.variables",
    "after_header": "timing.retries",
    "allow_failure": "engine.arguments",
    "as_completed": "futures",
    "concurrency": "slots",
    "create_image_artifact": "stored.artifacts",
    "create_link_artifact": "stored.artifacts",
    "create_markdown_artifact": "stored.artifacts",
    "create_progress_artifact": "stored.artifacts",
    "create_table_artifact": "stored.artifacts",
    "emit_event": "observing.emitting",
    "exponential_backoff": "timing.retries",
    "flow": "flows",
    "get_run_logger": "observing.logs",
    "get_transaction": "engine.transactions",
    "rate_limit": "slots",
    "rate_limit_async": "slots",
    "serve": "serving",
    "quote": "engine.arguments",
    "pause_flow_run": "asking.pausing",
    "read_result": "keeping.result_storage",
    "read_task_result": "keeping.result_storage",
    "receive_input": "asking.run_inputs",
    "resume_flow_run": "asking.pausing",
    "send_input": "asking.run_inputs",
    "suspend_flow_run": "asking.pausing",
    "tags": "context",
    "task": "tasks",
    "transaction": "keeping.transacting",
    "unmapped": "futures",
    "update_progress_artifact": "stored.artifacts",
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
    "read_result",
    "read_task_result",
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
