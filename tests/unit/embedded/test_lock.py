"""The lock that lasts as long as a process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.embedded.lock import FileLock, is_held


def test_one_holder_at_a_time(tmp_path: Path) -> None:
    first, second = FileLock(tmp_path / "lock"), FileLock(tmp_path / "lock")
    assert not is_held(tmp_path / "lock")
    assert first.take()
    assert first.take(), "taking it twice is no error"
    assert not second.take()
    assert is_held(tmp_path / "lock")
    first.release()
    assert second.take()
    second.release()


def test_a_child_that_inherits_it_holds_it_until_it_ends(tmp_path: Path) -> None:
    mine = FileLock(tmp_path / "lock")
    assert mine.take()
    words = [sys.executable, "-c", "input()"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, pass_fds=[mine.fileno()]) as child:
        mine.release()
        assert is_held(tmp_path / "lock")
        child.kill()
        child.wait()
        assert not is_held(tmp_path / "lock")


def test_a_lock_that_is_not_held_has_no_descriptor(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not held"):
        FileLock(tmp_path / "lock").fileno()
