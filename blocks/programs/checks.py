"""Checks of data: sorted by what came of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from orchestrator.errors import JobFailed


def judged(system: str, checks: Sequence[dict[str, Any]], fail: bool) -> dict[str, list[dict[str, Any]]]:
    """The checks by their ``outcome``: passed, failed, warned, or unknown: not evaluated.

    Raises:
        JobFailed: One failed, and ``fail`` is set; the message names the first ones.
    """
    found: dict[str, list[dict[str, Any]]] = {"passed": [], "failed": [], "warned": [], "unknown": []}
    for check in checks:
        found[check["outcome"]].append({key: value for key, value in check.items() if key != "outcome"})
    if fail and found["failed"]:
        names = [
            str(check.get("name")) + (f" ({check['table']})" if check.get("table") else "") for check in found["failed"]
        ]
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        raise JobFailed(f"{system}: {len(names)} of {len(checks)} checks failed: {'; '.join(names[:3])}{more}")
    return found
