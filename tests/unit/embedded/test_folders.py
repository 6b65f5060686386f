"""Where embedded data lies."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from orchestrator.embedded import folders
from orchestrator.embedded.privileges import Account
from orchestrator.errors import SettingsError
from orchestrator.settings import Settings

#: Neither the owner of the tests' folders nor in a group of theirs.
STRANGER = Account("stranger", 54321, 54321)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def system(tmp_path: Path) -> Path:
    return tmp_path / "system"


def test_a_normal_user_keeps_data_at_home(home: Path) -> None:
    assert folders.data_folder(Settings(home=home), home_given=False, account=None) == (home / "data", None)


def test_a_chosen_folder_wins(home: Path, tmp_path: Path) -> None:
    settings = Settings(home=home, data_dir=str(tmp_path / "chosen"))
    assert folders.data_folder(settings, home_given=True, account=None) == (tmp_path / "chosen", None)


def test_root_uses_the_system_folder(home: Path, system: Path) -> None:
    found = folders.data_folder(Settings(home=home), home_given=False, account=STRANGER, system=system)
    assert found == (system, None)


def test_root_uses_a_given_home_that_can_be_passed(system: Path) -> None:
    home = Path("/usr/nowhere/yet")
    found = folders.data_folder(Settings(home=home), home_given=True, account=STRANGER, system=system)
    assert found == (home / "data", None)


def test_root_is_told_when_its_given_home_is_closed(home: Path, system: Path) -> None:
    home.mkdir(mode=0o700)
    found, note = folders.data_folder(Settings(home=home), home_given=True, account=STRANGER, system=system)
    assert found == system
    assert note is not None
    assert str(system) in note
    assert str(home) in note
    assert "stranger" in note


def test_a_chosen_folder_that_is_closed_is_refused(home: Path) -> None:
    home.mkdir(mode=0o700)
    with pytest.raises(SettingsError, match=r"ORCHESTRATOR_DATA_DIR.*stranger"):
        folders.data_folder(Settings(data_dir=str(home / "x")), home_given=True, account=STRANGER)


def test_new_folders_are_open_whatever_the_umask(tmp_path: Path) -> None:
    account = Account("me", os.geteuid(), os.getegid())
    before = os.umask(0o077)
    try:
        folders.make_folder(tmp_path / "a" / "b", account)
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o711
    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o711
    assert tmp_path.stat().st_mode & 0o777 == 0o700, "what was there stays as it was"
