"""``/health/live`` and ``/health/ready``: for load balancers and people, without a key."""

from __future__ import annotations

from flask import Response

from ..._version import __version__
from ...clock import now
from ..config import current
from ..loops import LOOPS
from ..schemas import health as schemas
from ..services import ticks
from ..services.watching import health
from .access import open_to_all
from .resource import Resource, answer

blueprint = Resource("health", "Whether the server is up, and can do its work.", prefix="/health")


@blueprint.route("/live")
@open_to_all
@blueprint.response(200, schemas.LiveSchema)
def live() -> Response:
    """Tell that the process answers."""
    return answer({"status": "live"})


@blueprint.route("/ready")
@open_to_all
@blueprint.response(200, schemas.ReadySchema)
@blueprint.alt_response(503, schema=schemas.ReadySchema)
def ready() -> Response:
    """Tell whether every part does its work; 503 when one does not."""
    intervals = {name: loop.INTERVAL for name, loop in LOOPS.items()}
    intervals[ticks.API] = current().heartbeat
    found = health.check(now(), intervals, current().redis_url)
    status = "ready" if found.ok else "not ready"
    return answer({"status": status, "version": __version__, "parts": found.parts()}, 200 if found.ok else 503)
