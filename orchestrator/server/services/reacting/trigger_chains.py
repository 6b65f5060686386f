"""Which chain of causes an event belongs to: by what it says itself, or by the flow runs that it is about."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from sqlalchemy.orm import Session

from ..statements import fetch

#: Role and prefix of the entry by which an event names its chain.
ROLE, PREFIX = "chain", "orchestrator.chain."
DEPTH = "chain.depth"

_RUN = re.compile(r"orchestrator\.flow-run\.([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")
#: The chain of a run, or of the nearest run above it that has one.
_OF_RUNS = """
WITH RECURSIVE up AS (
    SELECT id AS run, chain_id, chain_depth, parent_flow_run_id, 0 AS level FROM flow_run WHERE id = ANY(%(runs)s)
    UNION ALL
    SELECT up.run, p.chain_id, p.chain_depth, p.parent_flow_run_id, up.level + 1
    FROM up JOIN flow_run p ON p.id = up.parent_flow_run_id WHERE up.chain_id IS NULL AND up.level < 20)
SELECT run, chain_id, chain_depth FROM up WHERE chain_id IS NOT NULL"""


class Chain(NamedTuple):
    """A chain of causes, and how many firings are in it before."""

    id: uuid.UUID
    depth: int


def label(chain: Chain) -> dict[str, str]:
    """The entry among an event's related resources that names its chain."""
    return {"resource.id": f"{PREFIX}{chain.id}", "resource.role": ROLE, DEPTH: str(chain.depth)}


def of(session: Session, events: Iterable[Mapping[str, Any]]) -> dict[str, Chain]:
    """The chains of events, given as JSON, by the events' ids; those without one are left out."""
    found: dict[str, Chain] = {}
    runs: dict[str, set[uuid.UUID]] = {}
    for event in events:
        told = deepest(map(_told, event["related"]))
        if told is not None:
            found[event["id"]] = told
        else:
            runs[event["id"]] = _runs(event)
    wanted = set().union(*runs.values()) if runs else set()
    if wanted:
        rows = fetch(session, _OF_RUNS, {"runs": list(wanted)})
        of_runs = {row.run: Chain(row.chain_id, row.chain_depth) for row in rows}
        for identifier, ids in runs.items():
            chain = deepest(of_runs.get(run) for run in ids)
            if chain is not None:
                found[identifier] = chain
    return found


def deepest(chains: Iterable[Chain | None]) -> Chain | None:
    """The longest of several chains."""
    return max((chain for chain in chains if chain is not None), key=lambda chain: chain.depth, default=None)


def _told(labels: Mapping[str, str]) -> Chain | None:
    if labels.get("resource.role") != ROLE or not labels.get("resource.id", "").startswith(PREFIX):
        return None
    try:
        return Chain(uuid.UUID(labels["resource.id"][len(PREFIX) :]), min(max(0, int(labels.get(DEPTH, "0"))), 10**6))
    except ValueError:
        return None


def _runs(event: Mapping[str, Any]) -> set[uuid.UUID]:
    ids = [event["resource"].get("resource.id", ""), *(labels.get("resource.id", "") for labels in event["related"])]
    return {uuid.UUID(match[1]) for text in ids if (match := _RUN.fullmatch(text))}
