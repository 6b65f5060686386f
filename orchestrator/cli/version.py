"""``orchestrator version``: what runs here, and what answers there."""

from __future__ import annotations

import platform
from typing import Any

import click

from .. import settings
from .._version import __version__
from ..client import Client
from ..errors import OrchestratorError
from .output import emit, output_option


@click.command()
@output_option
def group(output: str) -> None:
    """Show the versions of client and server."""
    facts: dict[str, Any] = {
        "client": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "api_url": settings.load().api_url or None,
        "server": None,
    }
    if facts["api_url"]:
        try:
            facts["server"] = Client.from_settings().get("openapi.json")["info"]["version"]
        except OrchestratorError as error:
            facts["server_error"] = str(error)
    emit(facts, output)
