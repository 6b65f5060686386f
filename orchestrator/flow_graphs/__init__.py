"""Pictures of flows: what would run after what, found out without running a task.

``calling`` calls the flow's function while its tasks ask ``tracing`` what to give back; where that cannot go on,
``reading`` reads its source. Either gives a ``FlowGraph``, which ``mermaid`` and ``drawing`` (with the places that
``layers`` finds) write down.
"""

from __future__ import annotations

from typing import Any

from ..engine.decorated import Decorated
from ..errors import InvalidInput
from . import calling, reading
from .graph import FlowGraph
from .nodes import Edge, Node

__all__ = ["Edge", "FlowGraph", "Node", "graph_of"]


def graph_of(
    flow: Decorated[Any, Any], args: tuple[Any, ...], kwargs: dict[str, Any], show_parameters: bool = False
) -> FlowGraph:
    """The graph of a flow's tasks and subflows. No body of either is run; the function of the flow itself is.

    Args:
        flow: The flow.
        args: Positional arguments for it; those that are missing are stood in for.
        kwargs: Arguments by name.
        show_parameters: Whether its parameters are nodes, too.

    Raises:
        InvalidInput: It does something with what a task would return, and its source cannot be read in place of that.
        ParameterError: An argument does not fit.
    """
    try:
        return calling.traced(flow, args, kwargs, show_parameters)
    except calling.CannotGoOn as problem:
        found = reading.read(flow, show_parameters)
        if found is None:
            raise InvalidInput(str(problem)) from None
        return FlowGraph(
            flow.name, found.nodes, found.edges, f"{problem} Meanwhile this is read from its source, with every branch."
        )
