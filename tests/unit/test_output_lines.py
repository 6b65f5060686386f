"""Lines out of streams of bytes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.observing.output_lines import Budget, Lines


def cut(*pieces: bytes, line_max: int = 1000, size: int = 100_000) -> tuple[list[str], Budget]:
    found: list[str] = []
    budget = Budget(size)
    lines = Lines(found.append, line_max, budget)
    for piece in pieces:
        lines.feed(piece)
    lines.close()
    return found, budget


def test_lines_are_cut_at_newlines_wherever_reads_ended() -> None:
    assert cut(b"a\nb", b"c\n\nd")[0] == ["a", "bc", "", "d"]


def test_windows_line_ends() -> None:
    assert cut(b"a\r\nb\r", b"\nc\r\n")[0] == ["a", "b", "c"]


def test_a_progress_bar_is_its_last_version() -> None:
    assert cut(b"\r 10 %", b"\r 50 %\r", b"100 %\n", b"done\n")[0] == ["100 %", "done"]


def test_an_unfinished_progress_bar() -> None:
    assert cut(b"\r 10 %\r 20 %\r")[0] == [" 20 %"]


def test_a_long_line_is_cut_and_says_by_how_much() -> None:
    """Pain 47: one line of 5 MB among ten."""
    found, _ = cut(b"x" * 5_000_000 + b"\nshort\n", line_max=1000, size=10_000_000)
    assert found == ["x" * 1000 + " ... [cut: 4999000 bytes more]", "short"]


def test_a_long_line_in_many_reads_is_never_held_whole() -> None:
    lines = Lines(lambda _: None, 1000, Budget())
    for _ in range(1000):
        lines.feed(b"x" * 1000)
        assert len(lines._partial) <= 1000


def test_over_the_budget_lines_are_dropped_and_named() -> None:
    found, budget = cut(b"12345\n" * 10, size=12)
    assert found == ["12345", "12345", "[output over 12 bytes: what follows is not kept]"]
    assert budget.notice is not None
    assert budget.notice.startswith("8 more lines of output (48 bytes)")


def test_within_the_budget_there_is_no_notice() -> None:
    assert cut(b"a\n")[1].notice is None


def test_what_is_no_text_is_shown_as_such() -> None:
    assert cut(b"\xff\xfe caf\xc3\xa9 a\x00b\n")[0] == ["\ufffd\ufffd café a\ufffdb"]


WORDS = st.text(st.characters(exclude_characters="\r\n\x00", codec="utf-8"), min_size=1)


@given(st.lists(WORDS, min_size=1), st.data())
def test_any_cutting_of_the_stream_gives_the_same_lines(lines: list[str], data: st.DataObject) -> None:
    stream = "\n".join(lines).encode()
    places = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    pieces = [stream[a:b] for a, b in zip([0, *places], [*places, len(stream)], strict=True)]
    assert cut(*pieces)[0] == lines
