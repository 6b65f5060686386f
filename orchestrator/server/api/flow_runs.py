"""``flow-runs``."""

from __future__ import annotations

import uuid
from dataclasses import asdict, replace
from typing import Any

from flask import Response

from ...clock import now
from ...documents.records import State
from ...errors import AccessDenied
from ...states import StateType
from ..db.models import FlowRunState
from ..db.session import reading, transaction
from ..schemas import flow_runs as schemas
from ..schemas.agents import JobSchema
from ..schemas.base import PageQuery
from ..schemas.resources import EtaQuery, EtaSchema
from ..services.mapping import eta, suspects
from ..services.running import bulk_cancel, claims, kept_results, left_hooks, runs, waiting
from ..services.running.run_filters import RunFilter
from .access import actor, bearer, needs, own_run_only, principal, started_runs_only
from .etas import answer_eta
from .resource import Resource, answer, answer_all, answer_page, no_content

#: Runs that one call cancels, and up to which those that are left are counted.
CANCELLED_AT_ONCE, COUNTED = 1_000, 10_000
blueprint = Resource("flow-runs", "Flow runs, their states, and what can be done to them.")


@blueprint.route("/flow-runs")
@needs("viewer")
@blueprint.arguments(schemas.FlowRunQuery, location="query")
@blueprint.response(200, schemas.FlowRunPage)
def list_flow_runs(query: dict[str, Any]) -> Response:
    """List flow runs, newest first."""
    limit, cursor = query.pop("limit"), query.pop("cursor")
    with reading() as session:
        found = runs.listing(session, _wanted(query), limit, cursor)
    return answer_page(found, runs.describe)


@blueprint.route("/flow-runs/cancel", methods=["POST"])
@needs("editor")
@blueprint.arguments(schemas.BulkCancelSchema)
@blueprint.response(200, schemas.BulkCancelledSchema)
def cancel_flow_runs(body: dict[str, Any]) -> Response:
    """Ask the flow runs that fit to stop, the oldest first; ask again while some are left."""
    dry, wanted = body.pop("dry_run"), _wanted(body)
    cancelled = 0 if dry else bulk_cancel.cancel_all(wanted, actor(), now(), CANCELLED_AT_ONCE)
    with reading() as session:
        return answer({"cancelled": cancelled, "left": bulk_cancel.count(session, wanted, COUNTED)})


@blueprint.route("/flow-runs/<uuid:run_id>")
@needs("viewer", "agent", "run")
@blueprint.response(200, schemas.FlowRunSchema)
def get_flow_run(run_id: uuid.UUID) -> Response:
    """Get a flow run. A run's own token may get itself, and the runs that it started."""
    with reading() as session:
        run = runs.describe(runs.row(session, run_id))
        started_runs_only(run.created_by, run_id)
        return answer(replace(run, waiting_reason=waiting.why(session, run_id, now())))


@blueprint.route("/flow-runs/<uuid:run_id>/job")
@needs("run")
@blueprint.response(200, JobSchema)
def get_job(run_id: uuid.UUID) -> Response:
    """Get all that it takes to execute a claimed run; for the run's own process, where no agent could hand it over."""
    own_run_only(run_id)
    caller = principal()
    assert caller.attempt is not None
    with reading() as session:
        found = claims.job(session, run_id, caller.attempt, bearer(), now())
    return answer(found, headers={"Cache-Control": "no-store"})


@blueprint.route("/flow-runs/<uuid:run_id>/states")
@needs("viewer")
@blueprint.arguments(PageQuery, location="query")
@blueprint.response(200, schemas.HistoryPage)
def list_flow_run_states(query: dict[str, Any], run_id: uuid.UUID) -> Response:
    """List the states that a flow run took, oldest first."""
    with reading() as session:
        found = runs.states(session, run_id)
    return answer_all([present_state(item) for item in found], query)


@blueprint.route("/flow-runs/<uuid:run_id>/kept-results")
@needs("viewer", "run")
@blueprint.arguments(PageQuery, location="query")
@blueprint.response(200, schemas.KeptResultPage)
def list_kept_results(query: dict[str, Any], run_id: uuid.UUID) -> Response:
    """List the calls that a flow run and its subflows have finished, with what is kept of their results: what its next
    attempt does not run again."""
    own_run_only(run_id)
    with reading() as session:
        found = kept_results.listing(session, run_id, **query)
    return answer_page(found, asdict)


@blueprint.route("/flow-runs/<uuid:run_id>/eta")
@needs("viewer")
@blueprint.arguments(EtaQuery, location="query")
@blueprint.response(200, EtaSchema)
def get_eta(query: dict[str, Any], run_id: uuid.UUID) -> Response:
    """Get when a flow run will be completed."""
    at = now()
    with reading() as session:
        return answer_eta(eta.of_run(session, run_id, at), query["timezone"], at)


@blueprint.route("/flow-runs/<uuid:run_id>/suspects")
@needs("viewer")
@blueprint.arguments(PageQuery, location="query")
@blueprint.response(200, schemas.SuspectPage)
def list_suspects(query: dict[str, Any], run_id: uuid.UUID) -> Response:
    """List what happened near a failed or crashed flow run and may have to do with it, the likeliest first."""
    with reading() as session:
        return answer_all([asdict(item) for item in suspects.rank(session, run_id)], query)


@blueprint.route("/flow-runs/<uuid:run_id>/cancel", methods=["POST"])
@needs("editor")
@blueprint.response(200, schemas.FlowRunSchema)
def cancel_flow_run(run_id: uuid.UUID) -> Response:
    """Ask a flow run to stop; asking twice changes nothing."""
    with transaction() as session:
        runs.cancel(session, run_id, actor(), now())
        return answer(runs.describe(runs.row(session, run_id)))


@blueprint.route("/flow-runs/<uuid:run_id>/suspend", methods=["POST"])
@needs("editor")
@blueprint.arguments(schemas.SuspensionSchema)
@blueprint.response(200, schemas.FlowRunSchema)
def suspend_flow_run(body: dict[str, Any], run_id: uuid.UUID) -> Response:
    """Have a flow run stop, and wait until it is resumed; asking twice changes nothing."""
    with transaction() as session:
        runs.suspend(session, run_id, actor(), now(), body["until"])
        return answer(runs.describe(runs.row(session, run_id)))


@blueprint.route("/flow-runs/<uuid:run_id>/resume", methods=["POST"])
@needs("editor", "run")
@blueprint.arguments(schemas.ResumptionSchema)
@blueprint.response(200, schemas.FlowRunSchema)
def resume_flow_run(body: dict[str, Any], run_id: uuid.UUID) -> Response:
    """Have a paused flow run go on, with the answer to what it asks; a suspended one is queued as its next attempt."""
    with transaction() as session:
        runs.resume(session, run_id, actor(), now(), body["input"])
        return answer(runs.describe(runs.row(session, run_id)))


@blueprint.route("/flow-runs/<uuid:run_id>/retry", methods=["POST"])
@needs("editor")
@blueprint.response(200, schemas.FlowRunSchema)
def retry_flow_run(run_id: uuid.UUID) -> Response:
    """Queue an ended flow run again, as its next attempt."""
    with transaction() as session:
        runs.retry(session, run_id, actor(), now())
        return answer(runs.describe(runs.row(session, run_id)))


@blueprint.route("/flow-runs/<uuid:run_id>/rerun", methods=["POST"])
@needs("editor")
@blueprint.response(201, schemas.FlowRunSchema)
def rerun_flow_run(run_id: uuid.UUID) -> Response:
    """Start a new run with the parameters of this one."""
    with transaction() as session:
        made = runs.rerun(session, run_id, actor(), now())
        return answer(runs.describe(runs.row(session, made)), 201)


@blueprint.route("/flow-runs/<uuid:run_id>/state", methods=["POST"])
@needs("editor", "agent", "run")
@blueprint.arguments(schemas.StateInputSchema)
@blueprint.response(200, schemas.FlowRunSchema)
def move_flow_run(body: dict[str, Any], run_id: uuid.UUID) -> Response:
    """Propose a state; 409 with the rule's code as `status` when a rule refuses. A run's own token may say RUNNING."""
    own_run_only(run_id)
    at, attempt, result = now(), body.pop("attempt"), body.pop("result")
    state = State(StateType(body.pop("type")), at=at, **body)
    if principal().role == "run":
        attempt = principal().attempt
        if state.type is not StateType.RUNNING:
            raise AccessDenied("a run's own token may only say here that it is RUNNING; its end goes to `reports`")
    with transaction() as session:
        runs.move(session, run_id, state, attempt=attempt, actor=actor(), now=at, result=result)
        return answer(runs.describe(runs.row(session, run_id)))


@blueprint.route("/flow-runs/<uuid:run_id>/hooks", methods=["POST"])
@needs("editor", "agent", "run")
@blueprint.arguments(schemas.HooksInputSchema)
@blueprint.response(200, schemas.HooksTakenSchema)
def take_hooks(body: dict[str, Any], run_id: uuid.UUID) -> Response:
    """Undertake to call the hooks for the end of an attempt: for its agent, and its own process. Answers whether nobody
    has before.
    """
    own_run_only(run_id)
    with transaction() as session:
        return answer({"call": left_hooks.take(session, run_id, body["attempt"])})


@blueprint.route("/flow-runs/<uuid:run_id>", methods=["DELETE"])
@needs("editor")
@blueprint.response(204)
def delete_flow_run(run_id: uuid.UUID) -> Response:
    """Delete a flow run that has ended or waits."""
    with transaction() as session:
        runs.delete(session, run_id, actor(), now())
    return no_content()


def _wanted(given: dict[str, Any]) -> RunFilter:
    """The filter of a query or a body."""
    return RunFilter(
        state_types=[StateType(kind) for kind in given.pop("state_type", ())],
        state_names=given.pop("state_name", ()),
        tags=given.pop("tag", ()),
        **given,
    )


def present_state(state: FlowRunState) -> dict[str, Any]:
    """A state of the history as JSON."""
    return {name: getattr(state, name) for name in ("id", "type", "name", "message", "at", "details", "attempt")}
