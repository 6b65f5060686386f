"""Calling the function of a flow with stand-ins for its tasks and for what they return."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from .. import context, names, settings
from ..context import FlowRun
from ..engine.decorated import Decorated
from ..errors import ParameterError
from ..results import describe
from ..values import parameters
from .graph import FlowGraph, named
from .nodes import PARAMETER, QUESTION, Node
from .placeholders import Placeholder, Undecided
from .tracing import Tracer, tracing


class CannotGoOn(Exception):
    """The flow's function does not get to its end without what its tasks would return."""


def traced(
    flow: Decorated[Any, Any], args: tuple[Any, ...], kwargs: dict[str, Any], show_parameters: bool
) -> FlowGraph:
    """The graph of what the flow calls. Raises :class:`CannotGoOn`, or ParameterError for arguments that do not fit."""
    tracer = Tracer(flow.is_async)
    values = _arguments(flow, args, kwargs, tracer, show_parameters)
    positional, by_name = parameters.arguments(flow.fn, values)
    # not tracked: what the function logs, emits or shows goes nowhere
    run = FlowRun(
        context.new_id(),
        flow.name,
        names.run_name(),
        dict(values),
        settings.load(),
        None,
        log_prints=False,
        drawn=tracer,
    )
    try:
        with context.running(run), tracing(tracer):
            if flow.is_async:
                _await(lambda: flow.fn(*positional, **by_name))
            else:
                found = flow.fn(*positional, **by_name)
                if inspect.isgenerator(found):
                    list(found)
    except Undecided as problem:
        raise CannotGoOn(_undecided(flow, tracer, problem)) from None
    except Exception as error:
        raise CannotGoOn(f"the flow {flow.name} cannot go on without its tasks' values: {describe(error)}.") from error
    used = {one.source for one in tracer.edges.values()}
    kept = [node for node in tracer.nodes if node.kind != PARAMETER or node.id in used]
    return FlowGraph(flow.name, named(kept), tuple(tracer.edges.values()))


def _arguments(
    flow: Decorated[Any, Any], args: tuple[Any, ...], kwargs: dict[str, Any], tracer: Tracer, show: bool
) -> dict[str, Any]:
    """Values of all parameters; placeholders for those that are not given and have no default."""
    signature = inspect.signature(flow.fn)
    try:
        given = signature.bind_partial(*args, **kwargs)
    except TypeError as error:
        raise ParameterError(f"parameters do not fit {flow.name}: {error}") from None
    given.apply_defaults()
    values = dict(given.arguments)
    missing = [name for name in signature.parameters if name not in values]
    if not missing and getattr(flow, "validate_parameters", False):
        values = parameters.validate(flow.fn, values)
    for name in signature.parameters:
        node = Node(f"n{len(tracer.nodes)}", name, PARAMETER)
        if show:
            tracer.nodes.append(node)
        if name in missing:
            values[name] = Placeholder(f"parameter {name}", [node.id] if show else ())
        elif show:
            tracer.keep(values[name], frozenset([node.id]))
    return {name: values[name] for name in signature.parameters}


def _await(call: Any) -> None:
    async def all_of_it() -> None:
        found = call()
        if inspect.isasyncgen(found):
            async for _ in found:
                pass
        else:
            await found

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        asyncio.run(all_of_it())
        return
    with ThreadPoolExecutor(1) as beside:  # a loop runs here already, as in a notebook
        beside.submit(contextvars.copy_context().run, asyncio.run, all_of_it()).result()


def _undecided(flow: Decorated[Any, Any], tracer: Tracer, problem: Undecided) -> str:
    """One line: what the flow cannot do without, and the way out."""
    if problem.label.startswith("parameter "):
        name = problem.label.removeprefix("parameter ").partition(".")[0].partition("[")[0]
        return f"the flow {flow.name} cannot go on without a value of its parameter {name}: give one."
    kinds = {node.id: node for node in tracer.nodes}
    sources = sorted({kinds[one].name for one in problem.origin if one in kinds})
    name = sources[0] if sources else problem.label
    if any(kinds[one].kind == QUESTION for one in problem.origin if one in kinds):
        return f"the flow {flow.name} cannot go on without an answer to {name!r}: give it a default to draw with."
    return (
        f"the flow {flow.name} cannot go on without what {name} returns:"
        f" give that a value to draw with, as in @task(viz_return_value=[1, 2])."
    )
