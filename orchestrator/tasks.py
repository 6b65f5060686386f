"""Tasks: functions whose every call inside a flow run is seen, retried, timed out, and may run on its own."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import io
import os
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Concatenate, Literal, ParamSpec, TypeVar, overload

from . import context, slots
from .background import BackgroundFuture, send
from .context import TaskRun
from .engine import streams
from .engine.arguments import Upstream, allow_failure, bare, found_in, quote, run_id
from .engine.around import Told, limited, moves, telling
from .engine.decorated import Decorated, H, P, R, RunName, checked_tags, fill
from .engine.hooks import Hook
from .engine.runs import Begin, Steps, task_steps
from .engine.steps import drive, drive_async
from .engine.task_runners import TaskRunner, ThreadRunner
from .engine.timeouts import refuse
from .errors import ParameterError
from .flow_graphs import tracing
from .futures import FutureList, TaskFuture, unmapped
from .keeping import caching, kept_calls
from .keeping import shelves as keeping
from .results import State, failure
from .states import StateType
from .timing.retries import Delays, Rules
from .values import parameters

T = TypeVar("T")
Q = ParamSpec("Q")
#: Tasks on event loops, which hold tasks only weakly.
_on_loops: set[asyncio.Task[None]] = set()
_outside: list[TaskRunner] = []
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_outside.clear)


class Task(Decorated[P, R]):
    """A task; :func:`task` makes it."""

    kind = "task"

    def __init__(
        self,
        fn: Callable[P, R],
        *,
        tags: Iterable[str] | None = None,
        task_run_name: RunName | None = None,
        persist_result: bool | None = None,
        result_serializer: str = "json",
        cache_policy: caching.CachePolicy | None = None,
        cache_key_fn: caching.KeyFunction | None = None,
        cache_expiration: timedelta | None = None,
        refresh_cache: bool | None = None,
        reads: Iterable[Told] | None = None,
        writes: Iterable[Told] | None = None,
        on_running: Iterable[Hook] | None = None,
        on_completion: Iterable[Hook] | None = None,
        on_failure: Iterable[Hook] | None = None,
        on_commit: Iterable[Hook] | None = None,
        on_rollback: Iterable[Hook] | None = None,
        viz_return_value: Any = tracing.NO_VALUE,
        **options: Any,
    ) -> None:
        hooks = {
            "on_running": on_running,
            "on_completion": on_completion,
            "on_failure": on_failure,
            "on_commit": on_commit,
            "on_rollback": on_rollback,
        }
        super().__init__(fn, hooks=hooks, **options)
        #: Its docstring.
        self.description = inspect.getdoc(self.fn) or ""
        self.tags = checked_tags(tags)
        self.task_run_name = task_run_name
        serializer = keeping.check_serializer(result_serializer, persist_result, f"task {self.name}")
        cached = caching.chosen(self, cache_policy, cache_key_fn, cache_expiration, refresh_cache, persist_result)
        self.keep = keeping.Keep(self, persist_result, serializer, cached)
        self.viz_return_value = viz_return_value
        #: The resources that it reads and writes; None: none are named.
        self.moves = moves(self.fn, reads, writes)
        self._options = {
            **options,
            "tags": tags,
            "task_run_name": task_run_name,
            "persist_result": persist_result,
            "result_serializer": result_serializer,
            "cache_policy": cache_policy,
            "cache_key_fn": cache_key_fn,
            "cache_expiration": cache_expiration,
            "refresh_cache": refresh_cache,
            "reads": reads,
            "writes": writes,
            "viz_return_value": viz_return_value,
            **hooks,
        }

    def on_running(self, hook: H) -> H:
        """A decorator: call ``hook(task, task_run, state)`` whenever a try of the task begins."""
        return self._add_hook("on_running", hook)

    def on_completion(self, hook: H) -> H:
        """A decorator: call ``hook(task, task_run, state)`` when a run has COMPLETED."""
        return self._add_hook("on_completion", hook)

    def on_failure(self, hook: H) -> H:
        """A decorator: call ``hook(task, task_run, state)`` when a run has FAILED, after its last try."""
        return self._add_hook("on_failure", hook)

    def on_commit(self, hook: H) -> H:
        """A decorator: call ``hook(transaction)`` when what a run did is committed."""
        return self._add_hook("on_commit", hook)

    def on_rollback(self, hook: H) -> H:
        """A decorator: call ``hook(transaction)`` to undo what a run did, when its transaction is rolled back."""
        return self._add_hook("on_rollback", hook)

    if TYPE_CHECKING:  # what a method is bound to is taken off its parameters

        @overload
        def __get__(self, instance: None, owner: type | None = None) -> Task[P, R]: ...

        @overload
        def __get__(self: Task[Concatenate[Any, Q], T], instance: object, owner: type | None = None) -> Task[Q, T]: ...

        def __get__(self, instance: Any, owner: type | None = None) -> Any: ...

    @overload
    def __call__(
        self: Task[P, Coroutine[Any, Any, T]], /, *args: Any, return_state: Literal[True], **kwargs: Any
    ) -> Coroutine[Any, Any, State]: ...

    @overload
    def __call__(
        self: Task[P, AsyncIterator[T]], /, *args: Any, return_state: Literal[True], **kwargs: Any
    ) -> Coroutine[Any, Any, State]: ...

    @overload
    def __call__(self, /, *args: Any, return_state: Literal[True], **kwargs: Any) -> State: ...

    @overload
    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> R: ...

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """Run the task here and now; its return value.

        Two more arguments are taken where the function has none of that name: ``return_state=True`` gives the final
        state in place of the value, and never raises what the task raised; ``wait_for`` lists futures to wait for.

        A generator function gives a generator: the run begins with the first item that is asked for, and goes on until
        the body ends or the generator is closed. With ``return_state=True`` it is run to its end, and the value is the
        list of items.

        Raises:
            CancelledRun: A task run whose result it takes, or that it waits for, did not complete.
        """
        if tracing.active and (tracer := tracing.present()) is not None:
            return tracer.call(self, args, kwargs)
        return_state, wait_for = self._split(kwargs)
        streamed = self.is_generator and not return_state
        _, steps = self._prepare(args, kwargs, wait_for, streamed=streamed)
        if self.is_async:
            return streams.stream_async(steps) if streamed else _result(steps, return_state)
        self._must_interrupt()
        if streamed:
            return streams.stream(steps)
        state = drive(steps)
        return state if return_state else state.result()

    @overload
    def submit(self: Task[P, Coroutine[Any, Any, T]], /, *args: P.args, **kwargs: P.kwargs) -> TaskFuture[T]: ...

    @overload
    def submit(self: Task[P, AsyncIterator[T]], /, *args: P.args, **kwargs: P.kwargs) -> TaskFuture[list[T]]: ...

    @overload
    def submit(self: Task[P, Iterator[T]], /, *args: P.args, **kwargs: P.kwargs) -> TaskFuture[list[T]]: ...

    @overload
    def submit(self, /, *args: P.args, **kwargs: P.kwargs) -> TaskFuture[R]: ...

    @overload
    def submit(self, /, *args: Any, **kwargs: Any) -> TaskFuture[Any]: ...

    def submit(self, /, *args: Any, **kwargs: Any) -> Any:
        """Run the task beside the flow; returns a future at once. The result of a generator function is a list.

        Arguments may be or hold futures: the task begins when they are done, and gets their results. ``wait_for`` lists
        more to wait for. When one of them does not complete the task is not run: it ends CANCELLED, ``UpstreamFailed``.

        Raises:
            InvalidInput: A synchronous task has a time-out, which nothing could enforce in a thread; or it is no task
                that the flow's runner can take elsewhere.
        """
        if tracing.active and (tracer := tracing.present()) is not None:
            return tracer.submit(self, args, kwargs)
        _, wait_for = self._split(kwargs)
        return self._submit(args, kwargs, wait_for)

    @overload
    def map(self: Task[P, Coroutine[Any, Any, T]], /, *args: Any, **kwargs: Any) -> FutureList[T]: ...

    @overload
    def map(self: Task[P, AsyncIterator[T]], /, *args: Any, **kwargs: Any) -> FutureList[list[T]]: ...

    @overload
    def map(self: Task[P, Iterator[T]], /, *args: Any, **kwargs: Any) -> FutureList[list[T]]: ...

    @overload
    def map(self, /, *args: Any, **kwargs: Any) -> FutureList[R]: ...

    def map(self, /, *args: Any, **kwargs: Any) -> Any:
        """Submit the task once for each element of the arguments; a list of futures.

        Lists, generators and whatever else can be gone through are gone through together, to their ends, and have to be
        of one length; texts, bytes, mappings, open files, single values and what is :class:`unmapped` go to every call
        whole. A future of a collection is waited for. ``allow_failure`` and ``quote`` around a collection are put
        around each element.

        Raises:
            ParameterError: There is nothing to go through, or lengths differ.
        """
        if tracing.active and (tracer := tracing.present()) is not None:
            return tracer.map(self, args, kwargs)
        _, wait_for = self._split(kwargs)
        named = {**{f"argument {number}": value for number, value in enumerate(args, 1)}, **kwargs}
        columns = {name: _column(value) for name, value in named.items()}
        lengths = {name: len(column) for name, column in columns.items() if column is not None}
        if not lengths:
            raise ParameterError(f"map of {self.name}: none of the arguments is a list or another collection")
        if len(set(lengths.values())) > 1:
            told = ", ".join(f"{name} has {length}" for name, length in lengths.items())
            raise ParameterError(f"map of {self.name}: all collections have to be of one length, but {told}")
        if through := [named[name] for name in lengths if isinstance(bare(named[name]), (TaskFuture, State))]:
            wait_for = [*found_in(wait_for), *through]
        rows: FutureList[Any] = FutureList()
        for number in range(next(iter(lengths.values()))):
            row = {name: _whole(named[name]) if column is None else column[number] for name, column in columns.items()}
            positional = tuple(row.pop(f"argument {place}") for place in range(1, len(args) + 1))
            rows.append(self._submit(positional, row, wait_for))
        return rows

    def delay(self, /, *args: P.args, **kwargs: P.kwargs) -> BackgroundFuture[Any]:
        """Have the task called in the background, by whoever serves it; returns a future at once.

        Arguments and the result are JSON. Whether the run is done, and what came of it, is asked of the server; nobody
        has to keep the future.

        Raises:
            ParameterError: The arguments do not fit the signature.
            InvalidInput: An argument has no JSON form.
            NotFound: Nobody has served the task yet.
            SettingsError: No API is configured.
        """
        return self.apply_async(args, kwargs)

    def apply_async(
        self, args: Iterable[Any] = (), kwargs: Mapping[str, Any] | None = None, wait_for: Any = None
    ) -> BackgroundFuture[Any]:
        """As :meth:`delay`, with the arguments as a list and a dict.

        Args:
            args: Positional arguments.
            kwargs: Arguments by name.
            wait_for: Futures that are waited for before the call is sent.
        """
        if tracing.active and (tracer := tracing.present()) is not None:
            drawn: Any = tracer.submit(self, tuple(args), dict(kwargs or {}))
            return drawn  # type: ignore[no-any-return]
        return send(self, tuple(args), dict(kwargs or {}), self.tags, wait_for)

    def _prepare(
        self,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        wait_for: Any,
        carried: Callable[..., Any] | None = None,
        streamed: bool = False,
    ) -> tuple[TaskRun, Steps]:
        flow_run = context.flow_run()
        upstream: list[Upstream] = found_in(args) if args else []
        if kwargs:
            upstream += found_in(kwargs)
        if wait_for is not None:
            upstream += found_in(wait_for)
        ids = list(dict.fromkeys(filter(None, map(run_id, upstream)))) if upstream else []
        tags = self.tags | context.present_tags()
        prints = self.log_prints if self.log_prints is not None else flow_run is None or flow_run.log_prints
        run = TaskRun(self._run_name(flow_run, args, kwargs), self.key, sorted(tags), ids, flow_run, prints)
        run.task_name = self.name
        kept = flow_run.keeping if flow_run is not None else None
        if (kept is not None or self.keep.is_asked) and not streamed:
            run.kept = kept_calls.of_task_run(run, self.keep, kept, self.fn)
            if run.kept is not None and not upstream:
                run.kept.identify(args, kwargs)
        fn = self.whole_fn if self.is_generator and not streamed else self.fn
        policy = self.policy
        if carried is not None:  # elsewhere, where its time-out is enforced, too
            fn, policy = carried, replace(policy, timeout=None)
        steps = task_steps(run, policy, fn, args, kwargs, upstream)
        if tags and flow_run is not None and flow_run.settings.api_url:
            limits = slots.of_tags(tags, flow_run.settings)
            steps = limited(steps, run, limits) if limits else steps
        if self.moves is not None:
            steps = telling(steps, run, self.moves, self.fn, args, kwargs)
        return run, steps

    def _run_name(self, flow_run: context.FlowRun | None, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
        if self.task_run_name is not None:
            facts = {"task_name": self.name}
            if flow_run is not None:
                facts.update(flow_name=flow_run.flow_name, flow_run_name=flow_run.name, flow_run_id=flow_run.id)
            bound = partial(parameters.bind, self.fn, args, kwargs)
            with context.naming("task", self.name, bound):
                return fill(self.task_run_name, facts, bound, f"task_run_name of task {self.name}") or self.name
        return f"{self.name}-{flow_run.number(self.name)}" if flow_run is not None else self.name

    def _submit(self, args: tuple[Any, ...], kwargs: dict[str, Any], wait_for: Any) -> TaskFuture[Any]:
        runner = _runner(context.flow_run())
        carried = runner.carried(self.fn, self.policy.timeout, self.name)
        is_async = self.is_async and carried is None
        if self.policy.timeout is not None and carried is None and not is_async:
            raise refuse(f"task {self.name}", "when it is submitted to threads")
        run, steps = self._prepare(args, kwargs, wait_for, carried)
        future: TaskFuture[Any] = TaskFuture(run.id, run.name)
        future.follows(run)
        run.put(StateType.PENDING, "Pending")
        if run.flow_run is not None:
            run.flow_run.pending.add(future)
            future.add_done_callback(run.flow_run.pending.discard)
        loop = asyncio._get_running_loop() if is_async else None
        if loop is not None:
            _on_loop(loop, run, future, steps)
            return future
        here = contextvars.copy_context()
        begin = (lambda: asyncio.run(drive_async(steps))) if is_async else (lambda: drive(steps))
        future.prepare(Begin(run, future, begin, here))
        runner.submit(future)
        return future


async def _result(steps: Steps, return_state: bool) -> Any:
    state = await drive_async(steps)
    return state if return_state else state.result()


def _on_loop(loop: asyncio.AbstractEventLoop, run: TaskRun, future: TaskFuture[Any], steps: Steps) -> None:
    async def go() -> None:
        state: State | None = None
        try:
            state = await drive_async(steps)
        except BaseException as error:
            state = (run.state or failure(error)).holding(error=error)
            raise
        finally:
            if state is not None:
                future.resolve(state)

    future.runs_on(loop)
    work = loop.create_task(go())
    _on_loops.add(work)
    work.add_done_callback(_on_loops.discard)


def _runner(flow_run: context.FlowRun | None) -> TaskRunner:
    if flow_run is not None:
        if flow_run.runner is None:
            flow_run.runner = ThreadRunner()
        return flow_run.runner
    if not _outside:
        _outside.append(ThreadRunner())
    return _outside[0]


_WHOLE = (unmapped, str, bytes, bytearray, Mapping, io.IOBase)


def _column(value: Any) -> list[Any] | None:
    """What to go through in ``map``; None for what goes to every call whole."""
    if isinstance(value, (allow_failure, quote)):
        as_it_is = isinstance(value, quote) and isinstance(value.value, (TaskFuture, State))
        inner = None if as_it_is else _column(value.value)
        return None if inner is None else [type(value)(item) for item in inner]
    if isinstance(value, (TaskFuture, State)):
        value = value.result()
    if isinstance(value, _WHOLE) or not isinstance(value, Iterable) or hasattr(type(value), "__pydantic_fields__"):
        return None
    return list(value)


def _whole(value: Any) -> Any:
    if isinstance(value, unmapped):
        return value.value
    if isinstance(value, (allow_failure, quote)) and isinstance(value.value, unmapped):
        return type(value)(value.value.value)
    return value


@overload
def task(fn: Callable[P, R], /) -> Task[P, R]: ...


@overload
def task(
    *,
    name: str | None = None,
    tags: Iterable[str] | None = None,
    task_run_name: RunName | None = None,
    reads: Iterable[Told] | None = None,
    writes: Iterable[Told] | None = None,
    retries: int | None = None,
    retry_delay_seconds: Delays | None = None,
    retry_jitter_factor: float | None = None,
    retry_delay_max: float | None = None,
    retry_on: Rules | None = None,
    retry_condition_fn: Callable[..., Any] | None = None,
    timeout_seconds: float | None = None,
    log_prints: bool | None = None,
    persist_result: bool | None = None,
    result_serializer: Literal["json", "pickle"] = "json",
    cache_policy: caching.CachePolicy | None = None,
    cache_key_fn: caching.KeyFunction | None = None,
    cache_expiration: timedelta | None = None,
    refresh_cache: bool | None = None,
    on_running: Iterable[Hook] | None = None,
    on_completion: Iterable[Hook] | None = None,
    on_failure: Iterable[Hook] | None = None,
    on_commit: Iterable[Hook] | None = None,
    on_rollback: Iterable[Hook] | None = None,
    viz_return_value: Any = ...,
) -> Callable[[Callable[P, R]], Task[P, R]]: ...


def task(fn: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Make a function a task: ``@task`` or ``@task(retries=3)``.

    Args:
        fn: The function, ordinary or ``async``, a method, a generator function.
        name: Name of the task; the function's, with hyphens, when not given.
        tags: Tags of all its runs. Where there is a limit named ``tag:`` and a tag, each holds a slot of it.
        task_run_name: Names its runs: a template such as ``load {table}`` over the parameters, ``task_name``,
            ``flow_name``, ``flow_run_name``, ``flow_run_id`` and ``now``, or a function, of nothing or of
            ``parameters``.
        reads: Ids of resources that it reads, templates of ids such as ``s3://raw/{day}.csv`` over the parameters, or
            functions that take the parameters by name and give one id or several. When a run completes, an event tells.
        writes: Likewise, what it writes.
        retries: Tries after the first; as ``ORCHESTRATOR_TASK_RETRIES`` says when not given.
        retry_delay_seconds: Seconds before each retry: a number, a list, or a function from ``retries`` to a list
            (:func:`~orchestrator.exponential_backoff` makes one); as ``ORCHESTRATOR_TASK_RETRY_DELAY`` says
            when not given.
        retry_jitter_factor: Lengthens each delay by up to this share of it, at random.
        retry_delay_max: Seconds that no delay exceeds.
        retry_on: What is done after which type of exception: ``RETRY``, ``FAIL``, ``after_header`` or seconds.
        retry_condition_fn: Called with ``(task, task_run, state)`` before each retry; False forbids it.
        timeout_seconds: Seconds that one try may take; then it ends FAILED, ``TimedOut``.
        log_prints: Whether what it prints reaches the log, by hand; as its flow when not given. On an agent all that
            its process writes does.
        persist_result: Whether what it returns is kept, so that a later attempt of its flow run does not run it again.
            None: where it is small, or its run may have a later attempt; True: wherever it runs, whatever its size;
            False: never.
        result_serializer: ``json``, or ``pickle`` for what has no JSON form.
        cache_policy: Which calls, across flow runs, share one result; none do when not given.
        cache_key_fn: Gives the key of a call, of a ``CacheContext`` and the parameters by
            name; calls with one key share one result. None: that call is not cached.
        cache_expiration: How long a cached result is used. With neither policy nor function: ``DEFAULT`` is the policy.
        refresh_cache: Whether it runs even so, and replaces what is cached.
        on_running: Functions, called with ``(task, task_run, state)`` when a try begins.
        on_completion: The same, when a run has COMPLETED.
        on_failure: When it has FAILED, after its last try.
        on_commit: Called with the run's transaction when that is committed.
        on_rollback: The same, when it is rolled back.
        viz_return_value: What it seems to return while a flow is drawn (:meth:`Flow.visualize`).

    Raises:
        InvalidInput: An option has a value that cannot be used.
    """
    if fn is None:
        return lambda function: Task(function, **options)
    return Task(fn, **options)
