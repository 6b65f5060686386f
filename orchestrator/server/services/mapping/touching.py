"""What a deployment touches: by the blocks that it uses, by what these were found to have, by what it belongs to.

A deployment touches itself, its flow, its work queue and its blocks: those that it refers to (storage, infrastructure,
results, templates), those that its runs loaded within the last 30 days, and whatever blocks these hold. It touches what
its document says that it reads or writes, and what events told of it as a relation. By a block it touches all resources
that looks through that block found, save where its document names some of these: then only those that it names. Who
touches a resource touches what that is part of.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from sqlalchemy.orm import Session

from ....triggers.matching import Selector, is_exact, listed, matches
from ..internal import FLOW_ID
from ..statements import fetch

#: Deployments with the blocks that they use, those held by these among them: ``used (deployment_id, block_id)``.
_USED = """
direct AS (
    SELECT d.id AS deployment_id, b.block_id FROM deployment d
        CROSS JOIN LATERAL (VALUES (d.storage_block_id), (d.infrastructure_block_id), (d.results_block_id)) b(block_id)
        WHERE b.block_id IS NOT NULL
    UNION SELECT deployment_id, block_id FROM template_reference WHERE block_id IS NOT NULL
    UNION SELECT d.id, l.block_id FROM block_load l JOIN deployment d ON d.id::text = l.loader
        WHERE l.day >= (now() AT TIME ZONE 'UTC')::date - 30
),
used AS (
    SELECT deployment_id, block_id FROM direct
    UNION SELECT u.deployment_id, r.target_id FROM block_reference r JOIN used u ON u.block_id = r.block_id
),
narrowed AS (
    SELECT DISTINCT d.deployment_id, s.source_block_id AS block_id
    FROM deployment_resource d JOIN resource s ON s.id = d.resource_id WHERE s.source_block_id IS NOT NULL
)"""

#: All that can be selected: ``known (id, labels)``.
_KNOWN = f"""
SELECT id, labels || jsonb_build_object('resource.id', id, 'resource.name', name, 'resource.kind', kind) AS labels
FROM (
    SELECT id, name, kind, labels || own_labels AS labels FROM resource WHERE vanished IS NULL AND origin <> 'own'
    UNION ALL SELECT 'orchestrator.deployment.' || d.id, f.name || '/' || d.name, 'deployment', '{{}}'
        FROM deployment d JOIN flow f ON f.id = d.flow_id WHERE f.id <> '{FLOW_ID}'
    UNION ALL SELECT 'orchestrator.flow.' || id, name, 'flow', '{{}}' FROM flow WHERE id <> '{FLOW_ID}'
    UNION ALL SELECT 'orchestrator.work-queue.' || id, name, 'work-queue', '{{}}' FROM work_queue
    UNION ALL SELECT 'orchestrator.block.' || b.id, t.slug || '/' || coalesce(b.name, b.id::text), 'block', '{{}}'
        FROM block b JOIN block_type t ON t.id = b.block_type_id
) AS everything
WHERE %(exact)s::text[] IS NULL OR id = ANY(%(exact)s)"""

#: Deployments that touch one of the resources ``ids``.
_TOUCHING = f"""
WITH RECURSIVE {_USED},
hit AS (
    SELECT unnest(%(ids)s::text[]) AS id
    UNION SELECT r.source FROM relation r JOIN hit h ON h.id = r.target WHERE r.role = 'part-of'
),
block_hit AS (
    SELECT substr(id, 20)::uuid AS block_id FROM hit WHERE id ~ '^orchestrator\\.block\\.[0-9a-f-]{{36}}$'
),
found_by AS (
    SELECT DISTINCT s.source_block_id AS block_id FROM resource s JOIN hit h ON h.id = s.id
    WHERE s.source_block_id IS NOT NULL
)
SELECT d.id FROM deployment d WHERE d.flow_id <> '{FLOW_ID}' AND (
    'orchestrator.deployment.' || d.id IN (SELECT id FROM hit)
    OR 'orchestrator.flow.' || d.flow_id IN (SELECT id FROM hit)
    OR 'orchestrator.work-queue.' || d.work_queue_id IN (SELECT id FROM hit)
    OR d.id IN (SELECT u.deployment_id FROM used u JOIN block_hit b ON b.block_id = u.block_id)
    OR d.id IN (SELECT u.deployment_id FROM used u JOIN found_by b ON b.block_id = u.block_id WHERE NOT EXISTS (
        SELECT 1 FROM narrowed n WHERE n.deployment_id = u.deployment_id AND n.block_id = u.block_id))
    OR d.id IN (SELECT r.deployment_id FROM deployment_resource r JOIN hit h ON h.id = r.resource_id)
    OR 'orchestrator.deployment.' || d.id IN (SELECT r.source FROM relation r JOIN hit h ON h.id = r.target))
ORDER BY d.id"""

#: The resources that one deployment touches.
_TOUCHED = f"""
WITH RECURSIVE {_USED},
mine AS (SELECT block_id FROM used WHERE deployment_id = %(id)s),
touched AS (
    SELECT own.id FROM deployment d CROSS JOIN LATERAL (VALUES ('orchestrator.deployment.' || d.id),
        ('orchestrator.flow.' || d.flow_id), ('orchestrator.work-queue.' || d.work_queue_id)) own(id)
        WHERE d.id = %(id)s
    UNION SELECT 'orchestrator.block.' || block_id FROM mine
    UNION SELECT s.id FROM resource s JOIN mine m ON m.block_id = s.source_block_id
        WHERE s.vanished IS NULL AND NOT EXISTS (
            SELECT 1 FROM narrowed n WHERE n.deployment_id = %(id)s AND n.block_id = m.block_id)
    UNION SELECT resource_id FROM deployment_resource WHERE deployment_id = %(id)s
    UNION SELECT target FROM relation WHERE source = 'orchestrator.deployment.' || %(id)s::text
),
whole AS (
    SELECT id FROM touched
    UNION SELECT r.target FROM relation r JOIN whole w ON w.id = r.source WHERE r.role = 'part-of'
)
SELECT id FROM whole ORDER BY id"""


def deployments_touching(session: Session, selector: Selector) -> list[uuid.UUID]:
    """The deployments that touch a resource which the selector selects, by id. An empty selector selects nothing."""
    return touching_ids(session, selected(session, selector))


def touching_ids(session: Session, ids: Sequence[str]) -> list[uuid.UUID]:
    """The deployments that touch one of these resources, by id."""
    if not ids:
        return []
    return [row.id for row in fetch(session, _TOUCHING, {"ids": list(ids)})]


def touched_by(session: Session, deployment_id: uuid.UUID) -> list[str]:
    """The ids of the resources that a deployment touches, sorted; none of a deployment that is not there."""
    return [row.id for row in fetch(session, _TOUCHED, {"id": deployment_id})]


def selected(session: Session, selector: Selector) -> list[str]:
    """The ids of the resources that a selector selects; an id that is written out need not be known."""
    if not selector:
        return []
    exact = _exact(selector.get("resource.id"))
    rows = fetch(session, _KNOWN, {"exact": exact})
    found = {row.id for row in rows if matches(selector, row.labels)}
    if exact and set(selector) == {"resource.id"}:
        found.update(exact)
    return sorted(found)


def _exact(wanted: str | Sequence[str] | None) -> list[str] | None:
    """The ids that a selector writes out; None where it has a pattern, or no id at all."""
    texts = listed(wanted) if wanted is not None else []
    return list(texts) if texts and all(is_exact(text) for text in texts) else None
