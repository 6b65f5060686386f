"""How many events a second are taken in, in batches of 500, with what they name kept as resources and relations.

Once by the service alone, in one process on one connection: what an event costs. Once by the API as users have it:
four clients that each send one batch after the other. Events are about 2,000 resources, each part of one of 40 others.
"""

from __future__ import annotations

import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

from orchestrator.clock import now
from orchestrator.embedded import EmbeddedServices
from orchestrator.server.db import migrate, session
from orchestrator.server.services.recording import events

from .figures import Figure
from .stack import Stack, running

BAR = "at least 20,000 events/s sustained in batches of 500, with their resources and relations kept"
BATCH, BATCHES, CLIENTS, ROUNDS = 500, 120, 4, 3
RESOURCES, WHOLES = 2_000, 40


def run() -> Iterable[Figure]:
    """What of all events, and of the resources that they name, is there in the end is a figure of its own."""
    with _services() as (database_url, redis_url):
        rates = [_by_service() for _ in range(ROUNDS)]
        yield Figure.of("events_ingest_service", rates, "events/s")
        settings = {"DATABASE_URL": database_url, "REDIS_URL": redis_url, "SECRET_KEY": secrets.token_urlsafe(32)}
        with running(settings=settings) as stack:
            rates = [_by_api(stack) for _ in range(ROUNDS)]
        yield Figure.of("events_ingest", rates, "events/s")
        yield from _there(2 * ROUNDS * BATCH * BATCHES)


def batches(number: int = BATCHES, size: int = BATCH) -> list[bytes]:
    """Bodies of requests: each event is about one resource, part of another; every fourth reads a third."""
    return [orjson.dumps([_event(turn * size + place) for place in range(size)]) for turn in range(number)]


def _event(number: int) -> dict[str, Any]:
    # A step that has no divisor in common with the number of resources: neighbours are far apart.
    place = number * 7_919 % RESOURCES
    related = [{"resource.id": f"db://house/schema{place % WHOLES}", "resource.role": "part-of"}]
    if number % 4 == 0:
        related.append({"resource.id": f"db://house/table{(place + 1) % RESOURCES}", "resource.role": "reads"})
    labels = {"resource.id": f"db://house/table{place}", "resource.name": f"table{place}", "resource.kind": "table"}
    return {"event": "table.written", "resource": labels, "related": related, "payload": {"rows": number, "took": 1.5}}


def _by_service() -> float:
    told = batches()
    began = time.perf_counter()
    for body in told:
        with session.transaction() as opened:
            events.ingest(opened, orjson.loads(body), now())
    return BATCH * BATCHES / (time.perf_counter() - began)


def _by_api(stack: Stack) -> float:
    told = [[orjson.loads(body) for body in batches()[place::CLIENTS]] for place in range(CLIENTS)]

    def send(mine: list[Any]) -> None:
        client = stack.client()
        for body in mine:
            answer = client.post("events", body)
            for refused in answer["refused"][:1]:
                print(f"refused: {refused}", file=sys.stderr)

    began = time.perf_counter()
    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(send, told))
    return BATCH * BATCHES / (time.perf_counter() - began)


def _there(sent: int) -> Iterator[Figure]:
    with session.reading() as opened:
        link = opened.connection()
        found = link.exec_driver_sql("SELECT count(*) FROM event WHERE event = 'table.written'").scalar_one()
        kept = link.exec_driver_sql("SELECT count(*) FROM resource WHERE id LIKE 'db://%%'").scalar_one()
    yield Figure.of("events_stored", [100 * found / sent], "%")
    yield Figure.of("resources_kept", [100 * kept / (RESOURCES + WHOLES)], "%")


@contextmanager
def _services() -> Iterator[tuple[str, str]]:
    home = Path(tempfile.mkdtemp(prefix="orchestrator-bench-"))
    home.chmod(0o755)  # the embedded services may run as another user
    try:
        with EmbeddedServices(home) as embedded:
            migrate.upgrade(embedded.database_url)
            session.configure(embedded.database_url)
            yield embedded.database_url, embedded.redis_url
            session.dispose()
    finally:
        shutil.rmtree(home, ignore_errors=True)
