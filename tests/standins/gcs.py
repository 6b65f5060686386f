"""Google Cloud Storage by gcp-storage-emulator: buckets and objects, resumable uploads. It checks no account, signs no
address, and knows neither permissions nor retention: what those do is tested against answers made by hand.
"""

from __future__ import annotations

import contextlib
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

from ..polling import free_port
from .processes import serving


@contextmanager
def gcs_server() -> Iterator[str]:
    """Address of a server."""
    port = free_port()
    command = [sys.executable, "-m", "gcp_storage_emulator", "start", "--host=127.0.0.1", f"--port={port}"]
    with serving([*command, "--in-memory"], port):
        yield f"http://127.0.0.1:{port}"


def new_bucket(url: str) -> str:
    """Name of a fresh bucket."""
    account = {"credentials": AnonymousCredentials(), "client_options": {"api_endpoint": url}}
    with contextlib.closing(storage.Client(project="test", **account)) as client:
        return str(client.create_bucket(f"bucket-{uuid.uuid4().hex[:12]}").name)
