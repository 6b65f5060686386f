"""Taking in what flows, agents and the SDK report: in order, once, many rows a statement.

Each producer numbers its items. The highest number stored is kept with its row, which is locked first, so a batch sent
twice is stored once. All of a request is one transaction; what a rule or a check refuses is named, and the rest stored.
The order within a request: new flow runs, task runs, logs, events, artifacts, signs of life, hooks, and last the states
of flow runs, so that an end finds all that was told before it.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy.orm import Session

from ...schemas.events import Refusal
from ...schemas.reports import (
    AliveItem,
    AnyItem,
    ArtifactItem,
    Batch,
    EventItem,
    FlowRunHooksItem,
    FlowRunItem,
    FlowRunStateItem,
    LogItem,
    TaskRunItem,
    read_items,
)
from ..statements import execute, fetch
from . import reported

I = TypeVar("I")  # noqa: E741


@dataclass(frozen=True)
class RefusedItem:
    """An item that was not taken (for ``gap``: the batch from this sequence on)."""

    producer: uuid.UUID
    sequence: int
    code: str
    message: str


@dataclass(frozen=True)
class Outcome:
    """What became of a report: the highest sequence that is settled, by producer, and what was refused."""

    accepted: dict[uuid.UUID, int] = field(default_factory=dict)
    refused: list[RefusedItem] = field(default_factory=list)


@dataclass(frozen=True)
class _Numbered:
    producer: uuid.UUID
    sequence: int
    item: AnyItem


_MARKS = """
INSERT INTO producer (id, sequence, updated) SELECT id, 0, %(now)s FROM unnest(%(ids)s::uuid[]) AS t(id) ORDER BY id
ON CONFLICT (id) DO UPDATE SET updated = excluded.updated RETURNING id, sequence"""
_SET_MARKS = """
UPDATE producer p SET sequence = t.sequence FROM unnest(%(ids)s::uuid[], %(sequences)s::int[]) AS t(id, sequence)
WHERE p.id = t.id"""


def ingest(session: Session, batches: Sequence[Batch], now: datetime, allowed: uuid.UUID | None = None) -> Outcome:
    """Store a report.

    Args:
        batches: As :func:`orchestrator.server.schemas.reports.read_batches` gives them.
        allowed: The only flow run, with its subflows, that this reporter may speak of; None: any.

    Returns:
        What is settled: a reporter may forget items up to the accepted sequence, refused ones too. A batch that
        leaves a gap after the last one stored is refused whole, with the code ``gap``.
    """
    outcome = Outcome()
    marks = _marks(session, batches, now)
    outcome.accepted.update(marks)
    items = [item for batch in batches for item in _fresh(batch, outcome)]
    _store(session, items, outcome, now, allowed)
    moved = {producer: mark for producer, mark in outcome.accepted.items() if mark != marks[producer]}
    if moved:
        execute(session, _SET_MARKS, {"ids": list(moved), "sequences": list(moved.values())})
    return outcome


def _marks(session: Session, batches: Sequence[Batch], now: datetime) -> dict[uuid.UUID, int]:
    ids = sorted({batch.producer for batch in batches})
    return dict(map(tuple, fetch(session, _MARKS, {"ids": ids, "now": now})))


def _fresh(batch: Batch, outcome: Outcome) -> list[_Numbered]:
    """The items of a batch that are not stored yet; raises the producer's mark over them."""
    mark = outcome.accepted[batch.producer]
    if batch.first > mark + 1:
        message = f"the last item stored is {mark}, so the next is {mark + 1}, not {batch.first}"
        outcome.refused.append(RefusedItem(batch.producer, batch.first, "gap", message))
        return []
    raw = batch.items[max(mark + 1 - batch.first, 0) :]
    first = max(mark + 1, batch.first)
    outcome.accepted[batch.producer] = first + len(raw) - 1
    fresh = []
    for sequence, item in enumerate(read_items(raw), first):
        if isinstance(item, Refusal):
            outcome.refused.append(RefusedItem(batch.producer, sequence, item.code, str(item)))
        else:
            fresh.append(_Numbered(batch.producer, sequence, item))
    return fresh


def _store(
    session: Session, items: Sequence[_Numbered], outcome: Outcome, now: datetime, allowed: uuid.UUID | None
) -> None:
    by_item = {id(numbered.item): numbered for numbered in items}

    def refuse(item: AnyItem, refusal: Refusal) -> None:
        numbered = by_item[id(item)]
        outcome.refused.append(RefusedItem(numbered.producer, numbered.sequence, refusal.code, str(refusal)))

    plain = [numbered.item for numbered in items]
    writer = reported.Writer(session, now, refuse, allowed)
    writer.flow_runs(_only(plain, FlowRunItem), _mentioned(plain))
    writer.task_runs(_only(plain, TaskRunItem))
    writer.logs(_only(plain, LogItem))
    writer.events(_only(plain, EventItem))
    writer.artifacts(_only(plain, ArtifactItem))
    writer.alive(_only(plain, AliveItem))
    writer.flow_run_hooks(_only(plain, FlowRunHooksItem))
    writer.flow_run_states(_only(plain, FlowRunStateItem))


def _only(items: Sequence[Any], kind: type[I]) -> list[I]:
    return [item for item in items if isinstance(item, kind)]


def _mentioned(items: Sequence[AnyItem]) -> set[uuid.UUID]:
    """Every flow run that an item speaks of."""
    found: set[uuid.UUID] = set()
    for item in items:
        if isinstance(item, (FlowRunItem, FlowRunStateItem, FlowRunHooksItem)):
            found.add(item.id)
        elif isinstance(item, AliveItem):
            found.update(item.ids)
        if not isinstance(item, (AliveItem, EventItem, FlowRunStateItem, FlowRunHooksItem)):
            run_id = item.parent_flow_run_id if isinstance(item, FlowRunItem) else item.flow_run_id
            if run_id is not None:
                found.add(run_id)
    return found
