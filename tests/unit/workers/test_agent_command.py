"""``orchestrator agent``: one line for what is wrong."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from orchestrator.cli import run
from tests.fakes.api import FakeApi, serve


@pytest.fixture
def api() -> Iterator[FakeApi]:
    with serve(FakeApi()) as api:
        yield api


def test_missing_settings_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["agent", "start", "-q", "duck"]) == 2
    error = capsys.readouterr().err
    assert "ORCHESTRATOR_API_URL and ORCHESTRATOR_API_KEY" in error
    assert len(error.strip().splitlines()) == 1


def test_a_wrong_key_is_one_line(
    api: FakeApi, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    api.key = "the-right-one"
    monkeypatch.setenv("ORCHESTRATOR_API_URL", api.url)
    monkeypatch.setenv("ORCHESTRATOR_API_KEY", "a-wrong-one")
    assert run(["agent", "start", "-q", "duck"]) == 1
    error = capsys.readouterr().err
    assert "ORCHESTRATOR_API_KEY has to be a key of the role" in error
    assert len(error.strip().splitlines()) == 1
    assert "a-wrong-one" not in error


@pytest.mark.parametrize("words", [["--limit", "0"], ["--transport", "carrier-pigeon"]])
def test_wrong_use(words: list[str]) -> None:
    assert run(["agent", "start", *words]) == 2
