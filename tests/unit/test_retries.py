"""Retry policies: what is accepted, and how long each wait is."""

from __future__ import annotations

import email
import math
from datetime import timedelta
from email.utils import format_datetime
from types import SimpleNamespace
from typing import Any
from urllib.error import HTTPError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.clock import now
from orchestrator.errors import InvalidInput
from orchestrator.timing.retries import FAIL, HEADER_MAX, RETRY, Retries, after_header, asked_wait, exponential_backoff

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


class Answered(Exception):
    """An exception that carries an answer, in the shape of some library."""

    def __init__(self, response: Any = None, headers: Any = None) -> None:
        super().__init__("refused")
        if response is not None:
            self.response = response
        if headers is not None:
            self.headers = headers


SHAPES = {
    "requests and httpx": lambda value: Answered(SimpleNamespace(headers={"Retry-After": value})),
    "lower case": lambda value: Answered(SimpleNamespace(headers={"retry-after": value})),
    "bytes": lambda value: Answered(SimpleNamespace(headers={"Retry-After": value.encode()})),
    "botocore": lambda value: Answered({"ResponseMetadata": {"HTTPHeaders": {"retry-after": value}}}),
    "a plain dict": lambda value: Answered({"headers": {"Retry-After": value}}),
    "urllib": lambda value: HTTPError(
        "http://x", 503, "busy", email.message_from_string(f"Retry-After: {value}"), None
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_what_a_header_asks_for(shape: str) -> None:
    assert asked_wait(SHAPES[shape]("7")) == 7.0
    soon = format_datetime(now() + timedelta(seconds=300), usegmt=True)
    assert 250 < (asked_wait(SHAPES[shape](soon)) or 0) <= 300
    assert asked_wait(SHAPES[shape]("Mon, 02 Mar 2020 10:00:00 GMT")) == 0.0


@pytest.mark.parametrize("value", ["soon", "-3", "nan", "inf", ""])
def test_a_header_that_says_nothing(value: str) -> None:
    assert asked_wait(SHAPES["requests and httpx"](value)) is None


def test_an_exception_that_breaks_when_it_is_looked_at_asks_for_nothing() -> None:
    class Odd(Exception):
        @property
        def response(self) -> Any:
            raise RuntimeError("no")

    assert asked_wait(Odd()) is None
    assert asked_wait(ValueError("plain")) is None


def test_the_most_specific_rule_counts() -> None:
    rules = {OSError: FAIL, ConnectionError: 3, Exception: RETRY}
    retries = Retries.of(2, 9, rules=rules)
    assert retries.wait(1, FileNotFoundError()) is None
    assert retries.wait(1, ConnectionResetError()) == 3
    assert retries.wait(1, ValueError()) == 9
    assert retries.wait(1, None) == 9


def test_causes_are_not_looked_at() -> None:
    error = ValueError("outer")
    error.__cause__ = OSError("inner")
    assert Retries.of(1, 2, rules={OSError: FAIL}).wait(1, error) == 2


def test_a_header_is_followed_within_bounds() -> None:
    def waits(**more: Any) -> float | None:
        return Retries.of(1, 2, rules={Answered: after_header}, **more).wait(1, SHAPES["requests and httpx"]("99999"))

    assert waits() == HEADER_MAX
    assert waits(delay_max=60) == 60
    assert Retries.of(1, 2, rules={Answered: after_header}).wait(1, Answered()) == 2


def test_no_wait_exceeds_the_longest() -> None:
    retries = Retries.of(3, [1, 100, 1000], 1.0, delay_max=50)
    assert all(retries.delay(retry) <= 50 for retry in (1, 2, 3))
    assert retries.longest(10) <= 40 + 2 * (1 + 50 + 50)
    assert Retries.of(1, 1, rules={OSError: 500}).longest(10) == 520


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"rules": {"OSError": RETRY}}, "type of exception"),
        ({"rules": {OSError: "retry"}}, "OSError"),
        ({"rules": {OSError: -1}}, "0 or more"),
        ({"rules": {OSError: True}}, "OSError"),
        ({"rules": [OSError]}, "retry_on"),
        ({"delay_max": -1}, "retry_delay_max"),
    ],
)
def test_rules_that_cannot_be_used(given: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        Retries.of(1, **given)
