"""Texts that stand for the time of a slot, in the parameters of backfills: ``{{ slot }}``, ``{{ slot:%Y-%m-%d }}``."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from typing import Any

_SLOT = re.compile(r"\{\{\s*slot\s*(?::([^{}]*))?\}\}")


def filled(value: Any, slot: datetime) -> Any:
    """A value of JSON with its texts filled in, however deep they lie.

    Args:
        slot: In the zone whose date and hour are meant; ``{{ slot }}`` alone is written in UTC, as
            ``2026-02-03T04:00:00Z``; with a format as :meth:`datetime.strftime` has it.
    """
    if isinstance(value, str):
        return _SLOT.sub(lambda found: _text(found.group(1), slot), value)
    if isinstance(value, list):
        return [filled(item, slot) for item in value]
    if isinstance(value, dict):
        return {name: filled(item, slot) for name, item in value.items()}
    return value


def _text(how: str | None, slot: datetime) -> str:
    if how and how.strip():
        return slot.strftime(how.strip())
    return slot.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
