"""Writing task runs' states: rows, history and events, in bulk."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from .... import clock
from ....documents.records import State
from ....ids import uuid7
from ..recording.events import EventRecord, record
from ..statements import TERMINAL_TYPES, copy_rows, fetch

#: The message of what was ended because the flow run around it ended. The process's own report of the true end may
#: still be on the way, and replaces such a state.
ENDED_WITH_RUN = "Ended with its flow run."

_END = f"""
UPDATE task_run t SET state_type = %(type)s, state_name = %(name)s, state_message = %(message)s, state_at = %(at)s,
    ended = %(at)s
WHERE t.flow_run_id = ANY(%(runs)s) AND t.state_type NOT IN ({TERMINAL_TYPES})
RETURNING t.id, t.name, t.flow_run_id, t.flow_attempt, t.attempt, t.tags"""


@dataclass(frozen=True)
class TaskState:
    """One state that a task run took, with what its event tells."""

    task_run_id: uuid.UUID
    name: str
    flow_run_id: uuid.UUID
    attempt: int
    tags: Sequence[str]
    state: State


def end_unfinished(session: Session, run_ids: Sequence[uuid.UUID], state: State, now: datetime) -> int:
    """Give all unfinished task runs of some flow runs a terminal state; returns how many there were."""
    parameters = {
        "type": state.type.value, "name": state.name, "message": state.message, "at": state.at, "runs": list(run_ids),
    }  # fmt: skip
    rows = fetch(session, _END, parameters)
    write_history(
        session,
        [TaskState(row.id, row.name, row.flow_run_id, row.attempt, row.tags, state) for row in rows],
        now,
    )
    return len(rows)


def write_history(session: Session, taken: Sequence[TaskState], now: datetime) -> None:
    """Write the history rows and events of states that task runs took, in the order given."""
    rows: list[tuple[Any, ...]] = []
    events: list[EventRecord] = []
    base = clock.now()  # the true time, since ids place rows in partitions
    for index, item in enumerate(taken):
        stamp = base + timedelta(microseconds=index)  # ids keep the order
        state = item.state
        rows.append(
            (uuid7(stamp), item.task_run_id, item.attempt, state.type.value, state.name, state.message, state.at)
        )
        events.append(_event(item, uuid7(stamp)))
    copy_rows(session, "task_run_state", ("id", "task_run_id", "attempt", "type", "name", "message", "at"), rows)
    record(session, events, now)


def _event(item: TaskState, identifier: uuid.UUID) -> EventRecord:
    state = item.state
    resource = {
        "resource.id": f"orchestrator.task-run.{item.task_run_id}",
        "resource.name": item.name,
        "state.type": state.type.value,
        "state.name": state.name,
    }
    related = [{"resource.id": f"orchestrator.flow-run.{item.flow_run_id}", "resource.role": "flow-run"}]
    related += [
        {"resource.id": f"orchestrator.tag.{tag}", "resource.name": tag, "resource.role": "tag"} for tag in item.tags
    ]
    payload = {"attempt": item.attempt, "message": state.message}
    return EventRecord(
        f"task-run.{state.type.value.lower()}", resource, related, payload, occurred=state.at, id=identifier
    )
