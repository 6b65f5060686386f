"""Graphs as SVG documents."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from itertools import pairwise

from .layers import place
from .nodes import DATA, FLOW, PARAMETER, QUESTION, TASK, Edge, Node

HEIGHT, MARGIN, LETTER, PAD = 34.0, 16.0, 7.4, 14.0
#: Fill and border of each kind; dark text is read on all of them, whatever lies behind the picture.
_COLOURS = {
    TASK: ("#e7f0ff", "#3b6fd4"),
    FLOW: ("#f1e9ff", "#7a4fd0"),
    PARAMETER: ("#eef2f5", "#7b8794"),
    QUESTION: ("#fff3d6", "#a86a00"),
}


def svg(title: str, nodes: Sequence[Node], edges: Sequence[Edge], note: str = "") -> str:
    """The picture: a box a node, from top to bottom; edges of ``wait_for`` are dashed."""
    labels = [node.label for node in nodes]
    widths = [_width(label) for label in labels]
    numbers = {node.id: number for number, node in enumerate(nodes)}
    places = place(widths, HEIGHT, [(numbers[edge.source], numbers[edge.target]) for edge in edges])
    head = MARGIN + (22.0 if note else 0.0)
    width, height = max(places.width, 80.0) + 2 * MARGIN, places.height + head + MARGIN
    width = max(width, len(note) * 6.0 + 2 * MARGIN if note else 0.0)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" role="img" font-family="system-ui, sans-serif" font-size="13">',
        f"<title>{escape(_plain(title))}</title>",
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0L8 4L0 8z" fill="#7b8794"/></marker></defs>',
    ]
    if note:
        parts.append(
            f'<text x="{MARGIN:g}" y="{MARGIN + 4:g}" font-size="11" fill="#8a5a00">{escape(_plain(note))}</text>'
        )
    parts += [_edge(edge, way, head) for edge, way in zip(edges, places.edges, strict=True)]
    parts += [
        _node(node, label, wide, at, head)
        for node, label, wide, at in zip(nodes, labels, widths, places.nodes, strict=True)
    ]
    return "\n".join([*parts, "</svg>"]) + "\n"


def _width(label: str) -> float:
    """About as wide as the text will be; letters from U+1100 on, such as those of Chinese, take twice the room."""
    return sum(LETTER if ord(letter) < 0x1100 else 2 * LETTER for letter in label) + 2 * PAD


def _node(node: Node, label: str, wide: float, at: tuple[float, float], head: float) -> str:
    fill, border = _COLOURS[node.kind]
    x, y = at[0] + MARGIN, at[1] + head
    dash = ' stroke-dasharray="4 3"' if node.kind == PARAMETER else ""
    round_ = HEIGHT / 2 if node.kind == FLOW else 0 if node.kind == QUESTION else 6
    return (
        f'<g class="{node.kind}"><title>{escape(_plain(node.name))}</title>'
        f'<rect x="{x - wide / 2:.1f}" y="{y - HEIGHT / 2:.1f}" width="{wide:.1f}" height="{HEIGHT:g}" rx="{round_:g}" '
        f'fill="{fill}" stroke="{border}"{dash}/>'
        f'<text x="{x:.1f}" y="{y + 4.5:.1f}" text-anchor="middle" fill="#1b2733">{escape(label)}</text></g>'
    )


def _edge(edge: Edge, way: list[tuple[float, float]], head: float) -> str:
    points = [(x + MARGIN, y + head) for x, y in way]
    points[0] = (points[0][0], points[0][1] + HEIGHT / 2)
    points[-1] = (points[-1][0], points[-1][1] - HEIGHT / 2 - 1)
    path = f"M{points[0][0]:.1f} {points[0][1]:.1f}"
    for (x0, y0), (x1, y1) in pairwise(points):
        half = (y0 + y1) / 2
        path += f" C{x0:.1f} {half:.1f} {x1:.1f} {half:.1f} {x1:.1f} {y1:.1f}"
    dash = "" if edge.kind == DATA else ' stroke-dasharray="5 4"'
    return f'<path d="{path}" fill="none" stroke="#7b8794" stroke-width="1.4" marker-end="url(#tip)"{dash}/>'


def _plain(text: str) -> str:
    """Text without what XML cannot hold."""
    return "".join(letter if letter >= " " and not "\ud800" <= letter <= "\udfff" else " " for letter in text)
