"""The rules of a flow run's changes of state."""

from __future__ import annotations

from datetime import timedelta

from ...clock import to_text
from ...documents.records import State
from ...states import LOST, SUSPENDED, SUSPENDING, TERMINAL, UNSUCCESSFUL, StateType, is_allowed
from .move import Decision, Effect, Move, Rule

S = StateType

#: A start may be confirmed this much early, in seconds: the agent counts down on a clock of its own.
EARLY_S = 0.1
#: Longest wait after a crash, in seconds.
CRASH_DELAY_MAX_S = 3600.0


class AbortOtherAttempt(Rule):
    """A process may speak for its own attempt only: once the run was claimed anew, older ones are not heard."""

    code = "stale-attempt"

    def decide(self, move: Move) -> Decision | None:
        if move.attempt is None or move.attempt == move.facts.attempt:
            return None
        return Decision(
            Effect.ABORT, self.code, f"attempt {move.attempt} is not the present one, which is {move.facts.attempt}"
        )


class AcceptRepeat(Rule):
    """The same report again (its answer was lost on the way) is heard, and changes nothing."""

    code = "already-so"

    def decide(self, move: Move) -> Decision | None:
        facts, proposed = move.facts, move.proposed
        if (facts.type, facts.name) != (proposed.type, proposed.name) or move.attempt is None:
            return None
        if not facts.is_terminal and facts.message != proposed.message:
            return None
        return Decision(Effect.ACCEPT, self.code, is_repeat=True)


class AcceptReturnOfLost(Rule):
    """A run that was given up as lost, and not started anew, may still tell how it ended."""

    code = "found-again"

    def decide(self, move: Move) -> Decision | None:
        facts = move.facts
        if (facts.type, facts.name) != (S.CRASHED, LOST) or move.attempt is None:
            return None
        is_end = move.proposed.type in TERMINAL
        return Decision(Effect.ACCEPT, self.code) if is_end or move.proposed.type is S.RUNNING else None


class AbortAfterEnd(Rule):
    """Ends absorb. Only a person's "run it again" leads out of one, and only for a run that agents can take."""

    code = "terminal"

    def decide(self, move: Move) -> Decision | None:
        facts = move.facts
        if not facts.is_terminal:
            return None
        if move.proposed.type is S.SCHEDULED and move.attempt is None and facts.type is not S.COMPLETED:
            if facts.is_queued:
                return None
            message = "the run was started by hand, so no agent can run it again: start its flow anew"
            return Decision(Effect.ABORT, "not-deployed", message)
        return Decision(Effect.ABORT, self.code, f"the run is {facts.type} already")


class AcceptRunningOfPaused(Rule):
    """What a process said before it paused may come after that. Its run goes on once somebody says so, not earlier."""

    code = "paused"

    def decide(self, move: Move) -> Decision | None:
        if move.attempt is None or not move.facts.is_paused or move.proposed.type is not S.RUNNING:
            return None
        return Decision(Effect.ACCEPT, self.code, is_repeat=True)


class AbortSuspendedAttempt(Rule):
    """A suspended run is moved on by people and by the server; what its last attempt says comes too late."""

    code = "suspended"

    def decide(self, move: Move) -> Decision | None:
        if move.attempt is None or not move.facts.is_suspended:
            return None
        return Decision(Effect.ABORT, self.code, f"the run is suspended: its attempt {move.attempt} is over")


class AbortSuspensionForGood(Rule):
    """Only what an agent can take up again is suspended; and only that is resumed."""

    code = "not-deployed"

    def decide(self, move: Move) -> Decision | None:
        facts = move.facts
        resumed = facts.is_suspended and move.attempt is None and move.proposed.type is S.SCHEDULED
        suspended = move.is_suspension and facts.type is not S.CANCELLING
        if facts.is_deployed or not (suspended or resumed):
            return None
        why = "it was started by hand, is an errand, or its deployment was deleted"
        return Decision(Effect.ABORT, self.code, f"no agent can take the run up again: {why}")


class RejectSuspensionOfWaiting(Rule):
    """Where nothing executes there is nothing to stop: a run to be suspended is so at once."""

    code = "nothing-to-stop"

    def decide(self, move: Move) -> Decision | None:
        if not move.is_suspension or move.facts.type is not S.SCHEDULED or move.facts.is_cancel_asked:
            return None
        return Decision(Effect.REJECT, self.code, "nothing executes it", state=_named(move, S.PAUSED, SUSPENDED))


class RejectSuspensionOfHeld(Rule):
    """What an agent holds is stopped first: it is CANCELLING, ``Suspending``, until its processes are gone."""

    code = "stop-first"

    def decide(self, move: Move) -> Decision | None:
        holds = move.facts.type in (S.PENDING, S.RUNNING) or move.facts.is_paused
        if not move.is_suspension or not holds:
            return None
        state = _named(move, S.CANCELLING, SUSPENDING)
        return Decision(Effect.REJECT, self.code, "its processes are stopped first", state=state)


class RejectCancelledOfSuspending(Rule):
    """A process that was stopped for a suspension says that it was CANCELLED, or is tried again: it is suspended."""

    code = "stopped-to-suspend"

    def decide(self, move: Move) -> Decision | None:
        facts, proposed = move.facts, move.proposed
        if not facts.is_suspending or facts.is_cancel_asked or move.attempt is None:
            return None
        if proposed.type not in (S.CANCELLED, S.PAUSED, S.SCHEDULED):
            return None
        state = State(S.PAUSED, SUSPENDED, facts.message, proposed.at, proposed.details)
        return Decision(Effect.REJECT, self.code, "it was stopped to be suspended", state=state)


class RejectRetryOfCancelled(Rule):
    """A process that ends before its next try, while a cancel is on its way, has stopped: the run is CANCELLED."""

    code = "cancel-asked"

    def decide(self, move: Move) -> Decision | None:
        if move.attempt is None or not move.facts.is_queued:
            return None
        if move.facts.type is not S.CANCELLING or move.proposed.type is not S.SCHEDULED:
            return None
        state = State(S.CANCELLED, message=move.facts.message, at=move.proposed.at)
        return Decision(Effect.REJECT, self.code, "a cancel was asked for", state=state)


class RejectSuspendedOfCancelled(Rule):
    """A process that ended to be suspended, while a cancel was asked for: the run is CANCELLED."""

    code = "cancel-asked"

    def decide(self, move: Move) -> Decision | None:
        facts, proposed = move.facts, move.proposed
        ended = move.attempt is not None and (proposed.type, proposed.name) == (S.PAUSED, SUSPENDED)
        if not ended or facts.type is not S.CANCELLING or facts.is_suspending:
            return None
        state = State(S.CANCELLED, "", facts.message, proposed.at, proposed.details)
        return Decision(Effect.REJECT, self.code, "a cancel was asked for", state=state)


class AbortWhileStopping(Rule):
    """A cancel is asked for once, and takes precedence over a suspension, whichever was first."""

    code = "cancel-asked"

    def decide(self, move: Move) -> Decision | None:
        facts, proposed = move.facts, move.proposed
        if facts.type is not S.CANCELLING or proposed.type not in (S.CANCELLING, S.PAUSED):
            return None
        if not facts.is_suspending:
            return Decision(Effect.ABORT, self.code, "a cancel was asked for")
        if proposed.type is S.CANCELLING and proposed.name == SUSPENDING:
            return Decision(Effect.ABORT, "suspending", "the run is being suspended already")
        return None


class RejectStopOfWaiting(Rule):
    """Where nothing executes there is nothing to stop: a run asked to stop is CANCELLED at once."""

    code = "nothing-to-stop"

    def decide(self, move: Move) -> Decision | None:
        waits = move.facts.type is S.SCHEDULED or move.facts.is_suspended
        if not waits or move.proposed.type is not S.CANCELLING:
            return None
        state = State(S.CANCELLED, message=move.proposed.message, at=move.proposed.at)
        return Decision(Effect.REJECT, self.code, "nothing executes it", state=state)


class RejectEndOfHeld(Rule):
    """What an agent holds is stopped first: a person's CANCELLED becomes CANCELLING until its processes are gone."""

    code = "stop-first"

    def decide(self, move: Move) -> Decision | None:
        facts = move.facts
        if move.attempt is not None or move.proposed.type is not S.CANCELLED or not facts.is_leased:
            return None
        if facts.type not in (S.PENDING, S.RUNNING) and not (facts.is_suspending or facts.is_paused):
            return None
        state = State(S.CANCELLING, message=move.proposed.message, at=move.proposed.at)
        return Decision(Effect.REJECT, self.code, "its processes are stopped first", state=state)


class AbortMissingArrow(Rule):
    """The table of arrows, :data:`orchestrator.states.ARROWS`."""

    code = "no-such-arrow"

    def decide(self, move: Move) -> Decision | None:
        if is_allowed(move.facts.type, move.proposed.type):
            return None
        return Decision(Effect.ABORT, self.code, f"a run that is {move.facts.type} cannot become {move.proposed.type}")


class AbortUnclaimed(Rule):
    """A run that waits in a queue is taken by a claim alone: the claim gives the attempt and the lease. The attempt
    before it is over, and cannot end badly any more: it was queued again in spite of that."""

    code = "only-by-claim"

    def decide(self, move: Move) -> Decision | None:
        waiting = move.facts.is_queued and move.facts.type is S.SCHEDULED
        ends_badly = move.attempt is not None and move.proposed.type in UNSUCCESSFUL
        if not waiting or not (ends_badly or move.proposed.type in (S.PENDING, S.RUNNING)):
            return None
        return Decision(Effect.ABORT, self.code, "the run waits in a work queue; an agent starts it by claiming it")


class AbortCancelled(Rule):
    """Once a cancel was asked for, nothing begins or waits again; what runs may end in its own way."""

    code = "cancel-asked"

    def decide(self, move: Move) -> Decision | None:
        if not move.facts.is_cancel_asked or move.facts.is_terminal:
            return None
        if move.proposed.type not in (S.RUNNING, S.PENDING, S.PAUSED, S.SCHEDULED):
            return None
        return Decision(Effect.ABORT, self.code, "a cancel was asked for")


class RejectCrashWithinBudget(Rule):
    """What the world stopped is tried again as often as the deployment says, beside the retries of its code; each time
    it waits twice as long. A crash that a person states, and one on the way to a stop, is final."""

    code = "crash-retried"

    def decide(self, move: Move) -> Decision | None:
        facts, proposed = move.facts, move.proposed
        if proposed.type is not S.CRASHED or move.is_asked or not facts.is_deployed or facts.is_suspended:
            return None
        if facts.type not in (S.PENDING, S.RUNNING, S.PAUSED) or facts.is_cancel_asked:
            return None
        if facts.crashes >= facts.crash_retries:
            return None
        wait_s = min(facts.crash_delay_s * 2**facts.crashes, CRASH_DELAY_MAX_S)
        number, due = facts.crashes + 1, move.now + timedelta(seconds=wait_s)
        told = f"It crashed, and is tried again (crash retry {number} of {facts.crash_retries}): {proposed.message}"
        details = {"crash": number, "crash_retries": facts.crash_retries, "due": to_text(due)}
        state = State(S.SCHEDULED, "AwaitingRetry", told, proposed.at, {**(proposed.details or {}), **details})
        return Decision(Effect.REJECT, self.code, "crash retries are left", state=state, due=due)


class WaitUntilDue(Rule):
    """Nothing that an agent prepared begins before its time."""

    code = "not-due"

    def decide(self, move: Move) -> Decision | None:
        facts = move.facts
        if facts.type is not S.PENDING or move.proposed.type is not S.RUNNING or facts.due is None:
            return None
        wait_s = (facts.due - move.now).total_seconds()
        if not facts.is_queued or wait_s <= EARLY_S:
            return None
        return Decision(Effect.WAIT, self.code, f"it is due in {wait_s:.3f} s", wait_s=wait_s)


def _named(move: Move, kind: StateType, name: str) -> State:
    """The proposed state under another type and name."""
    proposed = move.proposed
    return State(kind, name, proposed.message, proposed.at, proposed.details)
