"""Where the nodes of a graph stand: in layers, each below all that it waits for.

The steps are those of Sugiyama, Tagawa and Toda (1981): layers by the longest way from a source, edges over several
layers cut by bends, an order within each layer that avoids crossings (barycentres), then places in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

#: Sweeps over all layers that look for a better order, and for straighter edges.
SWEEPS = 8
GAP_X, GAP_Y = 28.0, 56.0
#: Width that a bend of an edge takes.
BEND = 12.0

Key = int | tuple[int, int]


@dataclass(frozen=True)
class Places:
    """Middles of the nodes, and the points that each edge goes through, by their numbers; the size of it all."""

    nodes: list[tuple[float, float]]
    edges: list[list[tuple[float, float]]]
    width: float
    height: float


def place(widths: Sequence[float], height: float, edges: Sequence[tuple[int, int]]) -> Places:
    """Find a place for everything.

    Args:
        widths: Of each node.
        height: Of all nodes.
        edges: Pairs of numbers of nodes; the first is always the smaller, so that there is no circle.
    """
    depth = _depths(len(widths), edges)
    rows: list[list[Key]] = [[] for _ in range(max(depth, default=-1) + 1)]
    for node, level in enumerate(depth):
        rows[level].append(node)
    ways = _ways(edges, depth, rows)
    up, down = _neighbours(ways)
    size: dict[Key, float] = dict(enumerate(widths))
    _order(rows, up, down)
    x = _settle(rows, up, down, size)
    left = min((x[key] - size.get(key, BEND) / 2 for row in rows for key in row), default=0.0)
    right = max((x[key] + size.get(key, BEND) / 2 for row in rows for key in row), default=0.0)
    y = {key: level * (height + GAP_Y) + height / 2 for level, row in enumerate(rows) for key in row}
    at = {key: (x[key] - left, y[key]) for row in rows for key in row}
    tall = max(0.0, len(rows) * (height + GAP_Y) - GAP_Y)
    return Places(
        [at[node] for node in range(len(widths))], [[at[key] for key in way] for way in ways], right - left, tall
    )


def _depths(count: int, edges: Sequence[tuple[int, int]]) -> list[int]:
    depth = [0] * count
    for source, target in sorted(edges, key=lambda edge: edge[1]):
        depth[target] = max(depth[target], depth[source] + 1)
    return depth


def _ways(edges: Sequence[tuple[int, int]], depth: list[int], rows: list[list[Key]]) -> list[list[Key]]:
    """The stations of each edge; its bends are put into the rows that it crosses."""
    ways = []
    for number, (source, target) in enumerate(edges):
        bends: list[Key] = [(number, level) for level in range(depth[source] + 1, depth[target])]
        for level, bend in enumerate(bends, depth[source] + 1):
            rows[level].append(bend)
        ways.append([source, *bends, target])
    return ways


def _neighbours(ways: list[list[Key]]) -> tuple[dict[Key, list[Key]], dict[Key, list[Key]]]:
    up: dict[Key, list[Key]] = {}
    down: dict[Key, list[Key]] = {}
    for way in ways:
        for upper, lower in pairwise(way):
            up.setdefault(lower, []).append(upper)
            down.setdefault(upper, []).append(lower)
    return up, down


def _order(rows: list[list[Key]], up: Mapping[Key, list[Key]], down: Mapping[Key, list[Key]]) -> None:
    place_in = {key: float(place) for row in rows for place, key in enumerate(row)}
    for sweep in range(SWEEPS):
        near = up if sweep % 2 == 0 else down
        for row in rows if sweep % 2 == 0 else reversed(rows):
            middle = {key: _mean([place_in[other] for other in near.get(key, ())], place_in[key]) for key in row}
            row.sort(key=lambda key, middle=middle: middle[key])  # type: ignore[misc]
            place_in.update((key, float(place)) for place, key in enumerate(row))


def _settle(
    rows: list[list[Key]], up: Mapping[Key, list[Key]], down: Mapping[Key, list[Key]], size: Mapping[Key, float]
) -> dict[Key, float]:
    x: dict[Key, float] = {}
    for row in rows:
        x.update(_apart(row, [0.0] * len(row), size))
    for sweep in range(SWEEPS):
        near = up if sweep % 2 == 0 else down
        for row in rows if sweep % 2 == 0 else reversed(rows):
            wanted = [_mean([x[other] for other in near.get(key, ())], x[key]) for key in row]
            x.update(_apart(row, wanted, size))
    return x


def _apart(row: list[Key], wanted: list[float], size: Mapping[Key, float]) -> dict[Key, float]:
    """Places near those that are wanted, in the row's order and without overlaps: between the two that come of going
    from left to right and from right to left, which both keep the distances.
    """
    steps = [(size.get(one, BEND) + size.get(other, BEND)) / 2 + GAP_X for one, other in pairwise(row)]
    right = wanted[:1]
    for step, want in zip(steps, wanted[1:], strict=True):
        right.append(max(want, right[-1] + step))
    left = wanted[-1:]
    for step, want in zip(reversed(steps), reversed(wanted[:-1]), strict=True):
        left.append(min(want, left[-1] - step))
    return {key: (one + other) / 2 for key, one, other in zip(row, right, reversed(left), strict=True)}


def _mean(values: list[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise
