"""What a rule sees, and what it may say."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import ClassVar

from ...documents.records import State
from ...states import SUSPENDED, SUSPENDING, TERMINAL, StateType


class Effect(str, Enum):
    """What a rule decides about a proposed change of state."""

    ACCEPT = "ACCEPT"  #: it is made; no later rule is asked
    REJECT = "REJECT"  #: another state, which the decision names, is taken in its place
    WAIT = "WAIT"  #: not yet: ask again after the time that the decision names
    ABORT = "ABORT"  #: refused; nothing changes


@dataclass(frozen=True)
class Facts:
    """What rules may know of a flow run as it is."""

    type: StateType
    name: str
    message: str = ""
    attempt: int = 0
    due: datetime | None = None
    #: An agent holds it.
    is_leased: bool = False
    #: It belongs to a work queue; if not, it was started by hand.
    is_queued: bool = False
    is_cancel_asked: bool = False
    #: An agent can take it (up again): it has a deployment, and is no errand that somebody waits for.
    is_deployed: bool = False
    #: How often it may be queued again after a crash, and how often it was.
    crash_retries: int = 0
    crashes: int = 0
    #: Seconds that it waits after its first crash.
    crash_delay_s: float = 0.0

    @property
    def is_terminal(self) -> bool:
        return self.type in TERMINAL

    @property
    def is_suspended(self) -> bool:
        """Whether nothing executes it until it is resumed."""
        return self.type is StateType.PAUSED and self.name == SUSPENDED

    @property
    def is_paused(self) -> bool:
        """Whether its process waits for a person."""
        return self.type is StateType.PAUSED and self.name != SUSPENDED

    @property
    def is_suspending(self) -> bool:
        """Whether its processes are taken down for it to be suspended."""
        return self.type is StateType.CANCELLING and self.name == SUSPENDING


@dataclass(frozen=True)
class Move:
    """A proposed change: from the facts to a state, by the process of ``attempt`` (None: by a person or a loop)."""

    facts: Facts
    proposed: State
    attempt: int | None
    now: datetime
    #: A person wants it, not a loop.
    is_asked: bool = False

    @property
    def is_suspension(self) -> bool:
        """Whether a person, or a loop, wants the run suspended."""
        kind, name = self.proposed.type, self.proposed.name
        wanted = kind is StateType.PAUSED or (kind is StateType.CANCELLING and name == SUSPENDING)
        return self.attempt is None and wanted


@dataclass(frozen=True)
class Decision:
    """What became of a move. ``code`` is for programs, ``message`` for people."""

    effect: Effect
    code: str = ""
    message: str = ""
    #: REJECT: the state taken instead.
    state: State | None = None
    #: REJECT, where that state is SCHEDULED: when it is due.
    due: datetime | None = None
    #: WAIT: seconds.
    wait_s: float | None = None
    #: Name of the rule that decided.
    rule: str = ""
    #: ACCEPT of what is so already: nothing is written.
    is_repeat: bool = False


class Rule(ABC):
    """One rule. Its class is named after its effect; ``code`` is the reason it gives."""

    code: ClassVar[str]

    @abstractmethod
    def decide(self, move: Move) -> Decision | None:
        """Decide about the move; None leaves it to the next rule."""
