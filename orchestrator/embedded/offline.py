"""The server's database for commands that work on it directly, whether or not the server runs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import Conflict
from ..server.db.session import normalise_url
from ..settings import PREFIX, Settings
from . import folders, state
from .privileges import unprivileged
from .secret_key import secret_key
from .services import EmbeddedServices


@contextmanager
def database(settings: Settings) -> Iterator[str]:
    """The address of the database: the external one, or the embedded one, which is started for the while.

    Raises:
        Conflict: The embedded one is in use by a running server.
    """
    external = settings.migration_url or settings.database_url
    if external:
        yield normalise_url(external)
        return
    home = settings.path().absolute()
    if state.is_running(home):
        raise Conflict(f"the server of {home} is running: stop it first with `orchestrator server stop`")
    data, _ = data_of(settings)
    embedded = EmbeddedServices(data, redis=False)
    embedded.claim()
    try:
        secret_key(settings, data)
        embedded.start()
        yield embedded.database_url
    finally:
        embedded.stop()


def data_of(settings: Settings) -> tuple[Path, str | None]:
    """As :func:`folders.data_folder`, for this process."""
    given = bool(os.environ.get(PREFIX + "HOME"))
    return folders.data_folder(settings, home_given=given, account=unprivileged())
