"""A Redis server: used, tried, looked at."""

from __future__ import annotations

import uuid

import pytest
from pydantic import ValidationError

from orchestrator.blocks.redis import Redis
from orchestrator.blocks.redis_servers import database_of, place_of
from orchestrator.errors import AccessDenied, InvalidInput, Unavailable

from ...polling import free_port


def test_databases_and_queues_are_found(redis_url: str) -> None:
    name = f"queue-{uuid.uuid4().hex[:8]}"
    block = Redis(url=redis_url, queues=[name, f"{name}-stream", f"{name}-text", f"{name}-none"])
    with block.client() as client:
        client.rpush(name, 1, 2, 3)
        client.xadd(f"{name}-stream", {"a": 1})
        client.set(f"{name}-text", "x")
        found = [*block.discover()]
        client.delete(name, f"{name}-stream", f"{name}-text")
    server, queues = found[0], {one.name: one for one in found if one.kind == "redis.queue"}
    assert server.kind == "redis.server"
    assert server.labels["version"]
    assert server.id == f"redis://{place_of(redis_url)}"
    assert queues[name].labels == {"depth": 3, "type": "list"}
    assert queues[f"{name}-stream"].labels == {"depth": 1, "type": "stream"}
    assert queues[f"{name}-text"].labels == {"depth": None, "type": "string"}
    assert queues[f"{name}-none"].labels == {"depth": 0, "type": "list"}
    database = next(one for one in found if one.id == f"{server.id}/{database_of(redis_url)}")
    assert isinstance(database.labels["keys"], int)
    assert queues[name].related[0].id == database.id
    assert database.related[0].id == server.id


def test_the_test_tells_the_version(redis_url: str) -> None:
    assert Redis(url=redis_url).test().startswith("Redis ")


def test_what_is_away_or_refuses_is_told_without_the_password(redis_url: str) -> None:
    block = Redis(url=f"redis://:canary-password@127.0.0.1:{free_port()}/0")
    with pytest.raises(Unavailable) as away:
        block.test()
    wrong = redis_url.rpartition("@")[2].removeprefix("redis://")
    with pytest.raises((AccessDenied, InvalidInput)) as refused:
        Redis(url=f"redis://nobody:canary-password@{wrong}").test()
    for error in (away, refused):
        assert "canary" not in str(error.value)
    assert "canary" not in repr(block)
    with pytest.raises(InvalidInput, match="DB index"):
        Redis(url=f"{redis_url.rpartition('/')[0]}/9999").test()


@pytest.mark.parametrize(
    ("url", "place", "number"),
    [("redis://h", "h:6379", 0), ("rediss://u:p@h:1/7", "h:1", 7), ("redis://[::1]:2/3", "[::1]:2", 3),
     ("unix:///run/redis.sock?db=4", "/run/redis.sock", 4), ("redis://h/?db=5", "h:6379", 5)],
)  # fmt: skip
def test_addresses(url: str, place: str, number: int) -> None:
    assert (place_of(url), database_of(url)) == (place, number)
    assert Redis(url=url).url.get_secret_value() == url


@pytest.mark.parametrize("url", ["", "http://h", "redis://", "redis://h/x", "redis://canary@h:x"])
def test_what_is_no_address_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(ValidationError, match="address of a Redis server") as caught:
        Redis(url=url)
    assert "canary" not in str(caught.value)
