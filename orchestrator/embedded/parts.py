"""The parts of a server, as a table: what each is started with, what it is told, how it is stopped."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from gunicorn.config import KNOWN_SETTINGS  # type: ignore[import-untyped,unused-ignore]

from ..settings import PREFIX, Settings

#: What user code must not see: an agent needs the API alone.
SERVER_ONLY = ("DATABASE_URL", "REDIS_URL", "MIGRATION_URL", "SECRET_KEY", "SECRET_KEY_FILE", "SECRET_KEY_COMMAND")
#: What the parts have in common, or one of them loads anyway: modules, and functions that make what would
#: be made by the first who needs it. None of it reads settings, which are not known yet when it is loaded.
WARM = (
    "gunicorn.app.wsgiapp",
    "gunicorn.workers.gthread",
    "orchestrator.web.app",
    "orchestrator.web.sharing",
    "orchestrator.server.loops",
    "orchestrator.workers.hint_worker",
    "celery.app.control",
    "celery.apps.beat",
    "celery.concurrency.thread",
    "celery.worker.components",
    "celery.worker.consumer",
    "celery.worker.control",
    "celery.worker.loops",
    "celery.worker.strategy",
    "orchestrator.cli.agent",
    "orchestrator.workers.agent.agent",
    "sqlalchemy.orm:configure_mappers",
)
#: Seconds beyond the stop grace that an agent needs to end: what runs on is asked to stop, killed some seconds later,
#: and its end is told to the API.
AGENT_LAST_S = 20.0


@dataclass(frozen=True)
class Part:
    """One process that the supervisor keeps alive.

    Args:
        name: Its name in messages, and of its log file.
        argv: Command line; the first is a full path.
        env: What it is told beside the supervisor's own environment.
        without: Settings (without prefix) that are kept from it.
        grace_s: Seconds from asking it to stop (SIGTERM) to killing it and its children.
        after_ready: Whether it is started only once the server is ready, which does not depend on it.
        entry: ``module:function`` that does what the command line does, in a process that was forked from the
            template (:mod:`.template`); empty: it always gets an interpreter of its own.
    """

    name: str
    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    without: Sequence[str] = ()
    grace_s: float = 10.0
    after_ready: bool = False
    entry: str = ""

    def environment(self, base: Mapping[str, str]) -> dict[str, str]:
        """All that it is told."""
        hidden = {PREFIX + name for name in self.without}
        merged = {**base, "PYTHONUNBUFFERED": "1", **self.env}
        return {name: value for name, value in merged.items() if name not in hidden}


@dataclass(frozen=True)
class Surroundings:
    """What the supervisor found out and its parts need to know."""

    home: Path
    host: str
    port: int
    api_url: str
    api_key: str
    database_url: str
    redis_url: str
    #: Empty: the settings name a file or a command, and who needs the key asks that, so that it is in no environment.
    secret_key: str

    def environment(self) -> dict[str, str]:
        """These, as the settings of the parts."""
        names = ("home", "host", "port", "database_url", "redis_url", "secret_key")
        told = {PREFIX + name.upper(): str(getattr(self, name)) for name in names}
        return {name: value for name, value in told.items() if value or name != f"{PREFIX}SECRET_KEY"}


def table(settings: Settings, around: Surroundings, queues: Sequence[str] = ()) -> list[Part]:
    """The parts in the order in which they are started; the agent, which needs the others, is stopped before them.

    Args:
        queues: Work queues of the agent that runs along; none: no agent.
    """
    parts = [api(settings, around), services(), beat()]
    parts = [replace(part, env={**around.environment(), **part.env}) for part in parts]
    return [*parts, agent(settings, around, queues)] if queues else parts


def api(settings: Settings, around: Surroundings) -> Part:
    """gunicorn with threads: most requests wait for Postgres, and some are held open on purpose."""
    host = f"[{around.host}]" if ":" in around.host else around.host
    options = {
        "bind": f"{host}:{around.port}",
        "chdir": str(around.home),
        "worker-class": "gthread",
        "workers": str(settings.api_workers),
        "threads": str(settings.api_threads),
        "timeout": "60",
        "graceful-timeout": "5",
        "keep-alive": "75",
        "log-level": "warning",
    }
    words = ["--config=python:orchestrator.web.sharing", *(f"--{name}={value}" for name, value in options.items())]
    if any(item.name == "control_socket_disable" for item in KNOWN_SETTINGS):
        words.append("--no-control-socket")
    words.append("orchestrator.web.app:create_app()")
    return _python("api", "gunicorn", words, "gunicorn.app.wsgiapp:run", grace_s=10.0)


def beat() -> Part:
    """Ticks, and nothing else; its few entries live in memory."""
    return _python("beat", "orchestrator.workers.beating", [], "orchestrator.workers.beating:main", grace_s=5.0)


def services() -> Part:
    """Runs the loops when beat ticks, and by itself when it does not."""
    return _python("services", "orchestrator.workers.services", [], "orchestrator.workers.services:main", grace_s=10.0)


def agent(settings: Settings, around: Surroundings, queues: Sequence[str]) -> Part:
    """An agent on this machine, as anybody would start it."""
    words = ["agent", "start", *(word for queue in queues for word in ("-q", queue))]
    told = {
        PREFIX + "HOME": str(around.home),
        PREFIX + "API_URL": around.api_url,
        PREFIX + "API_KEY": around.api_key,
    }
    return Part(
        "agent",
        [*orchestrator_command(), *words],
        told,
        without=SERVER_ONLY,
        grace_s=settings.stop_grace.total_seconds() + AGENT_LAST_S,
        after_ready=True,
        entry="orchestrator.cli:main",
    )


def _python(name: str, module: str, words: Sequence[str], entry: str, *, grace_s: float) -> Part:
    """A part that is a module of ours or of a library, run as a program."""
    return Part(name, [sys.executable, "-m", module, *words], entry=entry, grace_s=grace_s)


def orchestrator_command() -> list[str]:
    """The command line tool, by the interpreter that runs now (a console script may be another's)."""
    return [sys.executable, "-m", "orchestrator"]


def base_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment that parts start from: this process's, good in any working folder."""
    base = dict(environ)
    if paths := base.get("PYTHONPATH"):
        base["PYTHONPATH"] = os.pathsep.join(os.path.abspath(path) for path in paths.split(os.pathsep))
    return base
