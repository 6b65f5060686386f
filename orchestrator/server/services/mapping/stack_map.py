"""The map of the stack: all resources and what they are to each other, now or as of a time, in one query each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy.orm import Session

from ....errors import InvalidInput, NotFound
from ..statements import fetch

#: Most resources that one map holds; those heard of last, where there are more.
MOST = 5_000
HOPS_MAX = 10

#: States as of a time are looked up for each resource; as of now they stand with it.
_NODES = """
SELECT r.id, r.kind, r.name, r.owner, coalesce(s.state, 'unknown') AS state, s.since
FROM resource r
LEFT JOIN LATERAL (
    SELECT r.state, r.state_since AS since WHERE %(as_of)s::timestamptz IS NULL
    UNION ALL
    (SELECT p.state, p.since FROM resource_state p WHERE p.resource_id = r.id AND p.since <= %(as_of)s
        ORDER BY p.since DESC LIMIT 1)
) s ON true
WHERE CASE WHEN %(as_of)s::timestamptz IS NULL THEN r.vanished IS NULL
    ELSE r.first_seen <= %(as_of)s AND coalesce(r.vanished > %(as_of)s, true)
        AND coalesce(s.state, '') <> 'vanished' END
ORDER BY r.last_seen DESC, r.id"""

_EDGES = """
SELECT source, target, role, weight, last_seen FROM relation
    WHERE %(as_of)s::timestamptz IS NULL OR first_seen <= %(as_of)s
UNION ALL SELECT 'orchestrator.deployment.' || deployment_id, resource_id, role, 0, NULL FROM deployment_resource
UNION ALL SELECT 'orchestrator.deployment.' || d.id, e.target, e.role, 0, NULL
    FROM deployment d CROSS JOIN LATERAL (VALUES ('orchestrator.flow.' || d.flow_id, 'part-of'),
        ('orchestrator.work-queue.' || d.work_queue_id, 'runs-in'),
        ('orchestrator.block.' || d.storage_block_id, 'storage'),
        ('orchestrator.block.' || d.infrastructure_block_id, 'infrastructure'),
        ('orchestrator.block.' || d.results_block_id, 'results')) e(target, role)
    WHERE e.target IS NOT NULL
UNION ALL SELECT DISTINCT 'orchestrator.deployment.' || deployment_id, 'orchestrator.block.' || block_id, 'template',
    0, NULL::timestamptz FROM template_reference
UNION ALL SELECT 'orchestrator.deployment.' || loader, 'orchestrator.block.' || block_id, 'loads', sum(count)::bigint,
    max(last) FROM block_load WHERE kind = 'run' GROUP BY loader, block_id
UNION ALL SELECT DISTINCT 'orchestrator.block.' || block_id, 'orchestrator.block.' || target_id, 'holds', 0,
    NULL::timestamptz FROM block_reference
UNION ALL SELECT id, 'orchestrator.block.' || source_block_id, 'source', 0, NULL FROM resource
    WHERE source_block_id IS NOT NULL
UNION ALL SELECT DISTINCT 'orchestrator.agent.' || a.id, 'orchestrator.work-queue.' || q.id, 'serves', 0,
    NULL::timestamptz FROM agent a CROSS JOIN LATERAL unnest(a.queues) n(name) JOIN work_queue q ON q.name = n.name"""


@dataclass(frozen=True)
class MapFilter:
    """What a map shows; what is None does not restrict."""

    #: Kinds; one that ends with ``*`` stands for all that begin so.
    kinds: Sequence[str] = ()
    #: A resource, and of what is around it only what is at most so many relations away.
    focus: str | None = None
    hops: int = 2
    as_of: datetime | None = None


def draw(session: Session, wanted: MapFilter | None = None) -> dict[str, Any]:
    """The map: ``nodes`` (id, kind, name, owner, state, since), ``edges`` (source, target, role, weight, last_seen),
    ``clusters`` (kind, count, states), ``total`` (resources before the cut), ``as_of``.

    Raises:
        NotFound: The focus was not there at that time.
        InvalidInput: Too many hops.
    """
    wanted = wanted or MapFilter()
    if not 0 <= wanted.hops <= HOPS_MAX:
        message = f"hops is {wanted.hops}: give 0 to {HOPS_MAX}"
        raise InvalidInput(message, {"hops": [message]})
    nodes = {
        key: {"id": key, "kind": kind, "name": name, "owner": owner, "state": state, "since": since}
        for key, kind, name, owner, state, since in fetch(session, _NODES, {"as_of": wanted.as_of})
        if not wanted.kinds or key == wanted.focus or _is_one(kind, wanted.kinds)
    }
    edges = _among(nodes, fetch(session, _EDGES, {"as_of": wanted.as_of}))
    if wanted.focus is not None:
        near = _near(wanted.focus, wanted.hops, nodes, edges)
        nodes = {key: node for key, node in nodes.items() if key in near}
    shown = dict(islice(nodes.items(), MOST))
    return {
        "nodes": list(shown.values()),
        "edges": [
            {"source": source, "target": target, "role": role, "weight": weight, "last_seen": last_seen}
            for source, target, role, weight, last_seen in _among(shown, edges)
        ],
        "clusters": _clusters(nodes.values()),
        "total": len(nodes),
        "as_of": wanted.as_of,
    }


def _among(nodes: Mapping[str, Any], edges: Iterable[Any]) -> list[Any]:
    """Those of the edges whose ends are both there."""
    return [edge for edge in edges if edge[0] in nodes and edge[1] in nodes]


def _near(focus: str, hops: int, nodes: Mapping[str, Any], edges: Sequence[Any]) -> set[str]:
    if focus not in nodes:
        raise NotFound(f"there is no resource {focus} on the map at that time")
    neighbours: dict[str, list[str]] = {}
    for source, target, *_ in edges:
        neighbours.setdefault(source, []).append(target)
        neighbours.setdefault(target, []).append(source)
    found, edge = {focus}, {focus}
    for _ in range(hops):
        edge = {other for key in edge for other in neighbours.get(key, ())} - found
        found |= edge
    return found


def _clusters(nodes: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """How many there are of each kind, and in which states, the largest first."""
    states: dict[str, Counter[str]] = {}
    for node in nodes:
        states.setdefault(node["kind"], Counter())[node["state"]] += 1
    found = [{"kind": kind, "count": sum(counts.values()), "states": dict(counts)} for kind, counts in states.items()]
    return sorted(found, key=lambda item: (-item["count"], item["kind"]))


def _is_one(kind: str, kinds: Sequence[str]) -> bool:
    return any(kind.startswith(one[:-1]) if one.endswith("*") else kind == one for one in kinds)
