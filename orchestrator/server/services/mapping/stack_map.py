"""The map of the stack: all resources and what they are to each other, now or as of a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from sqlalchemy.orm import Session

from ....clock import now as clock_now
from ....errors import InvalidInput, NotFound
from ..statements import fetch

#: Most resources that one map holds; those heard of last, where there are more.
MOST = 5_000
#: Most relations for each of them.
EACH = 8
HOPS_MAX = 10

#: States as of a time are looked up for each resource; as of now they stand with it.
_THERE = """
FROM resource r
LEFT JOIN LATERAL (
    SELECT r.state, r.state_since AS since WHERE %(as_of)s::timestamptz IS NULL
    UNION ALL
    (SELECT p.state, p.since FROM resource_state p WHERE p.resource_id = r.id AND p.since <= %(as_of)s
        ORDER BY p.since DESC LIMIT 1)
) s ON true
WHERE CASE WHEN %(as_of)s::timestamptz IS NULL THEN r.vanished IS NULL OR r.vanished > %(gone)s
    ELSE r.first_seen <= %(as_of)s AND coalesce(r.vanished > %(gone)s, true)
        AND NOT (coalesce(s.state, '') = 'vanished' AND s.since <= %(gone)s) END
    AND (%(kinds)s::text[] IS NULL OR r.kind LIKE ANY(%(kinds)s) OR r.id = %(focus)s)
    AND (NOT %(told)s OR r.origin <> 'own' OR r.kind = 'deployment'
        OR EXISTS (SELECT 1 FROM relation WHERE source = r.id)
        OR EXISTS (SELECT 1 FROM relation WHERE target = r.id))"""
_STATE = """
CASE WHEN r.vanished <= coalesce(%(as_of)s::timestamptz, 'infinity') THEN 'vanished'
    ELSE coalesce(s.state, 'unknown') END"""
_NODES = f"""
SELECT r.id, r.kind, r.name, r.owner, {_STATE} AS state, s.since {_THERE}
ORDER BY r.last_seen DESC, r.id LIMIT %(most)s"""
_CLUSTERS = f"SELECT r.kind, {_STATE} AS state, count(*) AS number {_THERE} GROUP BY 1, 2"

#: What events and looks told, and documents declare.
_TOLD = """
SELECT source, target, role, weight, last_seen FROM relation
    WHERE %(as_of)s::timestamptz IS NULL OR first_seen <= %(as_of)s
UNION ALL SELECT 'orchestrator.deployment.' || d.deployment_id, d.resource_id, d.role, 0, NULL
    FROM deployment_resource d WHERE NOT EXISTS (
        SELECT 1 FROM relation r WHERE r.source = 'orchestrator.deployment.' || d.deployment_id
            AND r.target = d.resource_id AND r.role = d.role
            AND (%(as_of)s::timestamptz IS NULL OR r.first_seen <= %(as_of)s))"""
#: How things of our own hang together.
_OWN = """
SELECT 'orchestrator.deployment.' || d.id AS source, e.target, e.role, 0::bigint AS weight,
    NULL::timestamptz AS last_seen
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
    #: Only relations that were told or declared; of our own things deployments, and what has such a relation.
    told: bool = False
    #: What vanished stays on the map for so long.
    lingers: timedelta = timedelta(0)
    most: int = MOST


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
    # What is near to one can be anything, so all are looked at.
    most = wanted.most if wanted.focus is None else None
    rows = fetch(session, _NODES, {**_values(wanted), "most": most})
    nodes = {
        key: {"id": key, "kind": kind, "name": name, "owner": owner, "state": state, "since": since}
        for key, kind, name, owner, state, since in rows
    }
    shown, edges = nodes, _edges(session, nodes, wanted, most)
    if wanted.focus is not None:
        near = _near(wanted.focus, wanted.hops, nodes, edges)
        nodes = {key: node for key, node in nodes.items() if key in near}
        shown = dict(islice(nodes.items(), wanted.most))
        edges = [edge for edge in edges if edge[0] in shown and edge[1] in shown]
    clusters = _clusters(session, nodes, wanted, len(nodes) == most)
    return {
        "nodes": list(shown.values()),
        "edges": [
            {"source": source, "target": target, "role": role, "weight": weight, "last_seen": last_seen}
            for source, target, role, weight, last_seen in edges
        ],
        "clusters": clusters,
        "total": sum(cluster["count"] for cluster in clusters),
        "as_of": wanted.as_of,
    }


def _values(wanted: MapFilter) -> dict[str, Any]:
    kinds = [_like(kind) for kind in wanted.kinds] or None
    gone = (wanted.as_of or clock_now()) - wanted.lingers
    return {"as_of": wanted.as_of, "gone": gone, "kinds": kinds, "focus": wanted.focus, "told": wanted.told}


def _like(kind: str) -> str:
    """A kind, or its beginning, as a pattern of LIKE."""
    bare = kind[:-1] if kind.endswith("*") else kind
    escaped = bare.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return escaped + "%" if kind.endswith("*") else escaped


def _edges(session: Session, nodes: Mapping[str, Any], wanted: MapFilter, most: int | None) -> list[Any]:
    """What the nodes are to each other; where there is too much of it, what was told last."""
    every = _TOLD if wanted.told else f"{_TOLD} UNION ALL {_OWN}"
    statement = f"""
SELECT * FROM ({every}) e WHERE source = ANY(%(ids)s::text[]) AND target = ANY(%(ids)s::text[])
ORDER BY last_seen DESC NULLS FIRST LIMIT %(most)s"""
    values = {"ids": list(nodes), "as_of": wanted.as_of, "most": most and most * EACH}
    return list(fetch(session, statement, values))


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


def _clusters(session: Session, nodes: Mapping[str, Any], wanted: MapFilter, is_cut: bool) -> list[dict[str, Any]]:
    """How many there are of each kind, and in which states, the largest first."""
    states: dict[str, Counter[str]] = {}
    for kind, state, number in _counted(session, nodes.values(), wanted, is_cut):
        states.setdefault(kind, Counter())[state] += number
    found = [{"kind": kind, "count": sum(counts.values()), "states": dict(counts)} for kind, counts in states.items()]
    return sorted(found, key=lambda item: (-item["count"], item["kind"]))


def _counted(
    session: Session, nodes: Iterable[Mapping[str, Any]], wanted: MapFilter, is_cut: bool
) -> Iterable[tuple[str, str, int]]:
    if is_cut:
        return [(row.kind, row.state, row.number) for row in fetch(session, _CLUSTERS, _values(wanted))]
    return [(node["kind"], node["state"], 1) for node in nodes]
