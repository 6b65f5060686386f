"""``orchestrator celery``: what a Celery application tells on its broker, as events."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from .. import reporting, settings
from ..client import Client
from ..clock import now, to_text
from ..errors import InvalidInput
from ..ids import uuid7, uuid7_from
from .output import note

if TYPE_CHECKING:
    from ..blocks.celery_app import CeleryApp
    from ..interfaces import Observed

#: An event's time may be this far from ours; else its id carries ours.
_FROM, _TO = timedelta(days=-1), timedelta(minutes=1)


@click.group()
def group() -> None:
    """Watch Celery applications: what they tell on their brokers becomes events, nothing of them is changed."""


@group.command()
@click.option("--broker", metavar="URL", help="Address of the application's broker, a Redis: redis://host:6379/0.")
@click.option("--block", metavar="celery-app/NAME", help="In place of the address: a block that holds it.")
@click.option("--enable-events", is_flag=True, help="Ask the workers to send events of tasks; else start them with -E.")
@click.option("--key-prefix", default=None, metavar="TEXT", help="The application's global_keyprefix, if it has one.")
@click.option(
    "--heartbeat", type=click.FloatRange(0, 3600), default=30, show_default=True, metavar="SECONDS",
    help="Tell one heartbeat of each worker in so many seconds; 0: none.",
)  # fmt: skip
@click.option(
    "--silent-after", type=click.FloatRange(2, 86400), default=60, show_default=True, metavar="SECONDS",
    help="Tell that a worker is offline after so many seconds without a sign of life.",
)  # fmt: skip
def watch(
    broker: str | None,
    block: str | None,
    enable_events: bool,
    key_prefix: str | None,
    heartbeat: float,
    silent_after: float,
) -> None:
    """Tell on, as it happens, what tasks and workers of a Celery application do; until it is stopped.

    It goes on when the broker or the server is away for a while. What the application publishes while the broker is
    away is heard by nobody; what is heard while the server is away is kept on disk.
    """
    from ..blocks.celery_events.bridge import Bridge

    app = _app(broker, block, key_prefix, enable_events)
    found = settings.load()
    if not found.api_url:
        raise InvalidInput("no API is configured: set ORCHESTRATOR_API_URL, or choose a profile")
    reporter = reporting.process_reporter(found)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    send = _sender(app, reporter.put)
    bridge = Bridge(app, send, note, heartbeat_s=heartbeat, silent_s=silent_after)
    try:
        bridge.run(stop.is_set, stop.wait)
    finally:
        reporter.close()
    note(f"stopped; {bridge.told} events were told on")


def _app(broker: str | None, block: str | None, key_prefix: str | None, enable_events: bool) -> CeleryApp:
    from pydantic import ValidationError

    from ..blocks.celery_app import CeleryApp

    if (broker is None) == (block is None):
        raise click.UsageError("say which application: either --broker or --block")
    more: dict[str, Any] = {"enable_events": True} if enable_events else {}
    if key_prefix is not None:
        more["key_prefix"] = key_prefix
    if block is not None:
        Client.from_settings()
        return CeleryApp.load(block.removeprefix("celery-app/")).model_copy(update=more)
    try:
        return CeleryApp(broker_url=broker, **more)  # type: ignore[arg-type]
    except ValidationError as error:
        raise click.BadParameter(str(error.errors()[0]["msg"]), param_hint="--broker") from None


def _sender(app: CeleryApp, put: Callable[[dict[str, Any]], None]) -> Callable[[Observed], None]:
    """What makes reports of events. The ids are those that discovery by the block gives: told twice, stored once."""
    source = app.document_id or app.resource_id()
    block = [
        {
            "resource.id": f"orchestrator.block.{app.document_id}",
            "resource.name": f"celery-app/{app.document_name}",
            "resource.role": "source",
        }
    ]

    def send(seen: Observed) -> None:
        at, subject = now(), seen.resource
        occurred = seen.occurred or at
        same = seen.key and _FROM <= occurred - at <= _TO
        identifier = uuid7_from(occurred, f"{source}\n{seen.event}\n{seen.key}") if same else uuid7(at)
        labels = {name: str(value) for name, value in subject.labels.items() if value is not None}
        document = {
            "id": str(identifier),
            "event": seen.event,
            "occurred": to_text(occurred),
            "resource": {
                **labels, "resource.id": subject.id, "resource.name": subject.name, "resource.kind": subject.kind,
            },
            "related": (block if app.document_id else [])
            + [{"resource.id": to.id, "resource.role": to.role} for to in subject.related],
            "payload": seen.payload,
            "kind": "heartbeat" if seen.event == "celery.worker.heartbeat" else "operation",
        }  # fmt: skip
        put({"kind": "event", "event": document})

    return send
