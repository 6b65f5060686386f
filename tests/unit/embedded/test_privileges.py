"""Who runs the embedded servers."""

from __future__ import annotations

import os
import pwd
from pathlib import Path
from types import SimpleNamespace

import pytest

from orchestrator.embedded import privileges
from orchestrator.embedded.privileges import Account
from orchestrator.errors import SettingsError


def known(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    def entry(name: str) -> SimpleNamespace:
        if name not in names:
            raise KeyError(name)
        return SimpleNamespace(pw_uid=names.index(name) + 100, pw_gid=7)

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(pwd, "getpwnam", entry)


def test_a_normal_user_drops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert privileges.unprivileged() is None


def test_root_takes_the_first_account_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    known(monkeypatch, "nobody", "postgres")
    assert privileges.unprivileged() == Account("postgres", 101, 7)


def test_root_without_any_account_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    known(monkeypatch)
    with pytest.raises(SettingsError, match=r"useradd.*ORCHESTRATOR_DATABASE_URL"):
        privileges.unprivileged()


@pytest.mark.parametrize(
    ("mode", "uid_matches", "gid_matches", "passes"),
    [
        (0o711, False, False, True),
        (0o710, False, False, False),
        (0o710, False, True, True),
        (0o701, False, True, False),
        (0o100, True, False, True),
        (0o611, True, True, False),
    ],
)
def test_passing_a_folder(
    tmp_path: Path, mode: int, uid_matches: bool, gid_matches: bool, passes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    folder.chmod(mode)
    facts = folder.stat()
    account = Account("x", facts.st_uid + (0 if uid_matches else 4321), facts.st_gid + (0 if gid_matches else 4321))
    assert account._may_enter(folder) is passes


def test_every_folder_above_counts(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    (closed / "open").mkdir(parents=True)
    closed.chmod(0o700)
    assert not Account("x", 54321, 54321).may_pass(closed / "open" / "missing")
    assert Account("x", 54321, 54321).may_pass(Path("/usr/missing/folder"))
