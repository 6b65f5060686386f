"""Pings: jobs of other schedulers tell when they start and end, by calling an address of their own."""

from __future__ import annotations

import hashlib
import secrets as randomness
import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from ....documents.records import Actor
from ....errors import Conflict, NotFound
from ....ids import uuid7
from ...config import current
from ...db.models import Ping
from ..paging import Page, check_limit, decode, page
from ..recording import events
from ..recording.announcements import announce, resource
from ..recording.events import EventRecord

#: Characters of a job's output that are kept: its end, where the reason stands.
OUTPUT_MAX = 10_000
#: Longest name of a run, by which its start and end are told to be one.
RUN_MAX = 200

_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 13))")


@dataclass(frozen=True)
class Call:
    """What a call says.

    Attributes:
        state: ``started``, ``succeeded`` or ``failed``.
        exit_code: The job's, where it was told.
        output: The end of what the job printed.
        run: Name of the job's run, where several may be under way.
        method: Of the HTTP request.
    """

    state: str
    exit_code: int | None = None
    output: str = ""
    run: str = ""
    method: str = "GET"


def create(
    session: Session, name: str, resource_id: str | None, description: str, actor: Actor, now: datetime
) -> tuple[Ping, str]:
    """Make a ping; returns it, and the secret part of its address, which is told this once. Raises Conflict."""
    session.execute(_LOCK, {"name": name})
    if _find(session, name) is not None:
        raise Conflict(f"there is a ping {name} already; `orchestrator ping rotate {name}` gives it a new address")
    token = randomness.token_urlsafe(24)
    made = Ping(
        id=uuid7(now), name=name, resource_id=resource_id or f"ping.{name}", description=description,
        hash=_hash(token), created=now, updated=now,
    )  # fmt: skip
    session.add(made)
    session.flush()
    _announce(session, "created", made, actor, now, after=_plain(made))
    return made, token


def get(session: Session, ref: str | uuid.UUID) -> Ping:
    """A ping by name or id. Raises NotFound."""
    found = session.get(Ping, ref) if isinstance(ref, uuid.UUID) else _find(session, ref)
    if found is None:
        raise NotFound(f"there is no ping {ref}: `orchestrator ping ls` lists them")
    return found


def listing(session: Session, name: str | None = None, limit: int = 50, cursor: str | None = None) -> Page[Ping]:
    """A page of pings, by name; ``name``: a part of it."""
    query = select(Ping)
    if name is not None:
        query = query.where(Ping.name.icontains(name, autoescape=True))
    if cursor:
        query = query.where(Ping.name > decode(cursor, str)[0])
    rows = session.scalars(query.order_by(Ping.name).limit(check_limit(limit) + 1)).all()
    return page(rows, limit, lambda row: (row.name,))


def rotate(session: Session, ref: str | uuid.UUID, actor: Actor, now: datetime) -> tuple[Ping, str]:
    """Give a ping a new address; the old one is worth nothing from now on. Raises NotFound."""
    found = get(session, ref)
    token = randomness.token_urlsafe(24)
    found.hash, found.updated = _hash(token), now
    session.flush()
    _announce(session, "rotated", found, actor, now)
    return found, token


def delete(session: Session, ref: str | uuid.UUID, actor: Actor, now: datetime) -> None:
    """Delete a ping. Raises NotFound."""
    found = get(session, ref)
    session.delete(found)
    session.flush()
    _announce(session, "deleted", found, actor, now, before=_plain(found))


def hear(session: Session, token: str, call: Call, now: datetime) -> None:
    """Note a call, and tell it as an event. Raises NotFound for an address that is none."""
    ping = session.scalar(select(Ping).where(Ping.hash == _hash(token)).with_for_update())
    if ping is None:
        raise NotFound("there is no such address")
    payload: dict[str, Any] = {"ping": ping.name, "method": call.method}
    if call.state != "started" and ping.started is not None and not call.run:
        payload["duration_s"] = round((now - ping.started).total_seconds(), 3)
    facts = {"exit_code": call.exit_code, "run": call.run or None, "output": call.output or None}
    payload.update({name: value for name, value in facts.items() if value is not None})
    ping.started = now if call.state == "started" else None
    ping.state, ping.heard = call.state, now
    setattr(ping, f"last_{call.state}", now)
    labels = {"resource.id": ping.resource_id, "resource.name": ping.name, "resource.kind": "ping"}
    related = [resource("ping", ping.id, ping.name, "ping")]
    told = EventRecord(f"ping.{call.state}", labels, related, payload, occurred=now, source="webhook")
    events.store(session, [told], now)


def address(token: str, root: str) -> str:
    """The whole address of a token; ``root`` is where the server was asked, for one that has no public address."""
    return f"{current().public_url or root.rstrip('/')}/ping/{token}"


def _find(session: Session, name: str) -> Ping | None:
    return session.scalar(select(Ping).where(Ping.name == name))


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _plain(ping: Ping) -> dict[str, Any]:
    return {"resource_id": ping.resource_id, "description": ping.description}


def _announce(session: Session, verb: str, ping: Ping, actor: Actor, now: datetime, **more: Any) -> None:
    announce(session, f"ping.{verb}", resource("ping", ping.id, ping.name), actor, now, **more)
