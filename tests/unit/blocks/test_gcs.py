"""What is Google Cloud Storage's own: accounts, and what its errors mean."""

from __future__ import annotations

import gc
import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from pydantic import ValidationError

from orchestrator.blocks import gcp_credentials, gcs
from orchestrator.blocks.gcp_credentials import GCPCredentials
from orchestrator.blocks.gcs import GCS
from orchestrator.errors import AccessDenied, BlockError, NotFound, Unavailable

from ...standins.gcs import gcs_server, new_bucket

# Google's library leaves the answer to a refused download to the garbage collector, which then is made to find it here.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    yield
    gc.collect()


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with gcs_server() as url:
        yield url


@contextmanager
def answering(status: int, answer: dict[str, Any]) -> Iterator[str]:
    """A server that gives one answer to all: the emulator refuses nobody."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_PUT = do_DELETE = do_GET

        def log_message(self, *args: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(scope="module")
def private_key() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return key.private_bytes(*form).decode()


def account(private_key: str, token_uri: str) -> GCPCredentials:
    facts = {
        "type": "service_account",
        "client_email": "robot@acme.iam.gserviceaccount.com",
        "private_key": private_key,
        "token_uri": token_uri,
        "project_id": "acme",
    }
    return GCPCredentials(service_account_key=json.dumps(facts))


def test_without_its_bucket_it_names_it(url: str) -> None:
    with pytest.raises(NotFound, match="gs://not-there"):
        GCS(bucket="not-there", endpoint_url=url).write("a", b"")
    with pytest.raises(NotFound, match="gs://not-there"):
        GCS(bucket="not-there", endpoint_url=url).test()


def test_a_refusal_is_access_denied() -> None:
    with answering(403, {"error": {"code": 403, "message": "no"}}) as url:
        files = GCS(bucket="any", endpoint_url=url)
        for act in (lambda: files.read("a"), lambda: files.write("a", b""), lambda: [*files.list()], files.test):
            with pytest.raises(AccessDenied, match="refuses these credentials"):
                act()


def test_a_service_that_is_away_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gcs, "RETRY_S", 0.5)
    with pytest.raises(Unavailable, match="gs://any/a"):
        GCS(bucket="any", endpoint_url="http://127.0.0.1:9").read("a")
    with answering(503, {"error": {"message": "busy"}}) as url, pytest.raises(Unavailable, match="gs://any/a"):
        GCS(bucket="any", endpoint_url=url).read("a")


def test_a_key_that_was_deleted_is_access_denied(private_key: str, url: str) -> None:
    with answering(400, {"error": "invalid_grant", "error_description": "gone"}) as tokens:
        with pytest.raises(AccessDenied, match="make a new key"):
            account(private_key, tokens).test()
        with pytest.raises(AccessDenied, match="make a new key"):
            GCS(bucket=new_bucket(url), endpoint_url=url, credentials=account(private_key, tokens)).read("a")


def test_a_key_that_works_gets_a_token(private_key: str, url: str) -> None:
    with answering(200, {"access_token": "t", "expires_in": 3600, "token_type": "Bearer"}) as tokens:
        held = account(private_key, tokens)
        assert held.test() == "Google gave a token to robot@acme.iam.gserviceaccount.com."
        files = GCS(bucket=new_bucket(url), endpoint_url=url, credentials=held)
        files.write("a", b"1")
        assert files.read("a") == b"1"


@pytest.mark.parametrize(("key", "says"), [("{", "no JSON"), ("[]", "no key"), ('{"client_email": "a"}', "no key")])
def test_what_is_no_key_is_refused_without_showing_it(key: str, says: str) -> None:
    with pytest.raises(ValidationError, match=says) as caught:
        GCPCredentials(service_account_key=key)
    assert "client_email': " not in str(caught.value)


def test_without_its_extra_it_names_the_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gcs, "storage", None)
    monkeypatch.setattr(gcp_credentials, "storage", None)
    for act in (lambda: GCS(bucket="any").read("a"), GCPCredentials().client):
        with pytest.raises(BlockError, match=r'pip install "orchestrator\[gcs\]"'):
            act()
