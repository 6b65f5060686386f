"""``orchestrator flow-run``: look at runs, follow them, stop and repeat them."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from typing import Any

import click

from ..client import Client
from ..clock import duration, now
from ..errors import NotFound
from ..keeping.result_storage import read_result
from ..states import NAMED, TERMINAL, StateType
from .output import confirm, console, emit, emit_eta, fail, limit_option, note, output_option, yes_option
from .references import deployment_id, flow_id, flow_run_id
from .times import INSTANT, local_text
from .values import json_or_text, read_parameters

#: Seconds between two questions to the API while something is being watched.
_POLL = 1.0
#: Seconds that cancelling many runs may take, a thousand a call.
_BULK = 120.0
_LEVELS = ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]
_COLUMNS = {
    "id": "ID",
    "name": "Name",
    "flow.name": "Flow",
    "deployment.name": "Deployment",
    "state": "State",
    "work_queue": "Queue",
    "due": "Due",
    "started": "Started",
    "ended": "Ended",
}


class StateName(click.ParamType):  # type: ignore[type-arg]  # generic only in newer clicks
    """A state type (``RUNNING``) or one of our names (``Late``), whatever its case."""

    name = "state"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        """The query argument to use and its value."""
        if isinstance(value, tuple):
            return value
        for kind in StateType:
            if value.upper() == kind.value:
                return "state_type", kind.value
        for name in NAMED:
            if value.lower() == name.lower():
                return "state_name", name
        known = ", ".join([*(kind.value for kind in StateType), *NAMED])
        raise click.BadParameter(f"{value!r} is no state; choose from {known}", ctx, param)


def _filters(function: Any) -> Any:
    """The options that say which runs are meant."""
    for option in reversed(
        (
            click.option("--state", "states", type=StateName(), multiple=True, help="Type or name; may be repeated."),
            click.option("--flow", metavar="FLOW", help="Only runs of this flow."),
            click.option("--deployment", metavar="FLOW/NAME", help="Only runs of this deployment."),
            click.option("--work-queue", "-q", metavar="NAME", help="Only runs of this work queue."),
            click.option("--tag", metavar="TAG", multiple=True, help="Only runs with this tag; may be repeated."),
            click.option("--name", metavar="TEXT", help="Only runs whose name contains this."),
            click.option("--since", type=INSTANT, help="Only runs created after this: a time, or such as -2h."),
            click.option("--before", type=INSTANT, help="Only runs created before this."),
        )
    ):
        function = option(function)
    return function


@click.group()
def group() -> None:
    """Watch, cancel, suspend and retry flow runs; read their logs; answer what they ask.

    RUN is a run's id, or its name where that is unique.
    """


@group.command("ls")
@_filters
@limit_option
@output_option
def listing(limit: int, output: str, **which: Any) -> None:
    """List flow runs, newest first."""
    client = Client.from_settings()
    params = {**_which(client, **which), "limit": min(limit, 200)}
    runs = list(islice(client.pages("flow-runs", params), limit))
    emit(runs, output, columns=_COLUMNS, empty="No flow run fits.")


@group.command()
@click.argument("run")
@output_option
def inspect(run: str, output: str) -> None:
    """Show all that is known of one run, its states included."""
    client = Client.from_settings()
    identifier = flow_run_id(client, run)
    facts = client.get(f"flow-runs/{identifier}")
    facts["states"] = list(client.pages(f"flow-runs/{identifier}/states"))
    if output == "json":
        emit(facts, output)
        return
    states = facts.pop("states")
    emit(facts)
    click.echo()
    emit(states, columns={"at": "At", "type": "State", "name": "Name", "message": "Message"})


@group.command()
@click.argument("run")
@output_option
def result(run: str, output: str) -> None:
    """Print what a run returned, from wherever it is kept."""
    client = Client.from_settings()
    found = read_result(flow_run_id(client, run), client)
    if output == "json" or isinstance(found, (dict, list)):
        emit(found, "json")
    else:
        emit(found)


@group.command()
@click.argument("run")
@output_option
def why(run: str, output: str) -> None:
    """Say why a run waits: one reason, and what to do. `null` in JSON when it does not wait."""
    client = Client.from_settings()
    facts = client.get(f"flow-runs/{flow_run_id(client, run)}")
    reason = facts["waiting_reason"]
    if output == "json":
        emit(reason, output)
    elif reason is not None:
        click.echo(f"{reason['code']}: {reason['message']}")
    else:
        note(f"{facts['name']} does not wait: it is {facts['state']['name']}")


@group.command()
@click.argument("run")
@click.option("--timezone", default="UTC", show_default=True, help="Zone of the times.")
@output_option
def eta(run: str, timezone: str, output: str) -> None:
    """Say when a run will be completed and why late, learned from what was."""
    client = Client.from_settings()
    emit_eta(client.get(f"flow-runs/{flow_run_id(client, run)}/eta", {"timezone": timezone}), output)


@group.command()
@click.argument("run")
@output_option
def suspects(run: str, output: str) -> None:
    """Rank what happened near a failed run, shortly before: broken infrastructure, changed configuration, upstream."""
    client = Client.from_settings()
    found = list(client.pages(f"flow-runs/{flow_run_id(client, run)}/suspects"))
    columns = {"score": "Score", "event": "Event", "resource_name": "Resource", "occurred": "Occurred", "why": "Why"}
    emit(found, output, columns=columns, empty="Nothing happened nearby that could have to do with it.")


@group.command()
@click.argument("run")
@click.option("--follow", "-f", is_flag=True, help="Go on until the run has ended.")
@click.option("--level", type=click.Choice(_LEVELS, case_sensitive=False), help="Only this level and more severe ones.")
@click.option("--search", metavar="TEXT", help="Only messages that contain this.")
@click.option("--attempt", type=click.IntRange(min=1), help="Only one attempt of the run.")
@output_option
def logs(run: str, follow: bool, level: str | None, search: str | None, attempt: int | None, output: str) -> None:
    """Print a run's log, oldest line first."""
    if follow and output == "json":
        raise click.UsageError("--follow has no end, and json is one document: leave one of them out")
    client = Client.from_settings()
    identifier = flow_run_id(client, run)
    params = {"flow_run_id": identifier, "level": level, "search": search, "attempt": attempt, "limit": 200}
    if output == "json":
        emit(list(client.pages("logs", params)), output)
        return
    for line in _followed(client, identifier, params) if follow else client.pages("logs", params):
        click.echo(_log_line(line))


@group.command()
@click.argument("run")
@click.option("--logs", "with_logs", is_flag=True, help="Print the run's log, too.")
@click.option("--timeout", type=click.FloatRange(min=0), metavar="SECONDS", help="Give up after this long (exit 1).")
@output_option
def watch(run: str, with_logs: bool, timeout: float | None, output: str) -> None:
    """Follow a run to its end. Exits 0 only if it COMPLETED."""
    client = Client.from_settings()
    identifier = flow_run_id(client, run)
    facts = watch_run(client, identifier, with_logs=with_logs, timeout=timeout)
    emit(facts, output, columns={"id": "ID", "name": "Name", "state": "State", "result": "Result"})
    if facts["state"]["type"] != StateType.COMPLETED.value:
        raise click.exceptions.Exit(1)


@group.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN...")
def cancel(runs: tuple[str, ...]) -> None:
    """Cancel runs: waiting ones at once, running ones as soon as their processes are down."""
    client = Client.from_settings()
    for run in runs:
        facts = client.post(f"flow-runs/{flow_run_id(client, run)}/cancel")
        note(f"{facts['name']} ({facts['id']}): {facts['state']['name']}")


@group.command("cancel-all")
@_filters
@click.option("--dry-run", is_flag=True, help="Only count them.")
@yes_option
def cancel_all(dry_run: bool, yes: bool, **which: Any) -> None:
    """Cancel all runs that fit what is given, which is one thing at least; those that ended are left alone."""
    client = Client.from_settings()
    body = {name: value for name, value in _which(client, **which).items() if value not in (None, ())}
    if not body:
        raise click.UsageError("say which runs, such as --state Late or --deployment FLOW/NAME")
    found = client.post("flow-runs/cancel", {**body, "dry_run": True})["left"]
    if dry_run or not found:
        note(f"{found} runs would be cancelled" if found else "no run fits that has not ended")
        return
    confirm(f"Cancel {found} runs?", yes)
    asked = 0
    while True:
        done = client.request("POST", "flow-runs/cancel", json=body, timeout=_BULK)
        asked += done["cancelled"]
        if not done["left"] or not done["cancelled"]:
            break
    note(f"{asked} runs were asked to stop")


@group.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN...")
@click.option("--for", "lasts", metavar="DURATION", help="They fail if nobody resumes them within, such as 2h.")
@click.option("--until", type=INSTANT, help="... or by a time, such as +2h or 2026-01-31T09:00:00Z.")
def suspend(runs: tuple[str, ...], lasts: str | None, until: datetime | None) -> None:
    """Suspend runs: they stop, hold no slot, and wait until they are resumed."""
    if lasts and until:
        raise click.UsageError("give --for or --until, not both")
    if lasts:
        until = _after(lasts)
    client = Client.from_settings()
    for run in runs:
        facts = client.post(f"flow-runs/{flow_run_id(client, run)}/suspend", {"until": until})
        note(f"{facts['name']} ({facts['id']}): {facts['state']['name']}")


@group.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN...")
@click.option("--input", "-i", "pairs", metavar="KEY=VALUE", multiple=True, help="Part of the answer; JSON or text.")
@click.option("--input-json", "document", metavar="JSON", help="The answer, as a JSON object.")
def resume(runs: tuple[str, ...], pairs: tuple[str, ...], document: str | None) -> None:
    """Have paused runs go on, with the answer to what they ask.

    Suspended ones are queued again, under the same ids, and begin anew; ones whose process waits go on at once.
    `orchestrator flow-run question RUN` says what is asked.
    """
    answer = read_parameters(pairs, document, "--input", "--input-json") if pairs or document else None
    client = Client.from_settings()
    for run in runs:
        facts = client.post(f"flow-runs/{flow_run_id(client, run)}/resume", {"input": answer})
        note(f"{facts['name']} ({facts['id']}): {facts['state']['name']}")


@group.command()
@click.argument("run")
@output_option
def question(run: str, output: str) -> None:
    """Show what a run asks and waits to be told. `null` in JSON when it asks nothing."""
    client = Client.from_settings()
    identifier = flow_run_id(client, run)
    try:
        facts = client.get(f"flow-runs/{identifier}/question")
    except NotFound:
        client.get(f"flow-runs/{identifier}")  # that there is no such run is another thing
        facts = None
    if output == "json":
        emit(facts, output)
    elif facts is None:
        note(f"{run} waits for no answer")
    else:
        _tell_question(facts)


@group.command()
@click.argument("run")
@click.argument("value")
@click.option("--key-prefix", metavar="TEXT", help="By which receivers choose.  [default: the type, such as str-auto]")
@click.option("--sender", metavar="TEXT", help="What you call yourself; or a run that answers are to go to.")
@output_option
def send(run: str, value: str, key_prefix: str | None, sender: str | None, output: str) -> None:
    """Send a run a message: VALUE is JSON, or else a text."""
    client = Client.from_settings()
    body = {"value": json_or_text(value), "key_prefix": key_prefix, "sender": sender}
    sent = client.post(f"flow-runs/{flow_run_id(client, run)}/messages", body)
    if output == "json":
        emit(sent, output)
    else:
        note(f"sent {sent['key']}")


@group.command()
@click.argument("run")
@click.option("--key-prefix", metavar="TEXT", help="Only those that were sent with it.")
@limit_option
@output_option
def messages(run: str, key_prefix: str | None, limit: int, output: str) -> None:
    """List the messages that a run was sent, oldest first."""
    client = Client.from_settings()
    found: list[dict[str, Any]] = []
    path = f"flow-runs/{flow_run_id(client, run)}/messages"
    while len(found) < limit:
        after = found[-1]["position"] if found else 0
        page = client.get(path, {"key_prefix": key_prefix, "after": after, "limit": min(limit - len(found), 200)})
        if not page["items"]:
            break
        found += page["items"]
    columns = {"key": "Key", "value": "Value", "sender": "Sender", "created_by.name": "By", "created": "Sent"}
    emit(found, output, columns=columns, empty="It was sent no message.")


@group.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN...")
def retry(runs: tuple[str, ...]) -> None:
    """Run ended runs again, under the same ids."""
    client = Client.from_settings()
    for run in runs:
        facts = client.post(f"flow-runs/{flow_run_id(client, run)}/retry")
        note(f"{facts['name']} ({facts['id']}): {facts['state']['name']}")


@group.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN...")
@yes_option
def delete(runs: tuple[str, ...], yes: bool) -> None:
    """Delete runs with their task runs, logs and artifacts."""
    client = Client.from_settings()
    identifiers = [flow_run_id(client, run) for run in runs]
    confirm(f"Delete {', '.join(runs)}?", yes)
    for identifier in identifiers:
        client.delete(f"flow-runs/{identifier}")
        note(f"deleted {identifier}")


def watch_run(
    client: Client, identifier: str, *, with_logs: bool = False, timeout: float | None = None
) -> dict[str, Any]:
    """Tell each change of a run's state on stderr (and its log lines, if wished) until it has ended.

    Returns:
        The run as it ended. Ends the command (exit 1) when ``timeout`` seconds pass before.
    """
    deadline = None if timeout is None else time.monotonic() + timeout
    told, last_log = 0, None
    while True:
        facts: dict[str, Any] = client.get(f"flow-runs/{identifier}")
        states = list(client.pages(f"flow-runs/{identifier}/states"))
        # An end is told last: lines of the log that came before it are shown before it.
        ends = bool(states) and states[-1]["type"] in TERMINAL
        coming = states[told : len(states) - ends]
        for state in coming:
            _tell(state)
        told += len(coming)
        if with_logs:
            for line in client.pages("logs", {"flow_run_id": identifier, "after": last_log, "limit": 200}):
                note(_log_line(line))
                last_log = line["id"]
        if facts["state"]["type"] in TERMINAL:
            for state in states[told:]:
                _tell(state)
            return facts
        if deadline is not None and time.monotonic() >= deadline:
            fail(f"run {identifier} is still {facts['state']['name']} after {timeout:g} s")
        time.sleep(_POLL)


def _tell_question(facts: dict[str, Any]) -> None:
    click.echo(facts["description"] or ("It waits for an answer." if facts["schema"] else "It waits to be resumed."))
    if facts["deadline"]:
        then = "it goes on with its default" if facts["has_default"] else "it fails"
        click.echo(f"Until {local_text(facts['deadline'])}; then {then}.")
    for name, texts in (facts["problems"] or {}).items():
        click.echo(f"The answer before did not fit: {name}: {', '.join(texts)}")
    schema = facts["schema"] or {}
    needed = schema.get("required", ())
    rows = [
        {
            "name": name,
            "type": field.get("type") or "",
            "choices": ", ".join(map(str, field.get("enum", ()))),
            "required": name in needed,
            "default": field.get("default"),
            "description": field.get("description") or "",
        }
        for name, field in schema.get("properties", {}).items()
    ]
    if rows:
        emit(rows, columns={name: name.capitalize() for name in rows[0]})


def _which(
    client: Client,
    states: tuple[tuple[str, str], ...],
    flow: str | None,
    deployment: str | None,
    work_queue: str | None,
    tag: tuple[str, ...],
    name: str | None,
    since: datetime | None,
    before: datetime | None,
) -> dict[str, Any]:
    """The filter that the options stand for, as the API takes it."""
    found: dict[str, Any] = {"work_queue": work_queue, "name": name, "tag": tag}
    found.update(created_after=since, created_before=before)
    for argument, value in states:
        found.setdefault(argument, []).append(value)
    if flow:
        found["flow_id"] = flow_id(client, flow)
    if deployment:
        found["deployment_id"] = deployment_id(client, deployment)
    return found


def _after(lasts: str) -> datetime:
    try:
        return now() + duration(lasts)
    except (ValueError, OverflowError):
        raise click.BadParameter(f"{lasts!r} is no duration: write 90s, 5m, 1h30m, 2d", param_hint="--for") from None


def _followed(client: Client, identifier: str, params: dict[str, Any]) -> Iterator[dict[str, Any]]:
    last = None
    while True:
        # Asked first, so that the lines read after it are all there will be.
        ended = client.get(f"flow-runs/{identifier}")["state"]["type"] in TERMINAL
        for line in client.pages("logs", {**params, "after": last}):
            yield line
            last = line["id"]
        if ended:
            return
        time.sleep(_POLL)


def _log_line(line: dict[str, Any]) -> str:
    return f"{local_text(line['at'])} | {logging.getLevelName(line['level']):<8} | {line['message']}"


def _tell(state: dict[str, Any]) -> None:
    from rich.text import Text

    text = Text(f"{local_text(state['at'])}  {state['name']}", style="bold")
    if state.get("message"):
        text.append(f": {state['message']}", style="not bold")
    console(stderr=True).print(text)
