"""``cached-results``."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

from flask import Response

from ...clock import now
from ..db.models import CachedResult
from ..db.session import reading, transaction
from ..schemas import cached_results as schemas
from ..services.running import cached_results
from .access import actor, needs
from .resource import Resource, answer, answer_page, no_content

blueprint = Resource("cached-results", "Cached results: what calls of a task share across runs, by the hash of a key.")


@blueprint.route("/cached-results")
@needs("viewer")
@blueprint.arguments(schemas.CachedResultQuery, location="query")
@blueprint.response(200, schemas.CachedResultPage)
def list_cached_results(query: dict[str, Any]) -> Response:
    """List cached results that have not expired, newest first."""
    with reading() as session:
        found = cached_results.listing(session, now(), **query)
    return answer_page(found, present)


@blueprint.route("/cached-results/<uuid:key_id>")
@needs("viewer", "agent", "run")
@blueprint.response(200, schemas.CachedResultSchema)
def get_cached_result(key_id: uuid.UUID) -> Response:
    """Get a cached result; 404 once it has expired."""
    with reading() as session:
        return answer(present(cached_results.get(session, key_id, now())))


@blueprint.route("/cached-results/<uuid:key_id>", methods=["PUT"])
@needs("editor", "agent", "run")
@blueprint.arguments(schemas.CachedResultInputSchema)
@blueprint.response(200, schemas.CachedResultSchema)
def put_cached_result(body: dict[str, Any], key_id: uuid.UUID) -> Response:
    """Keep a result under a key, in place of the one before; gives the lock back that it was computed under."""
    lock = body.pop("lock")
    with transaction() as session:
        made = cached_results.put(session, key_id, cached_results.Facts(**body), lock, now())  # type: ignore[typeddict-item]
        return answer(present(made))


@blueprint.route("/cached-results/<uuid:key_id>", methods=["DELETE"])
@needs("editor")
@blueprint.response(204)
def delete_cached_result(key_id: uuid.UUID) -> Response:
    """Forget a cached result: the next call computes it anew."""
    with transaction() as session:
        cached_results.delete(session, key_id, actor(), now())
    return no_content()


@blueprint.route("/cached-results/<uuid:key_id>/lock", methods=["PUT"])
@needs("editor", "agent", "run")
@blueprint.arguments(schemas.CacheLockInputSchema)
@blueprint.response(200, schemas.CacheLockSchema)
def lock_cached_result(body: dict[str, Any], key_id: uuid.UUID) -> Response:
    """Take the lock of a key, or hold it for longer: who has it computes the result, others wait."""
    lease = timedelta(seconds=body["lease_s"])
    with transaction() as session:
        granted = cached_results.lock(session, key_id, body["holder"], lease, now(), renew=body["renew"])
    return answer({"granted": granted})


@blueprint.route("/cached-results/<uuid:key_id>/lock", methods=["DELETE"])
@needs("editor", "agent", "run")
@blueprint.arguments(schemas.CacheUnlockQuery, location="query")
@blueprint.response(204)
def unlock_cached_result(query: dict[str, Any], key_id: uuid.UUID) -> Response:
    """Give a lock back without a result."""
    with transaction() as session:
        cached_results.unlock(session, key_id, query["holder"])
    return no_content()


def present(found: CachedResult) -> dict[str, Any]:
    """A cached result as JSON."""
    shown = ("id", "key", "task_key", "result", "flow_run_id", "task_run_id", "expires", "created")
    return {name: getattr(found, name) for name in shown}
