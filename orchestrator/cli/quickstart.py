"""``orchestrator quickstart``: the whole system on this computer, with an example that runs."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn

from .. import clock, settings
from ..client import Client
from ..errors import OrchestratorError, Unavailable
from ..states import TERMINAL, StateType

BLOCK = "local-file-system/quickstart"
DEPLOYMENT = "flight-delays/quickstart"
#: From now to the slot of the schedule: time enough for the schedule loop to see it.
SCHEDULED_IN = timedelta(seconds=3)
#: An example that takes longer is broken.
PATIENCE = timedelta(minutes=3)


@click.command()
@click.option("--exit", "leave", is_flag=True, help="Stop once both runs have ended; exit 0 only if both COMPLETED.")
@click.option("--host", default=None, help="Address to listen on.")
@click.option("--port", type=click.IntRange(1, 65535), default=None, help="Port to listen on.")
def command(leave: bool, host: str | None, port: int | None) -> None:
    """Start everything on this computer and run an example.

    Starts an embedded Postgres and Redis, the API with the dashboard, beat, the services worker and one agent; deploys
    the flights example; runs it once through REST and once through a schedule; stays up until Ctrl-C.
    """
    from ..embedded import Options, Supervisor

    console = Console(highlight=False)
    console.print("Starting Postgres, Redis, API, beat, services and one agent ...")
    with Supervisor(Options(host=host, port=port, agent=True, queues=("default",))) as server:
        client = Client.from_settings()
        console.print(f"Ready at {server.api_url}\n")
        _deploy(console, client)
        runs = {"started by REST": _start_by_rest(client), "started by a schedule": _start_by_schedule(client)}
        states = _follow(console, client, runs)
        link = client.post("logins")["url"]
        _report(console, client, runs, link)
        if leave:
            sys.exit(0 if set(states.values()) == {StateType.COMPLETED} else 1)
        console.print("\nEverything stays up until you press Ctrl-C.")
        server.wait()


def _deploy(console: Console, client: Client) -> None:
    """Copy the example to a work folder and deploy it with the commands a user would type."""
    project = settings.load().path("quickstart", "flights")
    shutil.rmtree(project, ignore_errors=True)
    shutil.copytree(Path(__file__).parent.parent / "examples" / "flights", project)
    storage = settings.load().path("quickstart", "storage")
    database = project.parent / "flights.sqlite"
    _type(console, project, "block", "create", BLOCK, "--set", f"basepath={storage}", "--overwrite")
    _type(
        console, project, "deployment", "build", "./flow.py:flight_delays", "--name", "quickstart",
        "--storage-block", BLOCK,
        "--work-queue", "default", "--param", f"database={database}", "-o", "deployment.yaml",
    )  # fmt: skip
    _type(console, project, "deployment", "apply", "deployment.yaml")
    console.print()


def _type(console: Console, folder: Path, *words: str) -> None:
    console.print(f"[bold]$[/] orchestrator {escape(' '.join(words))}", soft_wrap=True)
    done = subprocess.run([sys.executable, "-m", "orchestrator", *words], cwd=folder, check=False)
    if done.returncode:
        raise OrchestratorError(f"`orchestrator {' '.join(words)}` failed in {folder}")


def _start_by_rest(client: Client) -> str:
    return str(client.post(f"deployments/{DEPLOYMENT}/runs", json={"name": "by-rest"})["id"])


def _start_by_schedule(client: Client) -> str:
    """Give the deployment a schedule with a slot in a few seconds, and find the run that it makes."""
    deployment = client.get(f"deployments/{DEPLOYMENT}")
    anchor = clock.now() + SCHEDULED_IN
    for old in deployment["schedules"]:
        client.delete(f"schedules/{old['id']}")
    client.post(
        f"deployments/{deployment['id']}/schedules",
        json={"slug": "daily", "interval": timedelta(days=1).total_seconds(), "anchor": clock.to_text(anchor)},
    )
    for _ in _waiting("the schedule loop to make a run"):
        # By then it may have begun, or ended.
        runs = client.get("flow-runs", params={"deployment_id": deployment["id"]})["items"]
        slots = {clock.from_text(run["slot"]): run["id"] for run in runs if run["slot"]}
        if anchor in slots:
            return str(slots[anchor])
    raise AssertionError  # _waiting ends by raising


def _follow(console: Console, client: Client, runs: dict[str, str]) -> dict[str, StateType]:
    """Print the log lines of all runs as they come, over a bar of finished task runs, until all have ended."""
    seen: dict[str, str | None] = dict.fromkeys(runs.values())
    with _progress(console) as progress:
        bars = {run: progress.add_task(label, total=None, state="SCHEDULED") for label, run in runs.items()}
        for _ in _waiting("the example's runs to end"):
            states = {run: StateType(client.get(f"flow-runs/{run}")["state"]["type"]) for run in bars}
            for label, run in runs.items():
                seen[run] = _print_new_lines(progress.console, client, label, run, seen[run])
                tasks = client.get("task-runs", params={"flow_run_id": run, "limit": 200})["items"]
                done = sum(task["state"]["type"] in TERMINAL for task in tasks)
                progress.update(bars[run], total=max(len(tasks), 1), completed=done, state=states[run].value)
            if all(state in TERMINAL for state in states.values()):
                return states
    raise AssertionError  # _waiting ends by raising


def _print_new_lines(console: Console, client: Client, label: str, run: str, after: str | None) -> str | None:
    params = {"flow_run_id": run, "limit": 200, **({"after": after} if after else {})}
    for line in client.get("logs", params=params)["items"]:
        moment = clock.from_text(line["at"]).astimezone().strftime("%H:%M:%S")
        console.print(f"[dim]{moment} {label:<21}[/] {escape(line['message'])}", soft_wrap=True)
        after = line["id"]
    return after


@contextmanager
def _progress(console: Console) -> Iterator[Progress]:
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), "tasks")
    with Progress(*columns, TextColumn("{task.fields[state]}"), console=console) as progress:
        yield progress


def _report(console: Console, client: Client, runs: dict[str, str], link: str) -> None:
    console.print()
    for label, run in runs.items():
        found: dict[str, Any] = client.get(f"flow-runs/{run}")
        state, result = found["state"], (found["result"] or {}).get("value")
        colour = "green" if state["type"] == "COMPLETED" else "red"
        shown = f"{escape(state['message'])} result: {escape(str(result))}"
        console.print(f"{label:<21} [{colour}]{state['type']}[/] {shown}", soft_wrap=True)
    console.print(f"\nDashboard (this link logs you in, once): {link}", soft_wrap=True)


def _waiting(what: str) -> Iterator[None]:
    """Go round five times a second; raises Unavailable when it takes longer than :data:`PATIENCE`."""
    deadline = time.monotonic() + PATIENCE.total_seconds()
    while time.monotonic() < deadline:
        yield
        time.sleep(0.2)
    raise Unavailable(f"waited {PATIENCE} for {what}; `orchestrator server logs` may tell why")
