"""When to try again: how many times, after which exceptions, and how long to wait before each try."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timezone
from email.utils import parsedate_to_datetime
from enum import Enum
from typing import Any

from ..clock import now
from ..errors import InvalidInput

#: Seconds before each retry: one number for all, a list (its last value repeats), or a function from the number of
#: retries to such a list.
Delays = float | Sequence[float] | Callable[[int], Sequence[float]]


class Answer(Enum):
    """What ``retry_on`` may say of a type of exception, beside a delay in seconds."""

    #: Tried again, after the ordinary delay.
    RETRY = "retry"
    #: Not tried again, however many retries are left.
    FAIL = "fail"
    #: Tried again once the service that refused wants to be asked: see :func:`asked_wait`.
    AFTER_HEADER = "after-header"


RETRY = Answer.RETRY
FAIL = Answer.FAIL
after_header = Answer.AFTER_HEADER

#: What is done after an exception of a type; the most specific class of those named counts.
Rules = Mapping[type[BaseException], Answer | float]

_MOST = 50
#: Seconds that a ``Retry-After`` is followed at most, where ``retry_delay_max`` is not given.
HEADER_MAX = 3600.0


@dataclass(frozen=True)
class Retries:
    """A retry policy.

    Attributes:
        most: Tries after the first.
        delays: Seconds to wait before each; the last repeats.
        jitter: How much longer a wait may become, as a share of itself: a wait of ``d`` is drawn evenly between ``d``
            and ``d * (1 + jitter)``.
        delay_max: Seconds that no wait exceeds; None: only what a header asks for is bounded, by :data:`HEADER_MAX`.
        rules: What is done after which type of exception.
        condition: Given the run and its state; a retry that it does not want is not made.
        later: Where the number of retries or the delay was not said: gives the policy for those that settings say.
    """

    most: int = 0
    delays: tuple[float, ...] = (0.0,)
    jitter: float = 0.0
    delay_max: float | None = None
    rules: Rules | None = None
    condition: Callable[[Any, Any], Any] | None = None
    later: Callable[[int, float], Retries] | None = None

    @classmethod
    def of(
        cls,
        most: int = 0,
        delays: Delays = 0.0,
        jitter: float | None = None,
        *,
        delay_max: float | None = None,
        rules: Rules | None = None,
        condition: Callable[[Any, Any], Any] | None = None,
    ) -> Retries:
        """Read what ``@flow`` and ``@task`` are given.

        Raises:
            InvalidInput: A number is negative or none at all, or a rule is none.
        """
        if isinstance(most, bool) or not isinstance(most, int) or most < 0:
            raise InvalidInput(f"retries is {most!r}: it has to be a whole number, 0 or more")
        share = jitter or 0.0
        if not isinstance(share, (int, float)) or not 0 <= share < math.inf:
            raise InvalidInput(f"retry_jitter_factor is {jitter!r}: it has to be a number, 0 or more")
        if delay_max is not None and not _is_delay(delay_max):
            raise InvalidInput(f"retry_delay_max is {delay_max!r}: it has to be 0 or more seconds")
        found = delays(most) if callable(delays) else delays
        listed = [found] if isinstance(found, (int, float)) else list(found)
        for delay in listed:
            if not _is_delay(delay):
                raise InvalidInput(f"retry_delay_seconds holds {delay!r}: each delay has to be 0 or more seconds")
        waits = tuple(float(delay) for delay in listed[: max(most, 1)]) or (0.0,)
        return cls(most, waits, float(share), delay_max, _checked(rules), condition)

    def longest(self, each: float) -> float:
        """Seconds that all tries may take together, when each may take ``each``."""
        waits = sum(self._longest_wait(retry) for retry in range(1, self.most + 1))
        return each * (self.most + 1) + waits * (1 + self.jitter)

    def delay(self, retry: int) -> float:
        """Seconds to wait before the ``retry``-th retry (from 1), where no rule says otherwise."""
        return self._drawn(self._base(retry))

    def wait(self, retry: int, error: BaseException | None) -> float | None:
        """Seconds to wait before the ``retry``-th retry (from 1), after ``error``; None: a rule forbids the retry."""
        answer = self._answer(error) if self.rules else RETRY
        if answer is FAIL:
            return None
        if isinstance(answer, (int, float)):
            return self._drawn(float(answer))
        asked = asked_wait(error) if answer is after_header and error is not None else None
        if asked is None:
            return self.delay(retry)
        return self._drawn(min(asked, HEADER_MAX if self.delay_max is None else self.delay_max))

    def _answer(self, error: BaseException | None) -> Answer | float:
        found = (self.rules[kind] for kind in type(error).__mro__ if self.rules and kind in self.rules)
        return next(found, RETRY)

    def _base(self, retry: int) -> float:
        return self.delays[min(retry, len(self.delays)) - 1]

    def _drawn(self, base: float) -> float:
        """A delay with jitter, bounded."""
        delay = base * (1 + random.uniform(0, self.jitter)) if self.jitter else base
        return delay if self.delay_max is None else min(delay, self.delay_max)

    def _longest_wait(self, retry: int) -> float:
        told = [self._base(retry)]
        for answer in (self.rules or {}).values():
            told += [float(answer)] if isinstance(answer, (int, float)) else []
            told += [HEADER_MAX] if answer is after_header else []
        return max(told) if self.delay_max is None else min(max(told), self.delay_max)


def exponential_backoff(backoff_factor: float, most: float = 3600.0) -> Callable[[int], list[float]]:
    """Delays that double: ``backoff_factor``, twice that, four times that, up to ``most`` seconds each."""
    if not 0 <= backoff_factor < math.inf:
        raise InvalidInput(
            f"the backoff_factor of exponential_backoff is {backoff_factor!r}: it has to be 0 or more seconds"
        )
    return lambda retries: [min(most, backoff_factor * 2**number) for number in range(min(retries, _MOST))]


def asked_wait(error: BaseException) -> float | None:
    """Seconds that the answer behind an exception asks to wait, by its header ``Retry-After``: a number, or an HTTP
    date. None where there is no answer, no such header, or nothing to be read in it.

    The header is looked for on ``error.response.headers`` (requests, httpx, urllib3), in
    ``error.response["ResponseMetadata"]["HTTPHeaders"]`` (botocore) and on ``error.headers`` (urllib, aiohttp).
    """
    try:
        text = _header(error)
        return None if text is None else _seconds(text)
    except Exception:  # whatever a foreign exception does when it is looked at: it asks for nothing then
        return None


def _header(error: BaseException) -> str | None:
    response = getattr(error, "response", None)
    headers: Any = getattr(error if response is None else response, "headers", None)
    if isinstance(response, Mapping):
        headers = response.get("ResponseMetadata", response).get("HTTPHeaders", response.get("headers"))
    for name, value in headers.items() if headers is not None else ():
        if str(name).lower() == "retry-after":
            return value.decode("ascii") if isinstance(value, bytes) else str(value)
    return None


def _seconds(text: str) -> float | None:
    try:
        wait = float(text)
    except ValueError:
        due = parsedate_to_datetime(text)
        wait = (due.replace(tzinfo=due.tzinfo or timezone.utc) - now()).total_seconds()
        return max(0.0, wait)
    return wait if 0 <= wait < math.inf else None


def _checked(rules: Rules | None) -> Rules | None:
    if not rules:
        return None
    if not isinstance(rules, Mapping):
        raise InvalidInput(f"retry_on is {rules!r}: write {{ExceptionType: RETRY, FAIL, after_header or seconds}}")
    for kind, answer in rules.items():
        if not isinstance(kind, type) or not issubclass(kind, BaseException):
            raise InvalidInput(f"retry_on names {kind!r}: each key has to be a type of exception")
        if not isinstance(answer, Answer) and not _is_delay(answer):
            what = "write RETRY, FAIL, after_header, or a delay of 0 or more seconds"
            raise InvalidInput(f"retry_on says {answer!r} of {kind.__name__}: {what}")
    return dict(rules)


def _is_delay(value: Any) -> bool:
    return not isinstance(value, bool) and isinstance(value, (int, float)) and 0 <= value < math.inf
