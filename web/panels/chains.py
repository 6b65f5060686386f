"""Chains: the list, one with its runs, and one run with its steps."""

from __future__ import annotations

from typing import Any

from orchestrator.chains import ChainSpec, Reached

from ..looks import Look

LOOKS = {
    "waiting": Look("pending", "hourglass", "Waiting"),
    "running": Look("running", "player-play", "Running"),
    "done": Look("completed", "circle-check", "Done"),
    "failed": Look("failed", "circle-x", "Failed"),
    "skipped": Look("cancelled", "circle-minus", "Not reached"),
}


def drawing(spec: ChainSpec, steps: dict[str, Reached[Any]] | None = None) -> list[dict[str, Any]]:
    """What the script draws: each step with those that it waits for and how they have to end, and where it stands."""
    drawn = []
    for step in spec.steps.values():
        at = steps[step.name] if steps else None
        drawn.append(
            {
                "name": step.name,
                "after": list(step.after),
                "says": _says(step.ends, step.any_of and len(step.after) > 1),
                "status": at.status if at else "",
                "word": LOOKS[at.status].name if at else step.deployment,
                "run": str(at.run.id) if at and at.run is not None else "",
            }
        )
    return drawn


def condition(step: Any) -> str:
    """When a step is started, in words."""
    if not step.after:
        return "starts the chain"
    joined = (" or " if step.any_of else " and ").join(step.after)
    verb = {"COMPLETED": "complete", "FAILED": "fail", "CRASHED": "crash", "CANCELLED": "are cancelled"}
    ended = "end" if len(step.ends) == len(verb) else " or ".join(verb[end] for end in step.ends)
    if len(step.after) == 1:
        ended = {"end": "ends"}.get(ended) or " or ".join(
            {"COMPLETED": "completes", "FAILED": "fails", "CRASHED": "crashes", "CANCELLED": "is cancelled"}[end]
            for end in step.ends
        )
    return f"when {joined} {ended}"


def _says(ends: tuple[str, ...], any_of: bool) -> str:
    words = [] if ends == ("COMPLETED",) else ["ended"] if len(ends) == 4 else [end.lower() for end in ends]
    return " ".join([*(["any"] if any_of else []), " or ".join(words)]).strip()
