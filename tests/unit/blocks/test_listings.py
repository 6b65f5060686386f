"""Observing files by a sorted listing: what came, changed and went, however much there is."""

from __future__ import annotations

import os
import tracemalloc
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, BinaryIO

import boto3
import pytest
from moto import mock_aws
from pydantic import SecretStr

from orchestrator.blocks.listings import IndexReader, IndexWriter, ObservedFiles, Place
from orchestrator.blocks.local_file_system import LocalFileSystem
from orchestrator.blocks.s3 import S3
from orchestrator.errors import BlockError, InvalidInput, NotFound
from orchestrator.interfaces import FileInfo, Observed
from orchestrator.serializers import dumps, loads

LONG_AGO = datetime(2020, 1, 1, tzinfo=timezone.utc)


class Listed(ObservedFiles):
    """Files that exist in a listing only."""

    def __init__(self, files: Iterable[FileInfo]) -> None:
        self.files = files

    def _place(self) -> Place:
        return Place("s3://lake", "s3.bucket", "lake", "s3.folder", "s3.object")

    def list(self, path: str = "") -> Iterator[FileInfo]:
        return iter(self.files)

    def read(self, path: str) -> bytes:
        raise NotImplementedError

    def download(self, path: str, file: BinaryIO) -> None:
        raise NotImplementedError

    def write(self, path: str, content: bytes | BinaryIO) -> None:
        raise NotImplementedError

    def delete(self, path: str) -> None:
        raise NotImplementedError

    def stat(self, path: str) -> FileInfo:
        raise NotImplementedError


def look(storage: ObservedFiles, cursor: Any = None) -> tuple[Any, list[Observed]]:
    told: list[Observed] = []
    after = storage.observe(None if cursor is None else loads(dumps(cursor)), told.append)
    return after, told


def told_of(told: list[Observed]) -> list[tuple[str, str]]:
    return [(item.event, item.resource.name) for item in told]


def files(*names: str, size: int = 1) -> list[FileInfo]:
    return [FileInfo(name, size, LONG_AGO) for name in names]


def test_an_index_gives_back_what_it_was_given() -> None:
    names = sorted(f"träge/año={year}/Ω-{number:04}.csv" for year in range(3) for number in range(700))
    writer = IndexWriter()
    for number, name in enumerate(names):
        writer.add(name, number.to_bytes(6, "big"))
    index = loads(dumps(writer.close()))
    assert [*IndexReader(index)] == [(name, number.to_bytes(6, "big")) for number, name in enumerate(names)]


def test_an_index_of_nothing_is_empty() -> None:
    assert [*IndexReader(IndexWriter().close())] == []


def test_the_first_look_takes_note_only() -> None:
    assert look(Listed(files("a", "b")))[1] == []


def test_what_came_changed_and_went_is_told_once() -> None:
    cursor, _ = look(Listed(files("a", "b/c", "d", "e")))
    now = [*files("a", "b/b", "b/c"), *files("d", size=2), *files("f")]
    cursor, told = look(Listed(now), cursor)
    assert told_of(told) == [
        ("s3.object.created", "b/b"),
        ("s3.object.changed", "d"),
        ("s3.object.deleted", "e"),
        ("s3.object.created", "f"),
    ]
    first = told[0]
    assert first.resource.id == "s3://lake/b/b"
    assert [to.id for to in first.resource.related] == ["s3://lake", "s3://lake/b"]
    assert first.payload["size"] == 1
    assert first.occurred is None, "it was written long before the last look: it came later"
    assert look(Listed(now), cursor)[1] == []


def test_the_same_look_again_gives_the_same_keys() -> None:
    cursor, _ = look(Listed(files("a")))
    once, again = (look(Listed(files("b")), cursor)[1] for _ in range(2))
    assert [item.key for item in once] == [item.key for item in again]
    assert len({item.key for item in once}) == 2


def test_the_time_of_a_file_written_since_is_when_it_happened() -> None:
    cursor, _ = look(Listed([]))
    written = datetime.now(timezone.utc) - timedelta(seconds=1)
    _, told = look(Listed([FileInfo("a", 1, written)]), cursor)
    assert told[0].occurred == written


def test_a_block_that_points_elsewhere_now_begins_anew() -> None:
    cursor, _ = look(Listed(files("a")))
    assert look(Listed(files("b")), {**cursor, "place": "s3://other"})[1] == []


def test_a_listing_in_no_order_is_refused() -> None:
    with pytest.raises(BlockError, match="in no order"):
        look(Listed(files("b", "a")))


def test_too_many_files_are_refused_by_one_line_that_names_the_fix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.blocks.listings.index.MOST", 5_000)
    with pytest.raises(InvalidInput, match="one folder of them"):
        look(Listed(FileInfo(f"{number:06}", 1) for number in range(10_000)))


def many(skip: Iterable[int] = (), more: Iterable[int] = ()) -> Iterator[FileInfo]:
    """100,000 files that are made as they are asked for."""
    gone, extra = set(skip), set(more)
    for number in range(100_000):
        name = f"raw/orders/date=2026-{number % 12:02}/part-{number:06}-4fd1c3.parquet"
        yield_name = f"raw/{number:06}/{name}"
        if number not in gone:
            yield FileInfo(yield_name, number, LONG_AGO + timedelta(seconds=number))
        if number in extra:
            yield FileInfo(yield_name + ".new", number, LONG_AGO)


def test_a_hundred_thousand_files_take_bounded_memory() -> None:
    cursor, _ = look(Listed(many()))
    assert len(dumps(cursor)) < 3_000_000
    known = loads(dumps(cursor))
    counts: Counter[str] = Counter()
    tracemalloc.start()
    try:
        storage = Listed(many(skip=range(7, 13), more=range(50_000, 50_010)))
        storage.observe(known, lambda seen: counts.update([seen.event]))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert counts == {"s3.object.created": 10, "s3.object.deleted": 6}
    assert peak < 5_000_000, "the files themselves would take some ten times as much"


def test_resources_are_the_root_and_its_folders() -> None:
    found = [*Listed([*files("a/b/c", "a/d", size=2), *files("e/f", "g", size=3)]).discover()]
    assert [(item.id, item.kind, item.labels["objects"], item.labels["bytes"]) for item in found] == [
        ("s3://lake/a", "s3.folder", 2, 4),
        ("s3://lake/e", "s3.folder", 1, 3),
        ("s3://lake", "s3.bucket", 4, 10),
    ]
    assert found[-1].labels["newest"] == "2020-01-01T00:00:00.000000Z"
    assert found[0].related[0].id == "s3://lake"
    assert found[0].volatile == {"objects", "bytes", "newest", "folders"}


def test_very_many_folders_count_for_the_root_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.blocks.listings.files.FOLDERS_MOST", 3)
    found = [*Listed(files(*(f"{number}/a" for number in range(9)))).discover()]
    assert [item.name for item in found] == ["lake/0", "lake/1", "lake/2", "lake"]
    assert (found[-1].labels["objects"], found[-1].labels["folders"]) == (9, 9)


def test_a_local_folder_is_watched(tmp_path: Path) -> None:
    block = LocalFileSystem(basepath=str(tmp_path))
    for name in ("a-b", "a/c", "a/b/d"):
        tmp_path.joinpath(name).parent.mkdir(parents=True, exist_ok=True)
        tmp_path.joinpath(name).write_text(name)
    (tmp_path / "loop").symlink_to(tmp_path)
    assert [info.path for info in block.list()] == ["a-b", "a/b/d", "a/c"]
    cursor, _ = look(block)
    tmp_path.joinpath("a/new").write_text("new")
    tmp_path.joinpath("a/c").unlink()
    os.utime(tmp_path / "a-b", (1, 1))
    _, told = look(block, cursor)
    assert told_of(told) == [
        ("local.file.changed", "a-b"),
        ("local.file.deleted", "a/c"),
        ("local.file.created", "a/new"),
    ]
    assert {item.kind for item in block.discover()} == {"local.folder"}


def test_a_folder_that_is_not_there_is_no_empty_one(tmp_path: Path) -> None:
    block = LocalFileSystem(basepath=str(tmp_path / "nowhere"))
    with pytest.raises(NotFound, match="nowhere"):
        list(block.discover())
    with pytest.raises(NotFound, match="nowhere"):
        look(block, look(LocalFileSystem(basepath=str(tmp_path)))[0])


def test_browsing_shows_what_lies_directly_in_a_folder(tmp_path: Path) -> None:
    for name in ("a/b/c", "a/d", "e"):
        tmp_path.joinpath(name).parent.mkdir(parents=True, exist_ok=True)
        tmp_path.joinpath(name).write_text(name)
    listed = Listed([FileInfo(name, len(name)) for name in ("a/b/c", "a/d", "e")])
    for storage in (LocalFileSystem(basepath=str(tmp_path)), listed):
        found = storage.browse()
        assert (found.folders, [info.path for info in found.files], found.is_cut) == (["a"], ["e"], False)
        assert storage.browse(limit=1).is_cut
    below = LocalFileSystem(basepath=str(tmp_path)).browse("a")
    assert (below.folders, [info.path for info in below.files]) == (["b"], ["a/d"])


@mock_aws
def test_a_bucket_is_watched_page_by_page() -> None:
    client = boto3.client("s3", region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test")
    client.create_bucket(Bucket="lake")
    for number in range(2_000):
        client.put_object(Bucket="lake", Key=f"raw/{number % 7}/{number:05}.csv", Body=b"x")
    client.put_object(Bucket="lake", Key="other/a", Body=b"x")
    block = S3(bucket="lake", prefix="raw", region="us-east-1", access_key_id="test", secret_access_key=SecretStr("t"))
    cursor, told = look(block)
    assert told == []
    for number in range(10):
        client.put_object(Bucket="lake", Key=f"raw/3/new-{number}.csv", Body=b"x")
    client.delete_object(Bucket="lake", Key="raw/0/00007.csv")
    cursor, told = look(block, cursor)
    assert Counter(item.event for item in told) == {"s3.object.created": 10, "s3.object.deleted": 1}
    assert told[0].resource.id == "s3://lake/raw/0/00007.csv"
    *folders, root = block.discover()
    assert (root.id, root.kind, root.labels["objects"]) == ("s3://lake/raw", "s3.folder", 2_009)
    assert [folder.name for folder in folders] == [f"lake/raw/{number}" for number in range(7)]
    shown = block.browse("3", limit=5)
    assert (shown.folders, len(shown.files), shown.is_cut) == ([], 5, True)
    assert block.browse().folders == [str(number) for number in range(7)]
    missing = S3(bucket="gone", region="us-east-1", access_key_id="test", secret_access_key=SecretStr("t"))
    with pytest.raises(NotFound, match="gone"):
        list(missing.discover())
