"""Run tokens: what a run's own process presents. Good for one run and attempt, and dead with it."""

from __future__ import annotations

import hashlib
import hmac
import uuid

from itsdangerous import BadSignature, Signer
from sqlalchemy import text
from sqlalchemy.orm import Session

from ....documents.records import Actor
from ....states import StateType, is_over
from ..internal import FLOW_ID
from . import secrets
from .keys import Principal

PREFIX = "run_"
_RUN = text(
    "SELECT name, attempt, state_type, state_name,"
    f" CASE WHEN flow_id = '{FLOW_ID}' THEN (parameters ->> 'block_id')::uuid END AS errand_block"
    " FROM flow_run WHERE id = :id"
)


def issue(run_id: uuid.UUID, attempt: int) -> str:
    """The token of a run's attempt."""
    return PREFIX + _signer().sign(f"{run_id.hex}.{attempt}").decode()


def job_key(run_id: uuid.UUID, attempt: int) -> bytes:
    """The key that seals what an attempt of a flow run and its workers send each other."""
    return hmac.digest(issue(run_id, attempt).encode(), b"task jobs", "sha256")


def read(token: str) -> tuple[uuid.UUID, int] | None:
    """Which run and attempt a token was made for; None when it was not made by this server."""
    if not token.startswith(PREFIX):
        return None
    try:
        run, _, attempt = _signer().unsign(token[len(PREFIX) :]).decode().partition(".")
        return uuid.UUID(hex=run), int(attempt)
    except (BadSignature, ValueError):
        return None


def authenticate(session: Session, token: str) -> Principal | None:
    """Recognise a run token; None when the run ended, is suspended, was deleted, or is at another attempt."""
    claim = read(token)
    row = session.execute(_RUN, {"id": claim[0]}).first() if claim else None
    if claim is None or row is None or row.attempt != claim[1] or is_over(StateType(row.state_type), row.state_name):
        return None
    return Principal(
        Actor("run", str(claim[0]), row.name), "run", run_id=claim[0], attempt=claim[1], errand_block=row.errand_block
    )


def _signer() -> Signer:
    return Signer(secrets.signing_keys(), salt="run token", key_derivation="hmac", digest_method=hashlib.sha256)
