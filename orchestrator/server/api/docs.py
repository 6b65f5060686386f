"""``/api/v1/openapi.json``, and the page that shows it to people."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any

from flask import Blueprint, Flask, Response, request, send_from_directory
from flask_smorest import Api
from pydantic import TypeAdapter

from ...serializers import dumps
from ..schemas.events import EventIn
from ..schemas.reports import Report
from .access import needs, open_to_all
from .resource import PREFIX

#: Models that are not marshmallow's, by their name in the document.
MODELS: dict[str, Any] = {"EventIn": EventIn, "Report": Report}

_FOLDER = Path(__file__).parents[1] / "static" / "docs"
_POLICY = (
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; object-src 'none'; base-uri 'none';"
    " frame-ancestors 'none'"
)


def described_body(component: str, or_list: bool = False) -> dict[str, Any]:
    """Documentation of a JSON body that a pydantic model reads; see :data:`MODELS`."""
    schema: dict[str, Any] = {"$ref": f"#/components/schemas/{component}"}
    if or_list:
        schema = {"oneOf": [schema, {"type": "array", "items": schema}]}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def describe_models(api: Api) -> None:
    """Add the schemas of the pydantic models to the document."""
    adapters = [(name, "validation", TypeAdapter(model)) for name, model in MODELS.items()]
    schemas, shared = TypeAdapter.json_schemas(adapters, ref_template="#/components/schemas/{model}")
    components = dict(shared.get("$defs", {}))
    components.update({name: schemas[name, "validation"] for name in MODELS if name not in components})
    for name, schema in components.items():
        api.spec.components.schema(name, schema)


def install(app: Flask, api: Api) -> None:
    """Add the document and the page."""
    blueprint = Blueprint("api-docs", __name__, url_prefix=PREFIX)

    @lru_cache(maxsize=1)
    def document() -> tuple[bytes, str]:
        body = dumps(api.spec.to_dict())
        return body, hashlib.blake2b(body, digest_size=16).hexdigest()

    @blueprint.get("/openapi.json")
    @needs("viewer", "agent", "run")
    def openapi() -> Response:
        body, tag = document()
        response = Response(body, mimetype="application/json")
        response.set_etag(tag)
        response.make_conditional(request)
        return response

    @blueprint.get("/docs")
    @open_to_all
    def page() -> Response:
        return _file("index.html")

    @blueprint.get("/docs/<path:name>")
    @open_to_all
    def asset(name: str) -> Response:
        return _file(name)

    app.register_blueprint(blueprint)


def _file(name: str) -> Response:
    response = send_from_directory(_FOLDER, name, max_age=3600)
    response.headers["Content-Security-Policy"] = _POLICY
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response
