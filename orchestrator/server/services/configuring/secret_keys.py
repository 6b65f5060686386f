"""Which secret key each block is encrypted with, and each webhook; encrypting them anew with the first one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from ....documents.records import Actor
from ....errors import BlockError
from ...db.models import Block, Webhook
from ..identity import secrets
from ..recording.announcements import announce
from .block_lookup import label, select_blocks

#: Blocks that one call of :func:`rotate` encrypts anew.
BATCH = 200
#: Unreadable blocks that are named, and blocks of unknown key that are tried for it.
NAMED, TRIED = 20, 1000


@dataclass(frozen=True)
class Check:
    """What the keys of this server open."""

    #: ``{"id", "blocks"}`` for each key of this server, the one that encrypts first.
    keys: list[dict[str, Any]]
    #: ``type/name`` of blocks that none of them opens, ``webhook/name`` of webhooks; at most :data:`NAMED`.
    unreadable: list[str]
    unreadable_count: int
    #: Blocks and webhooks that are not encrypted with the first key, but can be.
    left: int


@dataclass(frozen=True)
class Rotated:
    """What one step of a rotation did."""

    rotated: int
    #: Blocks and webhooks that are still to be done.
    left: int
    unreadable: list[str] = field(default_factory=list)


def check(session: Session) -> Check:
    """Tell which key opens how many blocks, and which blocks none does."""
    known = secrets.key_ids()
    query = select(Block.secrets_key, func.count()).where(Block.secrets.is_not(None)).group_by(Block.secrets_key)
    counts = {row[0]: row[1] for row in session.execute(query)}
    unknown = _of_unknown_key(session)
    tried = {block.id: _opens(block) for block in unknown}
    hooks = _hooks(session)
    closed = [f"webhook/{name}" for name, key in hooks if key not in known]
    strange = len(closed) + sum(count for key, count in counts.items() if key is not None and key not in known)
    unreadable = [label(block) for block in unknown if not tried[block.id]] + _of_other_keys(session, known) + closed
    return Check(
        keys=[{"id": key, "blocks": counts.get(key, 0)} for key in known],
        unreadable=unreadable[:NAMED],
        unreadable_count=strange + sum(not opens for opens in tried.values()),
        left=sum(counts.get(key, 0) for key in known[1:])
        + sum(tried.values())
        + sum(key in known[1:] for _, key in hooks),
    )


def rotate(session: Session, actor: Actor, now: datetime, batch: int = BATCH) -> Rotated:
    """Encrypt some of the blocks that are not with the first key. Called again it goes on where it was, whoever began;
    values and ``updated`` stay as they are.
    """
    known = secrets.key_ids()
    wanted = Block.secrets_key.in_(known[1:]) | Block.secrets_key.is_(None)
    query = select_blocks().where(Block.secrets.is_not(None), wanted).order_by(Block.id)
    done = 0
    for block in session.scalars(query.limit(batch + TRIED).with_for_update(of=Block, skip_locked=True)):
        if done == batch:
            break
        assert block.secrets is not None
        try:
            hidden = secrets.decrypt(block.secrets)
        except BlockError:
            continue
        block.secrets, block.secrets_key = secrets.encrypt(hidden), known[0]
        done += 1
    done += _rotate_hooks(session, known, batch - done)
    session.flush()
    found = check(session)
    if done and not found.left:
        about = {"resource.id": "orchestrator.secret-key", "resource.name": known[0]}
        announce(session, "secret-key.rotated", about, actor, now, unreadable=found.unreadable_count)
    return Rotated(done, found.left, found.unreadable)


def _of_unknown_key(session: Session) -> Sequence[Block]:
    """Blocks that were saved before it was noted with which key."""
    query = select_blocks().where(Block.secrets.is_not(None), Block.secrets_key.is_(None))
    return session.scalars(query.order_by(Block.id).limit(TRIED)).all()


def _of_other_keys(session: Session, known: Sequence[str]) -> list[str]:
    query = select_blocks().where(Block.secrets.is_not(None), Block.secrets_key.not_in(known))
    return [label(block) for block in session.scalars(query.order_by(Block.id).limit(NAMED))]


def _hooks(session: Session) -> list[tuple[str, str]]:
    """Webhooks that have a secret: their names and keys."""
    query = select(Webhook.name, Webhook.secret_key).where(Webhook.secret.is_not(None)).order_by(Webhook.name)
    return [(name, str(key)) for name, key in session.execute(query)]


def _rotate_hooks(session: Session, known: Sequence[str], most: int) -> int:
    query = select(Webhook).where(Webhook.secret_key.in_(known[1:])).order_by(Webhook.id).limit(most)
    rows = session.scalars(query.with_for_update(skip_locked=True)).all()
    for hook in rows:
        assert hook.secret is not None
        hook.secret, hook.secret_key = secrets.encrypt(secrets.decrypt(hook.secret)), known[0]
    return len(rows)


def _opens(block: Block) -> bool:
    assert block.secrets is not None
    try:
        secrets.decrypt(block.secrets)
    except BlockError:
        return False
    return True
