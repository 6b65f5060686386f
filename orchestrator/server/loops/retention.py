"""Deletes what is kept no longer, in batches small enough that nothing waits for them."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from ...ids import uuid7_floor
from ..config import current
from ..services.configuring import block_history, block_usage
from ..services.expecting import occurrences
from ..services.internal import FLOW_ID
from ..services.mapping import resource_edits
from ..services.reacting import chains
from ..services.receiving import deliveries
from ..services.recording import resource_states
from ..services.running import cached_results, task_jobs
from ..services.statements import TERMINAL_TYPES, execute, fetch

INTERVAL = timedelta(minutes=1)
#: Rows of each kind in one step. A run takes its tasks, history and artifacts with it.
BATCH = 200
#: Heartbeats in one step: there may be many, and nothing refers to them.
HEARTBEATS = 5000

#: How long producers of reports are remembered after they were last heard of, and agents after they stopped or fell
#: silent.
PRODUCERS, STOPPED, SILENT = timedelta(days=30), timedelta(days=1), timedelta(days=7)
#: How long errands are remembered after their end, and resources after they vanished.
ERRANDS, VANISHED = timedelta(days=1), timedelta(days=30)
#: How long firings are remembered, with their actions, and keys of triggers for which nothing came any more.
FIRINGS, KEYS = timedelta(days=90), timedelta(days=90)

_RUNS = f"""
DELETE FROM flow_run WHERE id IN (
    SELECT id FROM flow_run WHERE ended < %(before)s AND state_type IN ({TERMINAL_TYPES})
    ORDER BY ended LIMIT %(batch)s FOR UPDATE SKIP LOCKED)"""
_ERRANDS = f"""
DELETE FROM flow_run WHERE id IN (
    SELECT id FROM flow_run WHERE flow_id = '{FLOW_ID}' AND ended < %(before)s
    ORDER BY id LIMIT %(batch)s FOR UPDATE SKIP LOCKED)"""
_RESOURCES = """
WITH gone AS (DELETE FROM resource WHERE id IN (
    SELECT id FROM resource WHERE vanished < %(before)s ORDER BY vanished LIMIT %(batch)s FOR UPDATE SKIP LOCKED)
    RETURNING id),
apart AS (DELETE FROM relation r USING gone WHERE r.source = gone.id OR r.target = gone.id)
SELECT id FROM gone"""
_PRODUCERS = """
DELETE FROM producer WHERE id IN (
    SELECT id FROM producer WHERE updated < %(before)s ORDER BY updated LIMIT %(batch)s FOR UPDATE SKIP LOCKED)"""
_AGENTS = """
DELETE FROM agent WHERE id IN (
    SELECT id FROM agent a WHERE (stopped < %(stopped)s OR last_heartbeat < %(silent)s)
        AND NOT EXISTS (SELECT 1 FROM flow_run r WHERE r.agent_id = a.id
            AND r.state_type IN ('PENDING', 'RUNNING', 'CANCELLING'))
    ORDER BY id LIMIT %(batch)s FOR UPDATE SKIP LOCKED)"""
#: Firings with their actions, but for those that are open, or whose actions are still to be done.
_FIRINGS = """
DELETE FROM firing WHERE id IN (
    SELECT f.id FROM firing f WHERE f.id < %(before)s AND f.state <> 'open' AND NOT EXISTS (
        SELECT 1 FROM action a WHERE a.firing_id = f.id AND a.state IN ('waiting', 'running'))
    ORDER BY f.id LIMIT %(batch)s FOR UPDATE SKIP LOCKED)"""
#: Other kinds of events go with their day.
_HEARTBEATS = """
DELETE FROM event WHERE id IN (
    SELECT id FROM event WHERE kind = 'heartbeat' AND id < %(before)s ORDER BY id LIMIT %(batch)s)
AND kind = 'heartbeat' AND id < %(before)s"""
#: What a trigger remembers of a key for which nothing came any more, and that waits for nothing.
_BUCKETS = """
DELETE FROM trigger_bucket WHERE (trigger_id, key) IN (
    SELECT trigger_id, key FROM trigger_bucket WHERE deadline IS NULL AND updated < %(before)s
    LIMIT %(batch)s FOR UPDATE SKIP LOCKED)"""
_LINKS = "DELETE FROM login_link WHERE expires < %(now)s"


def step(session: Session, now: datetime) -> int:
    """Delete a batch of each kind; returns the size of the largest."""
    execute(session, _LINKS, {"now": now})
    beats = {"before": uuid7_floor(now - current().heartbeat_retention), "batch": HEARTBEATS}
    gone = [
        execute(session, _HEARTBEATS, beats) * BATCH // HEARTBEATS,
        execute(session, _RUNS, {"before": now - current().run_retention, "batch": BATCH}),
        execute(session, _PRODUCERS, {"before": now - PRODUCERS, "batch": BATCH}),
        execute(session, _AGENTS, {"stopped": now - STOPPED, "silent": now - SILENT, "batch": BATCH}),
        execute(session, _ERRANDS, {"before": now - ERRANDS, "batch": BATCH}),
        len(fetch(session, _RESOURCES, {"before": now - VANISHED, "batch": BATCH})),
        block_usage.forget(session, now, BATCH),
        block_history.forget(session, now, BATCH),
        resource_edits.forget(session, now, BATCH * 10) // 10,
        resource_states.forget(session, now - current().resource_retention, BATCH),
        deliveries.forget(session, now),
        occurrences.forget(session, now, BATCH),
        chains.tidy(session, now),
        chains.forget(session, now - current().run_retention, BATCH),
        execute(session, _FIRINGS, {"before": uuid7_floor(now - FIRINGS), "batch": BATCH}),
        cached_results.forget(session, now, BATCH),
        task_jobs.forget(session, BATCH),
        execute(session, _BUCKETS, {"before": now - KEYS, "batch": BATCH}),
    ]
    return max(gone)
