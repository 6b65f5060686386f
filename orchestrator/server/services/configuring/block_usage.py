"""Who uses a block: blocks that hold it, deployments that refer to it, and those who loaded it."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from sqlalchemy.orm import Session

from ....documents.records import Actor
from ...db.models.trigger import SHORT_FORM
from ..statements import execute, fetch

#: How long it is remembered who loaded a block.
REMEMBERED = timedelta(days=30)
#: Entries of each kind that are told of one block.
MOST = 500

#: Blocks that hold a block; ``through`` is null where they hold it themselves, else the block by which they do.
_HOLDERS = """
WITH RECURSIVE holder AS (
    SELECT r.block_id, r.field, NULL::uuid AS through FROM block_reference r WHERE r.target_id = %(id)s
    UNION SELECT r.block_id, r.field, r.target_id FROM block_reference r JOIN holder h ON r.target_id = h.block_id
), direct AS (SELECT * FROM holder)"""
_NAMED = """
LEFT JOIN block t ON t.id = {through} LEFT JOIN block_type tt ON tt.id = t.block_type_id"""
_THROUGH = "CASE WHEN t.id IS NOT NULL THEN tt.slug || '/' || coalesce(t.name, t.id::text) END AS through"

_BLOCKS = f"""{_HOLDERS}
SELECT b.id, bt.slug AS type, b.name, h.field, {_THROUGH}
FROM direct h JOIN block b ON b.id = h.block_id JOIN block_type bt ON bt.id = b.block_type_id
{_NAMED.format(through="h.through")}
ORDER BY h.through NULLS FIRST, bt.slug, b.name, h.field LIMIT %(most)s"""

#: The block and what it is held by, and the triggers whose actions name one of them.
_ACTING = """
used AS (SELECT %(id)s::uuid AS id, NULL::uuid AS through UNION SELECT block_id, block_id FROM direct),
acting AS (
    SELECT t.id, t.name, t.deployment_id, b.id AS block_id
    FROM used u JOIN block b ON b.id = u.id JOIN block_type bt ON bt.id = b.block_type_id
    CROSS JOIN LATERAL (VALUES (bt.slug || '/' || coalesce(b.name, b.id::text)), (b.id::text)) AS ref(text)
    JOIN trigger t ON t.actions @> jsonb_build_array(jsonb_build_object('block', ref.text))
        OR t.resolve_actions @> jsonb_build_array(jsonb_build_object('block', ref.text))
    GROUP BY t.id, b.id
)"""
_DEPLOYMENTS = f"""{_HOLDERS},
{_ACTING},
found AS (
    SELECT d.id, d.flow_id, d.name, 'storage' AS role, u.through
        FROM deployment d JOIN used u ON d.storage_block_id = u.id
    UNION ALL SELECT d.id, d.flow_id, d.name, 'infrastructure', u.through
        FROM deployment d JOIN used u ON d.infrastructure_block_id = u.id
    UNION ALL SELECT d.id, d.flow_id, d.name, 'results', u.through
        FROM deployment d JOIN used u ON d.results_block_id = u.id
    UNION ALL SELECT d.id, d.flow_id, d.name, 'notifications', u.through
        FROM acting t JOIN used u ON u.id = t.block_id JOIN deployment d ON d.id = t.deployment_id
        WHERE t.name LIKE '{SHORT_FORM}%%'
    UNION SELECT d.id, d.flow_id, d.name, 'template', u.through
        FROM template_reference p JOIN used u ON p.block_id = u.id JOIN deployment d ON d.id = p.deployment_id
)
SELECT x.id, f.name AS flow, x.name, x.role, {_THROUGH}
FROM found x JOIN flow f ON f.id = x.flow_id
{_NAMED.format(through="x.through")}
ORDER BY x.through NULLS FIRST, f.name, x.name, x.role LIMIT %(most)s"""

_TRIGGERS = f"""{_HOLDERS},
{_ACTING}
SELECT x.id, x.name, f.name || '/' || d.name AS deployment, {_THROUGH}
FROM acting x JOIN used u ON u.id = x.block_id LEFT JOIN deployment d ON d.id = x.deployment_id
LEFT JOIN flow f ON f.id = d.flow_id {_NAMED.format(through="u.through")}
WHERE x.deployment_id IS NULL OR x.name NOT LIKE '{SHORT_FORM}%%'
ORDER BY u.through NULLS FIRST, x.name, x.id LIMIT %(most)s"""

_LOADS = """
SELECT kind, (array_agg(name ORDER BY last DESC))[1] AS name, (array_agg(flow ORDER BY last DESC))[1] AS flow,
    (array_agg(deployment ORDER BY last DESC))[1] AS deployment, max(last) AS last, sum(count)::bigint AS count
FROM block_load WHERE block_id = %(id)s AND day >= %(since)s
GROUP BY kind, loader ORDER BY max(last) DESC LIMIT %(most)s"""

_NOTE = """
INSERT INTO block_load (block_id, day, kind, loader, name, flow, deployment, count, last)
SELECT b.id, %(day)s, %(kind)s, coalesce(d.id::text, f.id::text, %(loader)s), %(name)s, f.name, d.name, 1, %(now)s
FROM unnest(%(blocks)s::uuid[]) AS b(id) LEFT JOIN flow_run r ON r.id = %(run)s
LEFT JOIN flow f ON f.id = r.flow_id LEFT JOIN deployment d ON d.id = r.deployment_id
ORDER BY b.id
ON CONFLICT (block_id, day, kind, loader) DO UPDATE SET count = block_load.count + 1,
    last = greatest(block_load.last, excluded.last), name = excluded.name, flow = excluded.flow,
    deployment = excluded.deployment"""

_FORGET = "DELETE FROM block_load WHERE ctid IN (SELECT ctid FROM block_load WHERE day < %(before)s LIMIT %(batch)s)"


@dataclass(frozen=True)
class Usage:
    """Who uses one block. ``through`` is the block by which it is used; None: it is used itself."""

    #: ``{"id", "type", "name", "field", "through"}``
    blocks: list[dict[str, Any]]
    #: ``{"id", "flow", "name", "as", "through"}``; ``as`` is ``storage``, ``infrastructure``,
    #: ``results``, ``notifications`` or ``template``.
    deployments: list[dict[str, Any]]
    #: ``{"id", "name", "deployment", "through"}`` of triggers that act by it, but for deployments' ``notifications``.
    triggers: list[dict[str, Any]]
    #: ``{"who": {"type", "name"}, "flow", "deployment", "last", "count"}``, the last ones first.
    loads: list[dict[str, Any]]

    def direct(self) -> list[str]:
        """What stands in the way of deleting it: ``block type/name``, ``deployment flow/name``."""
        blocks = [f"block {item['type']}/{item['name'] or item['id']}" for item in self.blocks if not item["through"]]
        users = [f"deployment {item['flow']}/{item['name']}" for item in self.deployments if not item["through"]]
        acting = [f"trigger {item['name']}" for item in self.triggers if not item["through"]]
        return list(dict.fromkeys([*blocks, *users, *acting]))


def usage(session: Session, block_id: uuid.UUID, now: datetime) -> Usage:
    """Who uses a block, and who loaded it within :data:`REMEMBERED`; at most :data:`MOST` of each kind."""
    wanted = {"id": block_id, "most": MOST, "since": (now - REMEMBERED).astimezone(timezone.utc).date()}
    blocks = [dict(row._mapping) for row in fetch(session, _BLOCKS, wanted)]
    deployments = [
        {"id": row.id, "flow": row.flow, "name": row.name, "as": row.role, "through": row.through}
        for row in fetch(session, _DEPLOYMENTS, wanted)
    ]
    loads = [
        {
            "who": {"type": row.kind, "name": row.name},
            "flow": row.flow,
            "deployment": row.deployment,
            "last": row.last,
            "count": row.count,
        }
        for row in fetch(session, _LOADS, wanted)
    ]
    triggers = [dict(row._mapping) for row in fetch(session, _TRIGGERS, wanted)]
    return Usage(blocks, deployments, triggers, loads)


def note_loads(session: Session, ids: Iterable[uuid.UUID], actor: Actor, now: datetime) -> None:
    """Count a load of these blocks by ``actor``; the runs of one deployment count together."""
    run = uuid.UUID(actor.id) if actor.type == "run" else None
    values = {
        "blocks": sorted(ids), "day": now.astimezone(timezone.utc).date(), "kind": actor.type, "now": now,
        "loader": actor.id or actor.name, "name": actor.name, "run": run,
    }  # fmt: skip
    execute(session, _NOTE, values)


def forget(session: Session, now: datetime, batch: int) -> int:
    """Delete some of the counts that are remembered no longer; returns how many."""
    before = (now - REMEMBERED).astimezone(timezone.utc).date()
    return execute(session, _FORGET, {"before": before, "batch": batch})
