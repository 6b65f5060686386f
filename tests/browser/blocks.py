"""Block types and documents for looking at: all shipped types, one of a team's own with every sort of field, and some
that are broken in ways that must not blank a page.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from orchestrator.documents.records import Actor
from orchestrator.ids import uuid7
from orchestrator.kinds import block_kinds
from orchestrator.server.db.models import (
    Action,
    Block,
    BlockSchema,
    BlockType,
    Deployment,
    Discovery,
    Firing,
    FlowRun,
    Resource,
)
from orchestrator.server.services.acting import actions
from orchestrator.server.services.configuring import block_types, blocks, limits
from orchestrator.server.services.configuring.limits import Attempt
from orchestrator.server.services.deploying import deployment_notifications
from orchestrator.server.services.recording.events import EventRecord, record

WHO = Actor("api-key", name="maria@team.example")
#: What must be seen on no page.
CANARY = "canary-3f9a-secret"

VAULT: dict[str, Any] = {
    "title": "Vault",
    "type": "object",
    "properties": {
        "login": {"title": "Login", "type": "string", "description": "Of the machine user."},
        "password": {"title": "Password", "type": "string", "format": "password", "writeOnly": True},
    },
    "required": ["login", "password"],
}

WAREHOUSE: dict[str, Any] = {
    "title": "Warehouse",
    "type": "object",
    "properties": {
        "host": {
            "title": "Host",
            "type": "string",
            "minLength": 3,
            "description": "Name or address of the server.",
            "x-placeholder": "warehouse.internal",
            "position": 0,
        },
        "port": {"title": "Port", "type": "integer", "minimum": 1, "maximum": 65535, "default": 5432, "position": 1},
        "credentials": {
            "title": "Credentials",
            "type": "object",
            "x-block": "credentials",
            "description": "Who logs in there.",
            "position": 2,
        },
        "landing": {
            "title": "Landing zone",
            "anyOf": [{"type": "object", "x-block": "file-system"}, {"type": "null"}],
            "x-block": "file-system",
            "default": None,
            "description": "Storage that files are read from.",
            "position": 3,
        },
        "security": {
            "title": "Security",
            "type": "string",
            "enum": ["none", "tls", "ssh-tunnel"],
            "default": "tls",
            "position": 4,
        },
        "certificate": {
            "title": "Certificate",
            "anyOf": [{"type": "string"}, {"type": "null"}],
            "default": None,
            "description": "In PEM, of who signed the server's own.",
            "x-multiline": True,
            "x-shown-when": {"security": ["tls"]},
            "position": 5,
        },
        "bastion": {
            "title": "Bastion",
            "anyOf": [{"type": "string"}, {"type": "null"}],
            "default": None,
            "x-shown-when": {"security": ["ssh-tunnel"]},
            "position": 6,
        },
        "token": {
            "title": "Token",
            "anyOf": [{"type": "string", "format": "password", "writeOnly": True}, {"type": "null"}],
            "default": None,
            "writeOnly": True,
            "description": "For the admin interface; optional.",
            "position": 7,
        },
        "read_only": {"title": "Read only", "type": "boolean", "default": True, "position": 8},
        "schemas": {
            "title": "Schemas",
            "type": "array",
            "items": {"type": "string"},
            "default": [],
            "description": "The ones to look at; none: all.",
            "position": 9,
        },
        "options": {
            "title": "Options",
            "type": "object",
            "additionalProperties": {"type": "string"},
            "default": {},
            "description": "For the driver.",
            "position": 10,
        },
        "extra": {"title": "Extra", "description": "Anything else.", "default": None, "position": 11},
        "timeout": {"title": "Timeout", "type": "integer", "multipleOf": 5, "default": 30, "position": 12},
        "max_connections": {
            "title": "Max connections",
            "anyOf": [{"type": "integer", "minimum": 1}, {"type": "null"}],
            "default": None,
            "description": "Of all runs together; empty: any.",
            "position": 13,
        },
    },
    "required": ["host", "credentials"],
}


def add(session: Session, now: datetime, deployments: Mapping[str, uuid.UUID]) -> dict[str, uuid.UUID]:
    """Fill in types and documents; returns ids of documents by their names."""
    for slug in sorted(block_kinds.installed()):
        block_types.register(session, block_kinds.find(slug).type_facts(), WHO, now)
    _register(session, now, "team-vault", "Team vault", "A login of our own.", ["credentials"], VAULT, "shield-lock")
    text = "The warehouse that all reports read, with how to log in and what to look at."
    _register(
        session, now, "team-warehouse", "Team warehouse", text, ["database", "discoverable"], WAREHOUSE, "database"
    )
    _register(session, now, "cloud-warehouse", "Cloud warehouse", "A warehouse that one rents.", ["database"], {
        **VAULT, "title": "CloudWarehouse",
    }, "server-2", "No stand-in of this service exists; what it shares with SQLDatabase is tested.")  # fmt: skip
    _broken(session, now)
    return _documents(session, now, deployments)


def _register(
    session: Session, now: datetime, slug: str, name: str, text: str, interfaces: list[str], schema: dict[str, Any],
    icon: str, untested: str = "",
) -> None:  # fmt: skip
    facts = {
        "slug": slug, "name": name, "description": text, "logo": f"tabler:{icon}", "interfaces": interfaces,
        "import_path": f"team.{slug.replace('-', '_')}:{name.title().replace(' ', '')}", "schema": schema,
        "docs_url": "https://example.com/docs", "code_example": "", "untested": untested,
    }  # fmt: skip
    block_types.register(session, facts, WHO, now)


def _broken(session: Session, now: datetime) -> None:
    """Types as an old or a foreign client may have left them."""
    odd = BlockType(
        slug="odd-type", name="Odd <b>type</b>", description="Its schema is no object.", logo="javascript:alert(1)",
        import_path="nowhere", interfaces=["time-machine"], docs_url="javascript:alert(1)",
    )  # fmt: skip
    session.add(odd)
    session.flush()
    session.add(BlockSchema(block_type_id=odd.id, checksum="sha256:odd", fields={"type": "array"}, created=now))
    bare = BlockType(slug="bare-type", name="", description="", logo="", import_path="", interfaces=[])
    session.add(bare)
    session.flush()
    session.add(BlockSchema(block_type_id=bare.id, checksum="sha256:bare", fields={}, created=now))


def tidy(session: Session) -> None:
    """Take the broken types away again: what is left is what a team has."""
    for slug in ("odd-type", "bare-type"):
        kind = session.query(BlockType).filter_by(slug=slug).one()
        session.query(Block).filter_by(block_type_id=kind.id).delete()
        session.query(BlockSchema).filter_by(block_type_id=kind.id).delete()
        session.delete(kind)


def _documents(session: Session, now: datetime, deployments: Mapping[str, uuid.UUID]) -> dict[str, uuid.UUID]:
    made: dict[str, uuid.UUID] = {}

    def save(slug: str, name: str, **data: Any) -> None:
        made[name] = blocks.create(session, slug, data, name=name, actor=WHO, now=now).id

    save("secret", "slack-token", value=CANARY)
    save("json", "airports", value={"airports": ["BER", "FRA", "MUC"], "since": 2024})
    save("local-file-system", "code", basepath="/srv/flows")
    save("team-vault", "machine", login="loader", password=CANARY)
    save("s3", "dev", bucket="flights-dev", region="eu-central-1")
    save(
        "team-warehouse",
        "reports",
        host="warehouse.internal",
        port=5439,
        credentials={"$block": str(made["machine"])},
        landing={"$block": str(made["dev"])},
        token=CANARY,
        schemas=["public", "marts"],
        options={"application_name": "orchestrator"},
        max_connections=5,
    )
    url = f"postgresql://loader:{CANARY}@bookings.internal/bookings"
    save("sql-database", "bookings", connection_url=url, max_connections=1)
    save("slack", "data-team", webhook_url=f"https://hooks.example.com/{CANARY}")
    save("webhook", "on-call", url=f"https://on-call.example.com/{CANARY}")
    kind = session.query(BlockType).filter_by(slug="odd-type").one()
    schema = session.query(BlockSchema).filter_by(block_type_id=kind.id).one()
    strange = Block(block_type=kind, block_schema=schema, name="strange", data={"anything": [1, 2]}, updated=now)
    session.add(strange)
    session.flush()
    made["strange"] = strange.id
    _found(session, now, made["reports"])
    _holding(session, made)
    _told(session, now, deployments)
    for name in ("delays-nightly", "delays-hourly"):
        if name in deployments:
            session.get_one(Deployment, deployments[name]).storage_block_id = made["dev"]
    session.flush()
    return made


def _holding(session: Session, made: Mapping[str, uuid.UUID]) -> None:
    """Two runs hold a slot of the warehouse; one of them has the only one of the bookings, too."""
    for name, held in (("quick-swift", ["reports"]), ("busy-magpie", ["reports", "bookings"])):
        run = session.query(FlowRun).filter_by(name=name).one()
        limits.take(session, [made[key] for key in held], Attempt(run.id, run.attempt), run.started or run.created)


def _told(session: Session, now: datetime, deployments: Mapping[str, uuid.UUID]) -> None:
    """Two are told of the nightly runs: one message about the broken one arrived, the other was given up."""
    nightly = session.get_one(Deployment, deployments["delays-nightly"])
    run = session.query(FlowRun).filter_by(name="wary-crane").one()
    ended = run.ended or run.created
    told = [
        {"block": "slack/data-team", "on": ["completed", "failed"]},
        {"block": "webhook/on-call", "on": ["failed", "crashed", "cancelled"]},
    ]
    wanted = deployment_notifications.read(session, told)
    deployment_notifications.replace(session, nightly, wanted, Actor("server"), now)
    about = {"resource.id": f"orchestrator.flow-run.{run.id}", "resource.name": run.name}
    event = EventRecord("flow-run.failed", about, id=uuid7(ended), occurred=ended)
    record(session, [event], now)
    shown = {"event": event.event, "resource": about}
    for trigger in nightly.notifications:
        firing = Firing(
            id=uuid7(ended), trigger_id=trigger.id, occasion=f"[]|event:{event.id}", state="resolved", occurred=ended,
            event_id=event.id, chain_id=uuid7(ended), fired=ended, context={"event": shown}, resolved=ended,
        )  # fmt: skip
        session.add(firing)
        session.flush()
        action = session.get_one(Action, actions.queue(session, firing, "fire", trigger.actions, ended)[0])
        action.next_try = None
        if action.target == "slack/data-team":
            action.state, action.attempts, action.ended = "done", 2, ended + timedelta(seconds=12)
        else:
            action.state, action.attempts, action.ended = "given-up", 12, now - timedelta(minutes=5)
            action.error = "the endpoint answered 410 Gone: this address was taken out of service"
    session.flush()


def _found(session: Session, now: datetime, source: uuid.UUID) -> None:
    """What looks through the warehouse found."""
    ago = now - timedelta(minutes=3)
    session.add(
        Discovery(
            block_id=source, last_run=ago, last_ok=ago, found=24, next_due=now + timedelta(minutes=2), created=ago
        )
    )
    for name in ("orders", "customers", "flights", "delays"):
        session.add(
            Resource(
                id=f"postgres://warehouse.internal/marts.{name}", kind="sql.table", name=f"marts.{name}", labels={},
                source_block_id=source, first_seen=ago, last_seen=ago, changed=ago,
            )
        )  # fmt: skip
