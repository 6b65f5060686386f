"""``orchestrator agent``: start agents, and list them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from .output import emit, output_option

if TYPE_CHECKING:
    from ..settings import Settings
    from ..workers.agent.agent import Agent


@click.group("agent")
def group() -> None:
    """Start agents, which execute runs, and list them."""


@group.command()
@click.option(
    "-q", "--queue", "queues", multiple=True, metavar="NAME", help="Take runs of this work queue; may be repeated."
)
@click.option("--limit", type=click.IntRange(1, 1000), default=10, show_default=True, help="Runs executed at a time.")
@click.option(
    "--transport",
    type=click.Choice(["redis", "http"]),
    default="redis",
    show_default=True,
    help="How to learn of work: hints from Redis (HTTP while it is away), or HTTP alone.",
)
@click.option("--name", default="", metavar="NAME", help="What to call it; computer and process id when not given.")
@click.option(
    "--match", multiple=True, metavar="PREFIX", help="Take runs of queues whose names begin so, also new ones."
)
@click.option("--waterfall", is_flag=True, help="Empty an earlier queue before taking runs of later ones.")
@click.option("--label", "labels", multiple=True, metavar="LABEL", help="What deployments that require it find here.")
@click.option(
    "--prefetch",
    "prefetch_s",
    type=click.FloatRange(0, 60),
    metavar="SECONDS",
    help="Take a run so long before it is due, to fetch its code; at most, and by default, as the server says.",
)
@click.option("--run-once", is_flag=True, help="Execute what waits now, then stop.")
@click.option(
    "--drain-timeout",
    "drain_s",
    type=click.FloatRange(0),
    metavar="SECONDS",
    help="How long runs may go on once it is asked to stop; the server's stop grace by default.",
)
@click.option(
    "--on-drain",
    type=click.Choice(["wait", "hand-over", "crash"]),
    default="crash",
    show_default=True,
    help="What becomes of runs that take longer; wait: they go on until they end.",
)
def start(queues: tuple[str, ...], match: tuple[str, ...], labels: tuple[str, ...], **options: Any) -> int:
    """Start an agent here; it works until it is stopped.

    It needs ORCHESTRATOR_API_URL and ORCHESTRATOR_API_KEY (or a profile), and neither database nor Redis credentials.
    SIGTERM or Ctrl-C lets its runs end within --drain-timeout; a second one ends them at once. It exits 1 when it can
    do no more: the API refuses its key for good, or it is UNHEALTHY.
    """
    from .. import settings

    if options["on_drain"] == "wait" and options["drain_s"] is not None:
        raise click.UsageError("--on-drain wait waits as long as it takes: leave --drain-timeout out")
    found = settings.load()
    _check(found)
    _refuse_windows()
    from ..errors import AccessDenied, Conflict
    from ..workers.agent.agent import Agent, Options

    _log_to_stderr(found.log_level)
    names = list(dict.fromkeys(queues)) or ([] if match else ["default"])
    agent = Agent(Options(names, match=[*match], labels=[*labels], **options), found)
    _stop_on_signals(agent)
    try:
        agent.run()
    except AccessDenied as error:
        raise click.ClickException(
            f"the API at {found.api_url} refuses this agent ({error}): "
            "ORCHESTRATOR_API_KEY has to be a key of the role agent, editor or admin"
        ) from None
    except Conflict as error:
        raise click.ClickException(f"the API at {found.api_url} does not take this agent: {error}") from None
    if agent.failure:
        raise click.ClickException(agent.failure)
    return 0


@group.command("ls")
@output_option
def ls(output: str) -> None:
    """List agents, newest first."""
    from ..client import Client

    columns = {
        "id": "ID",
        "name": "NAME",
        "status": "STATUS",
        "queues": "QUEUES",
        "labels": "LABELS",
        "running": "RUNNING",
        "slots": "SLOTS",
        "transport": "TRANSPORT",
        "last_heartbeat": "LAST HEARTBEAT",
    }
    found: list[Any] = list(Client.from_settings().pages("agents"))
    shown = [{**row, "queues": [*row["queues"], *(f"{name}*" for name in row.get("prefixes") or ())]} for row in found]
    rows = found if output == "json" else shown
    emit(rows, output, columns=columns, empty="No agent has registered: `orchestrator agent start -q default`.")


def _check(found: Settings) -> None:
    """One line for what is missing."""
    missing = [name for name in ("api_url", "api_key") if not getattr(found, name)]
    if missing:
        names = " and ".join(f"ORCHESTRATOR_{name.upper()}" for name in missing)
        raise click.UsageError(f"an agent needs {names}: set it in the environment or in the active profile")


def _refuse_windows() -> None:
    if sys.platform == "win32":
        raise click.ClickException("agents run on Linux and macOS; on Windows, start one in WSL")


def _log_to_stderr(level: str) -> None:
    import logging

    logging.basicConfig(level=level.upper(), format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    # What Celery and the connection pool say of an outage is said once, and better, by the agent.
    for name in ("celery", "kombu", "urllib3"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def _stop_on_signals(agent: Agent) -> None:
    import signal

    def stop(*_: object) -> None:
        if agent.stopping.is_set():
            agent.hurry.set()
        agent.stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
