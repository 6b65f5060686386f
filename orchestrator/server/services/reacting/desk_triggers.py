"""Triggers by which desks tell of things: they go along with what they tell of."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session

from ....documents.records import Actor
from ...db.models import DeskItem, Expectation
from . import triggers


def delete_of_deployment(session: Session, deployment_id: uuid.UUID, actor: Actor, now: datetime) -> None:
    """Delete those that tell of a deployment, or of an expectation that goes with it."""
    its_own = select(Expectation.id).where(Expectation.deployment_id == deployment_id)
    about = or_(DeskItem.deployment_id == deployment_id, DeskItem.expectation_id.in_(its_own))
    _delete(session, about, actor, now)


def delete_of_expectation(session: Session, expectation_id: uuid.UUID, actor: Actor, now: datetime) -> None:
    """Delete those that tell of an expectation."""
    _delete(session, DeskItem.expectation_id == expectation_id, actor, now)


def _delete(session: Session, about: ColumnElement[Any], actor: Actor, now: datetime) -> None:
    # The items are locked: nobody has a new one made meanwhile.
    query = select(DeskItem.trigger_id).where(about).order_by(DeskItem.id).with_for_update()
    for trigger_id in session.scalars(query).all():
        if trigger_id is not None:
            triggers.delete_(session, trigger_id, actor, now)
