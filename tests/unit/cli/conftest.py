"""Commands, run in this process against an API of the test's own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest

from orchestrator.cli import run

from .api import Api, serving


class Done(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output as the one JSON document it has to be."""
        return json.loads(self.out)


Cli = Callable[..., Done]


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Run ``orchestrator WORDS...``."""
    monkeypatch.setenv("NO_COLOR", "1")

    def call(*words: str) -> Done:
        capsys.readouterr()
        code = run(list(words))
        captured = capsys.readouterr()
        return Done(code, captured.out, captured.err)

    return call


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    """The API that the settings name."""
    with serving() as served:
        monkeypatch.setenv("ORCHESTRATOR_API_URL", served.url)
        monkeypatch.setenv("ORCHESTRATOR_API_KEY", "orc_test")
        yield served
