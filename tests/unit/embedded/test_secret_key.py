"""The key that encrypts and signs."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from orchestrator.embedded.secret_key import secret_key
from orchestrator.errors import SettingsError
from orchestrator.settings import Settings


def test_the_setting_wins_and_writes_nothing(tmp_path: Path) -> None:
    assert secret_key(Settings(secret_key="mine"), tmp_path) == "mine"
    assert not list(tmp_path.iterdir())


def test_embedded_data_gets_a_key_of_its_own_that_stays(tmp_path: Path) -> None:
    first = secret_key(Settings(), tmp_path)
    assert len(first) >= 40
    assert stat.S_IMODE((tmp_path / "secret.key").stat().st_mode) == 0o600
    (tmp_path / "postgres").mkdir()
    assert secret_key(Settings(), tmp_path) == first


def test_an_external_database_needs_the_setting() -> None:
    with pytest.raises(SettingsError, match=r"ORCHESTRATOR_SECRET_KEY is needed.*token_urlsafe"):
        secret_key(Settings(), None)


@pytest.mark.parametrize("content", [None, "", "\n"])
def test_data_whose_key_is_lost_is_not_given_a_new_one(tmp_path: Path, content: str | None) -> None:
    (tmp_path / "postgres").mkdir()
    if content is not None:
        (tmp_path / "secret.key").write_text(content)
    with pytest.raises(SettingsError, match=r"secret\.key is missing"):
        secret_key(Settings(), tmp_path)
