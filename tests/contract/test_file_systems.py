"""What every file system promises, held against each of them."""

from __future__ import annotations

import io
import multiprocessing
import os
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from pathlib import Path

import pytest

from orchestrator.blocks.local_file_system import LocalFileSystem
from orchestrator.errors import InvalidInput, NotFound
from orchestrator.interfaces import FileSystem

from .conftest import READ_ONLY, WRITABLE, Holding

reading = pytest.mark.parametrize("holding", [*WRITABLE, *READ_ONLY], indirect=True)


@pytest.fixture(params=WRITABLE)
def files(request: pytest.FixtureRequest, storage: Callable[[str], FileSystem]) -> FileSystem:
    return storage(request.param)


def test_what_is_written_is_read(files: FileSystem) -> None:
    files.write("a/b.txt", b"one")
    assert files.read("a/b.txt") == b"one"
    files.write("a/b.txt", b"two")
    assert files.read("./a//b.txt") == b"two"


def test_an_open_file_is_streamed_both_ways_and_stays_open(files: FileSystem) -> None:
    content = os.urandom(9 * 1024 * 1024)  # more than one part of a multipart upload
    source, target = io.BytesIO(content), io.BytesIO()
    files.write("large", source)
    files.download("large", target)
    assert target.getvalue() == content
    assert not source.closed


def test_an_empty_file_is_a_file(files: FileSystem) -> None:
    files.write("empty", b"")
    files.write("empty-stream", io.BytesIO())
    assert files.read("empty") == files.read("empty-stream") == b""
    assert files.stat("empty").size == 0


@reading
def test_the_list_is_deep_and_ordered_and_of_whole_folders(holding: Holding) -> None:
    names = ("b", "a/z", "a/c/d", "ab/c", "a.txt", "a-b/c", "a0", "a/c.d", "a/c/d e")
    files = holding({name: name.encode() for name in names})
    assert [info.path for info in files.list()] == sorted(names)
    assert [(info.path, info.size) for info in files.list("a")] == [
        ("a/c.d", 5),
        ("a/c/d", 5),
        ("a/c/d e", 7),
        ("a/z", 3),
    ]
    assert [*files.list("nowhere")] == []
    assert [*files.list("b")] == []
    assert [*files.list("b/below")] == []


@reading
def test_files_are_read_whole_and_streamed(holding: Holding) -> None:
    content = os.urandom(3 * 1024 * 1024)
    files = holding({"a/one": b"1", "large": content, "empty": b""})
    target = io.BytesIO()
    files.download("large", target)
    assert target.getvalue() == content
    assert files.read("./a//one") == b"1"
    assert files.read("empty") == b""


@reading
def test_stat_tells_size_and_an_aware_time(holding: Holding) -> None:
    info = holding({"a/b": b"123"}).stat("a/b")
    assert (info.path, info.size) == ("a/b", 3)
    assert info.modified is not None
    assert info.modified.tzinfo is not None
    assert info.modified <= datetime.now(timezone.utc).replace(year=datetime.now().year + 1)


@reading
def test_names_are_taken_as_they_are(holding: Holding, request: pytest.FixtureRequest) -> None:
    names = ["a b", "a#b", "a%20b", "a&b=c", "a+b", "a;b", "a[1]", "ä/ö.txt", "日本", "~", ".hidden", "x.writing-y"]
    if "smb" not in request.node.name:  # Windows takes these in no name
        names += ["a*", "a?b", "a:b", 'a"b', "a<b>", "a|b"]
    files = holding({name: name.encode() for name in names})
    assert [info.path for info in files.list()] == sorted(names)
    assert [files.read(name) for name in names] == [name.encode() for name in names]
    assert [files.stat(name).size for name in names] == [len(name.encode()) for name in names]


@reading
@pytest.mark.parametrize("verb", ["read", "stat"])
def test_what_is_not_there_is_not_found(holding: Holding, verb: str) -> None:
    files = holding({"a/b": b"x"})
    for path in ("nothing/here", "a", "a/b/nothing"):
        with pytest.raises(NotFound, match=path):
            getattr(files, verb)(path)


@reading
@pytest.mark.parametrize("path", ["../up", "a/../../up", "/etc/passwd", "a\\b", "a\nb", "C:/x"])
def test_no_path_leaves_the_root(holding: Holding, path: str) -> None:
    files = holding({"a": b"x"})
    verbs = [files.read, files.stat, files.delete, lambda path: [*files.list(path)], lambda p: files.write(p, b"x")]
    for verb in verbs:
        with pytest.raises(InvalidInput):
            verb(path)


@reading
def test_a_folder_is_fetched(holding: Holding, tmp_path: Path) -> None:
    content = {"up/a": b"1", "up/b/c": b"22", "other": b"333"}
    seen: list[tuple[int, int, str]] = []
    assert holding(content).get_directory("up", tmp_path / "back", lambda *facts: seen.append(facts)) == 2
    assert seen[-1][:2] == (3, 3)
    assert {
        path.relative_to(tmp_path / "back").as_posix() for path in (tmp_path / "back").rglob("*") if path.is_file()
    } == {
        "a",
        "b/c",
    }


@reading
def test_the_test_says_what_was_seen(holding: Holding) -> None:
    assert holding({"a": b"1"}).test().endswith(".")  # type: ignore[attr-defined]


@pytest.mark.parametrize("holding", READ_ONLY, indirect=True)
def test_what_is_read_only_refuses_the_rest_in_one_line(holding: Holding, tmp_path: Path) -> None:
    files = holding({"a": b"1"})
    (tmp_path / "b").write_text("2")
    for act in (
        lambda: files.write("a", b""),
        lambda: files.delete("a"),
        lambda: files.put_directory(tmp_path, "x", ["b"]),
    ):
        with pytest.raises(InvalidInput, match="is read only"):
            act()
    assert files.read("a") == b"1"


def test_delete_takes_a_file_or_a_whole_folder(files: FileSystem) -> None:
    for name in ("a/one", "a/two/three", "b"):
        files.write(name, b"x")
    files.delete("b")
    assert [info.path for info in files.list()] == ["a/one", "a/two/three"]
    files.delete("a")
    assert [*files.list()] == []


def test_what_is_not_there_cannot_be_deleted(files: FileSystem) -> None:
    files.write("a", b"x")
    with pytest.raises(NotFound, match="nothing"):
        files.delete("nothing/here")
    with pytest.raises(NotFound):
        files.delete("a/below")


def test_names_that_look_like_patterns_delete_themselves_only(files: FileSystem) -> None:
    for name in ("a[1]", "a1", "b[1]/c", "b1/c"):
        files.write(name, b"x")
    files.delete("a[1]")
    files.delete("b[1]")
    assert [info.path for info in files.list()] == ["a1", "b1/c"]


class Broken(io.BytesIO):
    """A file that fails after some megabytes."""

    def read(self, size: int | None = -1) -> bytes:
        if self.tell() > 2 * 1024 * 1024:
            raise OSError("disk gone")
        return super().read(size)


# Azure's library closes a stream that it could not open; from Python 3.13 on that is told.
@pytest.mark.filterwarnings("ignore:.*SubStream object:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("before", [None, b"old"])
def test_a_write_that_fails_leaves_what_was_there(files: FileSystem, before: bytes | None) -> None:
    if before is not None:
        files.write("a/b", before)
    with pytest.raises(OSError, match="disk gone"):
        files.write("a/b", Broken(bytes(20 * 1024 * 1024)))
    assert [info.path for info in files.list()] == (["a/b"] if before else [])
    if before:
        assert files.read("a/b") == before


def test_many_threads_write_below_folders_that_are_not_there(files: FileSystem) -> None:
    names = [f"new/folder{number % 3}/{number}" for number in range(24)]
    with ThreadPoolExecutor(8) as pool:
        [*pool.map(lambda name: files.write(name, name.encode()), names)]
        assert [*pool.map(files.read, names)] == [name.encode() for name in names]
    assert [info.path for info in files.list()] == sorted(names)


def test_a_forked_process_uses_the_storage_as_its_parent_does(files: FileSystem) -> None:
    files.write("parent", b"1")
    if "memory" in str(getattr(files, "url", "")):
        pytest.skip("memory is a process's own")
    child = multiprocessing.get_context("fork").Process(target=lambda: files.write("child", files.read("parent")))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # this process has threads, as an agent has
        child.start()
    child.join(60)
    code = child.exitcode
    child.kill()
    child.join()
    assert code == 0
    assert files.read("child") == b"1"
    assert [info.path for info in files.list()] == ["child", "parent"]


def test_a_file_needs_a_name(files: FileSystem) -> None:
    with pytest.raises(InvalidInput, match="empty"):
        files.write("", b"x")


def test_folders_go_there_and_back_with_progress(files: FileSystem, tmp_path: Path) -> None:
    source = tmp_path / "source"
    for number in range(20):
        path = source / f"folder{number % 3}" / f"{number}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(number))
    seen: list[tuple[int, int, str]] = []
    assert files.put_directory(source, "up", progress=lambda *facts: seen.append(facts)) == 20
    assert len(seen) == 20
    assert seen[-1][:2] == (190, 190)
    assert [done for done, _, _ in seen] == sorted(done for done, _, _ in seen)
    back = tmp_path / "back"
    assert files.get_directory("up", back, lambda *facts: seen.append(facts)) == 20
    assert seen[-1][:2] == (190, 190)
    assert {path.relative_to(back): path.read_bytes() for path in back.rglob("*.bin")} == {
        path.relative_to(source): path.read_bytes() for path in source.rglob("*.bin")
    }


def test_only_the_named_files_of_a_folder_are_put(files: FileSystem, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text(name)
    assert files.put_directory(tmp_path, "up", ["b"]) == 1
    assert [info.path for info in files.list("up")] == ["up/b"]


def test_a_transfer_that_fails_tells_so(files: FileSystem, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    with pytest.raises(FileNotFoundError):
        files.put_directory(tmp_path, "up", ["a", "gone"])


def test_a_local_link_does_not_leave_the_root(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "root" / "link").symlink_to(tmp_path / "secret")
    with pytest.raises(InvalidInput, match="leaves"):
        LocalFileSystem(basepath=str(tmp_path / "root")).read("link")


def test_a_failed_local_write_leaves_no_other_file(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="disk gone"):
        LocalFileSystem(basepath=str(tmp_path)).write("a", Broken(bytes(20 * 1024 * 1024)))
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("kind", ["local", "sftp", "smb", "remote-local"])
def test_a_file_in_the_way_of_a_folder_is_one_line(storage: Callable[[str], FileSystem], kind: str) -> None:
    files = storage(kind)
    files.write("a", b"")
    files.write("b/c", b"")
    with pytest.raises(InvalidInput, match="in the place of a folder"):
        files.write("a/b", b"")
    with pytest.raises(InvalidInput, match="folder"):
        files.write("b", b"")
    with pytest.raises(NotFound):
        files.read("a/b")
    assert [info.path for info in files.list()] == ["a", "b/c"]
