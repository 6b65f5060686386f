"""``/api/v1/openapi.json``, and the page that shows it to people."""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from flask import Blueprint, Flask, Response, request
from flask_smorest import Api
from pydantic import TypeAdapter

from ...errors import NotFound
from ...serializers import dumps
from ..schemas.events import EventIn
from ..schemas.reports import Batch, Item
from .access import needs, open_to_all
from .resource import PREFIX

#: Models that are not marshmallow's, by their name in the document.
MODELS: dict[str, Any] = {"EventIn": EventIn, "Batch": Batch, "ReportItem": Item}

_FOLDER = Path(__file__).parents[1] / "static" / "docs"
_NAME = re.compile(r"[a-z][a-z0-9.-]*")
_KINDS = {"html": "text/html", "js": "text/javascript", "css": "text/css", "txt": "text/plain"}
_POLICY = (
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; object-src 'none'; base-uri 'none';"
    " frame-ancestors 'none'"
)


def ref(model: str) -> dict[str, Any]:
    """A reference to one of :data:`MODELS`."""
    return {"$ref": f"#/components/schemas/{model}"}


def described_body(schema: dict[str, Any]) -> dict[str, Any]:
    """Documentation of a JSON body that marshmallow does not read."""
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def describe_models(api: Api) -> None:
    """Add the schemas of the pydantic models to the document."""
    mode: Literal["validation"] = "validation"
    adapters = [(name, mode, TypeAdapter(model)) for name, model in MODELS.items()]
    schemas, shared = TypeAdapter.json_schemas(adapters, ref_template="#/components/schemas/{model}")
    components = dict(shared.get("$defs", {}))
    components.update({name: schemas[name, mode] for name in MODELS if name not in components})
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

    @blueprint.get("/docs/<name>")
    @open_to_all
    def asset(name: str) -> Response:
        return _file(name)

    app.register_blueprint(blueprint)


def _file(name: str) -> Response:
    kind = _KINDS.get(name.rpartition(".")[2])
    if kind is None or not _NAME.fullmatch(name) or not (_FOLDER / name).is_file():
        raise NotFound(f"there is no page {name}")
    response = Response((_FOLDER / name).read_bytes(), mimetype=kind)
    response.headers["Content-Security-Policy"] = _POLICY
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Cache-Control"] = "public, max-age=3600"
    return response
