"""The life of a run: state types, their named sets, and the table of allowed arrows.

The *type* drives every decision; the *name* is what a person reads ("Late" is a SCHEDULED run, "TimedOut" a FAILED
one). This module imports nothing of ours, so client, server and agents share one truth.

```
                      +--------------------- server: due again ---------------------+
                      v                                                             |
   create ----> SCHEDULED --- agent claims ---> PENDING --- code ready ---> RUNNING --- retry
                   |  |                            |                          |  |
                   |  +---- by hand ---------------+--------------------------+  +---> PAUSED --> RUNNING | SCHEDULED
                   |                               |                          |
                   +---- cancel ---> CANCELLED <---+---- CANCELLING <---------+
                   +---- suspend --> PAUSED <------------ CANCELLING (named Suspending)
                                                                              |
                          COMPLETED | FAILED (the code raised) | CRASHED (the world stopped it)
```
"""

from __future__ import annotations

from enum import Enum


class StateType(str, Enum):
    """The nine types that logic is written against."""

    SCHEDULED = "SCHEDULED"  #: known, waiting for its time or for an agent
    PENDING = "PENDING"  #: claimed by an agent (or about to start by hand); code is being prepared
    RUNNING = "RUNNING"  #: user code is executing
    PAUSED = "PAUSED"  #: waiting for a person; its process stays, unless it is Suspended
    CANCELLING = "CANCELLING"  #: asked to stop; processes are being taken down
    COMPLETED = "COMPLETED"  #: the code returned
    FAILED = "FAILED"  #: the code raised, or ran over its time
    CRASHED = "CRASHED"  #: the outside world stopped it: signal, lost agent, missing code
    CANCELLED = "CANCELLED"  #: a person, a rule or a parent stopped it

    def __str__(self) -> str:
        return self.value


S = StateType

TERMINAL = frozenset({S.COMPLETED, S.FAILED, S.CRASHED, S.CANCELLED})
#: An agent (or a hand-started process) is busy with the run: it occupies a slot.
ACTIVE = frozenset({S.PENDING, S.RUNNING, S.CANCELLING})
#: Nothing executes; the run is waiting.
WAITING = frozenset({S.SCHEDULED, S.PAUSED})
#: The work did not do what was asked of it.
UNSUCCESSFUL = frozenset({S.FAILED, S.CRASHED, S.CANCELLED})

#: What may follow what. Keys are the present type (None: the run is being created), values the possible next types.
#: Terminal states absorb: the only arrow out of them is a person's "run it again", and the one told at
#: :data:`LOST`.
ARROWS: dict[StateType | None, frozenset[StateType]] = {
    None: frozenset({S.SCHEDULED, S.PENDING, S.RUNNING, *TERMINAL}),
    S.SCHEDULED: frozenset({S.SCHEDULED, S.PENDING, S.RUNNING, S.PAUSED, *TERMINAL}),
    S.PENDING: frozenset({S.SCHEDULED, S.RUNNING, S.CANCELLING, *TERMINAL}),
    S.RUNNING: frozenset({S.SCHEDULED, S.RUNNING, S.PAUSED, S.CANCELLING, *TERMINAL}),
    S.PAUSED: frozenset({S.SCHEDULED, S.RUNNING, S.CANCELLING, *TERMINAL}),
    # What is asked to stop comes back only if it is to be suspended; that may still become a cancel.
    S.CANCELLING: frozenset({S.PAUSED, S.CANCELLING, *TERMINAL}),
    S.COMPLETED: frozenset(),
    S.FAILED: frozenset({S.SCHEDULED}),
    S.CRASHED: frozenset({S.SCHEDULED}),
    S.CANCELLED: frozenset({S.SCHEDULED}),
}

#: The hook of a flow that is called at a run's end, by the type of that.
END_HOOKS = {
    S.COMPLETED: "on_completion",
    S.FAILED: "on_failure",
    S.CRASHED: "on_crashed",
    S.CANCELLED: "on_cancellation",
}

#: The name of the only terminal state that its own, unsuperseded attempt may still replace: a hand-started process
#: fell silent and came back.
LOST = "Lost"

#: The name of a PAUSED run that nothing executes: it holds no slot until it is resumed, which begins a new attempt.
SUSPENDED = "Suspended"
#: The name of a CANCELLING run that will be :data:`SUSPENDED` once its processes are gone.
SUSPENDING = "Suspending"
#: The name of a FAILED run that nobody resumed in time.
SUSPENSION_TIMED_OUT = "SuspensionTimedOut"

#: The name of a COMPLETED task run whose work was undone, with the transaction that it was part of.
ROLLED_BACK = "RolledBack"

#: The name a state takes when nobody gave one.
DISPLAY_NAMES: dict[StateType, str] = {kind: kind.value.capitalize() for kind in StateType}

#: Other names we give ourselves, and the type each belongs to. Users may name their states as they like: what is
#: decided by a name is decided by name and type.
NAMED: dict[str, StateType] = {
    "Late": S.SCHEDULED,
    "AwaitingRetry": S.SCHEDULED,
    "Retrying": S.RUNNING,
    "Cached": S.COMPLETED,
    ROLLED_BACK: S.COMPLETED,
    SUSPENDED: S.PAUSED,
    SUSPENDING: S.CANCELLING,
    "TimedOut": S.FAILED,
    SUSPENSION_TIMED_OUT: S.FAILED,
    LOST: S.CRASHED,
    "Skipped": S.CANCELLED,
}


def is_held(kind: StateType, name: str) -> bool:
    """Tell whether a process is busy with a run in this state: it occupies a slot, and has a lease."""
    return kind in ACTIVE or (kind is S.PAUSED and name != SUSPENDED)


def is_over(kind: StateType, name: str) -> bool:
    """Tell whether a run in this state is done with its attempt: it ended, or is suspended."""
    return kind in TERMINAL or (kind is S.PAUSED and name == SUSPENDED)


def is_allowed(before: StateType | None, after: StateType) -> bool:
    """Tell whether the table has an arrow from ``before`` (None: not yet created) to ``after``."""
    return after in ARROWS[before]
