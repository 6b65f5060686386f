"""Chains of deployments: kept in versions, compiled to triggers, run, and followed.

A version's triggers stay while runs of it may go on; the run of a chain goes by the version that it began with.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select, text, tuple_
from sqlalchemy.orm import Session

from .... import chains as rules
from ....chains import ChainSpec
from ....documents.records import Actor
from ....errors import Conflict, InvalidInput, NotFound, ParameterError
from ....ids import uuid7
from ....states import TERMINAL
from ...db.models import Chain, ChainRun, ChainVersion, Deployment, FlowRun, Trigger
from ..acting import action_kinds, chain_steps, sandbox
from ..deploying import deployments
from ..paging import Page, check_limit, decode, decode_id, page
from ..recording.announcements import announce, resource
from ..running import runs
from ..statements import execute
from . import triggers

#: How long the triggers of a version that is not the newest stay after the last run of it was started, at least.
KEPT = timedelta(days=30)
#: They are deaf to all but runs of their own version: how long they have listened does not matter, clocks that differ
#: do.
_HEARD = timedelta(days=1)

#: Names below which the dashboard has pages of its own.
RESERVED = frozenset({"new"})

#: How a template names a step.
_STEP = re.compile(r"\bsteps(?:\.([A-Za-z_]\w*)|\[\s*['\"]([^'\"]+)['\"]\s*\])")

_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 16))")
_PAST = """
DELETE FROM trigger t USING chain c WHERE c.id = t.of_chain_id AND t.of_chain_version < c.version
AND NOT EXISTS (
    SELECT 1 FROM chain_run r WHERE r.chain_id = c.id AND r.version = t.of_chain_version AND (
        r.started > %(since)s OR EXISTS (SELECT 1 FROM flow_run f WHERE f.chain_id = r.id AND f.ended IS NULL)))"""
_RUNS = """
DELETE FROM chain_run WHERE id IN (
    SELECT r.id FROM chain_run r WHERE r.started < %(before)s
        AND NOT EXISTS (SELECT 1 FROM flow_run f WHERE f.chain_id = r.id AND f.chain_step IS NOT NULL)
    ORDER BY r.id LIMIT %(batch)s FOR UPDATE SKIP LOCKED)"""


@dataclass(frozen=True)
class ChainRow:
    """A chain with one of its versions, as it was written, and how many runs of it there are."""

    chain: Chain
    version: ChainVersion
    runs: int = 0

    @property
    def spec(self) -> ChainSpec:
        """The document, read."""
        return rules.read(self.version.document)


@dataclass(frozen=True)
class ChainRunRow:
    """A run of a chain, and where its steps stand."""

    run: ChainRun
    chain: Chain
    steps: Mapping[str, rules.Reached[FlowRun]]

    @property
    def status(self) -> str:
        """``running``, ``done`` or ``failed``."""
        return rules.whole(self.steps)


def check(session: Session, document: Any) -> ChainSpec:
    """Read a document as :func:`apply` does, and write nothing. Raises InvalidInput; ``errors`` by field."""
    spec = rules.read(document)
    _check(session, spec)
    return spec


def apply(
    session: Session, document: Any, actor: Actor, now: datetime, *, upon: int | None = None
) -> tuple[ChainRow, str]:
    """Make the chain of that name be like a document. Returns it, and ``created``, ``updated`` or ``unchanged``.

    Args:
        upon: The version that is to be followed, 0 where there is to be no such chain; None: whatever there is.

    Raises:
        InvalidInput: The document is wrong; ``errors`` by field.
        Conflict: Its newest version is another one.
    """
    spec = check(session, document)
    session.execute(_LOCK, {"name": spec.name})
    found = session.scalar(select(Chain).where(Chain.name == spec.name))
    if upon is not None and upon != (found.version if found else 0):
        raise Conflict(_other_version(spec.name, found))
    before = None if found is None else _told(_version(session, found, found.version))
    if found is not None and before == {**spec.document, "version": found.version}:
        return row(session, found.name), "unchanged"
    if found is None:
        found = Chain(id=uuid7(now), name=spec.name, version=1, created=now, updated=now)
        session.add(found)
        verb = "created"
    else:
        found.version, found.updated, verb = found.version + 1, now, "updated"
    session.flush()
    made = ChainVersion(
        chain_id=found.id, version=found.version, document=dict(spec.document), created=now, created_by=actor.write()
    )
    session.add(made)
    session.flush()
    _compile(session, found, spec, actor, now)
    tidy(session, now)
    announce(session, f"chain.{verb}", about(found), actor, now, before=before, after=_told(made))
    return ChainRow(found, made, _count(session, [found.id]).get(found.id, 0)), verb


def row(session: Session, name: str, version: int | None = None) -> ChainRow:
    """A chain with its newest version, or another. Raises NotFound."""
    found = get(session, name)
    return ChainRow(
        found, _version(session, found, version or found.version), _count(session, [found.id]).get(found.id, 0)
    )


def get(session: Session, name: str) -> Chain:
    """A chain by its name. Raises NotFound."""
    found = session.scalar(select(Chain).where(Chain.name == name))
    if found is None:
        raise NotFound(f"there is no chain {name}: `orchestrator chain ls` lists them")
    return found


def listing(session: Session, limit: int = 50, cursor: str | None = None) -> Page[ChainRow]:
    """A page of chains, by name."""
    query: Any = select(Chain, ChainVersion).join(
        ChainVersion, (ChainVersion.chain_id == Chain.id) & (ChainVersion.version == Chain.version)
    )
    if cursor:
        query = query.where(tuple_(Chain.name, Chain.id) > tuple_(*decode(cursor, str, uuid.UUID)))
    found = session.execute(query.order_by(Chain.name, Chain.id).limit(check_limit(limit) + 1)).all()
    shown = page(found, limit, lambda item: (item[0].name, item[0].id))
    numbers = _count(session, [chain.id for chain, _ in shown.items])
    return Page([ChainRow(chain, made, numbers.get(chain.id, 0)) for chain, made in shown.items], shown.next)


def delete(session: Session, name: str, actor: Actor, now: datetime) -> None:
    """Delete a chain with its versions, triggers and the record of its runs; flow runs that go on do so, and nothing
    follows them. Raises NotFound.
    """
    found = get(session, name)
    before = _told(_version(session, found, found.version))
    for trigger_id in session.scalars(select(Trigger.id).where(Trigger.of_chain_id == found.id)):
        triggers.delete_compiled(session, trigger_id, actor, now)
    session.delete(found)
    session.flush()
    announce(session, "chain.deleted", about(found), actor, now, before=before)


def start(
    session: Session,
    name: str,
    parameters: Mapping[str, Any],
    actor: Actor,
    now: datetime,
    *,
    run_id: uuid.UUID | None = None,
    depth: int = 0,
) -> ChainRun:
    """Start the first steps of a chain, in its newest version.

    Args:
        parameters: Laid over those of the first steps, each of which takes those that it has.
        run_id: For callers that may ask twice: a run that there is is returned as it is.
        depth: Firings that led to it.

    Raises:
        NotFound: There is no such chain.
        InvalidInput: Its deployments are not as they were when it was applied, or do not take these parameters.
    """
    present = session.get(ChainRun, run_id) if run_id is not None else None
    if present is not None:
        return present
    query = select(Chain).where(Chain.name == get(session, name).name)
    chain = session.scalars(query.with_for_update(read=True)).one()
    spec = rules.read(_version(session, chain, chain.version).document)
    made = ChainRun(
        id=run_id or uuid7(now), chain_id=chain.id, version=chain.version, parameters=dict(parameters), depth=depth,
        started=now, started_by=actor.write(),
    )  # fmt: skip
    session.add(made)
    session.flush()
    for step in spec.first():
        started = chain_steps.Started(chain_steps.key(chain.id, chain.version, step.name), (made.id, depth))
        try:
            found = deployments.for_run(session, step.deployment)
            runs.create(
                session, found, parameters={**step.parameters, **_taken(found, parameters)},
                actor=actor, now=now, tags=step.tags, priority=step.priority, chain=started.chain,
                chain_step=started.key, idempotency_key=started.idempotency_key,
            )  # fmt: skip
        except (InvalidInput, ParameterError, NotFound) as error:
            raise InvalidInput(f"step {step.name}: {error}", {"parameters": [f"Step {step.name}: {error}"]}) from None
    related = [{"resource.id": f"orchestrator.chain.{made.id}", "resource.role": "chain", "chain.depth": str(depth)}]
    announce(session, "chain.started", about(chain), actor, now, related, version=chain.version)
    return made


def run_row(session: Session, name: str, run_id: uuid.UUID) -> ChainRunRow:
    """A run of a chain with its steps. Raises NotFound."""
    chain = get(session, name)
    found = session.scalar(select(ChainRun).where(ChainRun.id == run_id, ChainRun.chain_id == chain.id))
    if found is None:
        raise NotFound(f"the chain {name} has no run {run_id}: `orchestrator chain runs {name}` lists them")
    return _run_row(session, chain, found)


def run_listing(session: Session, name: str, limit: int = 50, cursor: str | None = None) -> Page[ChainRunRow]:
    """A page of the runs of a chain, newest first. Raises NotFound."""
    chain = get(session, name)
    query = select(ChainRun).where(ChainRun.chain_id == chain.id)
    if cursor:
        query = query.where(ChainRun.id < decode_id(cursor))
    found = session.scalars(query.order_by(ChainRun.id.desc()).limit(check_limit(limit) + 1)).all()
    shown = page(found, limit, lambda item: (item.id,))
    return Page([_run_row(session, chain, item) for item in shown.items], shown.next)


def tidy(session: Session, now: datetime) -> int:
    """Delete the triggers of versions that nothing is run of any more; returns how many."""
    return execute(session, _PAST, {"since": now - KEPT})


def forget(session: Session, before: datetime, batch: int) -> int:
    """Forget runs of chains that were started before, and whose flow runs are gone; returns how many."""
    return execute(session, _RUNS, {"before": before, "batch": batch})


def about(chain: Chain) -> dict[str, str]:
    """Labels by which events name a chain."""
    return resource("chain-definition", chain.id, chain.name)


def _taken(deployment: Deployment, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the parameters of a chain's run that a deployment has; what it would refuse may be for others."""
    schema = deployment.parameter_schema
    known = schema.get("properties", {}) if schema.get("additionalProperties") is False else parameters
    return {name: value for name, value in parameters.items() if name in known}


def _other_version(name: str, found: Chain | None) -> str:
    if found is None:
        return f"the chain {name} was deleted meanwhile"
    return f"there is a chain {name} already, now in version {found.version}"


def _told(version: ChainVersion) -> dict[str, Any]:
    return {**version.document, "version": version.version}


def _run_row(session: Session, chain: Chain, run: ChainRun) -> ChainRunRow:
    spec = rules.read(_version(session, chain, run.version).document)
    found = chain_steps.runs_of(session, run.id)
    steps = rules.progress(
        spec,
        {name: rules.StepRun(item.state_type, item) for name, item in found.items()},
        chain_steps.stuck(session, run.id) if _may_be_stuck(spec, found) else {},
    )
    return ChainRunRow(run, chain, steps)


def _may_be_stuck(spec: ChainSpec, found: Mapping[str, FlowRun]) -> bool:
    """Whether something ended, and not all steps were started."""
    ended = {kind.value for kind in TERMINAL}
    return len(found) < len(spec.steps) and any(run.state_type in ended for run in found.values())


def _version(session: Session, chain: Chain, version: int) -> ChainVersion:
    found = session.get(ChainVersion, (chain.id, version))
    if found is None:
        raise NotFound(f"the chain {chain.name} has no version {version}: its newest is {chain.version}")
    return found


def _count(session: Session, ids: list[uuid.UUID]) -> dict[uuid.UUID, int]:
    query = select(ChainRun.chain_id, func.count()).where(ChainRun.chain_id.in_(ids)).group_by(ChainRun.chain_id)
    return {row[0]: row[1] for row in session.execute(query)}


def _check(session: Session, spec: ChainSpec) -> None:
    """What the document alone does not tell: deployments that there are not, templates that are none."""
    problems: dict[str, list[str]] = {}
    if spec.name in RESERVED:
        problems["name"] = [f"{spec.name} is a page of the dashboard: choose another name."]
    for name, document in rules.trigger_documents(spec, 1, str).items():
        found = action_kinds.problems(document["then"], "then", session)
        problems.update({place.replace("then.0", f"steps.{name}", 1): texts for place, texts in found.items()})
    for step in spec.steps.values():
        for unknown in sorted(_named(step.parameters) - spec.steps.keys()):
            problems[f"steps.{step.name}.parameters"] = [
                f"There is no step {unknown}; there are {', '.join(spec.steps)}."
            ]
    for step in spec.first():
        try:
            deployments.get(session, step.deployment)
        except NotFound as error:
            problems[f"steps.{step.name}.deployment"] = [f"{error}: correct the name, or make it first."]
        if sandbox.holds_template(dict(step.parameters)):
            problem = "It is started with the chain: nothing is known yet that a template could name."
            problems[f"steps.{step.name}.parameters"] = [problem]
    for name in spec.steps:
        for place in [place for place in problems if place == f"steps.{name}"]:
            problems[f"steps.{name}.deployment"] = problems.pop(place)
    if problems:
        place, texts = next(iter(problems.items()))
        raise InvalidInput(f"{place}: {texts[0]}", problems)


def _named(value: Any) -> set[str]:
    """The steps that templates name."""
    if isinstance(value, Mapping):
        return set().union(*map(_named, value.values()))
    if isinstance(value, list):
        return set().union(*map(_named, value))
    if not isinstance(value, str) or not sandbox.holds_template(value):
        return set()
    return {found[1] or found[2] for found in _STEP.finditer(value)}


def _compile(session: Session, chain: Chain, spec: ChainSpec, actor: Actor, now: datetime) -> None:
    documents = rules.trigger_documents(
        spec, chain.version, lambda step: chain_steps.step_id(chain.id, chain.version, step)
    )
    for step, document in documents.items():
        place = (chain.id, chain.version, step)
        triggers.create_compiled(session, document, place, actor, now, since=now - _HEARD)
