"""The whole server in one application: the API with the dashboard beside it."""

from __future__ import annotations

from flask import Flask

from orchestrator import settings as settings_table
from orchestrator.server import app as api
from orchestrator.settings import Settings

from . import dashboard


def create_app(settings: Settings | None = None) -> Flask:
    """Make the application that one process serves on one port.

    Args:
        settings: What to go by; None reads the environment and the profile.

    Raises:
        SettingsError: A setting cannot be used.
    """
    settings = settings or settings_table.load()
    app = api.create_app(settings)
    dashboard.install(app, settings)
    # Else each process that serves it would sort the routes at its first request.
    app.url_map.update()
    return app
