"""A bucket is looked through: saved as a block, discovered by an agent, and what happens in it becomes events."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from ..polling import one_line, until
from ..stack import Stack


class Bucket:
    """A bucket on a server of this machine, and the fields of a block for it."""

    def __init__(self, client: Any, endpoint: str) -> None:
        self.name = f"lake-{uuid.uuid4().hex[:6]}"
        self._client = client
        client.create_bucket(Bucket=self.name)
        self.fields = {
            "bucket": self.name, "endpoint_url": endpoint, "region": "us-east-1", "access_key_id": "test",
            "secret_access_key": "test",
        }  # fmt: skip

    def put(self, key: str) -> None:
        self._client.put_object(Bucket=self.name, Key=key, Body=b"content")

    def delete(self, key: str) -> None:
        self._client.delete_object(Bucket=self.name, Key=key)


@pytest.fixture
def bucket() -> Iterator[Bucket]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    client = boto3.client(
        "s3", endpoint_url=endpoint, aws_access_key_id="test", aws_secret_access_key="test", region_name="us-east-1"
    )
    yield Bucket(client, endpoint)
    client.close()
    server.stop()


def test_a_bucket_is_discovered_and_watched(stack: Stack, bucket: Bucket) -> None:
    queue, block = f"look-{uuid.uuid4().hex[:6]}", f"s3/{bucket.name}"
    bucket.put("raw/old.csv")
    words = [word for key, value in bucket.fields.items() for word in ("--set", f"{key}={value}")]
    created = stack.cli("block", "create", block, *words)
    assert created.returncode == 0, created.stderr
    unserved = stack.cli("block", "test", block, "-q", queue)
    assert unserved.returncode == 1
    assert f"orchestrator agent start -q {queue}" in one_line(unserved.stderr)

    standing = stack.json("block", "discovery", block, "--queue", queue, "--every", "10s")
    assert (standing["active"], standing["work_queue"], standing["interval_s"]) == (True, queue, 10)
    with stack.agent(queue):
        until(lambda: stack.client.get(f"blocks/{block}/discovery")["last_ok"], "the first look, by the clock", 60)
        found = {item["kind"]: item for item in stack.json("resource", "ls", "--source", block)}
        assert found["s3.bucket"]["labels"]["objects"] == 1
        assert found["s3.folder"]["name"] == f"{bucket.name}/raw"
        assert events_of(stack, bucket) == [], "what was there already did not happen now"

        bucket.put("raw/new.csv")
        until(lambda: events_of(stack, bucket), "the event of the next look, by the clock", 60)
        bucket.delete("raw/old.csv")
        done = stack.cli("block", "discover", block)
        assert done.returncode == 0, done.stderr
        until(lambda: len(events_of(stack, bucket)) == 2, "the event of the file that went", 60)
    assert events_of(stack, bucket) == [("s3.object.deleted", "raw/old.csv"), ("s3.object.created", "raw/new.csv")]
    shown = stack.json("resource", "inspect", found["s3.folder"]["id"])
    assert shown["relations"][0]["role"] == "part-of"
    stack.client.patch(f"blocks/{block}/discovery", {"active": False})


def events_of(stack: Stack, bucket: Bucket) -> list[tuple[str, str]]:
    """Newest first."""
    found = stack.client.pages("events", {"event": "s3.object.*", "limit": 200})
    return [
        (item["event"], item["payload"]["path"]) for item in found if bucket.name in item["resource"]["resource.id"]
    ]
