"""The settings that services and loops of this process work by."""

from __future__ import annotations

from datetime import timedelta

from ..settings import Settings, load

_settings: Settings | None = None


def use(settings: Settings | None) -> None:
    """Say which settings apply from now on; None: those of the environment, read at the next use."""
    global _settings
    _settings = settings


def lease_by_hand() -> timedelta:
    """How long the process of a run that was started by hand may be silent. Longer than agents may: it has no
    supervisor, so its own code can keep it from reporting for a while."""
    return 3 * current().lease


def current() -> Settings:
    """The settings in use; read from environment and profile once, on first use."""
    global _settings
    if _settings is None:
        _settings = load()
    return _settings
