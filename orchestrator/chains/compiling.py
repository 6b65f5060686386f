"""The triggers that stand for a chain: one for each step that waits for others.

Events of a step's run name the run of the chain (role ``chain``) and the step (role ``chain-step``, an id of its own
for each version of each chain): a trigger looks at the events of its own chain alone, and by ``for_each`` it counts for
every run of the chain by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..triggers.documents import NAME_MAX
from .documents import ChainSpec, Step

STEP_ROLE = "chain-step"
_FOR_EACH = "related.chain.resource.id"


def trigger_documents(spec: ChainSpec, version: int, step_id: Callable[[str], str]) -> dict[str, dict[str, Any]]:
    """Trigger documents by the names of the steps that they start.

    Args:
        step_id: Gives the resource id by which events of a step's runs name the step.
    """
    return {
        step.name: {
            "name": f"chain {spec.name} v{version}: {step.name}"[:NAME_MAX],
            "description": f"Starts the step {step.name} of the chain {spec.name}.",
            "severity": "info",
            "hourly_max": 100_000,
            "when": _when(step, step_id),
            "then": [_then(step)],
        }
        for step in spec.steps.values()
        if step.after
    }


def _when(step: Step, step_id: Callable[[str], str]) -> dict[str, Any]:
    expect = [f"flow-run.{end.lower()}" for end in step.ends]
    parts: list[dict[str, Any]] = [
        {"expect": expect, "match_related": {"resource.role": STEP_ROLE, "resource.id": step_id(name)}}
        for name in step.after
    ]
    if len(parts) == 1:
        return {**parts[0], "for_each": _FOR_EACH}
    return {"any" if step.any_of else "all": parts, "for_each": _FOR_EACH}


def _then(step: Step) -> dict[str, Any]:
    action: dict[str, Any] = {"do": "run-deployment", "deployment": step.deployment}
    if step.parameters:
        action["parameters"] = dict(step.parameters)
    if step.delay is not None:
        action["delay"] = step.delay
    if step.tags:
        action["tags"] = list(step.tags)
    if step.priority:
        action["priority"] = step.priority
    return action
