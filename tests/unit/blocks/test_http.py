"""What is a web server's own: logins, redirects, servers that do not answer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError

from orchestrator.blocks.http import HTTP
from orchestrator.errors import AccessDenied, NotFound, Unavailable

from ...standins.web import web_server


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    root: Path = tmp_path_factory.mktemp("web")
    for folder in ("private", "nohead", "broken"):
        (root / folder).mkdir()
        (root / folder / "a").write_text("1")
    with web_server(root) as url:
        yield url


@pytest.mark.parametrize(
    "login",
    [
        {"username": "user", "password": "secret"},
        {"token": "secret"},
        {"headers": {"Authorization": "Bearer secret"}},
    ],
)
def test_logins(url: str, login: dict[str, object]) -> None:
    files = HTTP.model_validate({"url": f"{url}/private", **login})
    assert files.read("a") == b"1"
    assert [info.path for info in files.list()] == ["a"]
    assert files.test().startswith(f"{url}/private answers")


def test_a_wrong_login_is_access_denied(url: str) -> None:
    for login in ({}, {"token": "canary"}):
        with pytest.raises(AccessDenied, match="refuses this account") as caught:
            HTTP.model_validate({"url": f"{url}/private", **login}).read("a")
        assert "canary" not in str(caught.value)


def test_a_server_without_head_is_asked_otherwise(url: str) -> None:
    assert HTTP(url=f"{url}/nohead").stat("a").size == 1


def test_servers_that_fail_or_are_away_are_unavailable(url: str) -> None:
    with pytest.raises(Unavailable, match="answers 500"):
        HTTP(url=f"{url}/broken").read("a")
    with pytest.raises(Unavailable, match="does not answer"):
        HTTP(url="http://127.0.0.1:9/x").read("a")


def test_a_root_that_is_not_there_is_not_found(url: str) -> None:
    with pytest.raises(NotFound):
        [*HTTP(url=f"{url}/nothing").list()]
    with pytest.raises(NotFound):
        HTTP(url=f"{url}/nothing").test()


def test_secrets_do_not_stand_in_the_address() -> None:
    with pytest.raises(ValidationError, match="use username and password") as caught:
        HTTP(url="https://user:canary@data.example/x")
    assert "canary" not in str(caught.value)
    with pytest.raises(ValidationError, match="give one of them"):
        HTTP(url="https://data.example", token="a", username="b")
