"""The REST client: answers become records or errors of our own, harmless calls are tried again."""

from __future__ import annotations

import json
import os
import threading
import uuid
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from orchestrator import errors
from orchestrator.client import Client
from orchestrator.states import StateType


class Api:
    """Answers what a test says and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, Any, dict[str, str]]] = []
        self.answers: list[tuple[int, Any] | str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length)) if length else None
                outer.asked.append((self.command, self.path, body, dict(self.headers)))
                answer = outer.answers.pop(0) if outer.answers else (200, {})
                if isinstance(answer, str):
                    self.close_connection = True
                    return
                data = answer[1].encode() if isinstance(answer[1], str) else json.dumps(answer[1]).encode()
                data = b"" if answer[0] == 204 else data
                self.send_response(answer[0])
                self.send_header("Content-Length", str(len(data)))
                self.send_header("Retry-After", "0")
                self.end_headers()
                self.wfile.write(data)

            do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

            def log_message(self, *args: Any) -> None:
                pass

        ThreadingHTTPServer.daemon_threads = True
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()


@pytest.fixture
def api() -> Iterator[Api]:
    running = Api()
    yield running
    running.server.shutdown()
    running.server.server_close()


def test_a_call_carries_the_key_and_decodes(api: Api) -> None:
    api.answers = [(201, {"id": "x"})]
    identifier = uuid.uuid4()
    at = datetime(2026, 1, 2, tzinfo=timezone.utc)
    assert Client(api.url, "secret").post("things", {"id": identifier, "at": at}) == {"id": "x"}
    ((method, path, body, headers),) = api.asked
    assert (method, path) == ("POST", "/api/v1/things")
    assert body == {"id": str(identifier), "at": "2026-01-02T00:00:00Z"}
    assert headers["Authorization"] == "Bearer secret"
    assert headers["Content-Type"] == "application/json"


def test_query_arguments_of_all_kinds(api: Api) -> None:
    at = datetime(2026, 1, 2, tzinfo=timezone.utc)
    Client(api.url + "/api/v1/").get(
        "runs", {"none": None, "flag": True, "many": [StateType.FAILED, "b c"], "at": at, "n": 3}
    )
    assert parse_qs(urlsplit(api.asked[0][1]).query) == {
        "flag": ["true"],
        "many": ["FAILED", "b c"],
        "at": ["2026-01-02T00:00:00.000000Z"],
        "n": ["3"],
    }


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (401, {"message": "no key"}, errors.AccessDenied),
        (403, {"message": "not yours"}, errors.AccessDenied),
        (404, {"message": "gone"}, errors.NotFound),
        (409, {"message": "busy", "code": 409, "status": "Conflict"}, errors.Conflict),
        (409, {"message": "refused", "code": 409, "status": "superseded"}, errors.TransitionRefused),
        (422, {"message": "wrong", "errors": {"name": ["missing"]}}, errors.InvalidInput),
        (503, {"message": "later"}, errors.ApiUnreachable),
        (500, {"message": "oops"}, errors.ApiError),
        (404, "<html>not ours</html>", errors.NotFound),
    ],
)
def test_answers_become_errors(api: Api, status: int, body: Any, kind: type[Exception]) -> None:
    api.answers = [(status, body)]
    with pytest.raises(kind) as caught:
        Client(api.url, retries=0).get("things")
    assert "\n" not in str(caught.value)
    if isinstance(body, dict):
        assert str(caught.value) == body["message"]
    else:
        assert "API_URL" in str(caught.value)


def test_errors_carry_their_facts(api: Api) -> None:
    api.answers = [
        (422, {"message": "wrong", "errors": {"name": ["missing"]}}),
        (409, {"code": 409, "status": "superseded"}),
    ]
    client = Client(api.url, retries=0)
    with pytest.raises(errors.InvalidInput) as invalid:
        client.get("things")
    assert invalid.value.errors == {"name": ["missing"]}
    with pytest.raises(errors.TransitionRefused) as refused:
        client.get("things")
    assert refused.value.code == "superseded"


@pytest.mark.parametrize("trouble", [(503, {}), (502, "bad gateway"), "close"])
def test_harmless_calls_are_tried_again(api: Api, trouble: Any) -> None:
    api.answers = [trouble, trouble, (200, {"ok": True})]
    assert Client(api.url).get("things") == {"ok": True}
    api.answers = [trouble, (200, {"ok": True})]
    assert Client(api.url).request("POST", "things", {}, headers={"Idempotency-Key": "1"}) == {"ok": True}


def test_calls_that_do_something_are_not(api: Api) -> None:
    api.answers = ["close"]
    with pytest.raises(errors.ApiUnreachable):
        Client(api.url).post("things", {})
    assert len(api.asked) == 1


def test_pages_follow_the_cursor(api: Api) -> None:
    api.answers = [(200, {"items": [1, 2], "next": "c"}), (200, {"items": [3], "next": None})]
    assert list(Client(api.url).pages("things", {"limit": 2})) == [1, 2, 3]
    assert [path for _, path, _, _ in api.asked] == ["/api/v1/things?limit=2", "/api/v1/things?limit=2&cursor=c"]


def test_an_empty_answer_is_none(api: Api) -> None:
    api.answers = [(204, None)]
    assert Client(api.url).delete("things/1") is None


def test_nobody_there_is_one_line() -> None:
    with pytest.raises(errors.ApiUnreachable, match=r"the API at http://127\.0\.0\.1:9 does not answer: conn.*"):
        Client("http://127.0.0.1:9", retries=0).get("things")


@pytest.mark.parametrize("url", ["", "127.0.0.1:4200", "ftp://host", "http://"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(errors.SettingsError, match="API_URL"):
        Client(url)


def test_settings_name_the_api(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(errors.SettingsError, match="ORCHESTRATOR_API_URL"):
        Client.from_settings()
    monkeypatch.setenv("ORCHESTRATOR_API_URL", "http://127.0.0.1:4200/")
    assert Client.from_settings().api_url == "http://127.0.0.1:4200"


def test_a_forked_child_opens_its_own_connections(api: Api) -> None:
    client = Client(api.url)
    client.get("before")
    before = client._connections()

    def in_child(check: Callable[[], bool]) -> int:
        pid = os.fork()
        if pid == 0:
            os._exit(0 if check() else 1)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    assert in_child(lambda: client._connections() is not before and client.get("child") == {}) == 0
    assert client._connections() is before
