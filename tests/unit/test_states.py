"""The table of arrows: complete, closed, and without a way out of an end but a person's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.states import (
    ACTIVE,
    ARROWS,
    DISPLAY_NAMES,
    LOST,
    NAMED,
    SUSPENDED,
    SUSPENDING,
    TERMINAL,
    UNSUCCESSFUL,
    WAITING,
    StateType,
    is_allowed,
    is_over,
)

S = StateType


def test_every_type_has_its_arrows_and_its_set() -> None:
    assert set(ARROWS) == {None, *S}
    assert set(DISPLAY_NAMES) == set(S)
    assert set(S) == TERMINAL | ACTIVE | WAITING
    assert not TERMINAL & ACTIVE
    assert not ACTIVE & WAITING
    assert TERMINAL - {S.COMPLETED} == UNSUCCESSFUL


@pytest.mark.parametrize("end", sorted(TERMINAL))
def test_ends_absorb(end: StateType) -> None:
    """The only way on is to be scheduled again; what completed stays so."""
    expected = set() if end is S.COMPLETED else {S.SCHEDULED}
    assert ARROWS[end] == expected


def test_every_run_can_end_from_wherever_it_is() -> None:
    for kind in (*ACTIVE, *WAITING):
        assert ARROWS[kind] >= TERMINAL


def test_nothing_comes_back_from_cancelling_but_to_be_suspended() -> None:
    assert ARROWS[S.CANCELLING] == TERMINAL | {S.PAUSED, S.CANCELLING}


def test_an_attempt_is_over_with_an_end_or_a_suspension() -> None:
    over = {(kind, name) for kind in S for name in ("", SUSPENDED, SUSPENDING) if is_over(kind, name)}
    assert over == {*((kind, name) for kind in TERMINAL for name in ("", SUSPENDED, SUSPENDING)), (S.PAUSED, SUSPENDED)}


@given(st.lists(st.sampled_from(list(S)), max_size=12))
def test_no_walk_along_the_arrows_leaves_a_completed_run(steps: list[StateType]) -> None:
    at: StateType | None = None
    for step in steps:
        if is_allowed(at, step):
            assert at is not S.COMPLETED
            at = step


def test_names_of_ours_belong_to_one_type_and_are_no_other_types_name() -> None:
    assert NAMED[LOST] is S.CRASHED
    assert not set(NAMED) & set(DISPLAY_NAMES.values())


def test_a_type_reads_as_its_name() -> None:
    assert f"{S.RUNNING}" == str(S.RUNNING) == "RUNNING"
    assert S("FAILED") is S.FAILED
