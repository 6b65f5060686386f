"""The terminal state of an attempt, from what its supervisor saw."""

from __future__ import annotations

import enum
import signal
from dataclasses import dataclass
from typing import Any

from orchestrator.documents.records import State
from orchestrator.states import TERMINAL, StateType

from .processes import signal_name


class Ask(enum.IntEnum):
    """Why a supervisor takes a run down; of several reasons the highest counts."""

    NOTHING = 0
    #: The agent is being stopped.
    STOP = 1
    #: The same, and another agent shall have the run.
    HAND_OVER = 2
    #: It ran over its time-out.
    TIMEOUT = 3
    #: A person, or a rule, wants it to end.
    CANCEL = 4
    #: It is not ours any more: the attempt was superseded, or the run deleted. Nothing is reported.
    LOST = 5


#: Asked to stop so, a flow that completes all the same has completed.
_MAY_COMPLETE = (Ask.CANCEL, Ask.STOP, Ask.HAND_OVER)


@dataclass
class Facts:
    """What was seen of one attempt."""

    agent: str
    ask: Ask = Ask.NOTHING
    #: What the flow's process said of its end, where it came to that.
    end: State | None = None
    #: Whether :attr:`end` was said before anybody asked the process to stop.
    ended_by_itself: bool = False
    code: int | None = None
    signal: int | None = None
    #: Why no process could be started.
    error: str | None = None
    #: Why what ran elsewhere ended, as its infrastructure tells it.
    reason: str = ""
    timeout_s: float = 0.0
    grace_s: float = 0.0
    #: Whether it had to be killed after the grace.
    killed: bool = False


def verdict(facts: Facts) -> State | None:
    """The state to report; None when there is nothing to report.

    A flow that ended by itself keeps its own state, even when a stop was asked for in that moment. One that was asked
    to stop gets the state of that request, whatever it said while it was going down; except that a cancelled flow
    which still completed has completed.
    """
    if facts.ask is Ask.LOST:
        return None
    if facts.end is not None and facts.end.type not in TERMINAL and facts.ask is Ask.CANCEL:
        return _asked(facts)  # it was about to wait for its next try
    if facts.end is not None and (facts.ended_by_itself or facts.ask is Ask.NOTHING):
        return facts.end
    if facts.end is not None and facts.end.type is StateType.COMPLETED and facts.ask in _MAY_COMPLETE:
        return facts.end
    if facts.ask is not Ask.NOTHING:
        return _asked(facts)
    return State(StateType.CRASHED, message=_crash(facts), details=_details(facts))


def _asked(facts: Facts) -> State:
    how = f"; it did not stop within {facts.grace_s:g} s and was killed" if facts.killed else ""
    if facts.ask is Ask.CANCEL:
        return State(StateType.CANCELLED, message=f"cancelled{how}", details=_details(facts))
    if facts.ask is Ask.TIMEOUT:
        message = f"ran over its time-out of {facts.timeout_s:g} s{how}"
        return State(StateType.FAILED, name="TimedOut", message=message, details=_details(facts))
    stopped = f"the agent {facts.agent} was stopped{how}"
    if facts.ask is Ask.HAND_OVER:
        return State(StateType.SCHEDULED, message=f"handed over: {stopped}", details=_details(facts))
    return State(StateType.CRASHED, message=stopped, details=_details(facts))


def _crash(facts: Facts) -> str:
    if facts.error is not None:
        return f"the agent {facts.agent} could not start a process: {facts.error}"
    if facts.reason:
        return facts.reason
    if facts.signal == signal.SIGKILL:
        return "the flow's process was ended by SIGKILL: killed from outside, or out of memory"
    if facts.signal == signal.SIGXCPU:
        return "the flow's process used more processor time than its infrastructure allows (cpu_seconds), and was ended"
    if facts.signal is not None:
        return f"the flow's process was ended by {signal_name(facts.signal)}"
    return f"the flow's process exited with code {facts.code} before the flow ended"


def _details(facts: Facts) -> dict[str, Any] | None:
    found: dict[str, Any] = {}
    if facts.signal is not None:
        found["signal"] = signal_name(facts.signal)
    if facts.code is not None:
        found["exit_code"] = facts.code
    return found or None
