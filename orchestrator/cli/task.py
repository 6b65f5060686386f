"""``orchestrator task``: serve tasks, so that ``task.delay(...)`` has somebody to do it."""

from __future__ import annotations

import click

from .. import names
from ..client import Client
from ..documents.deployment import Document
from ..errors import CodeNotLoadable, InvalidInput
from ..projects import builds
from . import agent
from .output import fail, note


@click.group()
def group() -> None:
    """Serve tasks, for background runs."""


@group.command()
@click.argument("targets", nargs=-1, required=True, metavar="FILE:TASK...")
@click.option("--limit", type=click.IntRange(1, 1000), default=10, show_default=True, help="Runs made at a time.")
@click.pass_context
def serve(context: click.Context, targets: tuple[str, ...], limit: int) -> int:
    """Make the background runs of tasks here, until it is stopped.

    FILE:TASK is a file and a task in it, such as jobs.py:load, or FOLDER:package/file.py:TASK where modules are
    imported from another folder than the file's. The server is told of each task and where its code lies; then an
    agent starts that takes their runs. It needs a key of the role editor.
    """
    documents = [_document(target) for target in targets]
    client = Client.from_settings()
    for document in documents:
        client.post("deployments", document.body())
        note(f"serving {document.flow.removeprefix(names.TASK_FLOW)} from {document.entrypoint}")
    queues = tuple(dict.fromkeys(document.work_queue for document in documents))
    return int(context.invoke(agent.start, queues=queues, limit=limit, transport="redis", name="") or 0)


def _document(target: str) -> Document:
    folder, entrypoint = builds.split_target(target)
    if ":" not in entrypoint:
        raise InvalidInput(f"{target} names no task: write FILE:TASK, such as jobs.py:load")
    try:
        facts = builds.find_flow(folder, entrypoint)
    except CodeNotLoadable as error:
        fail(str(error), 2)
    if not facts.flow.startswith(names.TASK_FLOW):
        raise InvalidInput(f"{target} is a flow: it takes tasks; `orchestrator deployment build` is for flows")
    return Document(
        facts.flow,
        names.BACKGROUND,
        facts.entrypoint,
        description=facts.description,
        storage={"block": None, "path": str(folder), "snapshot": None},
        work_queue=facts.flow,
        parameter_schema=facts.parameter_schema,
    )
