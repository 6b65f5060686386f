"""What may become of a flow run: the rules, one by one and together."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.documents.records import State
from orchestrator.server.rules import policy
from orchestrator.server.rules.move import Decision, Effect, Facts, Move
from orchestrator.states import ACTIVE, LOST, SUSPENDED, SUSPENDING, TERMINAL, UNSUCCESSFUL, StateType, is_allowed

S = StateType
NOW = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)


def decide(
    before: StateType, after: StateType, attempt: int | None = 1, name: str = "", new_name: str = "", **facts: Any
) -> Decision:
    due, is_asked = facts.pop("due", NOW), facts.pop("is_asked", False)
    known = Facts(before, name or before.value.capitalize(), attempt=1, due=due, **facts)
    return policy.decide(Move(known, State(after, new_name, at=NOW), attempt, NOW, is_asked))


@pytest.mark.parametrize("attempt", [0, 2])
def test_another_attempt_is_not_heard(attempt: int) -> None:
    decision = decide(S.RUNNING, S.COMPLETED, attempt)
    assert (decision.effect, decision.code) == (Effect.ABORT, "stale-attempt")


def test_the_rule_that_decided_is_named() -> None:
    assert decide(S.RUNNING, S.COMPLETED, 7).rule == "AbortOtherAttempt"


def test_the_same_report_again_changes_nothing() -> None:
    decision = decide(S.COMPLETED, S.COMPLETED)
    assert (decision.effect, decision.is_repeat) == (Effect.ACCEPT, True)


@pytest.mark.parametrize("end", sorted(TERMINAL))
@pytest.mark.parametrize("after", [S.PENDING, S.RUNNING, S.PAUSED, S.CANCELLING])
def test_ends_absorb(end: StateType, after: StateType) -> None:
    decision = decide(end, after)
    assert (decision.effect, decision.code) == (Effect.ABORT, "terminal")


@pytest.mark.parametrize("after", [*sorted(TERMINAL - {S.CRASHED}), S.RUNNING])
def test_a_lost_run_may_tell_how_it_went_on(after: StateType) -> None:
    assert decide(S.CRASHED, after, name=LOST).effect is Effect.ACCEPT


def test_a_lost_run_that_was_superseded_is_not_heard() -> None:
    assert decide(S.CRASHED, S.COMPLETED, attempt=0, name=LOST).code == "stale-attempt"


def test_a_lost_run_is_not_changed_by_people() -> None:
    assert decide(S.CRASHED, S.COMPLETED, attempt=None, name=LOST).code == "terminal"


@pytest.mark.parametrize("end", [S.FAILED, S.CRASHED, S.CANCELLED])
def test_a_person_may_run_it_again(end: StateType) -> None:
    assert decide(end, S.SCHEDULED, attempt=None, is_queued=True).effect is Effect.ACCEPT


def test_what_completed_is_not_run_again_under_its_id() -> None:
    assert decide(S.COMPLETED, S.SCHEDULED, attempt=None, is_queued=True).code == "terminal"


def test_a_run_by_hand_cannot_be_queued_again() -> None:
    assert decide(S.FAILED, S.SCHEDULED, attempt=None).code == "not-deployed"


def test_a_waiting_run_is_cancelled_at_once() -> None:
    decision = decide(S.SCHEDULED, S.CANCELLING, attempt=None, is_queued=True)
    assert decision.effect is Effect.REJECT
    assert decision.state is not None
    assert decision.state.type is S.CANCELLED


def test_a_held_run_is_stopped_before_it_is_cancelled() -> None:
    decision = decide(S.RUNNING, S.CANCELLED, attempt=None, is_leased=True)
    assert decision.effect is Effect.REJECT
    assert decision.state is not None
    assert decision.state.type is S.CANCELLING


def test_the_holder_itself_may_say_cancelled() -> None:
    assert decide(S.CANCELLING, S.CANCELLED, is_leased=True, is_cancel_asked=True).effect is Effect.ACCEPT


@pytest.mark.parametrize("after", [S.PENDING, S.RUNNING])
def test_a_queued_run_is_started_by_a_claim_alone(after: StateType) -> None:
    assert decide(S.SCHEDULED, after, is_queued=True).code == "only-by-claim"


def test_running_is_refused_once_a_cancel_was_asked_for() -> None:
    assert decide(S.PENDING, S.RUNNING, is_leased=True, is_cancel_asked=True).code == "cancel-asked"


def test_running_waits_until_it_is_due() -> None:
    decision = decide(S.PENDING, S.RUNNING, is_queued=True, due=NOW + timedelta(seconds=1.5))
    assert (decision.effect, decision.code, decision.wait_s) == (Effect.WAIT, "not-due", 1.5)


def test_a_clock_that_is_a_little_fast_is_forgiven() -> None:
    assert decide(S.PENDING, S.RUNNING, is_queued=True, due=NOW + timedelta(milliseconds=90)).effect is Effect.ACCEPT


def reached(decision: Decision) -> tuple[StateType, str]:
    """The state that a run gets in place of the proposed one."""
    assert decision.effect is Effect.REJECT
    assert decision.state is not None
    return decision.state.type, decision.state.name


def test_a_waiting_run_is_suspended_at_once() -> None:
    decision = decide(S.SCHEDULED, S.PAUSED, None, is_queued=True, is_deployed=True)
    assert reached(decision) == (S.PAUSED, SUSPENDED)


@pytest.mark.parametrize("before", [S.PENDING, S.RUNNING])
def test_a_held_run_is_stopped_before_it_is_suspended(before: StateType) -> None:
    decision = decide(before, S.PAUSED, None, is_leased=True, is_queued=True, is_deployed=True)
    assert reached(decision) == (S.CANCELLING, SUSPENDING)


@pytest.mark.parametrize("before", [S.SCHEDULED, S.PENDING, S.RUNNING])
@pytest.mark.parametrize(("after", "name"), [(S.PAUSED, ""), (S.CANCELLING, SUSPENDING)])
def test_what_no_agent_could_take_up_again_is_not_suspended(before: StateType, after: StateType, name: str) -> None:
    decision = decide(before, after, None, new_name=name)
    assert (decision.effect, decision.code) == (Effect.ABORT, "not-deployed")


@pytest.mark.parametrize("end", sorted(TERMINAL))
def test_what_ended_is_not_suspended(end: StateType) -> None:
    assert decide(end, S.PAUSED, None, is_deployed=True).code == "terminal"


@pytest.mark.parametrize("after", [S.CANCELLED, S.PAUSED])
def test_a_process_that_was_stopped_to_suspend_leaves_a_suspended_run(after: StateType) -> None:
    decision = decide(S.CANCELLING, after, name=SUSPENDING, is_leased=True, is_deployed=True, message="By ann.")
    assert reached(decision) == (S.PAUSED, SUSPENDED)
    assert decision.state is not None
    assert decision.state.message == "By ann."


@pytest.mark.parametrize("after", [S.COMPLETED, S.FAILED, S.CRASHED])
def test_what_ends_in_its_own_way_while_it_is_stopped_has_ended_so(after: StateType) -> None:
    assert decide(S.CANCELLING, after, name=SUSPENDING, is_leased=True).effect is Effect.ACCEPT


@pytest.mark.parametrize("after", [S.PENDING, S.RUNNING])
def test_nothing_begins_while_it_is_stopped_to_be_suspended(after: StateType) -> None:
    assert decide(S.CANCELLING, after, name=SUSPENDING, is_leased=True).effect is Effect.ABORT


def test_a_cancel_takes_precedence_over_a_suspension() -> None:
    assert decide(S.CANCELLING, S.CANCELLING, None, name=SUSPENDING, is_leased=True).effect is Effect.ACCEPT
    assert reached(decide(S.CANCELLING, S.CANCELLED, None, name=SUSPENDING, is_leased=True))[0] is S.CANCELLING
    for after in (S.PAUSED, S.CANCELLING):
        assert decide(S.CANCELLING, after, None, is_deployed=True, is_cancel_asked=True).code == "cancel-asked"


def test_a_suspension_is_not_asked_for_twice() -> None:
    assert decide(S.CANCELLING, S.CANCELLING, None, name=SUSPENDING, new_name=SUSPENDING).code == "suspending"


def test_a_suspended_run_is_resumed_by_people() -> None:
    assert decide(S.PAUSED, S.SCHEDULED, None, name=SUSPENDED, is_deployed=True).effect is Effect.ACCEPT
    assert decide(S.PAUSED, S.SCHEDULED, None, name=SUSPENDED).code == "not-deployed"


def test_a_suspended_run_is_cancelled_at_once() -> None:
    assert reached(decide(S.PAUSED, S.CANCELLING, None, name=SUSPENDED, is_deployed=True))[0] is S.CANCELLED


@pytest.mark.parametrize("after", [kind for kind in S if kind is not S.PAUSED])
def test_the_attempt_of_a_suspended_run_is_not_heard(after: StateType) -> None:
    assert decide(S.PAUSED, after, name=SUSPENDED, is_deployed=True).code == "suspended"


@pytest.mark.parametrize("after", sorted(UNSUCCESSFUL))
def test_what_was_queued_again_does_not_end_by_its_old_attempt(after: StateType) -> None:
    assert decide(S.SCHEDULED, after, is_queued=True).code == "only-by-claim"


facts = st.builds(
    Facts,
    type=st.sampled_from(S),
    name=st.sampled_from(["", "Late", LOST, SUSPENDED, SUSPENDING, "Other"]),
    attempt=st.integers(0, 3),
    due=st.none() | st.just(NOW) | st.just(NOW + timedelta(hours=1)),
    is_leased=st.booleans(),
    is_queued=st.booleans(),
    is_cancel_asked=st.booleans(),
    is_deployed=st.booleans(),
)
moves = st.builds(
    Move,
    facts=facts,
    proposed=st.builds(State, st.sampled_from(S), st.sampled_from(["", SUSPENDED, SUSPENDING]), at=st.just(NOW)),
    attempt=st.none() | st.integers(0, 3),
    now=st.just(NOW),
)


def becomes(move: Move) -> StateType:
    """The type that a run has after a move was decided about."""
    decision = policy.decide(move)
    if decision.effect in (Effect.ABORT, Effect.WAIT) or decision.is_repeat:
        return move.facts.type
    return (decision.state or move.proposed).type


@given(moves)
def test_whatever_is_proposed_the_table_of_arrows_is_kept(move: Move) -> None:
    after = becomes(move)
    returned = move.facts.name == LOST and move.facts.is_terminal and move.attempt == move.facts.attempt
    assert after is move.facts.type or is_allowed(move.facts.type, after) or returned


@given(moves)
def test_whatever_is_proposed_an_end_stays_but_for_a_retry_or_a_return(move: Move) -> None:
    after = becomes(move)
    if move.facts.is_terminal and after is not move.facts.type:
        retried = after is S.SCHEDULED and move.attempt is None and move.facts.is_queued
        returned = move.facts.name == LOST and move.attempt == move.facts.attempt
        assert retried or returned


@given(moves)
def test_whatever_is_proposed_another_attempt_changes_nothing(move: Move) -> None:
    if move.attempt is not None and move.attempt != move.facts.attempt:
        assert becomes(move) is move.facts.type


@given(moves)
def test_whatever_is_proposed_a_cancel_is_never_outrun(move: Move) -> None:
    if move.facts.is_cancel_asked and not move.facts.is_terminal:
        after = becomes(move)
        assert after is move.facts.type or after not in {S.RUNNING, S.PENDING, S.SCHEDULED, S.PAUSED}


@given(moves)
def test_whatever_is_proposed_only_people_move_a_suspended_run(move: Move) -> None:
    if move.facts.is_suspended and move.attempt is not None:
        assert becomes(move) is S.PAUSED


@given(moves)
def test_whatever_is_proposed_nobody_suspends_what_no_agent_takes_up_again(move: Move) -> None:
    if not move.facts.is_deployed and move.attempt is None and move.facts.type not in (S.CANCELLING, S.PAUSED):
        assert becomes(move) is not S.PAUSED


@given(moves)
def test_refusals_have_a_code_and_a_message(move: Move) -> None:
    decision = policy.decide(move)
    if decision.effect is not Effect.ACCEPT:
        assert decision.code
        assert decision.message
        assert decision.rule
    assert (decision.state is not None) == (decision.effect is Effect.REJECT)
    assert (decision.wait_s is not None) == (decision.effect is Effect.WAIT)


def test_the_rules_know_every_type() -> None:
    assert {*TERMINAL, *ACTIVE, S.SCHEDULED, S.PAUSED} == set(S)


DEPLOYED = {"is_queued": True, "is_deployed": True, "is_leased": True, "crash_retries": 2, "crash_delay_s": 10.0}


@pytest.mark.parametrize("before", [S.PENDING, S.RUNNING, S.PAUSED])
@pytest.mark.parametrize("attempt", [1, None], ids=["told by its agent", "found by a loop"])
@pytest.mark.parametrize(("crashes", "wait_s"), [(0, 10), (1, 20)])
def test_a_crash_is_made_good_within_its_budget(
    before: StateType, attempt: int | None, crashes: int, wait_s: float
) -> None:
    decision = decide(before, S.CRASHED, attempt, crashes=crashes, **DEPLOYED)
    assert (decision.effect, decision.code) == (Effect.REJECT, "crash-retried")
    assert decision.state is not None
    assert (decision.state.type, decision.state.name) == (S.SCHEDULED, "AwaitingRetry")
    assert decision.due == NOW + timedelta(seconds=wait_s)
    assert f"crash retry {crashes + 1} of 2" in decision.state.message
    assert decision.state.details is not None
    assert decision.state.details["crash"] == crashes + 1


@pytest.mark.parametrize(
    "facts",
    [
        {"crashes": 2},
        {"is_deployed": False},
        {"is_cancel_asked": True},
        {"is_asked": True},
        {"crash_retries": 0},
    ],
)
def test_other_crashes_are_final(facts: dict[str, Any]) -> None:
    attempt = None if "is_asked" in facts else 1
    assert decide(S.RUNNING, S.CRASHED, attempt, **{**DEPLOYED, **facts}).effect is Effect.ACCEPT


def test_a_crash_on_the_way_to_a_stop_is_final() -> None:
    assert decide(S.CANCELLING, S.CRASHED, is_cancel_asked=True, **DEPLOYED).effect is Effect.ACCEPT


@given(st.integers(0, 99), st.floats(0, 1e6))
def test_no_crash_waits_for_ever(crashes: int, delay: float) -> None:
    facts = {**DEPLOYED, "crash_retries": 100, "crash_delay_s": delay}
    decision = decide(S.RUNNING, S.CRASHED, crashes=crashes, **facts)
    assert decision.due is not None
    assert decision.due <= NOW + timedelta(hours=1)


def test_what_is_to_be_tried_again_while_it_is_stopped_has_stopped() -> None:
    cancelled = decide(S.CANCELLING, S.SCHEDULED, is_queued=True, is_cancel_asked=True, new_name="AwaitingRetry")
    assert cancelled.effect is Effect.REJECT
    assert cancelled.state is not None
    assert cancelled.state.type is S.CANCELLED
    suspended = decide(S.CANCELLING, S.SCHEDULED, name=SUSPENDING, is_queued=True, new_name="AwaitingRetry")
    assert suspended.state is not None
    assert (suspended.state.type, suspended.state.name) == (S.PAUSED, SUSPENDED)


def test_a_run_that_is_paused_goes_on_when_somebody_says_so() -> None:
    said_before = decide(S.PAUSED, S.RUNNING)
    assert (said_before.effect, said_before.is_repeat) == (Effect.ACCEPT, True)
    assert decide(S.PAUSED, S.RUNNING, attempt=None).is_repeat is False
    assert decide(S.PAUSED, S.FAILED).effect is Effect.ACCEPT


def test_what_is_paused_is_stopped_first() -> None:
    for after, name in ((S.PAUSED, SUSPENDING), (S.CANCELLED, "Cancelling")):
        decision = decide(S.PAUSED, after, attempt=None, is_queued=True, is_deployed=True, is_leased=True)
        assert decision.effect is Effect.REJECT
        assert decision.state is not None
        assert (decision.state.type, decision.state.name) == (S.CANCELLING, name)


def test_a_cancel_takes_precedence_over_a_suspension_of_its_own() -> None:
    decision = decide(S.CANCELLING, S.PAUSED, new_name=SUSPENDED)
    assert decision.state is not None
    assert decision.state.type is S.CANCELLED
    assert decide(S.CANCELLING, S.PAUSED, name=SUSPENDING, new_name=SUSPENDED).state.name == SUSPENDED  # type: ignore[union-attr]
