"""Running a claimed job, inside the process that an agent made for it."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .. import results, settings
from ..block import Block, use_store
from ..client import Client, patiently
from ..clock import real_time as time
from ..context import FlowRun
from ..documents import records
from ..documents.records import Job, Storage
from ..engine import forks
from ..engine.hooks import ENDS
from ..engine.runs import Steps
from ..engine.steps import drive, drive_async
from ..errors import BlockError, CodeNotLoadable, InvalidInput, OrchestratorError, ParameterError
from ..flows import Flow, concluded, run_steps
from ..interfaces import FileSystem
from ..keeping import result_storage
from ..projects import snapshots
from ..projects.loading import load_flow
from ..reporting import Sink
from ..results import State
from ..states import StateType
from ..stored import block_store, template_values
from ..values import parameters

#: Entrypoints of ours begin so: they need no code but this package's.
ERRANDS = "orchestrator.running.errands:"
#: The one that calls the hooks of another run.
CALL_HOOKS = f"{ERRANDS}call_hooks"
#: Largest result of an errand that is sent, in bytes: somebody waits for it.
ERRAND_RESULT_MAX = 1024 * 1024


#: How a run ended: its terminal state, and what is kept of its result.
End = tuple[records.State, "dict[str, Any] | None"]


def run_job(
    job: Job,
    sink: Sink,
    *,
    confirm_running: Callable[[], None],
    announce_timeout: Callable[[float], None],
    announce_hooks: Callable[[list[str]], None] = lambda names: None,
    announce_end: Callable[[records.State, dict[str, Any] | None], None] = lambda state, result: None,
    take_hooks: Callable[[], bool] = lambda: True,
) -> End:
    """Fetch the code of a run, call its flow, tell how it ended.

    It changes the process for good: working folder, ``sys.path``, modules. The run's terminal state is not put into the
    sink, as the supervisor alone reports it.

    Args:
        job: What was claimed.
        sink: Takes the reports of the run.
        confirm_running: Called once the code is ready and its time has come; returns when user code may start. Not
            called when the run is RUNNING already.
        announce_timeout: Called, where the flow has a time-out, with the seconds that all its tries may take from now;
            the supervisor enforces it.
        announce_hooks: Called, where the flow has hooks for its end, with their names: if this process dies, the
            supervisor has them called by another one (:func:`call_hooks`).
        announce_end: Called with what is returned, before the hooks for that end are called here.
        take_hooks: Called after that; returns whether they are to be called here, as nobody else has undertaken to.

    Returns:
        The terminal state, and what is kept of the result, as :func:`results.keep` tells. Code that does not load,
        parameters that do not fit it, and templates that stand for nothing end FAILED; storage that cannot be read ends
        CRASHED. A run whose next try is far off is SCHEDULED, ``AwaitingRetry``.
    """
    received = time.monotonic()
    found = settings.load()
    if job.entrypoint.startswith(ERRANDS):
        most = max(found.results_inline_max, ERRAND_RESULT_MAX)
        found = replace(found, results_inline_max=most, result_storage="")
    told = _Told(announce_end, take_hooks)
    scratch = _scratch(job, found)
    try:
        job = _without_templates(job, found)
        flow = _load(job, scratch, found)
    except (CodeNotLoadable, InvalidInput, BlockError) as error:
        return _plain(results.failure(error)), None
    except OrchestratorError as error:
        return records.State(StateType.CRASHED, message=f"the code cannot be fetched: {error}"), None
    else:
        hooks = flow.policy.hooks
        if hooks is not None and (names := [name for name in ENDS.values() if hooks[name]]):
            announce_hooks(names)
        try:
            values = parameters.validate(flow.fn, job.parameters) if flow.validate_parameters else dict(job.parameters)
        except ParameterError as error:
            return _ended_early(flow, _flow_run(flow, job, job.parameters, sink, found), error, told)
        if (left := job.starts_in_ms / 1000 - (time.monotonic() - received)) > 0:
            time.sleep(left)
        if job.state.type is not StateType.RUNNING:
            confirm_running()
        if job.entrypoint == CALL_HOOKS:
            announce_timeout(found.hook_timeout.total_seconds())
        if flow.policy.timeout is not None:
            announce_timeout(flow.policy.retries.longest(flow.policy.timeout))
        return _run(flow, _flow_run(flow, job, values, sink, found), told)
    finally:
        os.chdir(os.sep)
        shutil.rmtree(scratch, ignore_errors=True)


@dataclass(frozen=True)
class _Told:
    """What is said at an end, and asked, before hooks for it are called."""

    announce_end: Callable[[records.State, dict[str, Any] | None], None]
    take_hooks: Callable[[], bool]

    def end(self, state: records.State, result: dict[str, Any] | None) -> bool:
        """Say how the run ended; whether its hooks are to be called here."""
        self.announce_end(state, result)
        return self.take_hooks()


def call_hooks(job: Job, sink: Sink, state: records.State, ready: Callable[[], None], supervised: bool = True) -> None:
    """Fetch the code of a run that was ended from outside, and call its flow's hooks for that end: nothing else.

    Args:
        job: What was claimed.
        sink: Takes what the hooks report.
        state: The run's terminal state.
        ready: Called once the code is loaded.
        supervised: Whether what this process prints is read by who watches the run; else it is told here.

    Raises:
        OrchestratorError: The code cannot be fetched, or does not load.
    """
    found = settings.load()
    scratch = _scratch(job, found)
    try:
        job = _without_templates(job, found)
        flow = _load(job, scratch, found)
        try:
            values = parameters.validate(flow.fn, job.parameters) if flow.validate_parameters else job.parameters
        except ParameterError:
            values = job.parameters
        ready()
        if flow.policy.hooks is not None:
            end = State(state.type, state.name, state.message, state.at, state.details).holding(run_id=str(job.id))
            run = replace(_flow_run(flow, job, dict(values), sink, found), supervised=supervised)
            drive(flow.policy.hooks.of_flow_end(run, end))
    finally:
        os.chdir(os.sep)
        shutil.rmtree(scratch, ignore_errors=True)


def _load(job: Job, scratch: Path, found: settings.Settings) -> Flow[Any, Any]:
    folder = _code(job, scratch, found)
    os.chdir(folder)
    return load_flow(folder, job.entrypoint)


def _ended_early(flow: Flow[Any, Any], run: FlowRun, error: ParameterError, told: _Told) -> End:
    state = results.failure(error).holding(run_id=run.id)
    if flow.policy.hooks is not None and flow.policy.hooks["on_failure"] and told.end(_plain(state), None):
        drive(flow.policy.hooks.of_flow_end(run, state))
    return _plain(state), None


def _flow_run(flow: Flow[Any, Any], job: Job, values: dict[str, Any], sink: Sink, found: settings.Settings) -> FlowRun:
    run = FlowRun(
        id=str(job.id),
        flow_name=job.flow,
        name=job.name,
        attempt=job.attempt,
        tries=job.tries,
        parameters=values,
        settings=found,
        sink=sink,
        tags=frozenset(job.tags),
        results=result_storage.chosen(found, job.results),
        supervised=True,
        log_prints=found.log_prints if flow.log_prints is None else flow.log_prints,
    )
    if not job.entrypoint.startswith(ERRANDS):
        run.keeping = flow.keeping_of(run)
    return run


def _run(flow: Flow[Any, Any], run: FlowRun, told: _Told) -> End:
    hooks, ends = flow.policy.hooks, list[End]()

    def steps() -> Steps:
        with ExitStack() as stack:
            state = yield from run_steps(flow, run, run.parameters, stack)
            ends.append((_plain(state), concluded(flow, run, state)))
        if hooks is not None and hooks[ENDS.get(state.type, "")] and os.getpid() == here and told.end(*ends[0]):
            yield from hooks.of_flow_end(run, state)
        return state

    here = os.getpid()
    try:
        state = asyncio.run(drive_async(steps())) if flow.is_async else drive(steps())
        forks.leave(here, 0 if state.is_completed() else 1)
    except BaseException as error:  # KeyboardInterrupt and the like: the process ends, its supervisor says why
        forks.leave(here, 1)
        if not ends:
            state = State(StateType.CRASHED, "", results.describe(error), details=results.details(error))
            ends.append((_plain(state), None))
            if hooks is not None and hooks["on_crashed"] and told.end(*ends[0]):
                drive(hooks.of_flow_end(run, state))
    return ends[0]


def _without_templates(job: Job, found: settings.Settings) -> Job:
    """The job with what the templates of its deployment stand for; nothing outside of this process learns of that."""

    def client() -> Client:
        return Client(found.api_url, found.api_key)

    values = job.parameters
    if job.entrypoint != CALL_HOOKS:  # those of the run whose hooks they are have their turn with that
        values = template_values.resolved(values, client, "parameters")
    storage = job.storage
    if storage is not None:
        storage = replace(storage, path=str(template_values.resolved(storage.path, client, "storage.path")))
    return replace(job, parameters=values, storage=storage)


def fetch_project(job: Job, found: settings.Settings) -> Path:
    """The folder with the files of a run's project, to be read only: what has to be known before it is executed.

    Raises:
        CodeNotLoadable, Unavailable, NotFound: It cannot be fetched.
    """
    return _fetched(_storage(_without_templates(job, found)), _scratch(job, found), found)


def _code(job: Job, scratch: Path, found: settings.Settings) -> Path:
    """The folder with the run's code: a copy of its snapshot, or the deployment's folder as it is."""
    if job.entrypoint.startswith(ERRANDS) and (job.storage is None or job.storage == Storage(None)):
        folder = scratch / "errand"
        folder.mkdir(exist_ok=True)
        return folder
    return project_copy(_storage(job), scratch, found)


def _storage(job: Job) -> Storage:
    if job.storage is None:
        raise CodeNotLoadable("the deployment has no storage: build it again with --storage-block")
    return job.storage


def _fetched(storage: Storage, scratch: Path, found: settings.Settings) -> Path:
    if storage.snapshot is not None:
        return snapshots.ensure(
            lambda: _file_system(storage, found), storage.path, storage.snapshot, found.path("cache", "code")
        )
    if storage.block_id is None:
        folder = Path(storage.path).expanduser()
        if folder.is_dir():
            return folder.resolve()
        raise CodeNotLoadable(f"the deployment's folder {storage.path} is not on this machine")
    target = scratch / "project"
    _file_system(storage, found).get_directory(storage.path, str(target))
    return target


def project_copy(storage: Storage, scratch: Path, found: settings.Settings) -> Path:
    """The code that a storage holds, to be executed: a copy of a snapshot in ``scratch``, or the folder as it is.

    Raises:
        CodeNotLoadable, BlockError, Unavailable, NotFound: It cannot be fetched.
    """
    folder = _fetched(storage, scratch, found)
    return folder if storage.snapshot is None else snapshots.working_copy(folder, scratch)


def _scratch(job: Job, found: settings.Settings) -> Path:
    # Where its supervisor, too, knows to remove it: a killed process cannot.
    scratch = found.path("runs", f"{job.id}-{job.attempt}")
    scratch.mkdir(parents=True, exist_ok=True, mode=0o700)
    return scratch


def _file_system(storage: Storage, found: settings.Settings) -> FileSystem:
    with use_store(block_store.ApiBlockStore(Client(found.api_url, found.api_key))):
        loaded: Any = patiently(lambda: Block.load(str(storage.block_id)))
    if not isinstance(loaded, FileSystem):
        raise BlockError(f"the deployment's storage block is a {type(loaded).__name__}, which is no file system")
    return loaded


def _plain(state: State) -> records.State:
    return records.State(state.type, state.name, state.message, state.at, state.details)
