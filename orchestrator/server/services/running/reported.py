"""Writing the items of a report, kind by kind, with few statements each."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from .... import clock
from ....documents.records import Actor, State
from ....errors import NotFound, TransitionRefused
from ....ids import uuid7
from ....states import ACTIVE, LOST, ROLLED_BACK, TERMINAL, StateType, is_over
from ...config import current, lease_by_hand
from ...db.json_text import json_text
from ...schemas.events import Refusal, read_event
from ...schemas.reports import (
    AliveItem,
    AnyItem,
    ArtifactItem,
    EventItem,
    FlowRunHooksItem,
    FlowRunItem,
    FlowRunStateItem,
    LogItem,
    StateIn,
    TaskRunItem,
)
from ..internal import FLOW_ID
from ..recording import events
from ..statements import BY_HAND, TERMINAL_TYPES, copy_rows, execute, fetch, held, insert_runs
from . import refused_ends
from .task_states import ENDED_WITH_RUN, TaskState, write_history
from .transitions import apply, end_with

S = StateType

#: The types in which a run started by hand needs a process that is alive.
_HELD = ACTIVE | {S.SCHEDULED}

#: Largest result of an errand, in bytes, whatever is kept of others.
ERRAND_RESULT_MAX = 1024 * 1024

#: Largest reference to a result that lies elsewhere, in bytes.
REFERENCE_MAX = 4096

#: Longest wait for a next try that is followed, in seconds: ten years.
WAIT_MAX_S = 10 * 365.25 * 86_400

#: Who changes states here.
PROCESS = Actor("process")

_FLOWS = """
WITH given AS (SELECT * FROM unnest(%(ids)s::uuid[], %(names)s::text[]) AS t(id, name)),
made AS (INSERT INTO flow (id, name, created) SELECT id, name, %(now)s FROM given ORDER BY name
    ON CONFLICT (name) DO NOTHING RETURNING id, name)
SELECT id, name FROM made UNION SELECT f.id, f.name FROM flow f JOIN given USING (name)"""

#: The lock keeps a run from ending while something is written below it; in the order of ids, as everywhere.
#: ``is_stale``: it is held by hand, and its lease is worth a write.
_KNOWN = f"""
SELECT r.id, r.attempt, r.state_type, r.state_name, r.parent_flow_run_id, r.flow_id, {BY_HAND} AS is_by_hand,
    {BY_HAND} AND (r.state_type = 'SCHEDULED' OR {held("r")})
        AND coalesce(r.lease_until < %(stale)s, true) AS is_stale
FROM flow_run r WHERE r.id = ANY(%(ids)s) ORDER BY r.id FOR NO KEY UPDATE"""

_RENEW = "UPDATE flow_run SET lease_until = %(until)s WHERE id = ANY(%(ids)s)"

_UPSERT_TASKS = f"""
WITH given AS (
    SELECT * FROM json_to_recordset(%(rows)s::json) AS x(
        id uuid, flow_run_id uuid, name text, task_key text, flow_attempt int, attempt int, state_type text,
        state_name text, state_message text, state_at timestamptz, started timestamptz, ended timestamptz,
        tags text[], upstream jsonb, parent_id uuid, result jsonb, call_key text)
)
INSERT INTO task_run AS t (id, flow_run_id, name, task_key, flow_attempt, attempt, state_type, state_name,
    state_message, state_at, started, ended, tags, upstream, parent_id, result, call_key, created)
SELECT id, flow_run_id, name, task_key, flow_attempt, attempt, state_type, state_name, state_message, state_at,
    started, ended, tags, upstream, parent_id, result, call_key, %(now)s FROM given ORDER BY id
ON CONFLICT (id) DO UPDATE SET
    name = excluded.name, flow_attempt = excluded.flow_attempt, attempt = excluded.attempt,
    state_type = excluded.state_type, state_name = excluded.state_name, state_message = excluded.state_message,
    state_at = excluded.state_at, started = coalesce(t.started, excluded.started), ended = excluded.ended,
    tags = excluded.tags, upstream = excluded.upstream, parent_id = excluded.parent_id,
    result = excluded.result, call_key = excluded.call_key
WHERE t.flow_run_id = excluded.flow_run_id
    AND excluded.flow_attempt >= t.flow_attempt AND excluded.attempt >= t.attempt
    AND (t.state_type NOT IN ({TERMINAL_TYPES}) OR excluded.attempt > t.attempt
        OR excluded.flow_attempt > t.flow_attempt
        OR (t.state_message = '{ENDED_WITH_RUN}' AND excluded.state_type IN ({TERMINAL_TYPES}))
        OR (t.state_type = 'COMPLETED' AND excluded.state_type = 'COMPLETED'
            AND (excluded.state_name = '{ROLLED_BACK}' OR t.call_key IS NULL AND excluded.call_key IS NOT NULL)))
RETURNING t.id"""

_CALL = "UPDATE flow_run SET call_key = %(key)s WHERE id = %(id)s"

_HOOKS = f"UPDATE flow_run r SET hooks = %(names)s WHERE r.id = %(id)s AND r.attempt = %(attempt)s AND {held('r')}"
_SERVED = f"SELECT parent_flow_run_id FROM flow_run WHERE id = %(id)s AND flow_id = '{FLOW_ID}'"

_ARTIFACTS = """
INSERT INTO artifact AS a (id, key, type, description, data, flow_run_id, task_run_id, created, updated)
SELECT id, key, type, description, data, flow_run_id, task_run_id, at, nullif(told, at)
FROM json_to_recordset(%(rows)s::json) AS x(id uuid, key text, type text, description text, data jsonb,
    flow_run_id uuid, task_run_id uuid, at timestamptz, told timestamptz)
ORDER BY id ON CONFLICT (id) DO UPDATE
SET data = excluded.data, description = excluded.description, updated = coalesce(excluded.updated, excluded.created)
WHERE a.type = 'progress' AND excluded.type = 'progress' AND a.flow_run_id IS NOT DISTINCT FROM excluded.flow_run_id
    AND coalesce(excluded.updated, excluded.created) > coalesce(a.updated, a.created)
RETURNING a.id, a.key, a.type, a.flow_run_id, a.created, a.xmax = 0 AS is_new"""

_ANCESTORS = """
WITH RECURSIVE line AS (
    SELECT id, parent_flow_run_id FROM flow_run WHERE id = ANY(%(ids)s)
    UNION SELECT r.id, r.parent_flow_run_id FROM flow_run r JOIN line ON r.id = line.parent_flow_run_id
)
SELECT id, parent_flow_run_id FROM line"""


class Writer:
    """Writes one report. ``refuse(item, why)`` is told of each item that cannot be taken."""

    def __init__(
        self,
        session: Session,
        now: datetime,
        refuse: Callable[[AnyItem, Refusal], None],
        allowed: uuid.UUID | None,
    ) -> None:
        self._session, self._now, self._refuse, self._allowed = session, now, refuse, allowed
        #: Flow runs that are known, with their attempts.
        self._known: dict[uuid.UUID, int] = {}
        self._parents: dict[uuid.UUID, uuid.UUID | None] = {}
        #: Runs started by hand whose processes were given up.
        self._lost: set[uuid.UUID] = set()
        #: Runs whose present attempt is over, with the type of their state.
        self._over: dict[uuid.UUID, StateType] = {}
        #: Errands, whose results are what somebody waits for.
        self._errands: set[uuid.UUID] = set()
        #: Where an errand speaks: the flow run that it is for, into whose log it may write.
        self._served: uuid.UUID | None = None

    def flow_runs(self, items: Sequence[FlowRunItem], mentioned: set[uuid.UUID]) -> None:
        """Insert runs that are new, and learn about all that the report mentions."""
        self._learn(mentioned)
        fresh = {item.id: item for item in reversed(items) if item.id not in self._known}
        for item in items:
            self._parents.setdefault(item.id, item.parent_flow_run_id)
        taken = [item for item in items if fresh.get(item.id) is item and self._may_speak(item, item.id)]
        if not taken:
            return
        flows = self._flow_ids({item.flow for item in taken})
        self._known.update({item.id: 1 for item in taken})
        self._over.update({item.id: item.state.type for item in taken if is_over(item.state.type, item.state.name)})
        rows = [self._flow_run_row(item, flows[item.flow], index) for index, item in enumerate(taken)]
        insert_runs(self._session, rows)

    def task_runs(self, items: Sequence[TaskRunItem]) -> None:
        """Write the last state of each task run, the history of all, and end those whose flow run has ended."""
        taken = [item for item in items if self._belongs(item, item.flow_run_id, item.flow_attempt)]
        merged = _merge(taken)
        if not merged:
            return
        rows = [_task_row(merged[key]) for key in sorted(merged)]
        result = fetch(self._session, _UPSERT_TASKS, {"rows": json_text(rows), "now": self._now})
        written = {key for (key,) in result}
        for key in merged.keys() - written:
            self._refuse(
                merged[key][-1], Refusal("terminal", "the task run has ended, or has a later attempt, already")
            )
        news = (item for told in merged.values() for item in told if item.id in written and not _is_commitment(item))
        history = [_task_state(item) for item in news]
        write_history(self._session, history, self._now)
        self._end_below_ended({item.flow_run_id for item in taken})

    def logs(self, items: Sequence[LogItem]) -> None:
        """COPY log lines; a longer one than the setting allows is cut, and says so."""
        rows: list[tuple[Any, ...]] = []
        base = clock.now()  # the true time, since ids place rows in partitions
        for item in items:
            if item.flow_run_id == self._served or self._belongs(item, item.flow_run_id, None):
                stamp = base + timedelta(microseconds=len(rows))
                rows.append(
                    (uuid7(stamp), item.flow_run_id, item.task_run_id, item.attempt, item.level, item.logger,
                     cut(item.message, current().log_line_max), item.at)
                )  # fmt: skip
        columns = ("id", "flow_run_id", "task_run_id", "attempt", "level", "logger", "message", "at")
        copy_rows(self._session, "log", columns, rows)

    def events(self, items: Sequence[EventItem]) -> None:
        """Store the user's own events."""
        taken = []
        for item in items:
            try:
                taken.append(events.accept(read_event(item.event), self._now, "run"))
            except Refusal as refusal:
                self._refuse(item, refusal)
        events.store(self._session, taken, self._now)

    def artifacts(self, items: Sequence[ArtifactItem]) -> None:
        """Insert artifacts that are new, and move on those that show a progress."""
        rows: dict[uuid.UUID, dict[str, Any]] = {}
        for item in items:
            if item.flow_run_id is None or self._belongs(item, item.flow_run_id, None):
                first = rows.get(item.id, {"at": item.at})
                rows[item.id] = {**item.model_dump(exclude={"kind"}), "at": first["at"], "told": item.at}
        if not rows:
            return
        written = fetch(self._session, _ARTIFACTS, {"rows": json_text(list(rows.values()))})
        events.record(self._session, [_made(row) for row in written if row.is_new and row.key], self._now)

    def alive(self, items: Sequence[AliveItem]) -> None:
        """Take back that runs were given up as lost, since their processes speak; :meth:`flow_runs` has renewed the
        leases. Of runs that ended otherwise, were deleted or are an agent's there is nothing to say."""
        told = {run_id for item in items for run_id in item.ids}
        found = State(S.RUNNING, message="Its process was cut off for a while, and is heard of again.", at=self._now)
        for run_id in sorted(told & self._lost):
            apply(self._session, run_id, found, attempt=self._known[run_id], actor=PROCESS, now=self._now)

    def flow_run_hooks(self, items: Sequence[FlowRunHooksItem]) -> None:
        """Note which hooks somebody has to call at a run's end; of an attempt that is over there are none to call."""
        for item in items:
            if self._belongs(item, item.id, item.attempt):
                execute(self._session, _HOOKS, {"id": item.id, "attempt": item.attempt, "names": item.names})

    def flow_run_states(self, items: Sequence[FlowRunStateItem]) -> None:
        """Move flow runs, each as the rules decide."""
        for index, item in enumerate(items):
            if not self._belongs(item, item.id, None):
                continue
            try:
                apply(
                    self._session, item.id, _state(item.state), attempt=item.attempt, actor=PROCESS,
                    now=self._now + timedelta(microseconds=index), result=self._inline(item), **self._next_try(item),
                )  # fmt: skip
                if item.call_key is not None:
                    execute(self._session, _CALL, {"id": item.id, "key": item.call_key})
            except TransitionRefused as refused:
                self._refuse(item, Refusal(refused.code, str(refused)))
                refused_ends.tell(self._session, item.id, item.attempt, item.state.type, refused, self._now)
            except NotFound as missing:
                self._refuse(item, Refusal("unknown-run", str(missing)))

    def _next_try(self, item: FlowRunStateItem) -> dict[str, Any]:
        """When a run that waits for its next try is due, and how many it had. How long it waits is told, as clocks of
        others are not relied upon."""
        told, found = item.state.details or {}, dict[str, Any]()
        tries, wait_s = told.get("tries"), told.get("wait_s")
        if isinstance(tries, int) and 0 <= tries < 2**31:
            found["tries"] = tries
        if item.state.type is S.SCHEDULED and isinstance(wait_s, (int, float)) and 0 <= wait_s <= WAIT_MAX_S:
            found["due"] = self._now + timedelta(seconds=wait_s)
        return found

    def _learn(self, ids: set[uuid.UUID]) -> None:
        until, stale = self._now + lease_by_hand(), []
        told = {"ids": sorted(ids), "stale": until - current().heartbeat / 2}
        for row in fetch(self._session, _KNOWN, told):
            self._known[row.id] = row.attempt
            self._parents[row.id] = row.parent_flow_run_id
            if is_over(S(row.state_type), row.state_name):
                self._over[row.id] = S(row.state_type)
            if row.flow_id == FLOW_ID:
                self._errands.add(row.id)
            if row.is_by_hand and (row.state_type, row.state_name) == (S.CRASHED, LOST) and self._allowed is None:
                self._lost.add(row.id)
            if row.is_stale and self._allowed is None:
                stale.append(row.id)
        if stale:
            execute(self._session, _RENEW, {"ids": stale, "until": until})
        if self._allowed is not None:
            for run_id, parent in fetch(self._session, _ANCESTORS, {"ids": sorted(ids)}):
                self._parents[run_id] = parent
            for (served,) in fetch(self._session, _SERVED, {"id": self._allowed}):
                self._served = served

    def _belongs(self, item: AnyItem, run_id: uuid.UUID, attempt: int | None) -> bool:
        """Whether the item speaks of a known run, of its present attempt, that this reporter may speak of."""
        known = self._known.get(run_id)
        if known is None:
            self._refuse(item, Refusal("unknown-run", f"there is no flow run {run_id}"))
            return False
        if attempt is not None and attempt != known:
            message = f"attempt {attempt} of the flow run is not the present one, which is {known}"
            self._refuse(item, Refusal("stale-attempt", message))
            return False
        return self._may_speak(item, run_id)

    def _may_speak(self, item: AnyItem, run_id: uuid.UUID) -> bool:
        if self._allowed is None:
            return True
        seen: set[uuid.UUID] = set()
        at: uuid.UUID | None = run_id
        while at is not None and at not in seen:
            if at == self._allowed:
                return True
            seen.add(at)
            at = self._parents.get(at)
        self._refuse(item, Refusal("not-yours", "this key speaks for its own flow run and its subflows only"))
        return False

    def _flow_ids(self, names: set[str]) -> dict[str, uuid.UUID]:
        ordered = sorted(names)
        parameters = {"ids": [uuid7(self._now) for _ in ordered], "names": ordered, "now": self._now}
        found = {name: flow_id for flow_id, name in fetch(self._session, _FLOWS, parameters)}
        if len(found) < len(ordered):  # made by another transaction while this statement waited for it
            found.update({name: flow_id for flow_id, name in fetch(self._session, _FLOWS, parameters)})
        return found

    def _flow_run_row(self, item: FlowRunItem, flow_id: uuid.UUID, index: int) -> dict[str, Any]:
        state = _state(item.state)
        parent = item.parent_flow_run_id if item.parent_flow_run_id in self._known else None
        return {
            "id": item.id, "flow_id": flow_id, "name": item.name, "state_type": state.type.value,
            "state_name": state.name, "state_message": state.message, "state_at": state.at, "attempt": 1,
            "parameters": item.parameters, "tags": item.tags, "due": state.at,
            "lease_until": self._now + lease_by_hand() if parent is None and state.type in _HELD else None,
            "started": state.at if state.type is S.RUNNING else None,
            "ended": state.at if state.is_final() else None, "parent_task_run_id": item.parent_task_run_id,
            "parent_flow_run_id": parent, "created": self._now,
            "created_by": Actor(PROCESS.type, name=item.process).write(),
            "details": state.details, "stamp": self._now + timedelta(microseconds=index),
        }  # fmt: skip

    def _end_below_ended(self, run_ids: set[uuid.UUID]) -> None:
        """What was reported late, below a run that has ended or was suspended meanwhile, is ended as well."""
        by_type: dict[StateType, list[uuid.UUID]] = {}
        for run_id in sorted(run_ids & self._over.keys()):
            by_type.setdefault(self._over[run_id], []).append(run_id)
        for kind, ids in by_type.items():
            end_with(self._session, ids, kind, self._now)

    def _inline(self, item: FlowRunStateItem) -> dict[str, Any] | None:
        """The result as it is kept: one that is larger than the setting allows is left out, and says so."""
        if item.result is None:
            return None
        most = current().results_inline_max
        return inline(item.result, max(most, ERRAND_RESULT_MAX) if item.id in self._errands else most)


def inline(result: dict[str, Any] | None, most: int) -> dict[str, Any] | None:
    """A result as it is kept: one of more than ``most`` bytes is left out, and says so."""
    if result is None:
        return None
    size = len(json_text(result))
    if size <= (most if "value" in result else REFERENCE_MAX) + len('{"value":}'):
        return result
    return {"omitted": f"{size:,} bytes are more than ORCHESTRATOR_RESULTS_INLINE_MAX"}


#: How a line that its sender has cut says by how much; that must stay, or the number would be another's.
_SAID = re.compile(r"\[(cut: )?[\d,]+ bytes (dropped|more|cut)\]\Z")
_SAID_MAX = 64


def ancestors(session: Session, run_id: uuid.UUID) -> set[uuid.UUID]:
    """The flow runs that a flow run is below; empty as long as it is not known."""
    return {parent for _, parent in fetch(session, _ANCESTORS, {"ids": [run_id]}) if parent is not None}


def _made(row: Any) -> events.EventRecord:
    """That there is a new version of what a key shows."""
    labels = {
        "resource.id": f"orchestrator.artifact.{row.id}", "resource.name": row.key,
        "artifact.key": row.key, "artifact.type": row.type,
    }  # fmt: skip
    run = f"orchestrator.flow-run.{row.flow_run_id}"
    related = [{"resource.id": run, "resource.role": "flow-run"}] if row.flow_run_id is not None else []
    return events.EventRecord("artifact.created", labels, related, occurred=row.created)


def cut(message: str, most: int) -> str:
    """A message of at most ``most`` bytes, and what says that more was cut off, and how much."""
    encoded = message.encode("utf-8", "replace")
    if len(encoded) <= most or (len(encoded) <= most + _SAID_MAX and _SAID.search(message[-_SAID_MAX:])):
        return message
    return f"{encoded[:most].decode('utf-8', 'ignore')} ... [{len(encoded) - most:,} bytes cut]"


def _state(told: StateIn) -> State:
    return State(told.type, told.name, cut(told.message, current().log_line_max), told.at, told.details)


def _merge(items: Sequence[TaskRunItem]) -> dict[uuid.UUID, list[TaskRunItem]]:
    """By task run, the reports of it that count: nothing follows an end but a later attempt, or that it was undone."""
    merged: dict[uuid.UUID, list[TaskRunItem]] = {}
    for item in items:
        told = merged.setdefault(item.id, [])
        if not told or told[-1].state.type not in TERMINAL or item.attempt > told[-1].attempt:
            told.append(item)
        elif told[-1].state.type is S.COMPLETED and item.state.type is S.COMPLETED:
            if item.state.name == ROLLED_BACK:
                told.append(item)
            elif _is_commitment(item):
                told[-1] = item.model_copy(update={"state": told[-1].state})
    return merged


def _is_commitment(item: TaskRunItem) -> bool:
    """Whether an item only tells that the transaction of a completed run was committed: that is no change of state."""
    return item.state.type is S.COMPLETED and item.call_key is not None and "committed" in (item.state.details or {})


def _task_row(told: Sequence[TaskRunItem]) -> dict[str, Any]:
    last = told[-1]
    state = _state(last.state)
    running = [item.state.at for item in told if item.state.type is S.RUNNING]
    return {
        "id": last.id, "flow_run_id": last.flow_run_id, "name": last.name, "task_key": last.task_key,
        "flow_attempt": last.flow_attempt, "attempt": last.attempt, "state_type": state.type.value,
        "state_name": state.name, "state_message": state.message, "state_at": state.at,
        "started": running[0] if running else None, "ended": state.at if state.is_final() else None,
        "tags": last.tags, "upstream": last.upstream, "parent_id": last.parent_id,
        "result": inline(last.result, current().results_inline_max), "call_key": last.call_key,
    }  # fmt: skip


def _task_state(item: TaskRunItem) -> TaskState:
    return TaskState(item.id, item.name, item.flow_run_id, item.attempt, item.tags, _state(item.state))
