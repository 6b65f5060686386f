"""What earlier attempts of a flow run finished, and what they kept of it: what its next attempt does not run again."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from ..paging import Page, check_limit, decode, page
from ..statements import fetch
from . import runs

#: Calls of the run and of its subflows, each once: as it was computed rather than found, and by the last attempt.
_KEPT = """
WITH RECURSIVE tree AS (
    SELECT id FROM flow_run WHERE id = %(run)s
    UNION SELECT r.id FROM flow_run r JOIN tree ON r.parent_flow_run_id = tree.id
),
kept AS (
    SELECT t.call_key, t.result, t.state_name, t.id,
        CASE WHEN t.flow_run_id = %(run)s THEN t.flow_attempt END AS attempt
    FROM task_run t JOIN tree ON tree.id = t.flow_run_id
    WHERE t.call_key > %(after)s AND t.state_type = 'COMPLETED' AND t.result IS NOT NULL AND NOT t.result ? 'omitted'
    UNION ALL
    SELECT r.call_key, r.result, r.state_name, r.id, NULL FROM flow_run r JOIN tree ON tree.id = r.id
    WHERE r.call_key > %(after)s AND r.state_type = 'COMPLETED' AND r.result IS NOT NULL AND NOT r.result ? 'omitted'
        AND r.id <> %(run)s
)
SELECT DISTINCT ON (call_key) call_key, result, attempt, id
FROM kept ORDER BY call_key, state_name = 'Cached', id DESC LIMIT %(most)s"""


@dataclass(frozen=True)
class KeptResult:
    """A finished call.

    Attributes:
        call_key: What it is known by.
        result: What is kept of what it returned.
        attempt: The flow run's attempt that it was part of; None: it was part of a subflow.
        id: Its task run, or its flow run where it was a subflow itself.
    """

    call_key: str
    result: dict[str, Any]
    attempt: int | None
    id: uuid.UUID


def listing(session: Session, run_id: uuid.UUID, limit: int = 50, cursor: str | None = None) -> Page[KeptResult]:
    """A page of the calls that a flow run has finished, subflows included, by their keys. Raises NotFound."""
    runs.get(session, run_id)
    after = decode(cursor, str)[0] if cursor else ""
    rows = fetch(session, _KEPT, {"run": run_id, "after": after, "most": check_limit(limit) + 1})
    return page([KeptResult(**row._mapping) for row in rows], limit, lambda row: (row.call_key,))
