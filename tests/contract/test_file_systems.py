"""What every file system promises, held against each of them."""

from __future__ import annotations

import io
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto.core import set_initial_no_auth_action_count
from moto.server import ThreadedMotoServer

from orchestrator.blocks import s3
from orchestrator.blocks.local_file_system import LocalFileSystem
from orchestrator.blocks.s3 import S3
from orchestrator.errors import AccessDenied, BlockError, InvalidInput, NotFound, Unavailable
from orchestrator.interfaces import FileSystem


@pytest.fixture(scope="module")
def s3_url() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(params=["local", "s3"])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> FileSystem:
    if request.param == "local":
        return LocalFileSystem(basepath=str(tmp_path / "root"))
    return make_s3(request.getfixturevalue("s3_url"))


def make_s3(url: str, prefix: str = "some/prefix") -> S3:
    keys = {"access_key_id": "key", "secret_access_key": "secret"}
    bucket = f"bucket-{uuid.uuid4().hex[:12]}"
    boto3.client(
        "s3", endpoint_url=url, region_name="us-east-1", aws_access_key_id="key", aws_secret_access_key="secret"
    ).create_bucket(Bucket=bucket)
    return S3(bucket=bucket, prefix=prefix, endpoint_url=url, region="us-east-1", **keys)


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


def test_the_list_is_deep_and_ordered_and_of_whole_folders(files: FileSystem) -> None:
    for name in ("b", "a/z", "a/c/d", "ab/c", "a.txt"):
        files.write(name, name.encode())
    assert [info.path for info in files.list()] == ["a.txt", "a/c/d", "a/z", "ab/c", "b"]
    assert [(info.path, info.size) for info in files.list("a")] == [("a/c/d", 5), ("a/z", 3)]
    assert [*files.list("nowhere")] == []


def test_stat_tells_size_and_an_aware_time(files: FileSystem) -> None:
    files.write("a/b", b"123")
    info = files.stat("a/b")
    assert (info.path, info.size) == ("a/b", 3)
    assert info.modified is not None
    assert info.modified.tzinfo is not None


def test_delete_takes_a_file_or_a_whole_folder(files: FileSystem) -> None:
    for name in ("a/one", "a/two/three", "b"):
        files.write(name, b"x")
    files.delete("b")
    assert [info.path for info in files.list()] == ["a/one", "a/two/three"]
    files.delete("a")
    assert [*files.list()] == []


@pytest.mark.parametrize("verb", ["read", "stat", "delete"])
def test_what_is_not_there_is_not_found(files: FileSystem, verb: str) -> None:
    with pytest.raises(NotFound, match="nothing"):
        getattr(files, verb)("nothing/here")


@pytest.mark.parametrize("path", ["../up", "a/../../up", "/etc/passwd", "a\\b", "a\nb", "C:/x"])
def test_no_path_leaves_the_root(files: FileSystem, path: str) -> None:
    verbs = [files.read, files.stat, files.delete, lambda path: [*files.list(path)], lambda p: files.write(p, b"x")]
    for verb in verbs:
        with pytest.raises(InvalidInput):
            verb(path)


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


def test_a_failed_local_write_leaves_what_was_there(tmp_path: Path) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError("disk gone")

    files = LocalFileSystem(basepath=str(tmp_path))
    files.write("a", b"old")
    with pytest.raises(OSError, match="disk gone"):
        files.write("a", Broken())
    assert files.read("a") == b"old"
    assert os.listdir(tmp_path) == ["a"]


def test_a_local_file_in_the_way_of_a_folder_is_one_line(tmp_path: Path) -> None:
    files = LocalFileSystem(basepath=str(tmp_path))
    files.write("a", b"")
    with pytest.raises(InvalidInput, match="in the place of a folder"):
        files.write("a/b", b"")
    with pytest.raises(NotFound):
        files.read("a/b")


def test_s3_prefixes_do_not_mix(s3_url: str) -> None:
    one = make_s3(s3_url, "one")
    other = one.model_copy(update={"prefix": "one-more"})
    one.write("a", b"1")
    other.write("a", b"2")
    assert [info.path for info in one.list()] == ["a"]
    assert one.read("a") == b"1"


def test_s3_without_its_bucket_names_it(s3_url: str) -> None:
    files = S3(bucket="not-there", endpoint_url=s3_url, access_key_id="k", secret_access_key="s", region="us-east-1")
    with pytest.raises(NotFound, match="no bucket s3://not-there"):
        files.write("a", b"")


def test_s3_that_does_not_answer_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    files = S3(
        bucket="any", endpoint_url="http://127.0.0.1:9", access_key_id="k", secret_access_key="s", region="us-east-1"
    )
    with pytest.raises(Unavailable, match="s3://any/a"):
        files.read("a")


def test_s3_refusing_the_key_is_access_denied(s3_url: str) -> None:
    files = make_s3(s3_url)

    @set_initial_no_auth_action_count(0)
    def write() -> None:
        files.write("a", b"")

    with pytest.raises(AccessDenied, match="refuses these credentials"):
        write()


def test_s3_without_its_extra_names_the_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3, "boto3", None)
    assert S3.type_facts()["slug"] == "s3"
    with pytest.raises(BlockError, match=r'pip install "orchestrator\[s3\]"'):
        S3(bucket="any").read("a")
