"""The graph of a flow, and the forms it is written in."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from .drawing import svg
from .mermaid import mermaid
from .nodes import Edge, Node


@dataclass(frozen=True)
class FlowGraph:
    """What a flow would run, and in which order. A notebook shows it as a picture.

    Attributes:
        flow: The flow's name.
        nodes: Its task runs and subflows, in the order in which they are called, and perhaps its parameters.
        edges: What goes from one to another.
        note: Why the graph is less exact than it might be; empty when it is not.
    """

    flow: str
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    note: str = ""

    def mermaid(self) -> str:
        """The graph as text that Mermaid draws, such as GitHub does in a code block of that name."""
        return mermaid(self.nodes, self.edges, self.note)

    def svg(self) -> str:
        """The graph as a picture that needs nothing else: an SVG document."""
        return svg(self.flow, self.nodes, self.edges, self.note)

    def to_dict(self) -> dict[str, Any]:
        """The graph as JSON can hold it: ``flow``, ``nodes``, ``edges`` and ``note``."""
        return asdict(self)

    def __str__(self) -> str:
        return self.mermaid()

    def _repr_svg_(self) -> str:
        return self.svg()

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"image/svg+xml": self.svg(), "text/plain": self.mermaid()}


def named(nodes: list[Node]) -> tuple[Node, ...]:
    """The nodes, numbered like runs where several have one name."""
    many = {name for name, count in Counter((node.kind, node.name) for node in nodes).items() if count > 1}
    seen: Counter[tuple[str, str]] = Counter()
    found = []
    for node in nodes:
        key = (node.kind, node.name)
        found.append(Node(node.id, f"{node.name}-{seen[key]}", node.kind, node.times) if key in many else node)
        seen[key] += 1
    return tuple(found)
