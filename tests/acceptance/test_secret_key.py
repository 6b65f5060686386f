"""Pain 67: a server whose secret key is lost, wrong, or rotated."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from orchestrator.blocks.secret import Secret
from orchestrator.clock import now
from orchestrator.documents.records import Actor
from orchestrator.server.db.session import transaction
from orchestrator.server.services.configuring import block_types, blocks
from orchestrator.server.services.identity import secrets

from ..paths import traversable_folder
from ..polling import free_port, until
from ..stack import Stack

ME = Actor("server")
OLD, NEW, WRONG = "the key that it began with", "the key of today", "a key of somebody else"


@pytest.fixture
def stack(database_url: str, redis_url: str) -> Iterator[Stack]:
    """A home of its own, over an external database and Redis, with the key in a file."""
    with traversable_folder() as home:
        extra = {
            "ORCHESTRATOR_DATABASE_URL": database_url,
            "ORCHESTRATOR_REDIS_URL": redis_url,
            "ORCHESTRATOR_SECRET_KEY_FILE": str(home / "key"),
        }
        yield Stack(home, free_port(), extra)


@contextmanager
def serving(stack: Stack, key: str) -> Iterator[None]:
    (stack.home / "key").write_text(key)
    with stack.process("server", "start", "--port", str(stack.port)) as server:

        def ready() -> bool:
            assert server.poll() is None, server.log.read_text()
            return stack.cli("server", "status", "--output", "json").returncode == 0

        until(ready, "the server to be ready", 60)
        assert_not_in_environments(stack, key)
        yield


def assert_not_in_environments(stack: Stack, key: str) -> None:
    """A key that lies in a file stays there."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            environ = (process / "environ").read_bytes()
        except OSError:
            continue
        if str(stack.home).encode() in environ:
            assert key.encode() not in environ


def save(stack: Stack, name: str, value: str) -> None:
    done = stack.cli("block", "create", f"secret/{name}", "--set", f"value={value}", "--overwrite")
    assert done.returncode == 0, done.stderr


def loaded(stack: Stack, name: str) -> str:
    return str(stack.client.post(f"blocks/secret/{name}/load")["data"]["value"])


def test_pain_67_wrong_key_then_both_then_rotated(stack: Stack) -> None:
    secrets.configure(OLD)
    with transaction() as session:
        block_types.register(session, Secret.type_facts(), ME, now())
        blocks.create(session, "secret", {"value": "sings"}, name="bird", actor=ME, now=now())
    with serving(stack, WRONG):
        done = stack.cli("secret-key", "check")
        assert (done.returncode, "secret/bird" in done.stderr) == (1, True)
        shown = stack.json("block", "inspect", "secret/bird")
        assert shown["data"] == {"value": "********"}
        save(stack, "cat", "purrs")
        assert loaded(stack, "cat") == "purrs"
        stack.client.delete("blocks/secret/cat")
    with serving(stack, f"{NEW}\n{OLD}\n"):
        assert loaded(stack, "bird") == "sings"
        done = stack.cli("secret-key", "rotate")
        assert done.returncode == 0, done.stderr
        assert "1 blocks were encrypted anew" in done.stderr
        assert "key 2 can be dropped" in done.stderr
    secrets.configure(NEW)
    with transaction() as session:
        assert blocks.load(session, "secret/bird", ME, now())["data"] == {"value": "sings"}


def test_pain_67_a_key_that_cannot_be_had_is_one_line(stack: Stack) -> None:
    done = stack.cli("server", "start", "--port", str(stack.port))
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "ORCHESTRATOR_SECRET_KEY_FILE" in done.stderr
