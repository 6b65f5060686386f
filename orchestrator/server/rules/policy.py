"""The order in which rules are asked; the first that decides, decides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from .flow_run import (
    AbortAfterEnd,
    AbortCancelled,
    AbortMissingArrow,
    AbortOtherAttempt,
    AbortSuspendedAttempt,
    AbortSuspensionForGood,
    AbortUnclaimed,
    AbortWhileStopping,
    AcceptRepeat,
    AcceptReturnOfLost,
    AcceptRunningOfPaused,
    RejectCancelledOfSuspending,
    RejectCrashWithinBudget,
    RejectEndOfHeld,
    RejectRetryOfCancelled,
    RejectStopOfWaiting,
    RejectSuspendedOfCancelled,
    RejectSuspensionOfHeld,
    RejectSuspensionOfWaiting,
    WaitUntilDue,
)
from .move import Decision, Effect, Move, Rule

#: Who speaks is settled first, then what has ended, then what stopping means, then what may follow what.
FLOW_RUN: tuple[Rule, ...] = (
    AbortOtherAttempt(),
    AcceptRepeat(),
    AcceptReturnOfLost(),
    AbortAfterEnd(),
    AcceptRunningOfPaused(),
    AbortSuspendedAttempt(),
    AbortSuspensionForGood(),
    RejectSuspensionOfWaiting(),
    RejectSuspensionOfHeld(),
    RejectCancelledOfSuspending(),
    RejectSuspendedOfCancelled(),
    RejectStopOfWaiting(),
    RejectEndOfHeld(),
    RejectRetryOfCancelled(),
    AbortWhileStopping(),
    AbortMissingArrow(),
    AbortUnclaimed(),
    AbortCancelled(),
    RejectCrashWithinBudget(),
    WaitUntilDue(),
)


def decide(move: Move, rules: Sequence[Rule] = FLOW_RUN) -> Decision:
    """Ask the rules in order; a move that none decides about is accepted."""
    for rule in rules:
        decision = rule.decide(move)
        if decision is not None:
            return replace(decision, rule=type(rule).__name__)
    return Decision(Effect.ACCEPT)
