"""Which events there are: names that came lately, read from the index without looking at the events."""

from __future__ import annotations

from sqlalchemy.orm import Session

from ..statements import fetch

#: One step of the index a name, however many events have it.
_NAMES = """
WITH RECURSIVE name(event, nth) AS (
    SELECT min(event), 1 FROM event
    UNION ALL SELECT (SELECT min(e.event) FROM event e WHERE e.event > n.event), nth + 1 FROM name n
    WHERE n.event IS NOT NULL AND nth < %(limit)s)
SELECT event FROM name WHERE event IS NOT NULL"""


def known(session: Session, limit: int = 300) -> list[str]:
    """Names of events that are kept, by name."""
    return [row.event for row in fetch(session, _NAMES, {"limit": limit})]
