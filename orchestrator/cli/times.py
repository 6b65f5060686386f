"""Times on the command line: what people may write, and how an instant is shown."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from typing import Any

import click

from .. import clock

_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


class Instant(click.ParamType):  # type: ignore[type-arg]  # generic only in newer clicks
    """An option that takes ``now``, a distance (``-2h``, ``+30m``, ``in 5m``, ``2d ago``) or an RFC 3339 time.

    A time without an offset is the local one of this machine.
    """

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Read the text; the error names what would be understood."""
        if isinstance(value, datetime):
            return value
        try:
            return read_instant(str(value), clock.now())
        except (ValueError, OverflowError):
            message = f"{value!r} is no time: write now, -2h, +30m or 2026-01-31T09:00:00Z"
            raise click.BadParameter(message, ctx, param) from None


INSTANT = Instant()


def read_instant(text: str, now: datetime) -> datetime:
    """As :class:`Instant` describes, in UTC. Raises ValueError for anything else."""
    words = text.strip().lower()
    if words == "now":
        return now
    if words.endswith(" ago"):
        return now - clock.duration(words[:-4])
    if words.startswith(("+", "in ")):
        return now + clock.duration(words.removeprefix("+").removeprefix("in "))
    if words.startswith("-"):
        return now - clock.duration(words[1:])
    instant = datetime.fromisoformat(re.sub("z$", "+00:00", text.strip(), flags=re.IGNORECASE))
    return instant.astimezone(timezone.utc)


def is_instant(text: str) -> bool:
    """Whether a text is an instant as the API writes them."""
    return _INSTANT.fullmatch(text) is not None


def local_text(text: str) -> str:
    """An instant of the API in this machine's zone, which is named: ``2026-03-29 03:00:00 CEST``."""
    local = clock.from_text(text).astimezone()
    return f"{local:%Y-%m-%d %H:%M:%S} {local.tzname() or local.strftime('%z')}"
