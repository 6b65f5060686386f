"""When to try again: how many times, and how long to wait before each."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .errors import InvalidInput

#: Seconds before each retry: one number for all, a list (its last value repeats), or a function from the number of
#: retries to such a list.
Delays = float | Sequence[float] | Callable[[int], Sequence[float]]

_MOST = 50


@dataclass(frozen=True)
class Retries:
    """A retry policy.

    Attributes:
        most: Tries after the first.
        delays: Seconds to wait before each; the last repeats.
        jitter: How much longer a wait may become, as a share of itself: a wait of ``d`` is drawn evenly between ``d``
            and ``d * (1 + jitter)``.
    """

    most: int = 0
    delays: tuple[float, ...] = (0.0,)
    jitter: float = 0.0

    @classmethod
    def of(cls, most: int = 0, delays: Delays = 0.0, jitter: float | None = None) -> Retries:
        """Read what ``@flow`` and ``@task`` are given.

        Raises:
            InvalidInput: A number is negative or none at all.
        """
        if isinstance(most, bool) or not isinstance(most, int) or most < 0:
            raise InvalidInput(f"retries is {most!r}: it has to be a whole number, 0 or more")
        share = jitter or 0.0
        if not isinstance(share, (int, float)) or not 0 <= share < math.inf:
            raise InvalidInput(f"retry_jitter_factor is {jitter!r}: it has to be a number, 0 or more")
        found = delays(most) if callable(delays) else delays
        listed = [found] if isinstance(found, (int, float)) else list(found)
        for delay in listed:
            if isinstance(delay, bool) or not isinstance(delay, (int, float)) or not 0 <= delay < math.inf:
                raise InvalidInput(f"retry_delay_seconds holds {delay!r}: each delay has to be 0 or more seconds")
        return cls(most, tuple(float(delay) for delay in listed[: max(most, 1)]) or (0.0,), float(share))

    def longest(self, each: float) -> float:
        """Seconds that all tries may take together, when each may take ``each``."""
        waits = sum(self.delays[min(retry, len(self.delays) - 1)] for retry in range(self.most))
        return each * (self.most + 1) + waits * (1 + self.jitter)

    def delay(self, retry: int) -> float:
        """Seconds to wait before the ``retry``-th retry (from 1)."""
        base = self.delays[min(retry, len(self.delays)) - 1]
        return base * (1 + random.uniform(0, self.jitter)) if self.jitter else base


def exponential_backoff(factor: float, most: float = 3600.0) -> Callable[[int], list[float]]:
    """Delays that double: ``factor``, twice that, four times that, up to ``most`` seconds each."""
    if not 0 <= factor < math.inf:
        raise InvalidInput(f"the factor of exponential_backoff is {factor!r}: it has to be 0 or more seconds")
    return lambda retries: [min(most, factor * 2**number) for number in range(min(retries, _MOST))]
