"""Artifacts: reading, and deleting, what runs wrote; they arrive with the reports."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete as delete_from
from sqlalchemy import func, select
from sqlalchemy.orm import Session, aliased

from ....documents.records import Actor
from ....errors import NotFound
from ...db.models import Artifact
from ..paging import Page, check_limit, decode_id, page
from ..recording.announcements import announce


@dataclass(frozen=True)
class ArtifactFilter:
    """Which artifacts a list shows; what is None does not restrict."""

    key: str | None = None
    type: str | None = None
    flow_run_id: uuid.UUID | None = None
    task_run_id: uuid.UUID | None = None
    #: The newest of each key only.
    latest: bool = False


@dataclass(frozen=True)
class KeyRow:
    """A key, with the newest of its artifacts and how many there are."""

    newest: Artifact
    number: int


def get(session: Session, artifact_id: uuid.UUID) -> Artifact:
    """One artifact. Raises NotFound."""
    found = session.get(Artifact, artifact_id)
    if found is None:
        raise NotFound(f"there is no artifact {artifact_id}")
    return found


def listing(
    session: Session,
    wanted: ArtifactFilter | None = None,
    limit: int = 50,
    cursor: str | None = None,
    oldest_first: bool = False,
) -> Page[Artifact]:
    """A page of artifacts, newest first unless asked otherwise: those of one key are its history."""
    wanted = wanted or ArtifactFilter()
    query = select(Artifact)
    for column, value in (
        (Artifact.key, wanted.key),
        (Artifact.type, wanted.type),
        (Artifact.flow_run_id, wanted.flow_run_id),
        (Artifact.task_run_id, wanted.task_run_id),
    ):
        if value is not None:
            query = query.where(column == value)
    if wanted.latest:
        newer = aliased(Artifact)
        query = query.where(
            Artifact.key.is_not(None),
            ~select(newer.id).where(newer.key == Artifact.key, newer.id > Artifact.id).exists(),
        )
    if cursor:
        last = decode_id(cursor)
        query = query.where(Artifact.id > last if oldest_first else Artifact.id < last)
    query = query.order_by(Artifact.id if oldest_first else Artifact.id.desc()).limit(check_limit(limit) + 1)
    rows = session.scalars(query).all()
    return page(rows, limit, lambda artifact: (artifact.id,))


def keys(session: Session, limit: int = 50, cursor: str | None = None, key: str | None = None) -> Page[KeyRow]:
    """A page of keys by their newest artifacts, latest first.

    Args:
        key: Part of the key.
    """
    newer = aliased(Artifact)
    is_newest = ~select(newer.id).where(newer.key == Artifact.key, newer.id > Artifact.id).exists()
    query = select(Artifact).where(Artifact.key.is_not(None), is_newest)
    if key:
        query = query.where(Artifact.key.icontains(key, autoescape=True))
    if cursor:
        query = query.where(Artifact.id < decode_id(cursor))
    rows = session.scalars(query.order_by(Artifact.id.desc()).limit(check_limit(limit) + 1)).all()
    found = page(rows, limit, lambda artifact: (artifact.id,))
    numbers = _numbers(session, [str(row.key) for row in found.items])
    return Page([KeyRow(row, numbers[str(row.key)]) for row in found.items], found.next)


def delete(session: Session, artifact_id: uuid.UUID, actor: Actor, now: datetime) -> None:
    """Delete one artifact. Raises NotFound."""
    found = get(session, artifact_id)
    session.delete(found)
    session.flush()
    before = {"key": found.key, "type": found.type, "number": 1}
    announce(session, "artifact.deleted", _about(found.id, found.key), actor, now, before=before)


def delete_key(session: Session, key: str, actor: Actor, now: datetime) -> int:
    """Delete all artifacts of a key; returns how many there were. Raises NotFound."""
    newest = session.scalar(select(Artifact).where(Artifact.key == key).order_by(Artifact.id.desc()).limit(1))
    if newest is None:
        raise NotFound(f"there is no artifact with the key {key}")
    number = len(session.scalars(delete_from(Artifact).where(Artifact.key == key).returning(Artifact.id)).all())
    before = {"key": key, "type": newest.type, "number": number}
    announce(session, "artifact.deleted", _about(newest.id, key), actor, now, before=before)
    return number


def _numbers(session: Session, names: Sequence[str]) -> dict[str, int]:
    query = select(Artifact.key, func.count()).where(Artifact.key.in_(names)).group_by(Artifact.key)
    return {str(key): number for key, number in session.execute(query)}


def _about(artifact_id: uuid.UUID, key: str | None) -> dict[str, str]:
    return {"resource.id": f"orchestrator.artifact.{artifact_id}", "resource.name": key or str(artifact_id)}
