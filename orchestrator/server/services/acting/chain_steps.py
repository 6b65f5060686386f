"""Steps of chains as the server knows them: which flow run is which, and what an action starts as a step."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from ...db.models import Action, Chain, ChainRun, Firing, FlowRun, Trigger
from .action_kind import Asked, Nothing


@dataclass(frozen=True)
class Started:
    """What an action starts: one step in one run of a chain."""

    key: str
    chain: tuple[uuid.UUID, int]

    @property
    def idempotency_key(self) -> str:
        """The same whatever asks for the step, and however often."""
        return f"chain {self.chain[0]} {self.key}"


def key(chain_id: uuid.UUID, version: int, step: str) -> str:
    """What a flow run keeps of the step that it is: in the place of a version, a step has one meaning for ever."""
    return f"{chain_id}.{version}.{step}"


def step_id(chain_id: uuid.UUID, version: int, step: str) -> str:
    """The resource id by which events of a step's runs name the step."""
    return f"orchestrator.chain-step.{key(chain_id, version, step)}"


def of(session: Session, asked: Asked) -> Started | None:
    """The step that an action starts; None where its trigger is not that of a chain.

    Raises:
        Nothing: The run of the chain, or the trigger, is gone.
    """
    trigger = session.get(Trigger, asked.trigger_id) if asked.trigger_id is not None else None
    if trigger is None or trigger.of_chain_id is None:
        return None
    run = session.get(ChainRun, asked.chain_id)
    if run is None or run.chain_id != trigger.of_chain_id or run.version != trigger.of_chain_version:
        raise Nothing("the run of the chain is gone")
    assert trigger.of_chain_step is not None
    return Started(key(run.chain_id, run.version, trigger.of_chain_step), (run.id, run.depth))


def runs_of(session: Session, run_id: uuid.UUID) -> dict[str, FlowRun]:
    """The flow runs of a run of a chain, by the names of their steps."""
    query = select(FlowRun).where(FlowRun.chain_id == run_id, FlowRun.chain_step.is_not(None))
    return {str(run.chain_step).split(".", 2)[2]: run for run in session.scalars(query)}


def chain_shown(session: Session, run_id: uuid.UUID) -> dict[str, Any] | None:
    """What templates see of a run of a chain."""
    found = session.execute(
        select(ChainRun, Chain.name).join(Chain, Chain.id == ChainRun.chain_id).where(ChainRun.id == run_id)
    ).first()
    if found is None:
        return None
    run, name = found
    return {"id": str(run.id), "name": name, "version": run.version, "parameters": run.parameters}


def stuck(session: Session, run_id: uuid.UUID) -> dict[str, str]:
    """Why steps of a run of a chain could not be started, by name, where that was given up."""
    query = (
        select(Trigger.of_chain_step, Action.error)
        .join(Firing, Firing.trigger_id == Trigger.id)
        .join(Action, Action.firing_id == Firing.id)
        .where(Firing.chain_id == run_id, Trigger.of_chain_step.is_not(None), Action.state == "given-up")
    )
    return {str(step): error for step, error in session.execute(query)}
