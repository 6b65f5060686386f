"""``orchestrator block test|send-test|discover|discovery``: what agents do with blocks."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import click

from ..client import Client
from ..clock import duration
from .output import emit, fail, note, output_option

#: Seconds that the server is asked to hold a question, and that a command waits in all.
HOLD, WAIT = 10, 180.0
#: Seconds between two looks at what became of a message.
LOOK = 0.25
_ENDED = frozenset({"COMPLETED", "FAILED", "CRASHED", "CANCELLED"})


@click.command()
@click.argument("block")
@click.option("-q", "--queue", default="default", show_default=True, help="Work queue whose agents do it.")
@output_option
def test(block: str, queue: str, output: str) -> None:
    """Have an agent try whether a block works."""
    client = Client.from_settings()
    run = client.post(f"blocks/{block}/test", {"work_queue": queue})["run"]
    _conclude(_wait(client, run), output, lambda value: str(value))


@click.command("send-test")
@click.argument("block")
@output_option
def send_test(block: str, output: str) -> None:
    """Send a real message by a notifier, to see whether it arrives."""
    client = Client.from_settings()
    action = client.post(f"blocks/{block}/test-message")["action"]
    deadline, is_told = time.monotonic() + WAIT, False
    while True:
        found: dict[str, Any] = client.get(f"actions/{action}")
        if found["ended"]:
            break
        if time.monotonic() > deadline:
            fail(f"it has not ended within {WAIT:g} s; `orchestrator action inspect {action}` shows it")
        if not is_told and time.monotonic() > deadline - WAIT + 15:
            is_told = True
            note("it still waits to be sent: is the services process running?")
        time.sleep(LOOK)
    if output == "json":
        emit(found, output)
    elif found["state"] == "done":
        note("sent: the service took it")
    if found["state"] != "done":
        fail(f"not sent: {found['error']}")


@click.command()
@click.argument("block")
@output_option
def discover(block: str, output: str) -> None:
    """Have an agent look through a block now, for resources and for what happened."""
    client = Client.from_settings()
    run = client.post(f"blocks/{block}/discover")["run"]
    _conclude(_wait(client, run), output, _found)


@click.command()
@click.argument("block")
@click.option("--on/--off", "active", default=None, help="Whether it is looked through by the clock.")
@click.option("--every", metavar="TIME", help="Time between two looks, such as 5m.")
@click.option("-q", "--queue", help="Work queue whose agents look.")
@output_option
def discovery(block: str, active: bool | None, every: str | None, queue: str | None, output: str) -> None:
    """Show, or change, how a block is looked through."""
    given = {"active": active, "interval_s": _seconds(every), "work_queue": queue}
    changes = {name: value for name, value in given.items() if value is not None}
    client, path = Client.from_settings(), f"blocks/{block}/discovery"
    emit(client.patch(path, changes) if changes else client.get(path), output)


def _wait(client: Client, run: str) -> dict[str, Any]:
    """The errand, once it has ended; the reason is told once while it waits for an agent."""
    deadline, told = time.monotonic() + WAIT, ""
    hold = 2.0
    while True:
        found: dict[str, Any] = client.get(f"errands/{run}", {"wait_s": hold})
        reason = found["waiting_reason"]
        if found["state"] in _ENDED:
            return found
        if time.monotonic() > deadline:
            why = f": {reason['message']}" if reason else ""
            fail(f"it has not ended within {WAIT:g} s{why}; `orchestrator flow-run inspect {run}` shows it")
        if reason and reason["code"] == "no-agent-on-queue":
            client.post(f"flow-runs/{run}/cancel")
            fail(reason["message"])
        if reason and reason["message"] != told:
            told = reason["message"]
            note(told)
        hold = HOLD


def _conclude(found: dict[str, Any], output: str, text: Any) -> None:
    if output == "json":
        emit(found, output)
    elif found["state"] == "COMPLETED":
        note(text(found["result"]))
    if found["state"] != "COMPLETED":
        fail(found["message"] or f"it ended {found['state']}")


def _found(value: dict[str, Any]) -> str:
    line = f"{value['resources']:,} resources, {value['events']:,} events, {value['vanished']:,} vanished"
    return f"{line}; {value['notice']}" if value["notice"] else line


def _seconds(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        found: timedelta = duration(text)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--every") from None
    return round(found.total_seconds())
