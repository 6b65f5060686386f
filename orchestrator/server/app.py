"""The API as a Flask application; ``orchestrator.web.app`` adds the dashboard to it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlsplit

from flask import Flask
from flask.json.provider import JSONProvider
from flask_smorest import Api

from .. import serializers
from .. import settings as settings_table
from .._version import __version__
from ..settings import Settings
from . import config, hints
from .api import RESOURCES, access, background, docs, errors, hooks
from .api.resource import BODY_MAX
from .db import session
from .schemas.base import ErrorSchema, Instant
from .schemas.logs import Level
from .services.identity import secrets

DESCRIPTION = """\
Everything that Orchestrator does, over HTTP. Send a key with every request: `Authorization: Bearer KEY`.

Lists give `items` and, when there is more, `next`: pass it as `cursor`. Unknown query arguments and body fields are
errors (422). Every error has the shape of `Error`.
"""


class OrjsonProvider(JSONProvider):
    """Flask's JSON by orjson."""

    def dumps(self, obj: Any, **kwargs: Any) -> str:
        return serializers.text(obj)

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        return serializers.loads(s)


class _Api(Api):  # type: ignore[misc]
    ERROR_SCHEMA = ErrorSchema

    def _register_error_handlers(self) -> None:
        """Ours are registered in :func:`create_app`."""


class Mounted:
    """WSGI: places requests that came by the public address below that address's path, scheme included.

    The proxy passes the Host header on; it may strip the path or not. Requests by other addresses are left alone.
    """

    def __init__(self, wsgi: Callable[..., Iterable[bytes]], public_url: str) -> None:
        parts = urlsplit(public_url)
        self._wsgi, self._scheme, self._host, self._path = wsgi, parts.scheme, parts.netloc, parts.path.rstrip("/")

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if self._host and environ.get("HTTP_HOST") == self._host:
            environ["wsgi.url_scheme"] = self._scheme
            environ["SCRIPT_NAME"] = self._path
            path = environ.get("PATH_INFO", "")
            if self._path and (path == self._path or path.startswith(self._path + "/")):
                environ["PATH_INFO"] = path[len(self._path) :] or "/"
        return self._wsgi(environ, start_response)


def create_app(settings: Settings | None = None) -> Flask:
    """Make the API.

    Args:
        settings: What to go by; None reads the environment and the profile.

    Raises:
        SettingsError: A setting cannot be used; the database and the secret key are needed.
    """
    settings = settings or settings_table.load()
    config.use(settings)
    secrets.configure(secrets.given(settings))
    session.configure(settings.database_url, settings.database_pool)
    hints.configure(settings.redis_url or None)
    app = Flask("orchestrator.server", static_folder=None)
    app.json = OrjsonProvider(app)
    app.config.update(_config())
    errors.register(app)
    access.install(app, settings)
    background.install(app)
    _register(app)
    access.verify(app)
    app.wsgi_app = Mounted(app.wsgi_app, settings.public_url)  # type: ignore[method-assign]
    return app


def _config() -> dict[str, Any]:
    return {
        "MAX_CONTENT_LENGTH": BODY_MAX,
        "API_TITLE": "Orchestrator",
        "API_VERSION": __version__,
        "OPENAPI_VERSION": "3.1.0",
        "API_SPEC_OPTIONS": {
            "info": {"description": DESCRIPTION},
            "components": {
                "securitySchemes": {
                    "key": {"type": "http", "scheme": "bearer", "description": "An API key, or a run's own token."}
                }
            },
        },
    }


def _register(app: Flask) -> None:
    api = _Api(app)
    api.register_field(Instant, "string", "date-time")
    api.register_field(Level, "string", None)
    docs.describe_models(api)
    for blueprint in RESOURCES:
        api.register_blueprint(blueprint)
    docs.install(app, api)
    app.register_blueprint(hooks.blueprint)
