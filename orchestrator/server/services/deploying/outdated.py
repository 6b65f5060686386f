"""What has parameters that a deployment's new signature does not take: schedules, triggers, chains, saved forms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from ....errors import InvalidInput
from ...db.models import Chain, ChainVersion, Deployment, SavedForm, Schedule, Trigger
from ..json_schemas import parameter_problems


@dataclass(frozen=True)
class Outdated:
    """One thing whose parameters do not fit any more."""

    #: Such as ``triggers.on-upload``.
    place: str
    #: By name of the parameter.
    problems: dict[str, list[str]]
    schedule: Schedule | None = None

    @property
    def text(self) -> str:
        """In one line."""
        told = "; ".join(f"{name}: {' '.join(texts)}" for name, texts in self.problems.items())
        kind, _, name = self.place.partition(".")
        return f"{kind.removesuffix('s')} {name}: its parameters do not fit any more ({told})"


def find(
    session: Session, deployment: Deployment, schema: Mapping[str, Any], *, with_schedules: bool
) -> list[Outdated]:
    """What does not fit a new parameter schema of a deployment. Templates fit: what they stand for is not known.

    Args:
        with_schedules: Whether its schedules stay as they are.
    """
    found = []
    for place, parameters, schedule in _users(session, deployment, with_schedules):
        if problems := parameter_problems(schema, parameters):
            found.append(Outdated(place, problems, schedule))
    return found


def refuse(found: Sequence[Outdated]) -> None:
    """Raise InvalidInput that lists all, where there is anything."""
    if not found:
        return
    errors = {f"{item.place}.parameters.{name}": texts for item in found for name, texts in item.problems.items()}
    told = (
        "the new signature does not take what others have: mend it, or apply with --force, which stops such schedules"
    )
    raise InvalidInput(told, errors)


def _users(
    session: Session, deployment: Deployment, with_schedules: bool
) -> Iterator[tuple[str, Mapping[str, Any], Schedule | None]]:
    if with_schedules:
        for schedule in deployment.schedules:
            yield f"schedules.{schedule.slug}", schedule.parameters, schedule
    names = {str(deployment.id), deployment.name, f"{deployment.flow.name}/{deployment.name}"}
    of_nobody = select(Trigger).where(Trigger.of_chain_id.is_(None))  # a chain tells of its steps itself
    for trigger in session.scalars(of_nobody.order_by(Trigger.name, Trigger.id)):
        for action in [*trigger.actions, *trigger.resolve_actions]:
            parameters = action.get("parameters")
            if action.get("do") == "run-deployment" and action.get("deployment") in names and parameters:
                yield f"triggers.{trigger.name}", parameters, None
    newest = ChainVersion.chain_id == Chain.id, ChainVersion.version == Chain.version
    for chain, document in session.execute(select(Chain.name, ChainVersion.document).join(ChainVersion, and_(*newest))):
        for name, step in document["steps"].items():
            if step["deployment"] in names and step.get("parameters"):
                yield f"chains.{chain}.steps.{name}", step["parameters"], None
    forms = select(SavedForm).where(SavedForm.deployment_id == deployment.id).order_by(SavedForm.name)
    for form in session.scalars(forms):
        yield f"forms.{form.name}", form.parameters, None
