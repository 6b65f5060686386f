"""One key of artifacts: what is shown, and its history."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from orchestrator.errors import NotFound
from orchestrator.server.db.models import Artifact, FlowRun
from orchestrator.server.services.paging import Page
from orchestrator.server.services.running import artifacts
from orchestrator.server.services.running.artifacts import ArtifactFilter


@dataclass(frozen=True)
class ArtifactPage:
    """All that the page of a key shows."""

    key: str
    shown: Artifact
    is_newest: bool
    #: The history, newest first.
    versions: Page[Artifact]
    #: Names of the runs that made them.
    runs: dict[uuid.UUID, str]


def load(session: Session, key: str, version: uuid.UUID | None, cursor: str | None) -> ArtifactPage:
    """Read a key. Raises NotFound."""
    newest = artifacts.listing(session, ArtifactFilter(key=key), 1).items
    if not newest:
        raise NotFound(f"there is no artifact with the key {key}")
    shown = newest[0] if version is None else artifacts.get(session, version)
    if shown.key != key:
        raise NotFound(f"there is no artifact {version} with the key {key}")
    versions = artifacts.listing(session, ArtifactFilter(key=key), 50, cursor)
    wanted = {row.flow_run_id for row in [shown, *versions.items] if row.flow_run_id is not None}
    named = session.execute(select(FlowRun.id, FlowRun.name).where(FlowRun.id.in_(wanted)))
    runs = {row.id: row.name for row in named}
    return ArtifactPage(key, shown, shown.id == newest[0].id, versions, runs)
