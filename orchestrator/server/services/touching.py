"""What a deployment touches: by the blocks that it uses, by what these were found to have, by what it belongs to.

A deployment touches itself, its flow, its work queue and its blocks: those that it refers to (storage, infrastructure,
results, templates), those that its runs loaded within the last 30 days, and whatever blocks these hold. By a block it
touches all resources that looks through that block found. Who touches a resource touches what that is part of.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy.orm import Session

from .internal import FLOW_ID
from .statements import fetch

#: How labels are selected: names of labels with one text or several, as triggers have it: ``*`` stands for anything,
#: a leading ``!`` negates.
Selector = Mapping[str, str | Sequence[str]]

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
)"""

#: All that can be selected: ``known (id, labels)``.
_KNOWN = f"""
SELECT id, labels || jsonb_build_object('resource.id', id, 'resource.name', name, 'resource.kind', kind) AS labels
FROM (
    SELECT id, name, kind, labels FROM resource WHERE vanished IS NULL
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
blocks AS (
    SELECT substr(id, 20)::uuid AS block_id FROM hit WHERE id ~ '^orchestrator\\.block\\.[0-9a-f-]{{36}}$'
    UNION SELECT s.source_block_id FROM resource s JOIN hit h ON h.id = s.id WHERE s.source_block_id IS NOT NULL
)
SELECT d.id FROM deployment d WHERE d.flow_id <> '{FLOW_ID}' AND (
    'orchestrator.deployment.' || d.id IN (SELECT id FROM hit)
    OR 'orchestrator.flow.' || d.flow_id IN (SELECT id FROM hit)
    OR 'orchestrator.work-queue.' || d.work_queue_id IN (SELECT id FROM hit)
    OR d.id IN (SELECT u.deployment_id FROM used u JOIN blocks b ON b.block_id = u.block_id))
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
    UNION SELECT s.id FROM resource s JOIN mine m ON m.block_id = s.source_block_id WHERE s.vanished IS NULL
),
whole AS (
    SELECT id FROM touched
    UNION SELECT r.target FROM relation r JOIN whole w ON w.id = r.source WHERE r.role = 'part-of'
)
SELECT id FROM whole ORDER BY id"""


def deployments_touching(session: Session, selector: Selector) -> list[uuid.UUID]:
    """The deployments that touch a resource which the selector selects, by id. An empty selector selects nothing."""
    ids = selected(session, selector)
    if not ids:
        return []
    return [row.id for row in fetch(session, _TOUCHING, {"ids": ids})]


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


def matches(selector: Selector, labels: Mapping[str, Any]) -> bool:
    """Whether all of the selector's labels fit: of several texts for one label any, and none that is negated."""
    return all(_fits(wanted, labels.get(name)) for name, wanted in selector.items())


def _fits(wanted: str | Sequence[str], value: Any) -> bool:
    texts = [wanted] if isinstance(wanted, str) else list(wanted)
    positive = [text for text in texts if not text.startswith("!")]
    if value is None:
        return not positive and bool(texts)
    text = str(value)
    if any(_pattern(item[1:]).fullmatch(text) for item in texts if item.startswith("!")):
        return False
    return not positive or any(_pattern(item).fullmatch(text) for item in positive)


@lru_cache(maxsize=10_000)
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(part) for part in text.split("*")), re.DOTALL)


def _exact(wanted: str | Sequence[str] | None) -> list[str] | None:
    """The ids that a selector writes out; None where it has a pattern, or no id at all."""
    if wanted is None:
        return None
    texts = [wanted] if isinstance(wanted, str) else list(wanted)
    return None if any("*" in text or text.startswith("!") for text in texts) else texts
