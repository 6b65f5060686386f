"""Keys, run tokens, login links and the secret key."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from sqlalchemy import text

from orchestrator.clock import now
from orchestrator.errors import AccessDenied, BlockError, Conflict, InvalidInput, NotFound, SettingsError
from orchestrator.ids import uuid7
from orchestrator.server.db.models import ApiKey, Flow, FlowRun
from orchestrator.server.db.session import reading, transaction
from orchestrator.server.services.identity import keys, logins, secrets, tokens


@pytest.fixture(autouse=True)
def secret_key() -> None:
    secrets.configure("a secret of the tests")


def make_key(role: str = "admin", **more: object) -> tuple[ApiKey, str]:
    with transaction() as session:
        return keys.create(session, f"{role} key", role, now(), **more)  # type: ignore[arg-type]


def test_a_key_is_recognised_and_only_its_hash_is_stored(database_url: str) -> None:
    key, secret = make_key("editor")
    assert secret.startswith("orc_")
    assert len(secret) == 47
    with reading() as session:
        principal = keys.authenticate(session, secret, now())
        stored = session.execute(text("SELECT to_jsonb(api_key)::text FROM api_key")).scalar_one()
    assert principal is not None
    assert (principal.role, principal.key_id, principal.actor.name) == ("editor", key.id, "editor key")
    assert secret not in stored


@pytest.mark.parametrize("wrong", ["", "orc_", "orc_" + "x" * 43, "run_1", "Bearer"])
def test_other_texts_are_no_keys(database_url: str, wrong: str) -> None:
    make_key()
    with reading() as session:
        assert keys.authenticate(session, wrong, now()) is None


def test_a_revoked_key_stops_at_once(database_url: str) -> None:
    make_key("admin")
    key, secret = make_key("viewer")
    with transaction() as session:
        keys.revoke(session, key.id, now())
        keys.revoke(session, key.id, now())
        assert keys.authenticate(session, secret, now()) is None
        assert [item.role for item in keys.listing(session)] == ["admin"]
        assert len(keys.listing(session, include_revoked=True)) == 2


def test_an_expired_key_stops(database_url: str) -> None:
    _, secret = make_key("viewer", expires=now() + timedelta(hours=1))
    with reading() as session:
        assert keys.authenticate(session, secret, now()) is not None
        assert keys.authenticate(session, secret, now() + timedelta(hours=2)) is None


def test_the_last_admin_key_stays(database_url: str) -> None:
    first, _ = make_key("admin")
    second, _ = make_key("admin")
    with transaction() as session:
        keys.revoke(session, first.id, now())
        with pytest.raises(Conflict, match="last admin key"):
            keys.revoke(session, second.id, now())


def test_bad_keys_are_refused(database_url: str) -> None:
    with transaction() as session:
        for name, role, expires in [("x", "root", None), (" ", "admin", None), ("x", "admin", now())]:
            with pytest.raises(InvalidInput):
                keys.create(session, name, role, now(), expires=expires)
        with pytest.raises(NotFound):
            keys.revoke(session, uuid7(), now())


def test_use_is_noted_and_flushed_once(database_url: str) -> None:
    key, secret = make_key()
    with transaction() as session:
        keys.flush_used(session)
        keys.authenticate(session, secret, now())
        assert keys.flush_used(session) == 1
        assert keys.flush_used(session) == 0
    with reading() as session:
        assert keys.get(session, key.id).last_used is not None


def make_run(state: str = "PENDING", attempt: int = 1) -> uuid.UUID:
    with transaction() as session:
        flow = Flow(name=f"flow {uuid7()}")
        session.add(flow)
        session.flush()
        run = FlowRun(flow_id=flow.id, name="run", state_type=state, state_name=state.capitalize(), attempt=attempt)
        session.add(run)
        session.flush()
        return run.id


def test_a_run_token_lives_as_long_as_the_attempt(database_url: str) -> None:
    run = make_run()
    token = tokens.issue(run, 1)
    with transaction() as session:
        principal = tokens.authenticate(session, token)
        assert principal is not None
        assert (principal.role, principal.run_id, principal.attempt) == ("run", run, 1)
        session.execute(text("UPDATE flow_run SET attempt = 2"))
        assert tokens.authenticate(session, token) is None
        session.execute(text("UPDATE flow_run SET attempt = 1, state_type = 'COMPLETED', ended = now()"))
        assert tokens.authenticate(session, token) is None


def test_a_forged_run_token_is_refused(database_url: str) -> None:
    run = make_run(attempt=2)
    token = tokens.issue(run, 1)
    with reading() as session:
        for forged in (token.replace(".1.", ".2."), token[:-2] + "xx", "run_", "orc_" + token):
            assert tokens.authenticate(session, forged) is None
    secrets.configure("another secret")
    assert tokens.read(token) is None


def test_a_login_link_works_once(database_url: str) -> None:
    key, _ = make_key()
    with transaction() as session:
        token = logins.issue(session, key.id, now())
    with transaction() as session:
        assert logins.redeem(session, token, now()).id == key.id
        with pytest.raises(AccessDenied):
            logins.redeem(session, token, now())


def test_a_login_link_expires_and_dies_with_its_key(database_url: str) -> None:
    make_key()
    key, _ = make_key()
    with transaction() as session:
        old, other = logins.issue(session, key.id, now()), logins.issue(session, key.id, now())
        with pytest.raises(AccessDenied, match="too old"):
            logins.redeem(session, old, now() + logins.LIFETIME)
        keys.revoke(session, key.id, now())
        with pytest.raises(AccessDenied, match="revoked"):
            logins.redeem(session, other, now())


def test_secrets_come_back_and_need_the_same_key() -> None:
    token = secrets.encrypt({"password": "canary"})
    assert b"canary" not in token
    assert secrets.decrypt(token) == {"password": "canary"}
    secrets.configure("new key, a secret of the tests")
    assert secrets.decrypt(token) == {"password": "canary"}
    secrets.configure("new key")
    with pytest.raises(BlockError, match="another ORCHESTRATOR_SECRET_KEY"):
        secrets.decrypt(token)


def test_an_empty_secret_key_is_refused() -> None:
    with pytest.raises(SettingsError, match="ORCHESTRATOR_SECRET_KEY"):
        secrets.configure(" , ")
