"""``orchestrator deployment``: from a project on disk to a deployment that runs, and all that is done with it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

import click

from ..block import Block
from ..client import Client
from ..documents import deployment as documents
from ..errors import CodeNotLoadable, InvalidInput
from ..interfaces import FileSystem, Progress
from ..projects import builds, deployments, snapshots
from ..projects.deployments import Document
from ..states import StateType
from ..stored import template_values
from ..timing import schedules
from .flow_run import watch_run
from .output import confirm, console, emit, fail, limit_option, note, output_option, yes_option
from .references import deployment_id
from .times import INSTANT
from .values import read_parameters, whole_or_none

_COLUMNS = {
    "address": "Deployment",
    "work_queue": "Queue",
    "paused": "Paused",
    "schedules": "Schedules",
    "tags": "Tags",
    "updated": "Updated",
}
_BLOCK = re.compile(r"([a-z0-9-]+/[A-Za-z0-9][A-Za-z0-9_.-]*)(?:/(.*))?")


@click.group()
def group() -> None:
    """Build, apply, run and look at deployments.

    DEPLOYMENT is `flow/name`, the name alone where it is unique, or an id.
    """


@group.command()
@click.argument("target", metavar="PATH[:ENTRYPOINT]")
@click.option("--name", "-n", required=True, help="The deployment's name.")
@click.option("--storage-block", "-sb", metavar="TYPE/NAME[/PATH]", help="Where the code is uploaded to.")
@click.option("--infra-block", "-ib", metavar="TYPE/NAME", help="What runs are executed in; a process by default.")
@click.option("--override", "overrides", metavar="KEY=VALUE", multiple=True, help="Lay a value over the infra block.")
@click.option("--results-block", "-rb", metavar="TYPE/NAME[/PATH]", help="Where results too large for the run go.")
@click.option("--work-queue", "-q", help="The queue that its runs go to.  [default: default]")
@click.option("--tag", "-t", "tags", multiple=True, help="A tag of the deployment and its runs.")
@click.option("--param", "params", metavar="KEY=VALUE", multiple=True, help="A parameter; the value is JSON or text.")
@click.option("--params", "params_json", metavar="JSON", help="Several parameters, as a JSON object.")
@click.option("--cron", help="Run by a cron line, such as '30 2 * * *'.")
@click.option("--interval", help="Run every so often: seconds, or 90s, 5m, 1h30m, 2d.")
@click.option("--rrule", help="Run by a recurrence rule (RFC 5545).")
@click.option("--timezone", help="The schedule's time zone, such as Europe/Berlin.  [default: UTC]")
@click.option("--anchor", help="The instant that fixes an interval's or a rule's phase.")
@click.option("--crash-retries", type=click.IntRange(0, 100), help="How often a run that crashed is queued again.")
@click.option("--limit", type=click.IntRange(min=0), help="How many of its runs may go on at once; 0: none.")
@click.option("--collision", type=click.Choice(documents.COLLISIONS), help="What becomes of new runs at the limit.")
@click.option(
    "--require-label", "labels", multiple=True, metavar="LABEL", help="Only agents with this label take runs."
)
@click.option("--description", help="What people read; by default the flow's docstring.")
@click.option("--version", help="A version of your own, such as a commit.")
@click.option("-o", "--output", "file", type=click.Path(dir_okay=False, path_type=Path), help="The file to write.")
@click.option("--apply", "apply_now", is_flag=True, help="Apply the file at once.")
@click.option("--skip-upload", is_flag=True, help="Upload nothing: this snapshot is in storage already.")
def build(target: str, name: str, file: Path | None, apply_now: bool, skip_upload: bool, **options: Any) -> None:
    """Upload a project and write its deployment file.

    PATH is the project's folder (or a file in it); ENTRYPOINT is file.py:function, and needed only where the folder
    holds several flows. What the file already says, and no option changes, stays. Files that
    `.orchestratorignore` names are left out.
    """
    file = file or Path(f"{slug_of(name)}-deployment.yaml")
    given = _read_options(options)
    folder, entrypoint = builds.split_target(target)
    old = _existing(file, name)
    ignore = _own_file(folder, file)
    try:
        facts = builds.find_flow(folder, entrypoint, ignore)
    except CodeNotLoadable as error:
        fail(str(error), 2)
    if old and old.flow != facts.flow:
        raise InvalidInput(f"{file} is the deployment {old.address} of another flow: choose another file with -o")
    document = builds.compose(facts, name, given, old)
    document = _upload(document, folder, options["storage_block"], skip_upload, ignore)
    deployments.write(file, [document])
    note(f"wrote {file}: {document.address}, entrypoint {document.entrypoint}")
    if apply_now:
        _apply(Client.from_settings(), [document])
    else:
        note(f"next: orchestrator deployment apply {file}")


@group.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Also when schedules or triggers do not fit a new signature; stops them.")
@output_option
def apply(files: tuple[Path, ...], force: bool, output: str) -> None:
    """Create or update the deployments of files; all files are checked before any is applied."""
    documents = [document for file in files for document in deployments.read(file)]
    seen: dict[str, str] = {}
    for document in documents:
        if document.address in seen:
            raise InvalidInput(f"{document.source}: {document.address} stands in {seen[document.address]}, too")
        seen[document.address] = document.source
    as_json = output == "json"
    applied = _apply(Client.from_settings(), documents, quiet=as_json, force=force)
    if as_json:
        emit(applied, output)


@group.command()
@click.argument("deployment")
@click.option("--param", "params", metavar="KEY=VALUE", multiple=True, help="A parameter; the value is JSON or text.")
@click.option("--params", "params_json", metavar="JSON", help="Several parameters, as a JSON object.")
@click.option("--at", "at", type=INSTANT, help="Start at a time, such as 2026-01-31T09:00:00Z.")
@click.option("--in", "after", type=INSTANT, metavar="DURATION", help="Start after, for example, 5m.")
@click.option("--name", help="The run's name.")
@click.option("--tag", "-t", "tags", multiple=True, help="A tag of the run.")
@click.option(
    "--priority", type=int, help="How urgent it is among the runs of its queue: the highest first.  [default: 0]"
)
@click.option("--watch", is_flag=True, help="Follow states and logs; exit 0 only when it COMPLETED.")
@output_option
def run(
    deployment: str,
    params: tuple[str, ...],
    params_json: str | None,
    at: datetime | None,
    after: datetime | None,
    name: str | None,
    tags: tuple[str, ...],
    priority: int | None,
    watch: bool,
    output: str,
) -> None:
    """Start a run of a deployment, now or later."""
    if at and after:
        raise click.UsageError("give --at or --in, not both")
    body = {
        "parameters": read_parameters(params, params_json),
        "due": at or after,
        "name": name,
        "tags": [*tags] or None,
        "priority": priority,
    }
    client = Client.from_settings()
    path = f"deployments/{deployment_id(client, deployment)}/runs"
    facts = client.post(path, {key: value for key, value in body.items() if value is not None})
    note(f"run {facts['name']} ({facts['id']}) of {deployment}: {facts['state']['name']}")
    if watch:
        facts = watch_run(client, facts["id"], with_logs=True)
    columns = {"id": "ID", "name": "Name", "state": "State", "due": "Due", "result": "Result"}
    emit(facts, output, columns=columns)
    if watch and facts["state"]["type"] != StateType.COMPLETED.value:
        raise click.exceptions.Exit(1)


@group.command("ls")
@click.option("--flow", help="Only those of this flow.")
@click.option("--tag", help="Only those with this tag.")
@click.option("--work-queue", "-q", help="Only those of this queue.")
@limit_option
@output_option
def listing(flow: str | None, tag: str | None, work_queue: str | None, limit: int, output: str) -> None:
    """List deployments."""
    params = {"flow": flow, "tag": tag, "work_queue": work_queue, "limit": min(limit, 200)}
    found = list(islice(Client.from_settings().pages("deployments", params), limit))
    if output == "json":
        emit(found, output)
        return
    rows = [{**item, "address": _address(item), "schedules": _schedules(item)} for item in found]
    emit(rows, output, columns=_COLUMNS, empty="There is no deployment; `orchestrator deployment build` makes one.")


@group.command()
@click.argument("deployment")
@click.option(
    "--output",
    type=click.Choice(["table", "json", "yaml"]),
    default="table",
    show_default=True,
    help="json: exactly one JSON document on stdout; yaml: the file that gives the same deployment.",
)
def inspect(deployment: str, output: str) -> None:
    """Show one deployment."""
    client = Client.from_settings()
    path = f"deployments/{deployment_id(client, deployment)}"
    if output == "yaml":
        click.echo(documents.render(Document(**client.get(f"{path}/document"))), nl=False)
        return
    emit(client.get(path), output)


@group.command("set-limit")
@click.argument("deployment")
@click.argument("limit", metavar="LIMIT|none")
@click.option("--collision", type=click.Choice(documents.COLLISIONS), help="What becomes of new runs at the limit.")
def set_limit(deployment: str, limit: str, collision: str | None) -> None:
    """Set how many of its runs may go on at once; `none` lifts the limit, 0 lets none start."""
    fields: dict[str, Any] = {"concurrency_limit": whole_or_none(limit, "LIMIT")}
    client = Client.from_settings()
    facts = client.patch(
        f"deployments/{deployment_id(client, deployment)}",
        {**fields, **({"collision": collision} if collision else {})},
    )
    limited = "unlimited" if facts["concurrency_limit"] is None else f"limited to {facts['concurrency_limit']}"
    note(f"{_address(facts)}: {limited} ({facts['collision']})")


@group.command()
@click.argument("deployment")
def pause(deployment: str) -> None:
    """Let its schedules rest; runs can still be started."""
    _set_paused(deployment, True)


@group.command()
@click.argument("deployment")
def resume(deployment: str) -> None:
    """Let its schedules run again."""
    _set_paused(deployment, False)


@group.command()
@click.argument("names", nargs=-1, required=True, metavar="DEPLOYMENT...")
@yes_option
def delete(names: tuple[str, ...], yes: bool) -> None:
    """Delete deployments with their schedules; runs that were made stay."""
    client = Client.from_settings()
    identifiers = [deployment_id(client, name) for name in names]
    confirm(f"Delete {', '.join(names)}?", yes)
    for name, identifier in zip(names, identifiers, strict=True):
        client.delete(f"deployments/{identifier}")
        note(f"deleted {name}")


def _set_paused(deployment: str, paused: bool) -> None:
    client = Client.from_settings()
    facts = client.patch(f"deployments/{deployment_id(client, deployment)}", {"paused": paused})
    note(f"{_address(facts)} is {'paused' if paused else 'resumed'}")


def _read_options(options: dict[str, Any]) -> dict[str, Any]:
    """The options that were given, as keys of a document; each checked before anything is done."""
    given: dict[str, Any] = {key: options[key] for key in ("description", "version", "work_queue") if options[key]}
    if options["crash_retries"] is not None:
        given["crash_retries"] = options["crash_retries"]
    if options["limit"] is not None:
        given["concurrency_limit"] = options["limit"]
    if options["collision"]:
        given["collision"] = options["collision"]
    for key in ("tags", "labels"):
        if options[key]:
            given[key] = [*options[key]]
    if parameters := read_parameters(options["params"], options["params_json"]):
        given["parameters"] = parameters
    if schedule := _read_schedule(options):
        given["schedules"] = [schedule]
    if options["storage_block"] and not _BLOCK.fullmatch(options["storage_block"]):
        raise click.BadParameter(
            "write TYPE/NAME or TYPE/NAME/PATH, such as s3/dev/flows", param_hint="--storage-block"
        )
    if options["infra_block"] and not _BLOCK.fullmatch(options["infra_block"] + "/"):
        raise click.BadParameter("write TYPE/NAME, such as process/default", param_hint="--infra-block")
    if options["infra_block"] or options["overrides"]:
        overrides = read_parameters(options["overrides"], None, "--override")
        given["infrastructure"] = {"block": options["infra_block"], "overrides": overrides}
    if options["results_block"]:
        if not (found := _BLOCK.fullmatch(options["results_block"])):
            raise click.BadParameter(
                "write TYPE/NAME or TYPE/NAME/PATH, such as s3/dev/results", param_hint="--results-block"
            )
        given["results"] = {"block": found[1], "path": found[2] or ""}
    return given


def _read_schedule(options: dict[str, Any]) -> dict[str, Any]:
    given = {key: options[key] for key in ("cron", "interval", "rrule", "anchor", "timezone") if options[key]}
    if not {"cron", "interval", "rrule"} & given.keys():
        if given:
            raise click.UsageError(f"--{next(iter(given))} needs one of --cron, --interval and --rrule")
        return {}
    schedules.parse(given)
    return given


def _existing(file: Path, name: str) -> Document | None:
    """What the file says already. Raises InvalidInput where it is not valid, or another deployment."""
    if not file.exists():
        return None
    found = deployments.read(file)
    if len(found) != 1 or found[0].name != name:
        others = ", ".join(document.address for document in found)
        raise InvalidInput(f"{file} holds {others} already: choose another file with -o")
    return found[0]


def _own_file(folder: Path, file: Path) -> tuple[str, ...]:
    """The written file is no part of the snapshot: it holds the snapshot's hash."""
    place = file.resolve()
    return (f"/{place.relative_to(folder).as_posix()}",) if place.is_relative_to(folder) else ()


def _upload(document: Document, folder: Path, block: str | None, skip: bool, ignore: tuple[str, ...]) -> Document:
    storage = dict(document.storage or {})
    if block:
        found = _BLOCK.fullmatch(block)
        path = (found[2] if found else "") or storage.get("path") or slug_of(document.flow)
        storage = {"block": found[1] if found else block, "path": path}
    if not storage.get("block"):
        note(f"no --storage-block: runs use the code in {folder} itself, on agents that see this folder")
        return replace(document, storage={"block": None, "path": str(folder), "snapshot": None})
    path = storage.get("path") or ""
    if skip:
        snapshot = snapshots.snapshot_hash(snapshots.manifest(folder, ignore))
        return replace(document, storage={"block": storage["block"], "path": path, "snapshot": snapshot})
    own = storage["block"] if isinstance(storage["block"], dict) else None
    files = Block.from_document(own) if own else Block.load(storage["block"])
    called = f"the deployment's own {own['type']}" if own else storage["block"]
    if not isinstance(files, FileSystem):
        raise InvalidInput(f"the block {called} is no file system: code cannot be uploaded by it")
    # The file keeps the template; what it stands for here and now is where the agents will look, too.
    place = str(template_values.resolved(path, Client.from_settings, "storage.path"))
    snapshot = snapshots.snapshot_hash(snapshots.manifest(folder, ignore))
    if snapshots.exists(files, place, snapshot):
        note(f"snapshot {snapshot[:12]} is in {called} already: nothing to upload")
    else:
        with _progress(f"Uploading to {called}") as progress:
            snapshot = snapshots.upload(folder, files, place, progress, ignore)
        note(f"uploaded snapshot {snapshot[:12]} to {called}/{path}")
    return replace(document, storage={"block": storage["block"], "path": path, "snapshot": snapshot})


@contextmanager
def _progress(title: str) -> Iterator[Progress]:
    """A progress bar on stderr, where that is a terminal."""
    from rich import progress

    columns = (progress.TextColumn("{task.description}"), progress.BarColumn(), progress.DownloadColumn())
    screen = console(stderr=True)
    with progress.Progress(*columns, console=screen, disable=not screen.is_terminal, transient=True) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total, _path: bar.update(task, completed=done, total=total)


def _apply(client: Client, documents: list[Document], quiet: bool = False, force: bool = False) -> list[dict[str, Any]]:
    answers = []
    for document in documents:
        answer = client.request("POST", "deployments", document.body(), {"force": "true"} if force else None)
        answers.append(answer)
        changes = [str(change) for change in answer["changes"]]
        what = "created" if answer["created"] else "updated" if changes else "unchanged"
        say = note if quiet else click.echo
        say(f"{what} {document.address}")
        for change in () if answer["created"] else changes:
            say(f"  {change}")
    return answers


def slug_of(name: str) -> str:
    """A name as a file or folder may be called."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "flow"


def _address(facts: dict[str, Any]) -> str:
    return f"{facts['flow']['name']}/{facts['name']}"


def _schedules(facts: dict[str, Any]) -> list[str]:
    return [
        str(item.get("cron") or item.get("rrule") or f"every {item.get('interval'):g} s")
        + ("" if item.get("active", True) else " (off)")
        for item in facts.get("schedules") or ()
    ]
