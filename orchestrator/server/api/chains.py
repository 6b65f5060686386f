"""``chains``."""

from __future__ import annotations

import uuid
from typing import Any

from flask import Response

from ...clock import now
from ..db.session import reading, transaction
from ..schemas import chains as schemas
from ..services.reacting import chains
from ..services.reacting.chains import ChainRow, ChainRunRow
from .access import actor, needs
from .resource import Resource, answer, answer_page, no_content

blueprint = Resource("chains", "Chains: deployments that follow one another.")


@blueprint.route("/chains")
@needs("viewer")
@blueprint.arguments(schemas.ChainListQuery, location="query")
@blueprint.response(200, schemas.ChainPage)
def list_chains(query: dict[str, Any]) -> Response:
    """List chains, by name."""
    with reading() as session:
        return answer_page(chains.listing(session, **query), present)


@blueprint.route("/chains", methods=["POST"])
@needs("editor")
@blueprint.arguments(schemas.ChainInputSchema)
@blueprint.response(200, schemas.AppliedChainSchema)
@blueprint.alt_response(201, schema=schemas.AppliedChainSchema, success=True)
def apply_chain(body: dict[str, Any]) -> Response:
    """Make the chain of that name be like this: a new version, or a new chain (201)."""
    with transaction() as session:
        row, change = chains.apply(session, body, actor(), now())
        return answer({"chain": present(row), "change": change}, 201 if change == "created" else 200)


@blueprint.route("/chains/<name>")
@needs("viewer")
@blueprint.arguments(schemas.ChainQuery, location="query")
@blueprint.response(200, schemas.ChainSchema)
def get_chain(query: dict[str, Any], name: str) -> Response:
    """Get a chain, in its newest version or another."""
    with reading() as session:
        return answer(present(chains.row(session, name, query["version"])))


@blueprint.route("/chains/<name>", methods=["DELETE"])
@needs("editor")
@blueprint.response(204)
def delete_chain(name: str) -> Response:
    """Delete a chain, with what is known of its runs; flow runs stay."""
    with transaction() as session:
        chains.delete(session, name, actor(), now())
    return no_content()


@blueprint.route("/chains/<name>/runs", methods=["POST"])
@needs("editor")
@blueprint.arguments(schemas.ChainRunInputSchema)
@blueprint.response(201, schemas.ChainRunSchema)
def run_chain(body: dict[str, Any], name: str) -> Response:
    """Start the first steps of a chain."""
    with transaction() as session:
        made = chains.start(session, name, body["parameters"], actor(), now())
        return answer(present_run(chains.run_row(session, name, made.id)), 201)


@blueprint.route("/chains/<name>/runs")
@needs("viewer")
@blueprint.arguments(schemas.ChainListQuery, location="query")
@blueprint.response(200, schemas.ChainRunPage)
def list_chain_runs(query: dict[str, Any], name: str) -> Response:
    """List the runs of a chain, newest first."""
    with reading() as session:
        return answer_page(chains.run_listing(session, name, **query), present_run)


@blueprint.route("/chains/<name>/runs/<uuid:run_id>")
@needs("viewer")
@blueprint.response(200, schemas.ChainRunSchema)
def get_chain_run(name: str, run_id: uuid.UUID) -> Response:
    """Tell how far a run of a chain has come."""
    with reading() as session:
        return answer(present_run(chains.run_row(session, name, run_id)))


def present(row: ChainRow) -> dict[str, Any]:
    """A chain as JSON."""
    chain = row.chain
    return {
        "id": chain.id, "name": chain.name, "description": row.version.document.get("description", ""),
        "version": row.version.version, "newest": chain.version, "document": row.version.document, "runs": row.runs,
        "created": chain.created, "updated": chain.updated,
    }  # fmt: skip


def present_run(row: ChainRunRow) -> dict[str, Any]:
    """A run of a chain as JSON."""
    run = row.run
    return {
        "id": run.id, "chain": row.chain.name, "version": run.version, "status": row.status,
        "parameters": run.parameters, "started": run.started, "started_by": run.started_by,
        "steps": [_step(item) for item in row.steps.values()],
    }  # fmt: skip


def _step(reached: Any) -> dict[str, Any]:
    step, run = reached.step, reached.run
    return {
        "name": step.name, "deployment": step.deployment, "after": step.after, "any_of": step.any_of,
        "ends": step.ends, "status": reached.status, "why": reached.why,
        "flow_run": None if run is None else {"id": run.id, "name": run.name},
        "state": None if run is None else run.state_name, "started": run and run.started, "ended": run and run.ended,
    }  # fmt: skip
