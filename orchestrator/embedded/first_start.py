"""What the first start leaves for the person at this machine: an admin key, in the local profile."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

from .. import settings as settings_module
from ..clock import now
from ..server.db import session
from ..server.services.identity import keys
from ..settings import Settings

#: The profile used in place of one that belongs to another server.
LOCAL_PROFILE = "local"
_LOOPBACK = {"", "localhost", "127.0.0.1", "::1"}


def admin_key(settings: Settings, api_url: str, database_url: str, say: Callable[[str], None]) -> str:
    """A key that this server accepts as an admin's: the configured one if it does, else a new one.

    A new key, or a new address, is written to the active profile; if that profile is another machine's, it is left
    as it is, and the profile ``local`` is written.
    """
    session.configure(database_url, pool_size=1)
    try:
        profile = _profile_for(settings)
        known = _known_key(settings, profile)
        if known and _is_admin(known):
            if settings.api_url != api_url and known == _entry(settings, profile).get("api_key"):
                settings_module.write_profile(settings.path(), profile, {"api_url": api_url}, activate=False)
            return known
        with session.transaction() as work:
            _, text = keys.create(work, "first start", "admin", now())
    finally:
        session.dispose()
    path = settings_module.write_profile(
        settings.path(), profile, {"api_url": api_url, "api_key": text}, activate=profile != LOCAL_PROFILE
    )
    say(f"an admin key was made and written to the profile {profile} in {path}")
    if profile == LOCAL_PROFILE and settings.profile != LOCAL_PROFILE:
        say(f"the profile {settings.profile} is another server's: use this one with --profile {LOCAL_PROFILE}")
    return text


def _profile_for(settings: Settings) -> str:
    address = str(_entry(settings, settings.profile).get("api_url") or "")
    return settings.profile if (urlsplit(address).hostname or "") in _LOOPBACK else LOCAL_PROFILE


def _known_key(settings: Settings, profile: str) -> str:
    if profile == settings.profile:
        return settings.api_key
    return str(_entry(settings, profile).get("api_key") or "")


def _entry(settings: Settings, profile: str) -> dict[str, object]:
    entry: dict[str, object] = settings_module.read_profiles(settings.path()).get("profiles", {}).get(profile, {})
    return entry


def _is_admin(text: str) -> bool:
    with session.reading() as work:
        principal = keys.authenticate(work, text, now())
    return principal is not None and principal.role == "admin"
