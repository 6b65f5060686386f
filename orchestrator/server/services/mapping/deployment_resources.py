"""What deployments declare to read and write: the parts ``reads`` and ``writes`` of their documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete
from sqlalchemy.orm import Session

from ....errors import InvalidInput
from ...db.models import Deployment, DeploymentResource
from ..recording import resource_ids
from ..recording.resource_ids import OWN
from ..statements import execute

ROLES = ("reads", "writes")
#: Resources that a deployment may declare in each role.
MOST = 500

_KNOWN = """
INSERT INTO resource AS r (id, kind, name, labels, origin, first_seen, last_seen, changed)
SELECT id, CASE WHEN id LIKE '%%_://_%%' THEN split_part(id, '://', 1) ELSE 'other' END, id, '{}', 'declared',
    %(now)s, %(now)s, %(now)s
FROM unnest(%(ids)s::text[]) AS x(id) ORDER BY id
ON CONFLICT (id) DO UPDATE SET origin = 'declared' WHERE r.origin = 'event'"""
_FORGOTTEN = """
UPDATE resource SET origin = 'event' WHERE id IN (
    SELECT id FROM resource r WHERE r.origin = 'declared'
        AND NOT EXISTS (SELECT 1 FROM deployment_resource d WHERE d.resource_id = r.id)
    ORDER BY id FOR UPDATE)"""


def read(session: Session, document: Mapping[str, Any]) -> dict[str, list[str]]:
    """The ids that a document declares, by role, as the rules about resources have them.

    Raises:
        InvalidInput: There are too many, or one is the server's own.
    """
    rules = resource_ids.present(session)
    found: dict[str, list[str]] = {}
    for role in ROLES:
        ids = list(dict.fromkeys(document.get(role) or ()))
        if len(ids) > MOST:
            raise _wrong(role, f"{len(ids)} resources: at most {MOST}")
        if own := next((key for key in ids if key.startswith(OWN)), None):
            raise _wrong(role, f"{own} is the server's own: name what the flow reads or writes, such as a table")
        found[role] = list(dict.fromkeys(rules.resolve(key) or key for key in ids))
    return found


def by_role(deployment: Deployment) -> dict[str, list[str]]:
    """What a deployment declares."""
    return {role: [row.resource_id for row in deployment.declared if row.role == role] for role in ROLES}


def replace(session: Session, deployment: Deployment, wanted: Mapping[str, list[str]], now: datetime) -> list[str]:
    """Have a deployment, which is in the database, declare this; returns what changed, a line each."""
    before = by_role(deployment)
    changed = [role for role in ROLES if before[role] != wanted[role]]
    if not changed:
        return []
    session.execute(delete(DeploymentResource).where(DeploymentResource.deployment_id == deployment.id))
    session.add_all(
        DeploymentResource(deployment_id=deployment.id, role=role, resource_id=key, position=place)
        for role in ROLES
        for place, key in enumerate(wanted[role])
    )
    session.flush()
    session.expire(deployment, ["declared"])
    execute(session, _KNOWN, {"ids": sorted({key for role in ROLES for key in wanted[role]}), "now": now})
    return [f"{role}: {_text(before[role])} -> {_text(wanted[role])}" for role in changed]


def forget(session: Session) -> None:
    """Let resources that no deployment declares any more be like those that events named."""
    execute(session, _FORGOTTEN, {})


def _text(ids: Sequence[str]) -> str:
    return ", ".join(ids) or "(none)"


def _wrong(role: str, problem: str) -> InvalidInput:
    return InvalidInput(f"{role}: {problem}", {role: [problem]})
