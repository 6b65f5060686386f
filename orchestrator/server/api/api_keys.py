"""``api-keys`` and ``logins``."""

from __future__ import annotations

import uuid
from typing import Any

from flask import Response, request

from ...clock import now
from ..config import current
from ..db.models import ApiKey
from ..db.session import reading, transaction
from ..schemas import api_keys as schemas
from ..services.identity import keys, logins
from ..services.recording.announcements import announce, resource
from .access import actor, needs, principal
from .errors import Refused
from .resource import Resource, answer, answer_all, no_content

blueprint = Resource("api-keys", "Keys that open the API, each with one role.")


@blueprint.route("/api-keys")
@needs("admin")
@blueprint.arguments(schemas.ApiKeyQuery, location="query")
@blueprint.response(200, schemas.ApiKeyPage)
def list_api_keys(query: dict[str, Any]) -> Response:
    """List the keys."""
    with reading() as session:
        found = keys.listing(session, include_revoked=query["revoked"])
    return answer_all([present(key) for key in found], query)


@blueprint.route("/api-keys", methods=["POST"])
@needs("admin")
@blueprint.arguments(schemas.ApiKeyCreateSchema)
@blueprint.response(201, schemas.ApiKeyCreatedSchema)
def create_api_key(body: dict[str, Any]) -> Response:
    """Make a key; the answer alone holds its secret."""
    at = now()
    with transaction() as session:
        key, secret = keys.create(session, body["name"], body["role"], at, body["expires"])
        about, plain = resource("api-key", key.id, key.name), {"role": key.role, "expires": key.expires}
        announce(session, "api-key.created", about, actor(), at, after=plain, role=key.role)
    return answer({**present(key), "key": secret}, 201, {"Cache-Control": "no-store"})


@blueprint.route("/api-keys/<uuid:key_id>", methods=["DELETE"])
@needs("admin")
@blueprint.response(204)
def revoke_api_key(key_id: uuid.UUID) -> Response:
    """Revoke a key, at once."""
    at = now()
    with transaction() as session:
        key = keys.revoke(session, key_id, at)
        about = resource("api-key", key.id, key.name)
        announce(session, "api-key.revoked", about, actor(), at, before={"role": key.role})
    return no_content()


@blueprint.route("/logins", methods=["POST"])
@needs("admin")
@blueprint.response(201, schemas.LoginSchema)
def create_login() -> Response:
    """Make a link that opens the dashboard once, on behalf of the key that asks."""
    key_id, at = principal().key_id, now()
    if key_id is None:
        raise Refused(403, "only an API key can be logged in with")
    with transaction() as session:
        token = logins.issue(session, key_id, at)
        announce(session, "api-key.login-issued", resource("api-key", key_id, actor().name), actor(), at)
    base = current().public_url or request.host_url.rstrip("/")
    link = {"url": f"{base}/login?token={token}", "expires": at + logins.LIFETIME}
    return answer(link, 201, {"Cache-Control": "no-store"})


def present(key: ApiKey) -> dict[str, Any]:
    """A key as JSON."""
    shown = ("id", "name", "role", "prefix", "created", "expires", "revoked", "last_used")
    return {name: getattr(key, name) for name in shown}
