"""Pings: the list, with what was last heard, and how each is called."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from marshmallow import ValidationError
from sqlalchemy import select
from sqlalchemy.orm import Session

from orchestrator.errors import InvalidInput
from orchestrator.server.db.models import Expectation, Ping
from orchestrator.server.schemas.pings import PingInputSchema
from orchestrator.server.services.paging import Page
from orchestrator.server.services.receiving import pings

from ..looks import Look

LOOKS = {
    "started": Look("running", "player-play", "Started"),
    "succeeded": Look("completed", "circle-check", "OK"),
    "failed": Look("failed", "circle-x", "Failed"),
}
#: Expectations of one ping that the list names.
EXPECTED_MOST = 5


@dataclass(frozen=True)
class Row:
    """A ping, and what is expected of it."""

    ping: Ping
    look: Look | None
    expected: list[Expectation]
    #: What the form of a new expectation begins with.
    document: dict[str, Any]


@dataclass(frozen=True)
class Listing:
    """One page of the list."""

    page: Page[Ping]
    rows: list[Row]


def listing(session: Session, text: str, cursor: str | None) -> Listing:
    """One page of pings, by name."""
    page = pings.listing(session, text or None, 50, cursor)
    expected = _expected(session, [ping.resource_id for ping in page.items])
    rows = [
        Row(ping, LOOKS.get(ping.state or ""), expected.get(ping.resource_id, [])[:EXPECTED_MOST], document(ping))
        for ping in page.items
    ]
    return Listing(page, rows)


def document(ping: Ping) -> dict[str, Any]:
    """An expectation that tells when a ping stays away."""
    on = {"match": {"resource.id": ping.resource_id}, "expect": "ping.succeeded"}
    return {"name": f"{ping.name}-stays-in-touch", "on": on, "within": "25h"}


def read(form: Mapping[str, str]) -> dict[str, Any]:
    """The ping that a form asks for. Raises InvalidInput, whose errors name the fields."""
    sent = {name: form.get(name, "").strip() for name in ("name", "description", "resource_id")}
    if not sent["name"]:
        raise InvalidInput("name: Give it a name.", {"name": ["Give it a name."]})
    try:
        found: dict[str, Any] = PingInputSchema().load({name: text for name, text in sent.items() if text})
    except ValidationError as error:
        errors = {str(name): [str(text) for text in texts] for name, texts in error.normalized_messages().items()}  # type: ignore[no-untyped-call]
        raise InvalidInput("the ping is not complete", errors) from None
    return found


def lines(url: str) -> list[tuple[str, str]]:
    """How an address is called."""
    call = f"curl -fsS -m 10 --retry 3 {shlex.quote(url)}"
    return [
        ("At the end of a line of a crontab: it tells the exit code", f"0 3 * * * /opt/jobs/backup.sh; {call}/$?"),
        ("At its start as well: then its duration is known", f"0 3 * * * {call}/start; /opt/jobs/backup.sh; {call}/$?"),
        ("From a script", f"{call}/ok\n{call}/fail"),
    ]


def _expected(session: Session, ids: list[str]) -> dict[str, list[Expectation]]:
    """Expectations about resources, by the id that they name."""
    about = Expectation.document["on"]["match"]["resource.id"]
    query = select(Expectation).where(about.astext.in_(ids)).order_by(Expectation.name)
    found: dict[str, list[Expectation]] = {}
    for row in session.scalars(query):
        found.setdefault(str(row.document["on"]["match"]["resource.id"]), []).append(row)
    return found
