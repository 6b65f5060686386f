"""What a benchmark gives: figures with their spread, since machines are shared and noisy."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Figure:
    """One measured figure; ``value`` is what the bar is held against."""

    name: str
    value: float
    unit: str
    runs: int
    min: float
    median: float
    max: float

    @classmethod
    def of(cls, name: str, samples: Sequence[float], unit: str, value: float | None = None) -> Figure:
        """A figure of several samples; its value is their median unless another (such as a p99) is given."""
        median = statistics.median(samples)
        return cls(name, median if value is None else value, unit, len(samples), min(samples), median, max(samples))

    def line(self) -> str:
        """The figure as one line of JSON."""
        facts = {key: round(item, 3) if isinstance(item, float) else item for key, item in asdict(self).items()}
        return json.dumps(facts)


def timed(work: Callable[[], object]) -> float:
    """Seconds that one call takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def percentile(samples: Sequence[float], share: float) -> float:
    """The smallest sample that at least ``share`` (0 to 1) of them do not exceed."""
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, max(0, round(share * len(ordered) + 0.5) - 1))]
