"""Marks in a stream: what a process prints and what it logs come out in the order in which they were written."""

from __future__ import annotations

import os
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.reporting.pipes import frames
from orchestrator.workers.agent.ordering import Marked, OrderedSink


def log_item(number: int) -> dict[str, Any]:
    return {"kind": "log", "message": str(number)}


@given(st.lists(st.sampled_from([b"text", b"\n", b"\x1e", b"\x1eO", b"O7", b"MARK"]), max_size=30), st.integers(1, 9))
def test_marks_are_taken_out_wherever_the_stream_is_cut(pieces: list[bytes], size: int) -> None:
    taken: list[Any] = []
    marked = Marked(taken.append, lambda number: taken.append(number))
    wanted: list[Any] = []
    for number, piece in enumerate(pieces):
        wanted.append(number if piece == b"MARK" else piece)
    data = b"".join(b"\x1eO%d\x1e" % number if piece == b"MARK" else piece for number, piece in enumerate(pieces))
    for at in range(0, len(data), size):
        marked.take(data[at : at + size])
    marked.close()
    plain = b"".join(one for one in taken if isinstance(one, bytes))
    if b"\x1e" not in b"".join(one for one in pieces if one != b"MARK"):
        assert [one for one in taken if isinstance(one, int)] == [one for one in wanted if isinstance(one, int)]
        assert plain == b"".join(one for one in wanted if isinstance(one, bytes))
    assert not plain.count(b"MARK")


def test_a_mark_follows_each_log_line_and_nothing_else() -> None:
    control, told = os.pipe()
    out, printed = os.pipe()
    sink = OrderedSink(told, printed)
    os.write(printed, b"before\n")
    sink.put(log_item(1))
    sink.put({"kind": "event"})
    os.write(printed, b"between\n")
    sink.put(log_item(2))
    assert os.read(out, 1000) == b"before\n\x1eO1\x1ebetween\n\x1eO2\x1e"
    assert len(frames(bytearray(os.read(control, 10_000)))) == 3
    for descriptor in (control, told, out, printed):
        os.close(descriptor)


def test_who_sends_its_output_elsewhere_gets_no_marks_there(tmp_path: Any) -> None:
    control, told = os.pipe()
    out, printed = os.pipe()
    sink = OrderedSink(told, printed)
    with (tmp_path / "file").open("wb") as file:
        os.dup2(file.fileno(), printed)
    sink.put(log_item(1))
    assert (tmp_path / "file").read_bytes() == b""
    os.close(printed)
    sink.put(log_item(2))
    assert len(frames(bytearray(os.read(control, 10_000)))) == 2
    for descriptor in (control, told, out):
        os.close(descriptor)
