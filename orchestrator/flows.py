"""Flows: functions whose every call is a run that is seen, however it is started."""

from __future__ import annotations

import inspect
import os
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import ExitStack, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Concatenate, Literal, ParamSpec, TypeVar, overload

from . import context, names, results, settings
from .context import FlowRun
from .engine import forks, streams, timeouts, transactions
from .engine.arguments import Upstream, found_in, resolved
from .engine.decorated import Decorated, H, P, R, RunName, fill, source_version
from .engine.hooks import Hook
from .engine.runs import Steps, abandon, flow_steps, waited_for
from .engine.steps import drive, drive_async
from .engine.task_runners import TaskRunner
from .errors import InvalidInput, ParameterError
from .flow_graphs import FlowGraph, graph_of, tracing
from .keeping import result_storage
from .keeping import shelves as keeping
from .observing import tracking
from .observing.logs import captured, get_run_logger
from .results import State
from .states import StateType
from .timing.retries import Delays, Rules
from .values import parameters

forks.heed()
_S = StateType
T = TypeVar("T")
Q = ParamSpec("Q")


class Flow(Decorated[P, R]):
    """A flow; :func:`flow` makes it."""

    kind = "flow"

    def __init__(
        self,
        fn: Callable[P, R],
        *,
        description: str | None = None,
        version: str = "",
        flow_run_name: RunName | None = None,
        validate_parameters: bool = True,
        task_runner: TaskRunner | None = None,
        persist_result: bool | None = None,
        crash_retries: int | None = None,
        on_running: Iterable[Hook] | None = None,
        on_completion: Iterable[Hook] | None = None,
        on_failure: Iterable[Hook] | None = None,
        on_crashed: Iterable[Hook] | None = None,
        on_cancellation: Iterable[Hook] | None = None,
        result_serializer: str = "json",
        durable: bool = True,
        **options: Any,
    ) -> None:
        hooks = {
            "on_running": on_running,
            "on_completion": on_completion,
            "on_failure": on_failure,
            "on_crashed": on_crashed,
            "on_cancellation": on_cancellation,
        }
        super().__init__(fn, hooks=hooks, **options)
        self.crash_retries = _crash_retries(crash_retries)
        self.description = _text(description, "description") or inspect.getdoc(fn) or ""
        self._version = _text(version, "version")
        self.persist_result = persist_result
        self.result_serializer = keeping.check_serializer(result_serializer, persist_result, f"flow {self.name}")
        self.durable = durable
        self.flow_run_name = flow_run_name
        self.validate_parameters = validate_parameters
        self.task_runner = task_runner
        self._options = {
            **options,
            "description": description,
            "version": version,
            "flow_run_name": flow_run_name,
            "validate_parameters": validate_parameters,
            "task_runner": task_runner,
            "persist_result": persist_result,
            "crash_retries": crash_retries,
            "result_serializer": result_serializer,
            "durable": durable,
            **hooks,
        }

    @property
    def pickles(self) -> bool:
        """Whether its results are pickled."""
        return self.result_serializer == "pickle"

    def on_running(self, hook: H) -> H:
        """A decorator: call ``hook(flow, flow_run, state)`` whenever a try of the flow begins."""
        return self._add_hook("on_running", hook)

    def on_completion(self, hook: H) -> H:
        """A decorator: call ``hook(flow, flow_run, state)`` when a run has COMPLETED."""
        return self._add_hook("on_completion", hook)

    def on_failure(self, hook: H) -> H:
        """A decorator: call ``hook(flow, flow_run, state)`` when a run has FAILED, after its last try."""
        return self._add_hook("on_failure", hook)

    def on_crashed(self, hook: H) -> H:
        """A decorator: call ``hook(flow, flow_run, state)`` when a run has CRASHED, outside of the dead process."""
        return self._add_hook("on_crashed", hook)

    def on_cancellation(self, hook: H) -> H:
        """A decorator: call ``hook(flow, flow_run, state)`` when a run was CANCELLED, outside of its process."""
        return self._add_hook("on_cancellation", hook)

    @property
    def version(self) -> str:
        """The version that was given; else ``sha-`` and the head of the hash of the file with its function."""
        return self._version or source_version(self.fn)

    if TYPE_CHECKING:  # what a method is bound to is taken off its parameters

        @overload
        def __get__(self, instance: None, owner: type | None = None) -> Flow[P, R]: ...

        @overload
        def __get__(self: Flow[Concatenate[Any, Q], T], instance: object, owner: type | None = None) -> Flow[Q, T]: ...

        def __get__(self, instance: Any, owner: type | None = None) -> Any: ...

    @overload
    def __call__(
        self: Flow[P, Coroutine[Any, Any, T]], /, *args: Any, return_state: Literal[True], **kwargs: Any
    ) -> Coroutine[Any, Any, State]: ...

    @overload
    def __call__(
        self: Flow[P, AsyncIterator[T]], /, *args: Any, return_state: Literal[True], **kwargs: Any
    ) -> Coroutine[Any, Any, State]: ...

    @overload
    def __call__(self, /, *args: Any, return_state: Literal[True], **kwargs: Any) -> State: ...

    @overload
    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> R: ...

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """Run the flow here and now; its return value.

        The run is recorded where an API is configured; where none is, one line on standard error says so. Inside
        another flow it is a run of its own below that one. ``return_state=True`` gives the final state in place of the
        value, and does not raise what the flow raised. Arguments may be or hold futures and states, which it waits for,
        as for those in ``wait_for``: when one does not complete, the flow run ends CANCELLED, ``UpstreamFailed``.

        A generator function gives a generator: the run begins with the first item that is asked for, and goes on until
        the body ends or the generator is closed. With ``return_state=True`` it is run to its end, and the value is the
        list of items.

        Raises:
            ParameterError: The arguments do not fit the signature or its type hints.
        """
        if tracing.active and (tracer := tracing.present()) is not None:
            return tracer.call(self, args, kwargs)
        return_state, wait_for = self._split(kwargs)
        streamed = self.is_generator and not return_state
        steps = self._steps(args, kwargs, wait_for, streamed)
        if self.is_async:
            return streams.stream_async(steps) if streamed else self._call_async(steps, return_state)
        self._must_interrupt()
        guard = nullcontext if context.flow_run() is not None else timeouts.termination
        if streamed:
            return streams.stream(steps, guard)
        with guard():
            state = drive(steps)
        return state if return_state else state.result()

    def visualize(self, *args: Any, **kwargs: Any) -> FlowGraph:
        """The graph of its tasks and subflows, none of which is run; a notebook shows it as a picture.

        The flow's own function is called, with stand-ins for what tasks return; arguments that are not given are
        stood in for, too. Where it needs to know more, its source is read instead, and the graph's ``note`` says why.

        Raises:
            InvalidInput: It needs to know what a task returns, and there is no source to read.
        """
        return graph_of(self, args, kwargs)

    async def _call_async(self, steps: Steps, return_state: bool) -> Any:
        state = await drive_async(steps)
        return state if return_state else state.result()

    def _steps(self, args: tuple[Any, ...], kwargs: dict[str, Any], wait_for: Any, streamed: bool) -> Steps:
        """The life of a run by hand, or of a subflow."""
        parent = context.flow_run()
        upstream: list[Upstream] = found_in((args, kwargs, wait_for))
        refused = (yield from waited_for(upstream)) if upstream else None
        if upstream and refused is None:
            args, kwargs = resolved(args), resolved(kwargs)
        values, problem = self._bound(args, kwargs, refused is None)
        run = self._run(parent, values)
        if refused is not None or problem is not None:
            state = (refused or results.failure(problem)).holding(run_id=run.id)  # type: ignore[arg-type]
            _announce(run, state)
            if self.policy.hooks is not None:
                yield from self.policy.hooks.of_flow_end(run, state)
            return state
        with tracking.kept_alive(run):
            _announce(run, State(_S.RUNNING))
            # what is streamed has no value that could be kept, or given in place of the items
            known = run.call_key and not streamed
            if known and (found := (yield from keeping.earlier_subflow(run, self.pickles))) is not None:
                run.put_state(*found, run.call_key)
                return found[0]
            try:
                with ExitStack() as stack:
                    state = yield from run_steps(self, run, values, stack, streamed)
                    result = concluded(self, run, state)
            except BaseException as error:
                if run.ended is not None:
                    run.put_state(run.ended)
                    if self.policy.hooks is not None and not isinstance(error, GeneratorExit):
                        yield from self.policy.hooks.of_flow_end(run, run.ended)
                raise
            run.put_state(state, result, keeping.key_of_end(run, state, result) if known else "")
            if self.policy.hooks is not None:
                yield from self.policy.hooks.of_flow_end(run, state)
        return state

    def _bound(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], to_run: bool
    ) -> tuple[dict[str, Any], ParameterError | None]:
        try:
            values = parameters.bind(self.fn, args, kwargs)
        except ParameterError as error:
            return dict(kwargs), error
        try:
            return (parameters.validate(self.fn, values) if to_run and self.validate_parameters else values), None
        except ParameterError as error:
            return values, error

    def _run(self, parent: FlowRun | None, values: dict[str, Any]) -> FlowRun:
        task = context.task_run()
        found = parent.settings if parent is not None else settings.load()
        prints = self.log_prints
        if prints is None:
            prints = parent.log_prints if parent is not None else found.log_prints
        name = None
        if self.flow_run_name is not None:
            facts = {"flow_name": self.name}
            with context.naming("flow", self.name, lambda: values):
                name = fill(self.flow_run_name, facts, lambda: values, f"flow_run_name of flow {self.name}")
        run = FlowRun(
            id=context.new_id(),
            flow_name=self.name,
            name=name or names.run_name(),
            parameters=values,
            settings=found,
            sink=parent.sink if parent is not None else tracking.sink(found),
            tags=context.present_tags(),
            results=parent.results if parent is not None else result_storage.chosen(found),
            supervised=parent is not None and parent.supervised,
            log_prints=prints,
            parent=parent,
            parent_task_run_id=task.id if task is not None else None,
        )
        # Inside a transaction a subflow may still be undone, so that a later attempt has to run it again.
        if parent is not None and parent.keeping is not None and transactions.present() is None:
            run.call_key = keeping.call_of_subflow(self, parent, task, values)
        run.keeping = self.keeping_of(run)
        return run

    def keeping_of(self, run: FlowRun) -> keeping.Keeping | None:
        """What a run of this flow keeps of its calls."""
        retries, persist = self.policy.retries.most, self.persist_result
        return keeping.of_flow_run(run, durable=self.durable, persist=persist, retries=retries, scope=run.call_key)


def run_steps(
    flow: Flow[Any, Any], run: FlowRun, values: dict[str, Any], stack: ExitStack, streamed: bool = False
) -> Steps:
    """Run a flow with checked parameters as ``run``, which is RUNNING; its final state, not yet reported.

    The run stays the present one until ``stack`` is closed. The value of a generator function is the list of its items,
    unless it is ``streamed`` to whoever drives the steps.
    """
    run.runner = flow.task_runner.fresh() if flow.task_runner is not None else None
    stack.enter_context(context.running(run))
    stack.enter_context(captured(run))
    args, kwargs = parameters.arguments(flow.fn, values)
    fn = flow.fn if streamed else flow.whole_fn
    if flow.policy.retries.most and run.keeping is not None:
        fn = run.keeping.trying(fn)
    try:
        state = yield from flow_steps(run, flow.policy, fn, args, kwargs)
    finally:
        abandon(run, "the flow run ended before it began")
        if run.runner is not None:
            run.runner.close()
    return state.holding(run_id=run.id)


def concluded(flow: Flow[Any, Any], run: FlowRun, state: State) -> dict[str, Any] | None:
    """Log how a run ended, and keep its result; what of the result goes to the server."""
    log, found = get_run_logger(), run.settings
    if state.type is _S.FAILED:
        log.error("flow run %s failed: %s", run.name, state.message)
    if not state.is_completed():
        return None
    if flow.pickles:
        return keeping.keep_pickled(run, state.result())
    elsewhere = results.Elsewhere(found.path("results", f"{run.id}.json"))
    if run.results is not None and run.sink is not None:
        # each attempt has a file of its own: one that was given up, and still goes on, spoils no other's result
        name, storage = f"{run.id}-{run.attempt}.json", run.results
        elsewhere = replace(elsewhere, block=storage.ref, store=lambda data: storage.write(name, data, found))
    return results.keep(state.result(), found.results_inline_max, log, flow.persist_result, elsewhere)


def _announce(run: FlowRun, state: State) -> None:
    run.put(
        {
            "kind": "flow-run",
            "id": run.id,
            "flow": run.flow_name,
            "name": run.name,
            "parameters": parameters.reported(run.parameters) if run.sink is not None else {},
            "tags": sorted(run.tags),
            "parent_flow_run_id": run.parent.id if run.parent is not None else None,
            "parent_task_run_id": run.parent_task_run_id,
            "process": _process(),
            "state": state.write(),
        }
    )


def _text(value: str | None, option: str) -> str:
    if value is not None and not isinstance(value, str):
        raise InvalidInput(f"{option} is {value!r}: it has to be a text, so put it in quotes")
    return value or ""


def _crash_retries(value: int | None) -> int | None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 100):
        raise InvalidInput(f"crash_retries is {value!r}: it has to be a whole number from 0 to 100")
    return value


def _process() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


@overload
def flow(fn: Callable[P, R], /) -> Flow[P, R]: ...


@overload
def flow(
    *,
    name: str | None = None,
    description: str | None = None,
    version: str = "",
    flow_run_name: RunName | None = None,
    retries: int | None = None,
    retry_delay_seconds: Delays | None = None,
    retry_jitter_factor: float | None = None,
    retry_delay_max: float | None = None,
    retry_on: Rules | None = None,
    retry_condition_fn: Callable[..., Any] | None = None,
    crash_retries: int | None = None,
    timeout_seconds: float | None = None,
    validate_parameters: bool = True,
    task_runner: TaskRunner | None = None,
    log_prints: bool | None = None,
    persist_result: bool | None = None,
    result_serializer: Literal["json", "pickle"] = "json",
    durable: bool = True,
    on_running: Iterable[Hook] | None = None,
    on_completion: Iterable[Hook] | None = None,
    on_failure: Iterable[Hook] | None = None,
    on_crashed: Iterable[Hook] | None = None,
    on_cancellation: Iterable[Hook] | None = None,
) -> Callable[[Callable[P, R]], Flow[P, R]]: ...


def flow(fn: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Make a function a flow: ``@flow`` or ``@flow(name="Load")``.

    Args:
        fn: The function, ordinary or ``async``, a method, a generator function.
        name: Name of the flow; the function's, with hyphens, when not given.
        description: Of the deployments that are built of it; the docstring when not given.
        version: Of the deployments that are built of it; from the hash of its source file when not given.
        flow_run_name: Names its runs by hand and as a subflow: a template such as ``load {table}`` over the parameters,
            ``flow_name`` and ``now``, or a function, of nothing or of ``parameters``. Runs of deployments have a name
            before any code is loaded.
        retries: Tries after the first.
        retry_delay_seconds: Seconds before each retry: a number, a list, or a function from ``retries`` to a list.
        retry_jitter_factor: Lengthens each delay by up to this share of it, at random.
        retry_delay_max: Seconds that no delay exceeds.
        retry_on: What is done after which type of exception: ``RETRY``, ``FAIL``, ``after_header`` or seconds.
        retry_condition_fn: Called with ``(flow, flow_run, state)`` before each retry; False forbids it.
        crash_retries: Of the deployments that are built of it: how often a run that CRASHED is queued again.
        timeout_seconds: Seconds that one try may take; then the run ends FAILED, ``TimedOut``.
        validate_parameters: Whether arguments are checked against the type hints, and coerced.
        task_runner: Where submitted tasks run; threads when not given.
        log_prints: Whether what it prints reaches the log, by hand; the setting of that name when not given. On an
            agent all that its process writes does.
        persist_result: False keeps nothing of the return value, nor of those of its tasks that do not say otherwise;
            True keeps even large ones where no storage block is there for them, below ``ORCHESTRATOR_HOME/results``.
        result_serializer: ``json``, or ``pickle`` for what has no JSON form.
        durable: Whether another attempt of a run, or another try, does not run again what is finished: its tasks and
            subflows whose results are kept.
        on_running: Functions, called with ``(flow, flow_run, state)`` when a try begins.
        on_completion: The same, when a run has COMPLETED.
        on_failure: When it has FAILED, after its last try.
        on_crashed: When it has CRASHED.
        on_cancellation: When it was CANCELLED.

    Raises:
        InvalidInput: An option has a value that cannot be used.
    """
    if fn is None:
        return lambda function: Flow(function, **options)
    return Flow(fn, **options)
