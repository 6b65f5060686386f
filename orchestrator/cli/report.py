"""``orchestrator report``: what was recorded while the API was away."""

from __future__ import annotations

import click

from .. import settings
from ..client import Client
from ..reporting import replay, spool
from ..reporting.delivery import Away, Delivery
from .output import emit, fail, note, output_option

_COLUMNS = {"api_url": "API", "size": "Bytes", "alive": "Process runs", "folder": "Folder"}


@click.group()
def group() -> None:
    """Deliver what was recorded while the API was away."""


@group.command("ls")
@output_option
def listing(output: str) -> None:
    """List reports that wait on this machine, whatever API they are meant for."""
    found = [
        {"api_url": one.api_url, "size": one.size, "alive": one.alive, "folder": str(one.folder)}
        for one in spool.kept(settings.load().path("spool"))
    ]
    emit(found, output, columns=_COLUMNS, empty="Nothing waits to be delivered.")


@group.command("flush")
@output_option
def flush(output: str) -> None:
    """Deliver what processes that have ended left for the configured API."""
    client = Client.from_settings()
    folder = spool.folder_of(settings.load().path("spool"), client.api_url)
    delivery = Delivery(client, folder)
    try:
        delivered = replay(delivery, folder)
    except Away as problem:
        fail(f"{problem}; the reports stay in {folder}")
    busy = [one for one in spool.kept(folder.parent) if one.folder.parent == folder and one.alive]
    if output == "json":
        emit({"delivered": delivered, "refused": delivery.refused, "held_by_running_processes": len(busy)}, output)
        return
    note(f"{delivered} reports delivered, {delivery.refused} of them refused" if delivered else "Nothing to deliver.")
    if busy:
        note(f"{len(busy)} running processes keep theirs and deliver them on their own")
