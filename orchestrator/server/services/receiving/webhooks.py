"""Webhooks: addresses at which other systems tell what happened."""

from __future__ import annotations

import hashlib
import hmac
import secrets as randomness
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from ....documents.records import Actor
from ....errors import Conflict, InvalidInput, NotFound
from ....ids import uuid7
from ...config import current
from ...db.models import Webhook
from ...webhook_presets import PRESETS
from ..identity import secrets
from ..paging import Page, check_limit, decode, page
from ..recording.announcements import announce, resource
from . import webhook_signatures, webhook_templates

#: Where deliveries go, below the server's own address.
PATH = "/hooks/"
#: Random bytes in a token.
_TOKEN_BYTES = 32
#: What a person sets of a webhook; ``secret`` beside it is never read back.
FIELDS = ("name", "description", "active", "preset", "template", "signature", "minute_max")

_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 6))")


@dataclass(frozen=True)
class WebhookFilter:
    """Which webhooks a list shows; what is None does not restrict."""

    #: Part of the name, in any case.
    name: str | None = None
    preset: str | None = None
    active: bool | None = None


def check_template(template: str) -> None:
    """Raise InvalidInput when a text is no template. Asks another process, so it is called before a transaction."""
    try:
        webhook_templates.check(template)
    except webhook_templates.TemplateFailed as error:
        problem = str(error).removeprefix("template: ")
        raise InvalidInput(f"template: {problem}", {"template": [problem]}) from None


def create(session: Session, wanted: Mapping[str, Any], actor: Actor, now: datetime) -> tuple[Webhook, str]:
    """Make a webhook, from what its preset knows where ``wanted`` says nothing.

    Args:
        wanted: ``name`` and any of :data:`FIELDS`, and ``secret``; a template is checked already.

    Returns:
        It, and the token of its address, which cannot be had again.

    Raises:
        Conflict: There is one of that name.
        InvalidInput: There is no such preset, or signature and secret do not fit.
    """
    preset = PRESETS.get(wanted.get("preset") or "generic")
    if preset is None:
        problem = f"Must be one of {', '.join(PRESETS)}."
        raise InvalidInput(f"preset: {problem}", {"preset": [problem]})
    secret = wanted.get("secret")
    default = preset.signature if secret or (preset.signature or {}).get("scheme") == "sns" else None
    signature = webhook_signatures.checked(wanted.get("signature", default), bool(secret))
    if secret and signature is None:
        raise InvalidInput("signature: Say how it is signed.", {"signature": ["Say how deliveries are signed."]})
    _check_free(session, wanted["name"])
    token = randomness.token_urlsafe(_TOKEN_BYTES)
    made = Webhook(
        id=uuid7(now),
        name=wanted["name"],
        description=wanted.get("description", ""),
        active=wanted.get("active", True),
        token_hash=_hash(token),
        token_end=token[-4:],
        rotated=now,
        preset=preset.slug,
        template=wanted.get("template") or preset.template,
        signature=signature,
        minute_max=wanted.get("minute_max", 600),
        created=now,
        updated=now,
    )
    _keep_secret(made, secret if signature and signature["scheme"] != "sns" else None)
    session.add(made)
    session.flush()
    announce(session, "webhook.created", about(made), actor, now, after=_told(made))
    return made, token


def change(session: Session, ref: str | uuid.UUID, changes: Mapping[str, Any], actor: Actor, now: datetime) -> Webhook:
    """Change some of :data:`FIELDS`, or the ``secret``; a template is checked already.

    Raises:
        NotFound: There is no such webhook.
        Conflict: The new name is taken.
        InvalidInput: Signature and secret do not fit.
    """
    hook = get(session, ref)
    before = _told(hook)
    if changes.get("name", hook.name) != hook.name:
        _check_free(session, changes["name"])
    for name in ("name", "description", "active", "template", "minute_max"):
        if name in changes:
            setattr(hook, name, changes[name])
    if changes.get("preset"):
        if changes["preset"] not in PRESETS:
            problem = f"Must be one of {', '.join(PRESETS)}."
            raise InvalidInput(f"preset: {problem}", {"preset": [problem]})
        hook.preset = changes["preset"]
    if "signature" in changes or changes.get("secret"):
        _change_signature(hook, changes)
    after = _told(hook)
    fresh = bool(changes.get("secret"))
    if after != before or fresh:
        hook.updated = now
        session.flush()
        announce(session, "webhook.updated", about(hook), actor, now, before=before, after=after, rekeyed=fresh)
    return hook


def rotate(session: Session, ref: str | uuid.UUID, actor: Actor, now: datetime) -> tuple[Webhook, str]:
    """Give a webhook a new address; the old one leads nowhere at once. Raises NotFound."""
    hook = get(session, ref)
    token = randomness.token_urlsafe(_TOKEN_BYTES)
    hook.token_hash, hook.token_end, hook.rotated, hook.updated = _hash(token), token[-4:], now, now
    session.flush()
    announce(session, "webhook.rotated", about(hook), actor, now)
    return hook, token


def delete(session: Session, ref: str | uuid.UUID, actor: Actor, now: datetime) -> None:
    """Delete a webhook with its deliveries; the events that it made stay. Raises NotFound."""
    hook = get(session, ref)
    session.delete(hook)
    session.flush()
    announce(session, "webhook.deleted", about(hook), actor, now, before=_told(hook))


def get(session: Session, ref: str | uuid.UUID) -> Webhook:
    """A webhook by name or id. Raises NotFound."""
    by_id = isinstance(ref, uuid.UUID)
    found = session.get(Webhook, ref) if by_id else session.scalar(select(Webhook).where(Webhook.name == ref))
    if found is None:
        raise NotFound(f"there is no webhook {ref}: `orchestrator webhook create` makes one")
    return found


def by_token(session: Session, token: str) -> Webhook | None:
    """The active webhook whose address ends in ``token``.

    It is looked for by the token's hash, so that how long it takes tells nothing of a token that is nearly right.
    """
    wanted = _hash(token)
    found = session.scalar(select(Webhook).where(Webhook.token_hash == wanted))
    if found is None or not hmac.compare_digest(bytes(found.token_hash), wanted) or not found.active:
        return None
    return found


def listing(
    session: Session, wanted: WebhookFilter | None = None, limit: int = 50, cursor: str | None = None
) -> Page[Webhook]:
    """A page of webhooks, by name."""
    wanted = wanted or WebhookFilter()
    query = select(Webhook)
    if wanted.name is not None:
        query = query.where(Webhook.name.icontains(wanted.name, autoescape=True))
    if wanted.preset is not None:
        query = query.where(Webhook.preset == wanted.preset)
    if wanted.active is not None:
        query = query.where(Webhook.active.is_(wanted.active))
    if cursor:
        query = query.where(Webhook.name > decode(cursor, str)[0])
    rows = session.scalars(query.order_by(Webhook.name).limit(check_limit(limit) + 1)).all()
    return page(rows, limit, lambda row: (row.name,))


def address(token: str, root: str) -> str:
    """The whole address of a token; ``root`` is where the server was asked, for one that has no public address."""
    return (current().public_url or root).rstrip("/") + PATH + token


def secret_of(hook: Webhook) -> str:
    """What its deliveries are signed with. Raises BlockError when the server's key is another one by now."""
    return str(secrets.decrypt(hook.secret)["secret"]) if hook.secret is not None else ""


def about(hook: Webhook, role: str | None = None) -> dict[str, str]:
    """The labels by which events name a webhook."""
    return resource("webhook", hook.id, hook.name, role)


def _change_signature(hook: Webhook, changes: Mapping[str, Any]) -> None:
    secret = changes.get("secret")
    default = PRESETS[hook.preset].signature if hook.signature is None and secret else hook.signature
    wanted = changes.get("signature", default)
    hook.signature = webhook_signatures.checked(wanted, bool(secret) or hook.secret is not None)
    if secret and hook.signature is None:
        raise InvalidInput("signature: Say how it is signed.", {"signature": ["Say how deliveries are signed."]})
    if hook.signature is None or hook.signature["scheme"] == "sns":
        _keep_secret(hook, None)
    elif secret:
        _keep_secret(hook, secret)


def _keep_secret(hook: Webhook, secret: str | None) -> None:
    hook.secret = secrets.encrypt({"secret": secret}) if secret else None
    hook.secret_key = secrets.key_ids()[0] if secret else None


def _check_free(session: Session, name: str) -> None:
    session.execute(_LOCK, {"name": name})
    if session.scalar(select(Webhook.id).where(Webhook.name == name)) is not None:
        raise Conflict(f"there is a webhook {name} already")


def _told(hook: Webhook) -> dict[str, Any]:
    return {name: getattr(hook, name) for name in FIELDS}


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
