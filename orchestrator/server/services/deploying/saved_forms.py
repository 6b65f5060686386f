"""Saved forms: parameters of a deployment under a name, to start runs with."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from ....documents.records import Actor
from ....errors import Conflict, NotFound
from ....ids import uuid7
from ...db.models import Deployment, SavedForm
from .. import parameters as parameter_rules
from ..recording.announcements import announce, resource
from ..running import deployment_templates

#: Most forms of one deployment.
MOST = 50


def of(session: Session, deployment_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, list[SavedForm]]:
    """The forms of each deployment, by name."""
    found: dict[uuid.UUID, list[SavedForm]] = {key: [] for key in deployment_ids}
    query = select(SavedForm).where(SavedForm.deployment_id.in_(list(found)))
    for row in session.scalars(query.order_by(SavedForm.name)) if found else ():
        found[row.deployment_id].append(row)
    return found


def get(session: Session, deployment: Deployment, name: str) -> SavedForm:
    """One form. Raises NotFound."""
    query = select(SavedForm).where(SavedForm.deployment_id == deployment.id, SavedForm.name == name)
    found = session.scalar(query)
    if found is None:
        raise NotFound(f"{deployment.flow.name}/{deployment.name} has no saved form {name}")
    return found


def put(
    session: Session, deployment: Deployment, name: str, parameters: Mapping[str, Any], actor: Actor, now: datetime
) -> tuple[SavedForm, bool]:
    """Keep parameters under a name, in place of what was there; returns the form, and whether the name is new.

    Raises:
        InvalidInput, ParameterError: The deployment would not start with them.
        Conflict: It has as many forms as it may have.
    """
    deployment_templates.refuse_foreign(deployment, parameters)
    parameter_rules.check(deployment.parameter_schema, {**deployment.parameters, **parameters})
    # Whoever saves one waits for others who do.
    session.execute(select(Deployment.id).where(Deployment.id == deployment.id).with_for_update(key_share=True))
    query = select(SavedForm).where(SavedForm.deployment_id == deployment.id, SavedForm.name == name)
    found = session.scalar(query)
    is_new = found is None
    if found is None:
        number = session.scalar(select(func.count()).where(SavedForm.deployment_id == deployment.id))
        if (number or 0) >= MOST:
            raise Conflict(f"{deployment.flow.name}/{deployment.name} has {MOST} saved forms: delete one first")
        found = SavedForm(id=uuid7(now), deployment_id=deployment.id, name=name, parameters={}, created=now)
        session.add(found)
    found.parameters = dict(parameters)
    session.flush()
    announce(session, "deployment.form-saved", _label(deployment), actor, now, form=name)
    return found, is_new


def delete(session: Session, deployment: Deployment, name: str, actor: Actor, now: datetime) -> None:
    """Delete a form. Raises NotFound."""
    session.delete(get(session, deployment, name))
    session.flush()
    announce(session, "deployment.form-deleted", _label(deployment), actor, now, form=name)


def _label(deployment: Deployment) -> dict[str, str]:
    return resource("deployment", deployment.id, f"{deployment.flow.name}/{deployment.name}")
