"""How far a run of a chain has come, by the runs of its steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from .documents import ENDS, ChainSpec, Step

R = TypeVar("R")
ENDED = ENDS["ended"]


@dataclass(frozen=True)
class StepRun(Generic[R]):
    """The flow run of a step: the type of its state, and whatever the caller knows of it."""

    state_type: str
    run: R


@dataclass(frozen=True)
class Reached(Generic[R]):
    """Where a step stands: ``waiting``, ``running``, ``done``, ``failed``, or ``skipped``: what it waits for does not
    come any more. ``why`` says for what it waits, or why it is skipped.
    """

    step: Step
    status: str
    run: R | None
    why: str = ""


def progress(
    spec: ChainSpec, runs: Mapping[str, StepRun[R]], stuck: Mapping[str, str] | None = None
) -> dict[str, Reached[R]]:
    """Where each step stands.

    Args:
        runs: Of the steps that have been started, by name.
        stuck: Why a step could not be started, by name, where that was tried and given up.
    """
    found: dict[str, Reached[R]] = {}
    left = dict(spec.steps)
    while left:  # no circles: each round settles some
        for name, step in list(left.items()):
            if all(other in found for other in step.after):
                found[name] = _reached(step, runs, stuck or {}, found)
                del left[name]
    return {name: found[name] for name in spec.steps}


def whole(steps: Mapping[str, Reached[R]]) -> str:
    """Where the run of the chain stands: ``running`` while any step goes on or may come, else ``failed`` when any
    failed, else ``done``.
    """
    statuses = {item.status for item in steps.values()}
    if statuses & {"running", "waiting"}:
        return "running"
    return "failed" if "failed" in statuses else "done"


def _reached(
    step: Step, runs: Mapping[str, StepRun[R]], stuck: Mapping[str, str], before: Mapping[str, Reached[R]]
) -> Reached[R]:
    own = runs.get(step.name)
    if own is not None:
        if own.state_type == "SCHEDULED":
            return Reached(step, "waiting", own.run, "for its run to begin")
        if own.state_type not in ENDED:
            return Reached(step, "running", own.run)
        return Reached(step, "done" if own.state_type == "COMPLETED" else "failed", own.run)
    if step.name in stuck:
        return Reached(step, "failed", None, f"could not be started: {stuck[step.name]}")
    if not step.after:
        return Reached(step, "skipped", None, "its run was deleted")
    missed = {name: why for name in step.after if (why := _missed(step, before[name], runs.get(name)))}
    if missed and (not step.any_of or len(missed) == len(step.after)):
        return Reached(step, "skipped", None, next(iter(missed.values())))
    open_ = [name for name in step.after if name not in missed and not _came(step, runs.get(name))]
    return Reached(step, "waiting", None, f"for {', '.join(open_)}" if open_ else "to be started")


def _came(step: Step, run: StepRun[R] | None) -> bool:
    return run is not None and run.state_type in step.ends


def _missed(step: Step, other: Reached[R], run: StepRun[R] | None) -> str:
    """Why a step that is waited for does not end as it should any more; empty while it may."""
    name = other.step.name
    if run is None:
        if other.status == "failed":
            return f"{name} could not be started"
        return f"{name} was not reached" if other.status == "skipped" else ""
    if run.state_type in ENDED and run.state_type not in step.ends:
        return f"{name} ended {run.state_type.lower()}, not {' or '.join(end.lower() for end in step.ends)}"
    return ""
