"""A Redis server, looked at: its databases, and lists that serve as queues."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import redis
from pydantic import Field

from orchestrator.block import Block
from orchestrator.interfaces import Credentials, Discoverable, Related, Resource

from .redis_servers import RedisAddress, database_of, explained, opened, place_of


class Redis(Block, Credentials, Discoverable):
    """A Redis server, or one that speaks its language: for flows to use, and watched."""

    _name: ClassVar[str] = "Redis"
    _slug: ClassVar[str] = "redis"
    _logo: ClassVar[str] = "tabler:database"
    _docs_url: ClassVar[str] = "https://redis.io/docs/latest/"
    _code_example: ClassVar[str] = """
        from orchestrator.blocks.redis import Redis

        Redis(url="redis://:password@cache.example.com:6379/0", queues=["mails"]).save("cache")
        with Redis.load("cache").client() as client:
            client.llen("mails")
        """

    url: RedisAddress = Field(description="Address: redis://[user:password@]host:6379/0, rediss:// with TLS, unix://.")
    queues: list[str] = Field(
        default_factory=list, max_length=1000, description="Keys of lists or streams whose length is watched."
    )

    def client(self, **options: Any) -> redis.Redis:
        """A client of redis-py; ``options`` are those of ``Redis.from_url``. Close it, or use it with ``with``."""
        with explained(self.url.get_secret_value()):
            given = {"socket_connect_timeout": 10, "socket_timeout": 60, **options}
            return redis.Redis.from_url(self.url.get_secret_value(), **given)

    def test(self) -> str:
        """Connect, log in, ask for the version."""
        with opened(self.url) as client:
            client.ping()
            version = _facts(client.info("server")).get("redis_version", "?")
        return f"Redis {version} answers at {place_of(self.url.get_secret_value())}."

    def discover(self) -> Iterator[Resource]:
        """The server, its databases that hold keys, and the queues."""
        url = self.url.get_secret_value()
        server, number = f"redis://{place_of(url)}", database_of(url)
        with opened(self.url) as client:
            facts = _facts(client.info())
            found = [_server(server, facts)]
            numbers = {int(name[2:]) for name in facts if name.startswith("db") and name[2:].isdigit()}
            for one in sorted(numbers | {number}):
                keys = (facts.get(f"db{one}") or {}).get("keys", 0)
                part = (Related(server, "part-of"),)
                found.append(
                    Resource(
                        f"{server}/{one}",
                        "redis.database",
                        f"database {one}",
                        {"keys": keys},
                        part,
                        frozenset({"keys"}),
                    )
                )
            found += [_queue(client, f"{server}/{number}", name) for name in self.queues]
        yield from found


def _server(name: str, facts: dict[str, Any]) -> Resource:
    labels = {
        "version": facts.get("redis_version"),
        "role": facts.get("role"),
        "memory_bytes": facts.get("used_memory"),
        "clients": facts.get("connected_clients"),
        "uptime_s": facts.get("uptime_in_seconds"),
    }
    volatile = frozenset({"memory_bytes", "clients", "uptime_s"})
    return Resource(name, "redis.server", name.removeprefix("redis://"), labels, volatile=volatile)


def _queue(client: Any, database: str, name: str) -> Resource:
    kind = str(client.type(name))
    depth: Any = 0 if kind == "none" else None  # Redis forgets a list that is empty
    if kind == "list":
        depth = client.llen(name)
    elif kind == "stream":
        depth = client.xlen(name)
    labels = {"depth": depth, "type": kind if kind not in ("none", "list") else "list"}
    part = (Related(database, "part-of"),)
    return Resource(f"{database}/queue/{name}", "redis.queue", name, labels, part, frozenset({"depth"}))


def _facts(info: Any) -> dict[str, Any]:
    return dict(info)
