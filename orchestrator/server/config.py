"""The settings that services and loops of this process work by."""

from __future__ import annotations

from ..settings import Settings, load

_settings: Settings | None = None


def use(settings: Settings | None) -> None:
    """Say which settings apply from now on; None: those of the environment, read at the next use."""
    global _settings
    _settings = settings


def current() -> Settings:
    """The settings in use; read from environment and profile once, on first use."""
    global _settings
    if _settings is None:
        _settings = load()
    return _settings
