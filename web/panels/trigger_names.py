"""Sentences about triggers, with the names of deployments in place of the ids that documents hold."""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from orchestrator.server.db.models import Deployment, Flow

_ID = re.compile(r"orchestrator\.deployment\.([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")


def named(session: Session, sentences: Sequence[str]) -> list[str]:
    """The same, as people say it; ids of what there is no more stay."""
    ids = {uuid.UUID(found) for sentence in sentences for found in _ID.findall(sentence)}
    if not ids:
        return list(sentences)
    query = select(Deployment.id, Flow.name, Deployment.name).join(Flow, Flow.id == Deployment.flow_id)
    names = {str(key): f"{flow}/{name}" for key, flow, name in session.execute(query.where(Deployment.id.in_(ids)))}
    return [_ID.sub(lambda found: names.get(found[1], found[0]), sentence) for sentence in sentences]
