"""How long it takes from an event to the run that a trigger starts for it; and how punctual an absence is."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timezone
from itertools import takewhile
from typing import Any

from orchestrator.client import Client
from orchestrator.clock import from_text

from . import project
from .figures import Figure, percentile
from .stack import running

BAR = (
    "POST event to the run that a trigger starts: p50 at most 30 ms, p99 at most 200 ms; 500 events at once to 500 runs"
    " in at most 3 s; an absence fires at most 1 s after its deadline and the allowed lateness; 10,000 unrelated"
    " triggers add at most 20 % per event"
)
WARM, ROUNDS, AT_ONCE, OTHERS, SILENT = 5, 60, 500, 10_000, 10
#: Rounds without a run after which no more are tried.
MISSED_MOST = 3
_LATENESS_S = 1.0
_PATIENCE_S = 60.0


def run() -> Iterable[Figure]:
    """The same events before and after thousands of other triggers were made; no agent takes the runs.

    What does not come to be in a minute is counted as a minute, and the rest is measured all the same.
    """
    with running(settings={"TRIGGER_LATENESS": str(_LATENESS_S)}) as stack:
        client, deployment = stack.client(), project.deploy(stack, "note")
        then = [{"do": "run-deployment", "deployment": deployment, "parameters": {"path": "{{ event.id }}"}}]
        client.post("triggers", {"name": "one", "when": {"expect": "bench.one"}, "then": then, "hourly_max": 100_000})
        alone = _latencies(client, deployment)
        yield Figure.of("trigger_latency_p50", alone, "ms")
        yield Figure.of("trigger_latency_p99", alone, "ms", percentile(alone, 0.99))
        took, reached = _at_once(client, deployment)
        yield Figure.of("trigger_500_at_once", [took], "s")
        yield Figure.of("trigger_500_reached", [reached], "runs")
        yield Figure.of("absence_after_deadline", _punctuality(client) or [_PATIENCE_S], "s")
        for number in range(OTHERS):
            when = {"expect": "bench.other", "match": {"resource.id": f"thing.{number}"}}
            client.post("triggers", {"name": f"other-{number}", "when": when})
        among = _latencies(client, deployment)
        yield Figure.of("trigger_latency_among_10000", among, "ms")
        share = 100 * (percentile(among, 0.5) / percentile(alone, 0.5) - 1)
        yield Figure.of("unrelated_triggers_add", [share], "%")


def _latencies(client: Client, deployment: str) -> list[float]:
    """Milliseconds from sending an event to seeing its run, by asking for the newest run again and again."""
    found: list[float] = []
    for number in range(WARM + ROUNDS):
        if found.count(_PATIENCE_S * 1000) >= MISSED_MOST:
            break
        before = _newest(client, deployment)
        began = time.monotonic()
        _send(client, "bench.one", 1)
        if not _is_newer(client, deployment, before):
            found.append(_PATIENCE_S * 1000)
        elif number >= WARM:
            found.append((time.monotonic() - began) * 1000)
    return found


def _is_newer(client: Client, deployment: str, old: Any) -> bool:
    return _until(lambda: _newest(client, deployment) != old, 0.0)


def _at_once(client: Client, deployment: str) -> tuple[float, int]:
    """Seconds until all runs were there, or it was given up; and how many there were."""
    last = _newest(client, deployment)
    began = time.monotonic()
    _send(client, "bench.one", AT_ONCE)
    _until(lambda: _since(client, deployment, last) >= AT_ONCE)
    return time.monotonic() - began, _since(client, deployment, last)


def _punctuality(client: Client) -> list[float]:
    """Seconds from deadline plus lateness to when each of some absences was noted."""
    when = {"absent": True, "expect": "bench.beat", "for_each": "resource.id", "within": 2}
    trigger = client.post("triggers", {"name": "silence", "when": when})["id"]
    for number in range(SILENT):
        _send(client, "bench.beat", 1, f"heart.{number}")
        time.sleep(0.13)
    query = {"trigger_id": trigger, "limit": 200}
    _until(lambda: len(_items(client, "firings", query)) >= SILENT)
    return [
        (from_text(item["fired"]) - from_text(item["occurred"])).total_seconds() - _LATENESS_S
        for item in _items(client, "firings", query)
    ]


def _send(client: Client, name: str, count: int, resource: str = "bench") -> None:
    at = datetime.now(timezone.utc).isoformat()
    client.post("events", [{"event": name, "occurred": at, "resource": {"resource.id": resource}}] * count)


def _newest(client: Client, deployment: str) -> Any:
    found = _items(client, "flow-runs", {"deployment_id": deployment, "limit": 1})
    return found[0]["id"] if found else None


def _since(client: Client, deployment: str, last: Any) -> int:
    """How many runs were started after one."""
    ids = (item["id"] for item in client.pages("flow-runs", {"deployment_id": deployment, "limit": 200}))
    return sum(1 for _ in takewhile(lambda found: found != last, ids))


def _items(client: Client, path: str, query: dict[str, Any]) -> Sequence[Any]:
    found: Sequence[Any] = client.get(path, query)["items"]
    return found


def _until(condition: Callable[[], bool], pause_s: float = 0.02) -> bool:
    """Wait for something; tells whether it came to be within a minute."""
    deadline = time.monotonic() + _PATIENCE_S
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(pause_s)
    return True
