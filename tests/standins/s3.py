"""S3 by moto: all of the API that blocks use; signatures are checked where a test asks for it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import urllib3
from moto.server import ThreadedMotoServer

KEYS = {"aws_access_key_id": "key", "aws_secret_access_key": "secret"}


@contextmanager
def s3_server() -> Iterator[str]:
    """Address of a server."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield f"http://{host}:{port}"
    finally:
        server.stop()


def s3_client(url: str, service: str = "s3") -> Any:
    """A client of the server, with an account that may do everything."""
    return boto3.client(service, endpoint_url=url, region_name="us-east-1", **KEYS)


def new_bucket(url: str) -> str:
    """Name of a fresh bucket."""
    bucket = f"bucket-{uuid.uuid4().hex[:12]}"
    s3_client(url).create_bucket(Bucket=bucket)
    return bucket


@contextmanager
def accounts_checked(url: str) -> Iterator[None]:
    """Every request needs a key of a user that may do what it asks for; moto checks all its servers or none."""
    before = _check_after(url, "0")
    try:
        yield
    finally:
        _check_after(url, before)


def _check_after(url: str, count: str) -> str:
    """Let so many more requests through unchecked; the count before."""
    answer = urllib3.request("POST", f"{url}/moto-api/reset-auth", body=count)
    return str(answer.json()["PREVIOUS_INITIAL_NO_AUTH_ACTION_COUNT"])
