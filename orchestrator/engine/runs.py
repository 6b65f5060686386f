"""How runs go: one generator of steps for flows and one for tasks, driven by a synchronous or an asynchronous loop.

The generators decide (states, retries, what is reported); a step is the only thing that may block: calling user code,
sleeping, waiting for futures. So flows and tasks behave alike whichever way their functions are written.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Generator, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

from .. import context, results
from ..clock import now, to_text
from ..context import FlowRun, TaskRun
from ..errors import TimedOut
from ..futures import TaskFuture
from ..observing.logs import get_run_logger
from ..results import State
from ..states import StateType
from ..timing.retries import Retries
from . import transactions
from .arguments import Upstream, bare, final, found_in, resolved
from .asides import Aside
from .hooks import Hooks
from .steps import InThread, Sleep
from .timeouts import Alarm, Leave, Terminated, TimeIsUp
from .trying import again

_S = StateType


class Call:
    """A step: enter user code."""

    __slots__ = ("alarm", "args", "fn", "kwargs", "timeout")

    def __init__(self, fn: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any], timeout: float | None):
        self.fn, self.args, self.kwargs, self.timeout = fn, args, kwargs, timeout
        self.alarm: Alarm | None = None

    def run(self) -> Any:
        if self.timeout is None:
            return self.fn(*self.args, **self.kwargs)
        with Alarm(self.timeout) as self.alarm:
            return self.fn(*self.args, **self.kwargs)

    async def run_async(self) -> Any:
        value = self.fn(*self.args, **self.kwargs)
        if not inspect.isawaitable(value):
            return value
        return await (value if self.timeout is None else within(value, self.timeout))


class Wait:
    """A step: wait until all futures are done."""

    __slots__ = ("futures",)

    def __init__(self, upstream: Iterable[Upstream]) -> None:
        self.futures = [one for one in map(bare, upstream) if isinstance(one, TaskFuture) and not one.done()]

    def run(self) -> None:
        for future in self.futures:
            future.wait()

    async def run_async(self) -> None:
        loop = asyncio.get_running_loop()
        for future in self.futures:
            passed = asyncio.Event()
            future.add_done_callback(partial(_announce, loop, passed))
            await passed.wait()


def _announce(loop: asyncio.AbstractEventLoop, passed: asyncio.Event, future: TaskFuture[Any]) -> None:
    loop.call_soon_threadsafe(passed.set)


Step = Call | Sleep | Wait | Aside | InThread
Steps = Generator[Step, Any, State]


async def within(value: Awaitable[Any], seconds: float) -> Any:
    """Await something for at most ``seconds``; then cancel it and raise :class:`TimeIsUp`."""
    task = asyncio.ensure_future(value)
    try:
        done, _ = await asyncio.wait({task}, timeout=seconds)
    except asyncio.CancelledError:
        task.cancel()
        await asyncio.wait({task}, timeout=1)
        raise
    if done:
        return task.result()
    task.cancel()
    await asyncio.wait({task}, timeout=1)
    raise TimeIsUp


@dataclass(frozen=True)
class Policy:
    """What the engine has to know of a flow or a task beside its function."""

    retries: Retries
    timeout: float | None
    hooks: Hooks | None = None


def waited_for(upstream: list[Upstream]) -> Generator[Step, Any, State | None]:
    """Wait for what a run depends on; the state that the run ends in without having begun, if so it is."""
    yield Wait(upstream)
    return _first_failed(upstream)


def task_steps(
    run: TaskRun,
    policy: Policy,
    fn: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    upstream: list[Upstream],
) -> Steps:
    """The life of one task run; returns its final state."""
    if upstream:
        if (failed := (yield from waited_for(upstream))) is not None:
            return _finish(run, failed)
        args, kwargs = resolved(args), resolved(kwargs)
        if run.kept is not None:
            run.kept.identify(args, kwargs)
    before = context.enter_task(run)
    try:
        attempts = _task_attempts(run, policy, Call(fn, args, kwargs, policy.timeout))
        state = yield from attempts if run.kept is None else run.kept.around(attempts, args, kwargs)
    finally:
        context.leave_task(before)
    state = _finish(run, state)
    if policy.hooks is not None:
        yield from policy.hooks.of_task_end(run, state)
    return state


def entered(
    run: TaskRun, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], timeout: float | None
) -> Steps:
    """One try of a task run, in a process that its flow's runner gave the call to; the state that it ended in."""
    before = context.enter_task(run)
    try:
        return (yield from _attempt(Call(fn, args, kwargs, timeout), run, f"task run {run.name}"))
    finally:
        context.leave_task(before)


def _task_attempts(run: TaskRun, policy: Policy, call: Call) -> Steps:
    hooks = policy.hooks
    while True:
        run.attempt += 1
        name = "Running" if run.attempt == 1 else "Retrying"
        run.put(_S.RUNNING, name)
        attempt = _attempt(call, run, f"task run {run.name}")
        if hooks is not None:
            yield from hooks.calls("on_running", run, State(_S.RUNNING, name))
        if hooks is not None or transactions.present() is not None:
            attempt = transactions.around(attempt, hooks, run)
        state = yield from attempt
        if state.type is not _S.FAILED:
            return state
        retry = yield from again(policy.retries, run, state, run.attempt)
        if retry is None:
            return state
        due = now() + timedelta(seconds=retry.wait)
        text = "%s failed: %s; try %d of %d begins in %g s"
        get_run_logger().warning(text, run.name, state.message, run.attempt + 1, retry.of, retry.wait)
        details = {"due": to_text(due), **(state.details or {})}
        run.put(_S.SCHEDULED, "AwaitingRetry", f"after: {state.message}", details)
        yield Sleep(retry.wait)


def _attempt(call: Call, run: TaskRun | FlowRun, what: str) -> Steps:
    """Enter user code once; the state that it ended in. Only what ends the process gets through as an exception."""
    try:
        value = yield call
        return (yield from _concluded(value))
    except TimeIsUp as error:
        if error.alarm is not call.alarm:
            _report_end(run, State(_S.CANCELLED, "", "the time-out of what called it ran out"))
            raise
        return results.failure(TimedOut(f"{what} took longer than {call.timeout:g} s"))
    except Exception as error:
        return results.failure(error)
    except Leave as leave:
        return State(leave.kind, leave.name, leave.message)
    except Terminated:
        _report_end(run, State(_S.CRASHED, "", "the process was told to end (SIGTERM)", details={"signal": "SIGTERM"}))
        raise
    except SystemExit as error:
        if error.code in {None, 0}:
            return results.Completed("the code exited with 0")
        message = f"the code exited with {error.code}"
        return State(_S.FAILED, "", message, details={"exit_code": error.code}).holding(error=error)
    except (KeyboardInterrupt, asyncio.CancelledError) as error:
        _report_end(run, State(_S.CANCELLED, "", f"interrupted ({type(error).__name__})"))
        raise
    except BaseException as error:
        _report_end(run, State(_S.CRASHED, "", results.describe(error), details=results.details(error)))
        raise


def _report_end(run: TaskRun | FlowRun, state: State) -> None:
    if isinstance(run, TaskRun):
        _finish(run, state)
    else:
        run.ended = state


def _concluded(value: Any) -> Steps:
    """The final state that a return value stands for."""
    if isinstance(value, State):
        return _returned(value)
    found = found_in(value)
    if not found:
        return results.Completed(data=value)
    yield Wait(found)
    bad = [one for one in map(final, found) if one is not None and not one.is_completed()]
    if not bad:
        return results.Completed(data=resolved(value))
    message = f"{len(bad)} of {len(found)} returned runs did not complete; the first: {bad[0].name} {bad[0].message}"
    error = bad[0]._error if bad[0]._error is not None else results.run_error(bad[0])
    return State(_S.FAILED, "", message.rstrip()).holding(error=error)


def _returned(state: State) -> State:
    """A returned state, which may be that of another run, or one that was made long ago, as that of this run."""
    if state.is_final():
        return state.anew()
    return State(_S.FAILED, "", f"the code returned the state {state.name}, which is no end of a run")


def _first_failed(upstream: list[Upstream]) -> State | None:
    for one in upstream:
        state = final(one)
        if state is not None and not state.is_completed():
            name = one.name if isinstance(one, TaskFuture) else "a run it depends on"
            message = f"not run: {name} ended {state.name}"
            return State(_S.CANCELLED, "UpstreamFailed", f"{message}: {state.message}" if state.message else message)
    return None


def _finish(run: TaskRun, state: State) -> State:
    run.state = state.holding(run_id=run.id)
    run.put(state.type, state.name, state.message, state.details, to_text(state.at))
    if state.type is _S.FAILED and run.flow_run is not None:
        get_run_logger().error(
            "%s failed: %s", run.name, state.message, extra={"task_run": run, "flow_run": run.flow_run}
        )
    return state


def flow_steps(
    run: FlowRun, policy: Policy, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Steps:
    """The life of one flow run from RUNNING on; returns its final state, which is not reported yet.

    On an agent that may be SCHEDULED, ``AwaitingRetry``: the next try is so far off that another process will make it.
    """
    held = run.supervised and run.parent is None
    # an agent's supervisor enforces the time-out of its run from outside; here it only tells one try from the next
    outside = held and not policy.retries.most
    call = Call(fn, args, kwargs, None if outside else policy.timeout)
    while True:
        run.tries += 1
        run.waits = None  # it asks and listens from the beginning
        if policy.hooks is not None:
            yield from policy.hooks.calls("on_running", run, State(_S.RUNNING))
        state = yield from _attempt(call, run, f"flow run {run.name}")
        yield from _settled(run, state)
        if state.type is not _S.FAILED:
            return state
        retry = yield from again(policy.retries, run, state, run.tries)
        if retry is None:
            return state
        text = f"try {run.tries + 1} of {retry.of} begins in {retry.wait:g} s, after: {state.message}"
        get_run_logger().warning(text)
        due = to_text(now() + timedelta(seconds=retry.wait))
        details = {"due": due, "wait_s": retry.wait, "tries": run.tries}
        waiting = State(_S.SCHEDULED, "AwaitingRetry", text, details={**details, **(state.details or {})})
        if held and retry.wait > run.settings.retry_hold.total_seconds():
            return waiting
        # on an agent it keeps its slot and lease while it waits: SCHEDULED would hand it to another one
        run.put_state(State(_S.RUNNING, "Retrying", text, details=details) if held else waiting)
        yield Sleep(retry.wait)
        run.put_state(State(_S.RUNNING, "Retrying", f"try {run.tries + 1} of {retry.of}"))


def _settled(run: FlowRun, state: State) -> Generator[Step, Any, None]:
    """Wait for tasks that were submitted; after a failure those that have not begun never do."""
    if not state.is_completed():
        abandon(run, "the flow run ended before it began")
    while run.pending:
        yield Wait(list(run.pending))


def abandon(run: FlowRun, why: str) -> None:
    """Cancel the submitted tasks of a flow run that have not begun."""
    for future in list(run.pending):
        if (begin := future.claim()) is not None:
            cancel = getattr(begin, "cancel", None)
            if cancel is not None:
                cancel(why)


class Begin:
    """Begins one submitted task run; or ends it before it began."""

    __slots__ = ("_context", "_drive", "future", "run")

    def __init__(self, run: TaskRun, future: TaskFuture[Any], drive_it: Callable[[], State], where: Any) -> None:
        self.run, self.future, self._drive, self._context = run, future, drive_it, where

    def __call__(self) -> None:
        try:
            state = self._context.run(self._drive)
        except BaseException as error:  # it was reported; a thread of the pool has nobody to raise to
            state = self.run.state or results.failure(error)
            state.holding(error=error)
        self.future.resolve(state)

    def cancel(self, why: str) -> None:
        """End the task run without running it."""
        self.future.resolve(_finish(self.run, State(_S.CANCELLED, "", f"not run: {why}")))
