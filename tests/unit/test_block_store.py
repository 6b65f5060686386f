"""Blocks by way of the API."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from orchestrator.block import current_store
from orchestrator.client import Client
from orchestrator.errors import BlockError
from orchestrator.stored.block_store import ApiBlockStore

from .test_client import Api


@pytest.fixture
def api() -> Iterator[Api]:
    running = Api()
    yield running
    running.server.shutdown()
    running.server.server_close()


def asked(api: Api) -> list[tuple[str, str, Any]]:
    return [(method, path.removeprefix("/api/v1/"), body) for method, path, body, _ in api.asked]


def test_each_verb_is_one_call(api: Api) -> None:
    store = ApiBlockStore(Client(api.url))
    api.answers = [(200, {"block_schema_id": "s"}), (201, {"id": "b"}), (200, {"data": {"a": 1}}), (204, None)]
    assert store.register({"slug": "s3"}) == "s"
    assert store.save("s3", "dev", {"a": 1}, overwrite=False) == "b"
    assert store.load("s3/dev") == {"data": {"a": 1}}
    store.delete("s3/dev")
    assert asked(api) == [
        ("POST", "block-types", {"slug": "s3"}),
        ("POST", "blocks", {"type": "s3", "name": "dev", "data": {"a": 1}}),
        ("POST", "blocks/s3/dev/load", None),
        ("DELETE", "blocks/s3/dev", None),
    ]


def test_overwriting_replaces_what_is_there(api: Api) -> None:
    store = ApiBlockStore(Client(api.url))
    api.answers = [(200, {"id": "b"}), (404, {"message": "no such block"}), (201, {"id": "c"})]
    assert store.save("s3", "dev", {"a": 2}, overwrite=True) == "b"
    assert store.save("s3", "new", {"a": 2}, overwrite=True) == "c"
    assert [(method, path) for method, path, _ in asked(api)] == [
        ("PUT", "blocks/s3/dev"),
        ("PUT", "blocks/s3/new"),
        ("POST", "blocks"),
    ]


def test_without_an_api_the_fix_is_named() -> None:
    with pytest.raises(BlockError, match="ORCHESTRATOR_API_URL"):
        current_store()
