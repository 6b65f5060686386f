"""Graphs as Mermaid text."""

from __future__ import annotations

from collections.abc import Sequence

from .nodes import DATA, FLOW, PARAMETER, QUESTION, TASK, Edge, Node

_SHAPES = {TASK: ('["', '"]'), FLOW: ('[["', '"]]'), PARAMETER: ('[/"', '"/]'), QUESTION: ('{{"', '"}}')}


def mermaid(nodes: Sequence[Node], edges: Sequence[Edge], note: str = "") -> str:
    """The flowchart, from top to bottom; subflows have double sides, parameters lean, questions are
    hexagons, ``wait_for`` is dotted."""
    lines = ["flowchart TD"]
    if note:
        lines.append(f"    %% {' '.join(note.replace('%%', '').split())}")
    for node in nodes:
        before, after = _SHAPES[node.kind]
        lines.append(f"    {node.id}{before}{_escaped(node.label)}{after}")
    for edge in edges:
        lines.append(f"    {edge.source} {'-->' if edge.kind == DATA else '-.->'} {edge.target}")
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    """Text as Mermaid's entities: a quote would end it, and a hash or an angle bracket begin something else."""
    return "".join(f"#{ord(letter)};" if letter in '"#<>&`\\' else letter for letter in text)
