"""Batches on disk: in order, once, whole or not at all, and never two owners."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from orchestrator.reporting import spool
from orchestrator.reporting.spool import Batch, Spool


def batch(first: int, count: int = 2, size: int = 1) -> Batch:
    return Batch("p", first, [json.dumps("x" * size).encode() for _ in range(count)])


def drained(found: Spool, most: int = 100) -> list[int]:
    firsts = []
    while batches := found.peek(most, 1_000_000):
        firsts += [one.first for one in batches]
        found.done()
    return firsts


def test_a_batch_comes_back_as_it_was() -> None:
    one = Batch("p", 7, ['{"a":"é"}'.encode(), b"[1]"])
    assert Batch.decode(one.encode()) == one


@pytest.mark.parametrize("line", [b"", b"{}", b"[]", b'{"producer":"p","first":null,"items":[]}', b'{"producer":'])
def test_what_is_no_batch_is_a_value_error(line: bytes) -> None:
    with pytest.raises(ValueError, match=r"no batch|JSON|unexpected|empty"):
        Batch.decode(line)


def test_nothing_is_made_before_something_is_written(tmp_path: Path) -> None:
    empty = Spool(tmp_path / "s", "http://a")
    empty.append([])
    assert (bool(empty), empty.folder, empty.peek(1, 1)) == (False, None, [])
    empty.close()
    assert not (tmp_path / "s").exists()


def test_batches_leave_in_order_as_many_as_fit_at_least_one(tmp_path: Path) -> None:
    kept = Spool(tmp_path, "http://a")
    kept.append([batch(1), batch(3), batch(5, count=9)])
    assert [one.first for one in kept.peek(4, 10_000)] == [1, 3]
    assert [one.first for one in kept.peek(1, 1)] == [1]
    kept.done()
    assert drained(kept, 3) == [3, 5]
    assert (kept.size, bool(kept)) == (0, False)
    kept.close()
    assert list(tmp_path.iterdir()) == [tmp_path / "target"]


def test_what_is_not_done_is_there_again(tmp_path: Path) -> None:
    kept = Spool(tmp_path)
    kept.append([batch(1), batch(3)])
    assert kept.peek(2, 1000) == kept.peek(2, 1000)
    kept.close()
    (orphan,) = Spool.orphans(tmp_path)
    assert drained(orphan) == [1, 3]
    orphan.close()
    assert list(Spool.orphans(tmp_path)) == []


def test_large_spools_lie_in_segments_that_go_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "SEGMENT", 1000)
    kept = Spool(tmp_path)
    for first in (1, 3, 5):
        kept.append([batch(first, size=600)])
    assert kept.folder is not None
    assert len(list(kept.folder.glob("*.jsonl"))) == 3
    assert [one.first for one in kept.peek(100, 1_000_000)] == [1]
    kept.done()
    kept.peek(100, 1_000_000)
    assert len(list(kept.folder.glob("*.jsonl"))) == 2
    assert drained(kept) == [3, 5]
    kept.close()


def test_an_owner_that_lives_is_no_orphan(tmp_path: Path) -> None:
    owner = Spool(tmp_path / "s", "http://a")
    owner.append([batch(1)])
    assert list(Spool.orphans(tmp_path / "s")) == []
    (one,) = spool.kept(tmp_path)
    assert (one.api_url, one.alive, one.folder) == ("http://a", True, owner.folder)
    owner.close()
    (one,) = spool.kept(tmp_path)
    assert (one.alive, one.size > 0) == (False, True)


def test_lines_that_were_cut_off_or_broken_are_counted_and_passed_over(tmp_path: Path) -> None:
    kept = Spool(tmp_path)
    kept.append([batch(1), batch(3)])
    kept.close()
    (segment,) = tmp_path.glob("*/*.jsonl")
    lines = segment.read_bytes().splitlines(keepends=True)
    segment.write_bytes(lines[0] + b'{"producer": nonsense}\n' + lines[1] + lines[0][:9])
    (orphan,) = Spool.orphans(tmp_path)
    assert drained(orphan) == [1, 3]
    assert orphan.damaged == 2
    orphan.close()
    assert not list(tmp_path.glob("*/*.jsonl"))


def test_a_write_that_fails_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Spool(tmp_path)
    kept.append([batch(1)])

    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(spool.os, "fsync", full)
        with pytest.raises(OSError, match="No space"):
            kept.append([batch(3)])
    kept.append([batch(5)])
    assert drained(kept) == [1, 5]
    kept.close()


def test_reports_for_two_apis_lie_apart_and_refused_ones_are_written_down(tmp_path: Path) -> None:
    assert spool.folder_of(tmp_path, "http://a") != spool.folder_of(tmp_path, "http://b")
    for number in range(2):
        spool.refuse(tmp_path / "new", {"code": number})
    lines = (tmp_path / "new" / spool.REFUSED).read_text().splitlines()
    assert [json.loads(line) for line in lines] == [{"code": 0}, {"code": 1}]
