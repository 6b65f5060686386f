"""``agents``: what agents call, and what people see of them."""

from __future__ import annotations

import time
import uuid
from datetime import timedelta
from typing import Any

from flask import Response

from ...clock import now
from ...documents.records import Job, Registration
from ...errors import NotFound
from .. import waiters
from ..config import current
from ..db.session import reading, transaction
from ..schemas import agents as schemas
from ..schemas.base import PageQuery
from ..services.identity import tokens
from ..services.running import agents, claims, work_queues
from ..services.running.agents import AgentRow, Pulling
from . import holding
from .access import needs, principal
from .resource import Resource, answer, answer_all, no_content

blueprint = Resource("agents", "Agents: processes that claim runs and execute them.")


@blueprint.route("/agents")
@needs("viewer")
@blueprint.arguments(PageQuery, location="query")
@blueprint.response(200, schemas.AgentPage)
def list_agents(query: dict[str, Any]) -> Response:
    """List agents, newest first."""
    with reading() as session:
        found = agents.listing(session, now())
    return answer_all([present(row) for row in found], query)


@blueprint.route("/agents/<uuid:agent_id>")
@needs("viewer", "agent")
@blueprint.response(200, schemas.AgentSchema)
def get_agent(agent_id: uuid.UUID) -> Response:
    """Get an agent."""
    with reading() as session:
        return answer(present(agents.row(session, agent_id, now())))


@blueprint.route("/agents", methods=["POST"])
@needs("editor", "agent")
@blueprint.arguments(schemas.AgentInputSchema)
@blueprint.response(201, schemas.RegistrationSchema)
def register_agent(body: dict[str, Any]) -> Response:
    """Register an agent that begins."""
    with transaction() as session:
        agent = agents.register(session, **body, now=now(), api_key_id=principal().key_id)
    settings = current()
    broker = settings.redis_url if body["transport"] == "redis" else ""
    registration = Registration(
        agent.id,
        broker or None,
        settings.lease.total_seconds(),
        settings.heartbeat.total_seconds(),
        settings.stop_grace.total_seconds(),
    )
    return answer(registration, 201, {"Cache-Control": "no-store"})


@blueprint.route("/agents/<uuid:agent_id>/heartbeat", methods=["POST"])
@needs("editor", "agent")
@blueprint.arguments(schemas.HeartbeatInputSchema)
@blueprint.response(200, schemas.HeartbeatSchema)
def heartbeat(body: dict[str, Any], agent_id: uuid.UUID) -> Response:
    """Keep the runs that an agent executes; 404: it is not known (any more), and registers anew."""
    held = [(item["run_id"], item["attempt"]) for item in body["running"]]
    with transaction() as session:
        heard = agents.heartbeat(session, agent_id, held, now(), _pulling(body["pulling"]))
    if not heard.known:
        raise NotFound(f"there is no agent {agent_id}: register anew")
    runs = {"cancel": _pairs(heard.cancel), "lost": _pairs(heard.lost)}
    return answer({**runs, "waiting": heard.waiting, "unhealthy": heard.unhealthy})


@blueprint.route("/agents/<uuid:agent_id>/claim", methods=["POST"])
@needs("editor", "agent")
@blueprint.arguments(schemas.ClaimInputSchema)
@blueprint.response(200, schemas.JobSchema)
@blueprint.alt_response(204, success=True)
def claim(body: dict[str, Any], agent_id: uuid.UUID) -> Response:
    """Claim the most urgent run; 204 when there is none within `wait_s`, or when a cancel waits for the agent."""
    deadline = time.monotonic() + body.pop("wait_s")
    job = _claim(agent_id, body)
    if job is None and time.monotonic() < deadline:
        with holding.seat("wait for work"):
            job = _wait(agent_id, body, deadline)
    return no_content() if job is None else answer(job, headers={"Cache-Control": "no-store"})


@blueprint.route("/agents/<uuid:agent_id>", methods=["DELETE"])
@needs("editor", "agent")
@blueprint.response(204)
def goodbye(agent_id: uuid.UUID) -> Response:
    """Note that an agent stopped."""
    with transaction() as session:
        agents.goodbye(session, agent_id, now())
    return no_content()


def present(row: AgentRow) -> dict[str, Any]:
    """An agent as JSON."""
    shown = (
        "id", "name", "hostname", "pid", "version", "transport", "queues", "prefixes", "labels", "waterfall",
        "prefetch_s", "slots", "created", "last_heartbeat", "pulled", "unhealthy",
    )  # fmt: skip
    facts = {name: getattr(row.agent, name) for name in shown}
    return {**facts, "stopped": row.agent.stopped, "status": row.status, "running": row.running}


def _claim(agent_id: uuid.UUID, wanted: dict[str, Any]) -> Job | None:
    with transaction() as session:
        return claims.claim(session, agent_id, **wanted, now=now(), issue_token=tokens.issue)


def _wait(agent_id: uuid.UUID, wanted: dict[str, Any], deadline: float) -> Job | None:
    with reading() as session:
        agent = agents.get(session, agent_id)
        wish = waiters.Wish(frozenset(agent.labels), claims.ahead(agent.prefetch_s))
        queues = work_queues.named(session, wanted["queues"], wanted["prefixes"])
    while (left := deadline - time.monotonic()) > 0:
        if not waiters.wait_for_work(queues, left, agent_id, wish):
            return None
        job = _claim(agent_id, wanted)
        if job is not None:
            return job
    return None


def _pulling(told: dict[str, Any] | None) -> Pulling | None:
    return None if told is None else Pulling(timedelta(seconds=told["age_s"]), told["free"])


def _pairs(found: list[tuple[uuid.UUID, int]]) -> list[dict[str, Any]]:
    return [{"run_id": run_id, "attempt": attempt} for run_id, attempt in found]
