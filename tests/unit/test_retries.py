"""Retry policies: what is accepted, and how long each wait is."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import InvalidInput
from orchestrator.retries import Retries, exponential_backoff

seconds = st.floats(min_value=0, max_value=1e6, allow_nan=False)


@given(most=st.integers(0, 60), delays=st.lists(seconds, min_size=1, max_size=10), retry=st.integers(1, 100))
def test_the_last_delay_of_a_list_repeats(most: int, delays: list[float], retry: int) -> None:
    policy = Retries.of(most, delays)
    assert policy.delay(retry) == delays[min(retry, len(delays), max(most, 1)) - 1]


@given(delay=seconds, jitter=st.floats(0, 5), retry=st.integers(1, 9))
def test_jitter_only_lengthens_and_only_so_far(delay: float, jitter: float, retry: int) -> None:
    found = Retries.of(9, delay, jitter).delay(retry)
    assert delay <= found <= delay * (1 + jitter) * (1 + 1e-9)


@given(factor=st.floats(0, 1000), retries=st.integers(0, 200))
def test_exponential_delays_double_up_to_their_cap(factor: float, retries: int) -> None:
    delays = exponential_backoff(factor, most=500)(retries)
    assert len(delays) == min(retries, 50)
    assert all(delay == min(500, factor * 2**number) for number, delay in enumerate(delays))
    assert Retries.of(retries, exponential_backoff(factor)).delay(1) == (min(3600, factor) if retries else 0.0)


@given(most=st.integers(0, 20), delay=seconds, each=st.floats(0.1, 1e4))
def test_the_longest_time_covers_every_try_and_wait(most: int, delay: float, each: float) -> None:
    policy = Retries.of(most, delay)
    waited = sum(policy.delay(retry) for retry in range(1, most + 1))
    assert policy.longest(each) == pytest.approx(each * (most + 1) + waited)


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ((-1,), "retries"),
        ((1.5,), "retries"),
        ((True,), "retries"),
        ((1, -2), "retry_delay_seconds"),
        ((1, [1, "x"]), "retry_delay_seconds"),
        ((1, math.nan), "retry_delay_seconds"),
        ((1, lambda most: [math.inf]), "retry_delay_seconds"),
        ((1, 1, -1), "retry_jitter_factor"),
        ((1, 1, "a"), "retry_jitter_factor"),
    ],
)
def test_what_cannot_be_is_refused_by_name(arguments: Any, names: str) -> None:
    with pytest.raises(InvalidInput, match=names):
        Retries.of(*arguments)


def test_a_negative_factor_is_refused() -> None:
    with pytest.raises(InvalidInput, match="exponential_backoff"):
        exponential_backoff(-1)
