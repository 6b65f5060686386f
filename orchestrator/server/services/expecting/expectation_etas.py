"""When what is expected will probably come, and whether that is in time."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from ....errors import NotFound
from ....expectations import DUE, EACH_RUN, Runs, Spec, read
from ....states import StateType
from ...db.models import Deployment, Expectation, ExpectationOccurrence, Flow
from ..mapping import eta
from ..mapping.eta_rules import Eta
from ..statements import fetch

#: It will probably be missed; it will be if things take as long as they do now and then.
LIKELY, POSSIBLE = "likely", "possible"
#: Most single runs of one question.
RUNS = 20

#: What comes next counts for the occurrence that is due next.
_NEXT = """
SELECT DISTINCT ON (expectation_id, key) id FROM expectation_occurrence
WHERE expectation_id = ANY(%(ids)s) AND status = 'due' ORDER BY expectation_id, key, due, id"""

_FIRST = """
SELECT DISTINCT ON (expectation_id) id FROM expectation_occurrence
WHERE expectation_id = ANY(%(ids)s) AND status = 'due' ORDER BY expectation_id, due, id"""


@dataclass(frozen=True)
class Outlook:
    """When an occurrence will probably be met, and whether it is at risk: ``likely`` or ``possible``; empty: no."""

    eta: Eta
    risk: str


def outlooks(
    session: Session, rows: Iterable[tuple[ExpectationOccurrence, Expectation]], now: datetime
) -> dict[uuid.UUID, Outlook]:
    """The outlook of those of some occurrences that are due next and of which something can be told, by their ids."""
    waiting = [(row, expectation) for row, expectation in rows if row.status == DUE and expectation.active]
    if not waiting:
        return {}
    following = fetch(session, _NEXT, {"ids": list({expectation.id for _, expectation in waiting})})
    nearest = {row.id for row in following}
    near = [(row, expectation) for row, expectation in waiting if row.id in nearest]
    specs = {expectation.id: read(expectation.document) for _, expectation in near}
    etas = _etas(session, near, specs, now)
    return {
        row.id: Outlook(found, _risk(row, found))
        for row, _ in near
        if (found := etas.get(row.id)) is not None and found.expected is not None and found.expected >= row.opens
    }


def of_expectations(session: Session, expectations: Sequence[Expectation], now: datetime) -> dict[uuid.UUID, Outlook]:
    """The outlooks of what is due next of some expectations, by their ids; of several keys that which is due first."""
    by_id = {item.id: item for item in expectations}
    ids = [row.id for row in fetch(session, _FIRST, {"ids": list(by_id)})] if by_id else []
    query = select(ExpectationOccurrence).where(ExpectationOccurrence.id.in_(ids))
    first = session.scalars(query).all() if ids else ()
    found = outlooks(session, [(one, by_id[one.expectation_id]) for one in first], now)
    return {one.expectation_id: found[one.id] for one in first if one.id in found}


def _etas(
    session: Session,
    rows: Sequence[tuple[ExpectationOccurrence, Expectation]],
    specs: dict[uuid.UUID, Spec],
    now: datetime,
) -> dict[uuid.UUID, Eta]:
    named = [spec.what.deployment for spec in specs.values() if isinstance(spec.what, Runs)]
    deployments = _deployments(session, named)
    found: dict[uuid.UUID, Eta] = {}
    about: dict[uuid.UUID, str] = {}
    runs = 0
    for row, expectation in rows:
        spec = specs[expectation.id]
        if spec.kind == EACH_RUN:
            if runs < RUNS and (one := _of_run(session, row.key, now)) is not None:
                found[row.id] = one
                runs += 1
        elif (thing := _thing(spec, deployments)) is not None and not row.key:
            about[row.id] = thing
    etas = eta.of(session, dict.fromkeys(about.values()), now)
    return {**found, **{key: etas[thing] for key, thing in about.items()}}


def _thing(spec: Spec, deployments: dict[str, uuid.UUID]) -> str | None:
    """The one resource or deployment that is waited for, once; None: there is no such one."""
    if spec.count != 1:
        return None
    what = spec.what
    if isinstance(what, Runs):
        known = deployments.get(what.deployment or "")
        told = known is not None and not what.tags and StateType.COMPLETED.value in what.states
        return f"orchestrator.deployment.{known}" if told else None
    if set(what.match) != {"resource.id"} or what.match_related:
        return None
    thing = what.match["resource.id"]
    return thing if isinstance(thing, str) and "*" not in thing and not thing.startswith("!") else None


def _of_run(session: Session, key: str, now: datetime) -> Eta | None:
    try:
        return eta.of_run(session, uuid.UUID(key), now)
    except (NotFound, ValueError):
        return None


def _deployments(session: Session, names: Iterable[str | None]) -> dict[str, uuid.UUID]:
    wanted = {name for name in names if name}
    if not wanted:
        return {}
    full = (Flow.name + "/" + Deployment.name).label("full")
    query = select(full, Deployment.id).join(Flow, Flow.id == Deployment.flow_id).where(full.in_(wanted))
    return {row.full: row.id for row in session.execute(query)}


def _risk(row: ExpectationOccurrence, found: Eta) -> str:
    if found.expected is not None and found.expected > row.deadline:
        return LIKELY
    return POSSIBLE if found.late is not None and found.late > row.deadline else ""
