"""Seals of task jobs: nothing is opened that this flow run did not close."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator import settings
from orchestrator.errors import InvalidInput
from orchestrator.ids import uuid7
from orchestrator.keeping.kept_files import KeptFiles
from orchestrator.task_runners.sealing import INLINE_MAX, Seal

KEY, JOB = b"k" * 32, uuid7()


def seal(key: bytes = KEY) -> Seal:
    return Seal(key, KeptFiles(settings.load(), None))


def test_what_was_closed_is_opened() -> None:
    assert seal().open(JOB, "order", seal().close(JOB, "order", b"content", "it")) == b"content"


@given(position=st.integers(0, 39), bit=st.integers(0, 7))
def test_every_changed_bit_is_noticed(position: int, bit: int) -> None:
    closed = bytearray(seal().close(JOB, "order", b"content", "it"))
    assert len(closed) == 40
    closed[position] ^= 1 << bit
    with pytest.raises(InvalidInput, match="was not sealed by this flow run"):
        seal().open(JOB, "order", bytes(closed))


def test_it_is_good_for_one_job_one_way_and_one_key() -> None:
    closed = seal().close(JOB, "order", b"content", "it")
    for opener, job, way in ((seal(), uuid7(), "order"), (seal(), JOB, "outcome"), (seal(b"x" * 32), JOB, "order")):
        with pytest.raises(InvalidInput, match="was not sealed"):
            opener.open(job, way, closed)
    with pytest.raises(InvalidInput, match="was not sealed"):
        seal().open(JOB, "order", b"")


def test_what_is_large_needs_a_storage() -> None:
    with pytest.raises(InvalidInput, match=r"the result of load takes 1,048,577 bytes.*--results-block"):
        seal().close(JOB, "outcome", b"x" * (INLINE_MAX + 1), "the result of load")


class Files(KeptFiles):
    """A storage that is a dict."""

    def __init__(self) -> None:
        super().__init__(settings.load(), None)
        self.held: dict[str, bytes] = {}

    @property
    def has_block(self) -> bool:
        return True

    def write(self, name: str, data: bytes, here: bool) -> dict[str, object]:
        self.held[name] = data
        return {"block": "b", "path": name, "size": len(data)}

    def remove(self, record: dict[str, object]) -> None:
        del self.held[str(record["path"])]

    def read(self, record: dict[str, object]) -> bytes:
        return self.held[str(record["path"])]


def test_what_is_stored_is_held_against_its_hash(tmp_path: Path) -> None:
    files = Files()
    large = Seal(KEY, files)
    closed = large.close(JOB, "outcome", b"x" * (INLINE_MAX + 1), "it")
    assert len(closed) < 400
    assert large.open(JOB, "outcome", closed) == b"x" * (INLINE_MAX + 1)
    large.forget(closed)
    assert not files.held
    closed = large.close(JOB, "outcome", b"x" * (INLINE_MAX + 1), "it")
    files.held = dict.fromkeys(files.held, b"another")
    with pytest.raises(InvalidInput, match=r"the stored outcome .* was changed since"):
        large.open(JOB, "outcome", closed)
