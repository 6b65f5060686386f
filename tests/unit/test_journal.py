"""The journal: what was put and not settled is read back, whatever became of the process."""

from __future__ import annotations

import os
import random
import resource
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.reporting.journal import Journal, left


def test_what_is_not_settled_is_left_with_its_number(tmp_path: Path) -> None:
    producer = uuid.uuid4()
    journal = Journal(tmp_path / "journal", producer)
    for number in range(10):
        assert journal.add(b"%d" % number)
    journal.settle(3)
    assert left(tmp_path / "journal") == (str(producer), 4, [b"%d" % number for number in range(3, 10)])
    journal.settle(7)
    assert left(tmp_path / "journal") == (str(producer), 11, [])
    assert len(journal) == 0


@given(st.integers(0, 2**32), st.integers(200, 900))
def test_it_goes_round_and_mixes_nothing_up(tmp_path_factory: pytest.TempPathFactory, seed: int, size: int) -> None:
    path = tmp_path_factory.mktemp("ring") / "journal"
    chance = random.Random(seed)
    journal = Journal(path, uuid.uuid4(), size)
    put: list[bytes] = []
    settled = 0
    for _ in range(300):
        if chance.random() < 0.6:
            put.append(bytes([chance.randrange(256)]) * chance.randrange(60))
            journal.add(put[-1])
        elif settled < len(put):
            count = chance.randint(1, len(put) - settled)
            journal.settle(count)
            settled += count
        _, number, found = left(path)
        assert number == settled + 1
        assert found == put[settled : settled + len(found)]
        assert len(journal) == len(found)
    journal.settle(len(put) - settled)
    assert journal.add(b"room again")
    assert left(path)[2] == [b"room again"]


def test_without_room_it_passes_over_until_all_is_settled(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal", uuid.uuid4(), 200)
    taken = [journal.add(b"x" * 40) for _ in range(5)]
    assert taken == [True, True, True, False, False]
    journal.settle(3)
    assert not journal.add(b"y"), "what comes now does not follow on what is inside"
    journal.settle(3)
    assert journal.add(b"z")
    assert left(tmp_path / "journal")[1:] == (7, [b"z"])


@pytest.mark.parametrize("data", [b"", b"short", b"\0" * 100, b"orcjrn01" + b"\xff" * 200])
def test_what_is_no_journal_holds_nothing(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "journal").write_bytes(data)
    assert left(tmp_path / "journal")[2] == []
    assert left(tmp_path / "missing")[2] == []


def test_a_disk_without_room_is_noticed_at_once(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(OSError, match=r"large|space"):
            Journal(tmp_path / "journal", uuid.uuid4())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_it_outlives_a_killed_process(tmp_path: Path) -> None:
    code = (
        "import os, sys, uuid; from pathlib import Path; from orchestrator.reporting.journal import Journal\n"
        "journal = Journal(Path(sys.argv[1]), uuid.UUID(int=1))\n"
        "for number in range(1000): journal.add(b'%d' % number)\n"
        "os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "journal")], timeout=60, env=dict(os.environ))
    assert done.returncode == -signal.SIGKILL
    assert left(tmp_path / "journal") == (str(uuid.UUID(int=1)), 1, [b"%d" % number for number in range(1000)])
