"""Artifacts: reading what runs wrote; they arrive with the reports."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from ....errors import NotFound
from ...db.models import Artifact
from ..paging import Page, check_limit, decode_id, page


@dataclass(frozen=True)
class ArtifactFilter:
    """Which artifacts a list shows; what is None does not restrict."""

    key: str | None = None
    type: str | None = None
    flow_run_id: uuid.UUID | None = None
    task_run_id: uuid.UUID | None = None


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
    if cursor:
        last = decode_id(cursor)
        query = query.where(Artifact.id > last if oldest_first else Artifact.id < last)
    query = query.order_by(Artifact.id if oldest_first else Artifact.id.desc()).limit(check_limit(limit) + 1)
    rows = session.scalars(query).all()
    return page(rows, limit, lambda artifact: (artifact.id,))
