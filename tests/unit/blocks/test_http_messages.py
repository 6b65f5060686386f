"""What speakers of HTTP APIs share: waits, refusals, texts that fit, addresses, secrets that stay out of errors."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.blocks.http_messages import (
    Answer,
    Api,
    atlassian_document,
    bytes_in_json,
    cut,
    first_line,
    host_of,
    masked,
    telegram_html,
    titled,
    utf16_units,
)
from orchestrator.blocks.http_messages.addresses import check_address
from orchestrator.errors import AccessDenied, InvalidInput, NotFound, OrchestratorError, Unavailable

from ...polling import free_port
from ...standins.http_service import HttpService, Request
from ...standins.trackers import is_document, text_of


class Echo(HttpService):
    """Answers with what it was asked."""

    def answer(self, request: Request) -> dict[str, object]:
        return {"method": request.method, "path": request.path, "agent": request.headers["User-Agent"]}


@pytest.fixture
def echo() -> Iterator[Echo]:
    with Echo() as service:
        yield service


@given(st.text(max_size=400), st.integers(60, 300), st.sampled_from([len, utf16_units, bytes_in_json]))
def test_a_cut_text_fits_and_one_that_fits_is_whole(text: str, limit: int, size: object) -> None:
    assert callable(size)
    found = cut(text, limit, size)
    assert size(found) <= limit
    if size(text) <= limit:
        assert found == text
    else:
        assert "cut: " in found


def test_a_cut_text_is_as_long_as_may_be_and_tells_what_is_missing() -> None:
    found = cut("x" * 1000, 100)
    assert len(found) >= 98
    assert found.endswith(f"(cut: {1000 - found.count('x')} more characters)")
    fenced = cut("```\n" + "x" * 1000, 100)
    assert fenced.count("```") == 2


def test_titles_are_one_line() -> None:
    assert first_line("\n\n  a b \nc", 10) == "a b"
    assert first_line("abcdef", 4) == "abc…"
    assert first_line("", 4) == ""
    assert titled("body", "two\r\nlines", "**") == "**two lines**\nbody"
    assert titled("", "alone") == "alone"


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, InvalidInput), (401, AccessDenied), (403, AccessDenied), (404, NotFound), (408, Unavailable),
     (410, NotFound), (413, InvalidInput), (418, InvalidInput), (422, InvalidInput), (500, Unavailable)],
)  # fmt: skip
def test_a_status_is_an_error_of_ours(echo: Echo, status: int, kind: type[OrchestratorError]) -> None:
    echo.failing(status, {"error": {"message": "so it is"}})
    with pytest.raises(kind, match=f"^It answered {status}: so it is"):
        Api("It", echo.url).call("GET")


def test_a_redirect_is_not_followed_and_told(echo: Echo) -> None:
    echo.failing(302, "", Location="/elsewhere")
    with pytest.raises(InvalidInput, match="redirects"):
        Api("It", echo.url).call("POST", payload={})
    assert len(echo.requests) == 1


def test_an_answer_is_decoded(echo: Echo) -> None:
    answer = Api("It", echo.url).call("PUT", "/a%20b")
    assert answer.json()["path"] == "/a b"
    assert answer.json()["agent"].startswith("orchestrator/")
    assert Answer(200, {}, b"\xff no json").json() is None


def test_waits_are_asked_for_in_several_ways() -> None:
    assert Answer(429, {"Retry-After": "7"}, b"").retry_after() == 7
    assert Answer(429, {}, b'{"retry_after": 1.5}').retry_after() == 1.5
    assert Answer(429, {}, b'{"parameters": {"retry_after": 3}}').retry_after() == 3
    assert Answer(429, {}, b'{"parameters": []}').retry_after() is None
    assert Answer(429, {"Retry-After": "soon"}, b"").retry_after() is None
    asked = Answer(429, {"Retry-After": formatdate(time.time() + 60, usegmt=True)}, b"").retry_after()
    assert asked is not None
    assert 50 < asked <= 60
    assert Answer(429, {"Retry-After": formatdate(0, usegmt=True)}, b"").retry_after() == 0


def test_nothing_is_asked_more_than_a_few_times(echo: Echo) -> None:
    echo.failing(429, times=50, Retry_After="0")
    with pytest.raises(Unavailable, match="429"):
        Api("It", echo.url).call("GET")
    assert len(echo.requests) == 5


def test_503_without_a_wait_is_told_at_once(echo: Echo) -> None:
    echo.failing(503)
    with pytest.raises(Unavailable):
        Api("It", echo.url).call("GET")
    assert len(echo.requests) == 1


def test_no_answer_is_one_line_without_the_path() -> None:
    for url, why in ((f"http://127.0.0.1:{free_port()}/canary-path", "refused"), ("http://no.invalid/canary", "name")):
        with pytest.raises(Unavailable, match=why) as caught:
            Api("It", url).call("GET")
        with pytest.raises(Unavailable):
            Api("It", url).reach()
        assert "canary" not in str(caught.value)


def test_an_answer_that_does_not_come_is_unavailable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        api = Api("It", f"http://127.0.0.1:{silent.getsockname()[1]}", timeout=0.2)
        with pytest.raises(Unavailable, match="in time"):
            api.call("GET")


@pytest.mark.parametrize("shown", ["s3cret/+ value", "s3cret%2F%2B%20value", "s3cret%2F%2B+value"])
def test_secrets_are_masked_however_they_are_written(shown: str) -> None:
    assert masked(f"<{shown}>", ("s3cret/+ value",)) == "<********>"


def test_of_an_address_no_long_part_is_shown() -> None:
    url = "https://hooks.example.com/services/T0000/B1111/canary-part?sig=canary-query"
    told = masked(f"bad {url}; canary-part; canary-query; /services/T0000/B1111/canary-part", (url,))
    assert "canary" not in told
    assert host_of(url) == "https://hooks.example.com"


@pytest.mark.parametrize(
    "text",
    ["", "example.com", "ftp://x/y", "http://", "http://a b", "http://x:port", "http://u:canary@x", "http://x\n"],
)
def test_what_is_no_address_is_refused_without_showing_it(text: str) -> None:
    if text == "http://x\n":
        assert check_address(text) == "http://x"
        return
    with pytest.raises(ValueError, match="write") as caught:
        check_address(text)
    assert "canary" not in str(caught.value)


@given(st.text(max_size=200))
def test_any_text_becomes_markup_that_is_closed(text: str) -> None:
    found = telegram_html(text)
    for tag in ("b", "i", "s", "a", "code", "pre", "blockquote"):
        assert found.count(f"<{tag}>") + found.count(f"<{tag} ") == found.count(f"</{tag}>")


PIECES = st.sampled_from(
    ["- ", "> ", "# ", "1. ", "```", "\n", "\n\n", "    ", "word", "**", "`", "[a](b)", "---", "![", "]"]
)


@given(st.lists(PIECES, max_size=30).map("".join))
def test_any_text_becomes_a_document_that_atlassian_takes(text: str) -> None:
    assert is_document(atlassian_document(text))


def test_what_a_document_cannot_hold_is_turned_into_what_it_can() -> None:
    found = atlassian_document("- # head\n- > said\n-\n\n> # big\n> > deep\n\n[here](page.html) [there](https://x.y)")
    assert is_document(found)
    for word in ("head", "said", "big", "deep", "here"):
        assert word in text_of(found)
    assert [mark["attrs"]["href"] for node in found["content"][-1]["content"] for mark in node.get("marks", ())] == [
        "https://x.y"
    ]
