"""``orchestrator server``: start, stop and look at the server on this machine."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .. import settings
from ..errors import Unavailable
from .output import emit, fail, note, output_option

if TYPE_CHECKING:
    from ..embedded.supervisor import Options

_READY_WITHIN_S = 180.0
#: Beyond the stop grace, which its agent may use up for runs that go on.
_GONE_WITHIN_S = 90.0


@click.group()
def group() -> None:
    """Start and stop API, dashboard, beat and services on this machine."""
    if sys.platform == "win32":
        raise Unavailable("the server does not run on Windows: use WSL, or a container")


@group.command()
@click.option("--host", help="Address to listen on.  [default: the setting ORCHESTRATOR_HOST]")
@click.option("--port", type=click.IntRange(1, 65535), help="Port to listen on.  [default: ORCHESTRATOR_PORT]")
@click.option("--agent", is_flag=True, help="Run an agent along.")
@click.option("-q", "--queue", "queues", multiple=True, metavar="QUEUE", help="Work queue of that agent (repeat).")
@click.option("--no-embedded", is_flag=True, help="Use external Postgres and Redis, and refuse to start without.")
@click.option("--background", is_flag=True, help="Return once the server is ready; it goes on running.")
def start(
    host: str | None, port: int | None, agent: bool, queues: tuple[str, ...], no_embedded: bool, background: bool
) -> None:
    """Start the server and keep its parts alive until Ctrl-C.

    Postgres and Redis are started too, unless ORCHESTRATOR_DATABASE_URL or ORCHESTRATOR_REDIS_URL name others.
    """
    from ..embedded.supervisor import Options

    if queues and not agent:
        raise click.UsageError("-q is for the agent: add --agent")
    options = Options(host, port, agent, queues or ("default",), embedded=not no_embedded)
    if background:
        _start_in_background(options)
    else:
        _run(options)


@group.command()
def stop() -> None:
    """Stop the server, and what a killed one has left."""
    from ..embedded import processes, state

    home = _home()
    if not state.is_running(home):
        left = state.end_leftovers(home)
        note(f"no server of {home} is running" + (f"; ended what one has left: {', '.join(left)}" if left else ""))
        return
    found = state.supervisor(home)
    if found is None:
        fail(f"a server of {home} is just starting: try again")
    processes.send(found.pid, signal.SIGTERM)
    patience = settings.load().stop_grace.total_seconds() + _GONE_WITHIN_S
    if not _wait_until_gone(home, patience):
        fail(f"the server (pid {found.pid}) is still stopping after {patience:.0f} s: see orchestrator server logs")
    note(f"the server at {found.api_url} has stopped")


@group.command()
@output_option
@click.pass_context
def status(ctx: click.Context, output: str) -> None:
    """Show the server, its parts and their health; exit code 0 only if all is ready."""
    from ..embedded.status import report

    facts = report(_home())
    if output == "json":
        emit(facts, output)
    elif not facts["running"]:
        note(f"no server of {facts['home']} is running: start one with `orchestrator server start`")
    else:
        emit({name: facts[name] for name in ("ready", "api_url", "pid", "started", "version", "home", "data_dir")})
        emit(facts["parts"], columns={"name": "PART", "status": "STATUS", "pid": "PID", "restarts": "RESTARTS"})
        if not facts["ready"]:
            note(f"health: {facts['health'] or 'the API does not answer'}")
    ctx.exit(0 if facts["ready"] else 1)


@group.command()
@click.argument("part", required=False)
@click.option(
    "-n", "--lines", type=click.IntRange(0), default=100, show_default=True, help="So many of the last lines."
)
@click.option("-f", "--follow", is_flag=True, help="Go on with new lines until Ctrl-C.")
def logs(part: str | None, lines: int, follow: bool) -> None:
    """Show the log of PART (server, api, services, beat, agent, postgres, redis), or of all."""
    from ..embedded import logfiles

    folder = _home() / "logs"
    files = {path.stem: path for path in sorted(folder.glob("*.log"))}
    if part is not None and part not in files:
        raise click.BadParameter(f"there is no log of {part!r} in {folder}: {', '.join(files) or 'it is empty'}")
    chosen = files if part is None else {part: files[part]}
    for name, path in chosen.items():
        for line in logfiles.tail(path, lines):
            click.echo(line if part else f"{name} | {line}")
    if follow:
        for name, line in logfiles.follow(chosen):
            click.echo(line if part else f"{name} | {line}")


def _home() -> Path:
    return settings.load().path().absolute()


def _run(options: Options) -> None:
    from ..embedded.supervisor import Supervisor

    try:
        with Supervisor(options, say=note) as running:
            note(f"Orchestrator is ready at {running.api_url} (Ctrl-C stops it)")
            running.wait()
            note("stopping")
    except KeyboardInterrupt:
        note("stopped before it was ready")


def _start_in_background(options: Options) -> None:
    from ..embedded import health, logfiles, state
    from ..embedded.parts import orchestrator_command

    home = _home()
    (home / "logs").mkdir(parents=True, exist_ok=True)
    words = [*orchestrator_command(), "server", "start"]
    words += [f"--host={options.host}"] * (options.host is not None) + [f"--port={options.port}"] * bool(options.port)
    if options.agent:
        words += ["--agent", *(f"--queue={queue}" for queue in options.queues)]
    words += ["--no-embedded"] * (not options.embedded)
    said = home / "logs" / "background.log"
    with open(said, "wb") as log:
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    deadline = time.monotonic() + _READY_WITHIN_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            fail(logfiles.last_words(said).removeprefix("Error: "))
        found = state.supervisor(home)
        if found is not None and found.pid == process.pid and health.ready(found.api_url)[0]:
            note(f"Orchestrator is ready at {found.api_url} (`orchestrator server stop` stops it)")
            return
        time.sleep(0.2)
    fail(f"the server (pid {process.pid}) is not ready after {_READY_WITHIN_S:.0f} s: see orchestrator server logs")


def _wait_until_gone(home: Path, patience_s: float) -> bool:
    from ..embedded import state

    deadline = time.monotonic() + patience_s
    while state.is_running(home):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True
