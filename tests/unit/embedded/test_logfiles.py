"""Log files: cut, read from the end, followed."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.embedded import logfiles


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "api.log"


def test_a_large_file_is_kept_in_three_pieces(log: Path) -> None:
    with open(log, "ab", buffering=0) as writer:
        for number in range(5):
            writer.write(b"%d" % number * 100 + b"\n")
            assert logfiles.trim(log, limit=50, kept=3)
        writer.write(b"last\n")
    assert log.read_bytes() == b"last\n"
    assert log.with_name("api.log.1").read_bytes()[:1] == b"4"
    assert log.with_name("api.log.2").read_bytes()[:1] == b"3"
    assert not log.with_name("api.log.3").exists()


def test_a_small_or_missing_file_stays(log: Path) -> None:
    assert not logfiles.trim(log)
    log.write_text("short\n")
    assert not logfiles.trim(log)
    assert log.read_text() == "short\n"


@pytest.mark.parametrize("count", [0, 1, 3, 5000, 20_000])
def test_the_last_lines(log: Path, count: int) -> None:
    lines = [f"line {number} — ünïcode" for number in range(10_000)]
    log.write_text("\n".join(lines) + "\n", "utf-8")
    assert logfiles.tail(log, count) == (lines[-count:] if count else [])


def test_no_file_has_no_lines(log: Path) -> None:
    assert logfiles.tail(log, 10) == []
    assert logfiles.last_words(log) == "it wrote nothing"


def test_the_last_words_are_the_last_error(log: Path) -> None:
    log.write_text("Traceback:\n  File\nValueError: old\nImportError: no x\n[1] Shutting down\n[1] Worker failed\n")
    assert logfiles.last_words(log) == "ImportError: no x"
    log.write_text("starting\nError: no such queue\n")
    assert logfiles.last_words(log) == "Error: no such queue"


def test_the_last_line_is_the_last_one_with_something_in_it(log: Path) -> None:
    log.write_text("first\nthe reason \n\n  \n")
    assert logfiles.last_words(log) == "the reason"


def test_following_gives_whole_lines_and_survives_a_cut(log: Path) -> None:
    log.write_text("old\n")
    writes = iter([lambda: _add(log, "one\ntw"), lambda: _add(log, "o\n"), lambda: log.write_text("3\n"), None])

    def ended() -> bool:
        write = next(writes)
        if write is not None:
            write()
        return write is None

    found = list(logfiles.follow({"api": log}, ended, pause_s=0))
    assert found == [("api", "one"), ("api", "two"), ("api", "3")]


def _add(path: Path, text: str) -> None:
    with open(path, "a") as file:
        file.write(text)
