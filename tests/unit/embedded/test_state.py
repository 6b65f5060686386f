"""The state file, and telling a stale one."""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.embedded import processes, state
from orchestrator.embedded.lock import FileLock

ME = state.PartState("api", os.getpid(), processes.identity(os.getpid()), 2, "api.log")
STATE = state.ServerState(
    os.getpid(), processes.identity(os.getpid()), "http://127.0.0.1:4200", "2026-01-01T00:00:00Z", "1", "/data", [ME]
)


def test_it_is_read_as_it_was_written(tmp_path: Path) -> None:
    state.write(tmp_path, STATE)
    assert state.read(tmp_path) == STATE
    assert stat.S_IMODE(state.state_file(tmp_path).stat().st_mode) == 0o600


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"parts": [1]}', '{"parts": [], "pid": 1}', "\udcff"])
def test_what_cannot_be_understood_is_nothing(tmp_path: Path, content: str) -> None:
    state.state_file(tmp_path).write_text(content, "utf-8", "surrogateescape")
    assert state.read(tmp_path) is None


def test_a_server_runs_only_while_its_lock_is_held(tmp_path: Path) -> None:
    state.write(tmp_path, STATE)
    assert state.supervisor(tmp_path) is None
    lock = FileLock(state.lock_file(tmp_path))
    assert lock.take()
    assert state.supervisor(tmp_path) == STATE
    state.write(tmp_path, replace(STATE, identity="an earlier process with this pid"))
    assert state.supervisor(tmp_path) is None
    lock.release()


def test_leftovers_are_ended_only_if_they_are_the_same_processes(tmp_path: Path) -> None:
    recycled = replace(ME, identity="an earlier process with this pid")
    state.write(tmp_path, replace(STATE, parts=[recycled, replace(ME, pid=None, identity=None)]))
    assert state.end_leftovers(tmp_path) == []
    assert not state.state_file(tmp_path).exists()
    assert state.end_leftovers(tmp_path) == []
