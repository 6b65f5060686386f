"""Settings: one typed table, read from the environment over the profile over the defaults.

``ORCHESTRATOR_<NAME>`` in the environment wins; then the active profile's entry in ``profiles.toml`` in
``ORCHESTRATOR_HOME``; then the default below. :func:`resolve` tells each value with its source.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import timedelta
from pathlib import Path
from typing import Any

import tomli_w

from .clock import duration
from .errors import SettingsError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PREFIX = "ORCHESTRATOR_"


def _flag(text: str) -> bool:
    if text.lower() in {"1", "true", "yes", "on"}:
        return True
    if text.lower() in {"0", "false", "no", "off", ""}:
        return False
    raise ValueError(f"{text!r} is neither true nor false")


def _count(text: str) -> int:
    if (number := int(text)) < 0:
        raise ValueError(f"{text!r} is less than 0")
    return number


def _wait(text: str) -> timedelta:
    if (found := duration(text)) < timedelta():
        raise ValueError(f"{text!r} is less than 0")
    return found


def _list(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _url(text: str) -> str:
    return text.strip().rstrip("/")


def _block(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*/[A-Za-z0-9][A-Za-z0-9_.-]*", text.strip()):
        raise ValueError(f"{text!r} is not TYPE/NAME of a block, such as s3/dev")
    return text.strip()


def _setting(default: Any, help: str, read: Callable[[str], Any] = str, secret: bool = False) -> Any:
    return field(default=default, metadata={"help": help, "read": read, "secret": secret})


@dataclass(frozen=True)
class Settings:
    """Every setting. Durations are timedeltas, sizes bytes."""

    home: Path = _setting(Path("~/.orchestrator"), "Folder of profiles, spools, caches and embedded data.", Path)
    profile: str = _setting("default", "Name of the profile in profiles.toml to use.")
    api_url: str = _setting("", "Address of the API, such as http://127.0.0.1:4200.", _url)
    api_key: str = _setting("", "Key that the client, the CLI and agents present.", secret=True)
    database_url: str = _setting("", "Postgres to use in place of the embedded one.", secret=True)
    redis_url: str = _setting("", "Redis to use in place of the embedded one.", secret=True)
    migration_url: str = _setting("", "Direct Postgres address for migrations, behind a pooler.", secret=True)
    secret_key: str = _setting(
        "", "Key that encrypts block secrets and signs sessions; several: the first encrypts, all decrypt.", secret=True
    )
    secret_key_file: str = _setting("", "File with the secret key, in place of SECRET_KEY; one a line.")
    secret_key_command: str = _setting("", "Command that prints the secret key, in place of SECRET_KEY.")
    data_dir: str = _setting("", "Folder of the embedded Postgres and Redis; empty: below home.")
    host: str = _setting("127.0.0.1", "Address that the server listens on.")
    port: int = _setting(4200, "Port that the server listens on.", int)
    public_url: str = _setting("", "Address that people reach the dashboard at, when behind a proxy.", _url)
    allowed_hosts: tuple[str, ...] = _setting((), "Host names the server answers to, beside its own.", _list)
    api_workers: int = _setting(2, "Processes that serve the API.", int)
    api_threads: int = _setting(64, "Threads in each of them.", int)
    database_pool: int = _setting(12, "Database connections each server process may hold.", int)
    log_level: str = _setting("INFO", "Least severe level that is written.")
    heartbeat: timedelta = _setting(timedelta(seconds=10), "How often an agent reports.", duration)
    lease: timedelta = _setting(timedelta(seconds=30), "How long a run is held without a heartbeat.", duration)
    sweep: timedelta = _setting(timedelta(seconds=5), "How often expired leases are looked for.", duration)
    stop_grace: timedelta = _setting(timedelta(seconds=30), "From asking a run to stop to killing it.", duration)
    dispatch_ahead: timedelta = _setting(timedelta(seconds=2), "How early due runs are hinted.", duration)
    results_inline_max: int = _setting(4096, "Largest result kept in Postgres, in bytes; 0: none.", int)
    result_storage: str = _setting(
        "", "Storage block (TYPE/NAME) for larger results, where a deployment names none; empty: none.", _block
    )
    log_line_max: int = _setting(65536, "Longest log message kept, in bytes; the rest is cut and named.", int)
    limit_wait: timedelta = _setting(
        timedelta(minutes=10), "How long loading a block waits while runs hold all slots of its limit.", duration
    )
    spool_max: int = _setting(256 * 1024 * 1024, "Most that a producer spools while the API is away, in bytes.", int)
    expectation_lateness: timedelta = _setting(
        timedelta(seconds=10), "How long after a deadline news of what happened before it are waited for.", duration
    )
    event_retention: timedelta = _setting(timedelta(days=14), "How long events are kept.", duration)
    heartbeat_retention: timedelta = _setting(
        timedelta(days=1), "How long events of kind heartbeat are kept, at most as long as others.", duration
    )
    log_retention: timedelta = _setting(timedelta(days=30), "How long logs are kept.", duration)
    run_retention: timedelta = _setting(timedelta(days=90), "How long ended runs are kept.", duration)
    trigger_lateness: timedelta = _setting(
        timedelta(seconds=5), "How late an event may come and still count, before its absence is noted.", duration
    )
    trigger_depth_max: int = _setting(10, "How many firings may follow from one another before it is stopped.", int)
    resource_retention: timedelta = _setting(
        timedelta(days=90), "How long states are kept, and resources that only events named after the last.", duration
    )
    resources_max: int = _setting(100_000, "Most resources kept that only events named; the silent ones go.", int)
    task_retries: int = _setting(0, "Tries after the first of tasks that do not say how many.", _count)
    task_retry_delay: timedelta = _setting(
        timedelta(0), "How long tasks that do not say so wait before each retry.", _wait
    )
    retry_hold: timedelta = _setting(
        timedelta(seconds=10),
        "Longest wait for a flow's next try that its process on an agent sits out; before a longer one it ends.",
        _wait,
    )
    crash_retry_delay: timedelta = _setting(
        timedelta(seconds=10), "How long a run that crashed waits to be tried again; doubles each time.", _wait
    )
    hook_timeout: timedelta = _setting(timedelta(minutes=1), "How long the hooks of a run's end may take.", _wait)
    log_prints: bool = _setting(True, "Whether print in a flow by hand reaches its log.", _flag)

    def path(self, *parts: str) -> Path:
        """A path below :attr:`home`, with ``~`` resolved."""
        return self.home.expanduser().joinpath(*parts)


@dataclass(frozen=True)
class Resolved:
    """One setting with where its value came from: ``environment``, ``profile NAME`` or ``default``."""

    name: str
    value: Any
    source: str
    help: str
    secret: bool


def load(environ: Mapping[str, str] | None = None) -> Settings:
    """Resolve all settings now. Raises SettingsError, naming the setting, for a value that cannot be read."""
    environ = os.environ if environ is None else environ
    active, profile = _profile(environ)
    given = [item for item in fields(Settings) if item.name in profile or environ.get(PREFIX + item.name.upper())]
    return Settings(**{item.name: _resolve_one(item, environ, profile, active).value for item in given})


def resolve(environ: Mapping[str, str] | None = None) -> list[Resolved]:
    """As :func:`load`, with the source of each value."""
    environ = os.environ if environ is None else environ
    active, profile = _profile(environ)
    return [_resolve_one(item, environ, profile, active) for item in fields(Settings)]


def _profile(environ: Mapping[str, str]) -> tuple[str, dict[str, Any]]:
    """The active profile: its name and its values. Raises SettingsError."""
    home = Path(environ.get(PREFIX + "HOME") or Settings.home).expanduser()
    document = read_profiles(home)
    active = environ.get(PREFIX + "PROFILE") or str(document.get("active", "default"))
    profiles = document.get("profiles", {})
    if active not in profiles and environ.get(PREFIX + "PROFILE"):
        raise SettingsError(f"{PREFIX}PROFILE names the profile {active!r}, which {home / 'profiles.toml'} lacks")
    return active, {**profiles.get(active, {}), "home": str(home), "profile": active}


def _resolve_one(item: Any, environ: Mapping[str, str], profile: Mapping[str, Any], active: str) -> Resolved:
    variable = PREFIX + item.name.upper()
    facts = {"name": item.name, "help": item.metadata["help"], "secret": item.metadata["secret"]}
    if environ.get(variable):
        raw, source = environ[variable], "environment"
    elif item.name in profile:
        raw, source = str(profile[item.name]), f"profile {active}"
        if item.name in {"home", "profile"}:
            source = "default"
    else:
        return Resolved(value=item.default, source="default", **facts)
    try:
        return Resolved(value=item.metadata["read"](raw), source=source, **facts)
    except ValueError as error:
        raise SettingsError(f"{variable} (from {source}): {error}") from None


def read_profiles(home: Path) -> dict[str, Any]:
    """The content of ``profiles.toml``: ``{"active": name, "profiles": {name: {setting: value}}}``; empty if none."""
    path = home / "profiles.toml"
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not valid TOML: {error}") from None


def write_profile(home: Path, name: str, values: Mapping[str, Any], activate: bool = True) -> Path:
    """Set (or, with None, remove) entries of one profile; the file stays readable by its owner alone.

    Raises:
        SettingsError: An entry is no setting, or its value cannot be read back.
    """
    known = {item.name: item for item in fields(Settings)}
    for key, value in values.items():
        if key not in known or key in {"home", "profile"}:
            raise SettingsError(f"{key!r} is no setting of a profile; `orchestrator config view` lists them")
        if value is not None:
            _resolve_one(known[key], {PREFIX + key.upper(): str(value)}, {}, name)
    document = read_profiles(home)
    if activate:
        document["active"] = name
    entry = document.setdefault("profiles", {}).setdefault(name, {})
    entry.update(values)
    for key in [key for key, value in entry.items() if value is None]:
        del entry[key]
    return _write_private(home / "profiles.toml", tomli_w.dumps(document))


def delete_profile(home: Path, name: str) -> Path:
    """Remove one profile with all its entries; nothing happens when there is none."""
    document = read_profiles(home)
    document.get("profiles", {}).pop(name, None)
    return _write_private(home / "profiles.toml", tomli_w.dumps(document))


def _write_private(path: Path, content: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(content)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    return path
